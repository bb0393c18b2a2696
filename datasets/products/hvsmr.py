"""CRDN's HVSMR set: cardiac MR with blood pool and myocardium, in slices along three directions."""

from typing import ClassVar, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from spinforge.datasets.products.volumes import VolumeProduct
from spinforge.datasets.public.hvsmr import HVSMR
from spinforge.datasets.public.hvsmr import View as PublishedView
from spinforge.datasets.slice_table import View, by_subject, most_central
from spinforge.datasets.splits import Group, Split, Subjects
from spinforge.datasets.standins.hearts import Chests
from spinforge.datasets.volumes import VolumeSource
from spinforge.simulation.config import Config
from spinforge.simulation.corruption.corrupt import ImageCorruption
from spinforge.simulation.corruption.intensity import NonUniformity
from spinforge.simulation.corruption.kspace import Ghost
from spinforge.simulation.corruption.noise import RicianNoise
from spinforge.simulation.phantoms.heart import FIELD_OF_VIEW_MM, HEART_TARGETS


class HVSMRSubjects(Subjects):
    """Six volumes train and four test, as CRDN's authors have it; one of the six validates."""

    train: Group = Field(5, description="number or names of the training subjects")
    validation: Group = Field(1, description="number or names; picks the best checkpoint")
    test: Group = Field(4, description="number or names; touched by the evaluation only")


class HVSMRSlices(Config):
    """How many slices are used: the central ones of every volume and view.

    Where there are fewer altogether, those with a heart in them.
    """

    train: int = Field(1868, ge=1, description="for training and validation together")
    test: int = Field(1473, ge=1, description="for the test")


class HVSMRLike(VolumeProduct):
    """Cardiac MR as HVSMR 2016 has it. The images are used as they are, without preprocessing.

    What goes wrong in our stand-ins' scans is part of them, as in the real ones.
    """

    product: Literal["hvsmr_like"] = Field(
        description="bSSFP images of malformed hearts, three views (CRDN)"
    )
    view: PublishedView = Field("axial_crop", description="with path: which files are read")
    spacing_mm: Literal[1, 2, 4] = Field(
        1, description="voxel size of the stand-ins [mm]; 4 is for smoke tests"
    )
    corruptions: tuple[ImageCorruption, ...] = Field(
        (NonUniformity(level=3), Ghost(level=2), RicianNoise(level=3)),
        description="of the stand-ins, in this order: 40 % bias, breathing ghosts, 5 % noise",
    )
    banding: int = Field(
        2, ge=0, le=5, description="level of the stand-ins' off-resonance, 0 for no dark bands"
    )
    subjects: HVSMRSubjects = HVSMRSubjects()
    slices: HVSMRSlices = HVSMRSlices()

    classes: ClassVar = HEART_TARGETS
    references: ClassVar = {"MR": "blood pool"}
    views: ClassVar[tuple[View, ...]] = ("axial", "coronal", "sagittal")
    stand_in_only: ClassVar = ("spacing_mm", "corruptions", "banding")

    def source(self) -> VolumeSource:
        """The challenge's training subjects, or ours."""
        if self.path is not None:
            return HVSMR(self.path, self.view)
        return Chests(
            self.subjects.total,
            self.subjects.named,
            seed=self.seed,
            spacing_mm=float(self.spacing_mm),
            corruptions=self.corruptions,
            banding=self.banding,
        )

    def shape_zyx(self) -> tuple[int, int, int]:
        """Voxels of a chest."""
        x, y, z = (round(extent / self.spacing_mm) for extent in FIELD_OF_VIEW_MM)
        return z, y, x

    def slice_tables(self, areas: pd.DataFrame, split: Split) -> dict[str, pd.DataFrame]:
        """The central slices of each group of subjects, by subject."""
        used = np.zeros(len(areas), dtype=np.bool_)
        groups = {
            (*split.train, *split.validation): self.slices.train,
            split.test: self.slices.test,
        }
        for names, count in groups.items():
            rows = np.flatnonzero(areas["subject"].isin(names))
            used[rows] = most_central(areas.iloc[rows], count)
        return {"subjects": by_subject(areas, used, split)}
