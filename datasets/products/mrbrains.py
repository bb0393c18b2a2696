"""CRDN's MRBrainS set: T1, T1 inversion recovery and FLAIR of elderly heads, axial slices."""

from typing import ClassVar, Literal

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from spinforge.datasets.products.brain_slices import (
    BrainSlices,
    TogetherSubjects,
    brain_slice_tables,
    check_split_fits,
)
from spinforge.datasets.products.volumes import VolumeProduct
from spinforge.datasets.public.mrbrains import PAPER_SLICES_13, MRBrainS13, MRBrainS18
from spinforge.datasets.slice_table import SliceSplit, largest
from spinforge.datasets.splits import Group, Split
from spinforge.datasets.standins.elderly import ElderlyHeads
from spinforge.datasets.volumes import VolumeSource
from spinforge.simulation.phantoms.ageing import FINE_SPACING_MM
from spinforge.simulation.phantoms.ageing_slices import MATRIX, SLICES
from spinforge.simulation.tissue import TARGET_NAMES


class MRBrainSSubjects(TogetherSubjects):
    """All five of MRBrainS13's training subjects."""

    train: Group = Field(5, description="number or names of the subjects")


class MRBrainSSlices(BrainSlices):
    """CRDN's 174 slices; on the real data those of its authors' lists."""

    count: int = Field(174, ge=1, description="slices with most brain that are used")
    split: SliceSplit = Field(
        "interleaved",
        description="2nd and 4th of every five slices test, as CRDN's authors have it (neighbours "
        "leak from training to test), shuffled_slices, blocked, or by subjects",
    )


class MRBrainSLike(VolumeProduct):
    """Images as MRBrainS13 has them, labels CSF, GM and WM; cerebellum and stem are not scored."""

    product: Literal["mrbrains_like"] = Field(
        description="T1, T1-IR and FLAIR of elderly heads on 3 mm slices (CRDN)"
    )
    edition: Literal["13", "18"] = Field("13", description="with path: MRBrainS13 or MRBrainS18")
    spacing_mm: float = Field(
        FINE_SPACING_MM, gt=0, le=3, description="pixel size of the stand-ins [mm]"
    )
    subjects: MRBrainSSubjects = MRBrainSSubjects()
    slices: MRBrainSSlices = MRBrainSSlices()

    classes: ClassVar = TARGET_NAMES
    references: ClassVar = {"T1": "WM", "T1-IR": "WM", "FLAIR": "GM"}
    stand_in_only: ClassVar = ("spacing_mm",)
    has_brain: ClassVar = True

    @model_validator(mode="after")
    def _fits(self) -> "MRBrainSLike":
        check_split_fits(self.slices, self.subjects)
        if self.path is None and self.edition != "13":
            raise ValueError("edition needs path, the folder of MRBrainS18")
        return self

    def source(self) -> VolumeSource:
        """The challenge's training subjects, or ours."""
        if self.path is None:
            subjects = self.subjects
            return ElderlyHeads(subjects.total, subjects.named, self.seed, self.spacing_mm)
        return MRBrainS13(self.path) if self.edition == "13" else MRBrainS18(self.path)

    def shape_zyx(self) -> tuple[int, int, int]:
        """48 slices of 240 x 240 pixels."""
        return SLICES, MATRIX, MATRIX

    def slice_tables(self, areas: pd.DataFrame, split: Split) -> dict[str, pd.DataFrame]:
        """The slices of the authors' lists if all are there, else those with most brain."""
        listed = {(name, i) for name, kept in PAPER_SLICES_13.items() for i in kept}
        rows = list(zip(areas["subject"], areas["index"].astype(int), strict=True))
        if self.slices.count == len(listed) and listed <= set(rows):
            used = np.array([row in listed for row in rows], dtype=np.bool_)
        else:
            used = largest(areas, self.slices.count)
        return brain_slice_tables(areas, used, self.slices, split, self.seed)
