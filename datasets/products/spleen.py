"""HLE-Net's spleen set: CT slices of the Decathlon's ninth task."""

from dataclasses import replace
from typing import ClassVar, Literal

import numpy as np
import pandas as pd
from pydantic import Field, field_validator

from spinforge.datasets.products.volumes import VolumeProduct
from spinforge.datasets.public.spleen import PAPER_SLICES, PAPER_SPLIT, MSDSpleen
from spinforge.datasets.slice_table import by_subject, with_neighbours
from spinforge.datasets.splits import Group, Split, Subjects
from spinforge.datasets.standins.abdomens import Abdomens
from spinforge.datasets.volumes import LabelledVolume, VolumeSource
from spinforge.simulation.config import Config
from spinforge.simulation.phantoms.abdomen import (
    COARSEST_PIXEL_MM,
    FIELD_OF_VIEW_MM,
    SLICE_MM,
)

WINDOW_HU = (-160.0, 240.0)
"""Densities that are told apart: a window for soft tissue, our choice [HU]."""


class SpleenSubjects(Subjects):
    """HLE-Net's numbers of patients, in the order of their names."""

    train: Group = Field(PAPER_SPLIT.train, description="number or names of the training subjects")
    validation: Group = Field(PAPER_SPLIT.validation, description="picks the best checkpoint")
    test: Group = Field(PAPER_SPLIT.test, description="touched by the evaluation only")


class SpleenSlices(Config):
    """How many slices are used: those with spleen, and the nearest others until there are so many.

    HLE-Net leaves out some slices without spleen and does not say which. Where there are fewer
    slices altogether, those with spleen.
    """

    train: int = Field(PAPER_SLICES["train"], ge=1, description="for training")
    validation: int = Field(PAPER_SLICES["validation"], ge=1, description="for validation")
    test: int = Field(PAPER_SLICES["test"], ge=1, description="for the test")


class SpleenLike(VolumeProduct):
    """CT with the window of -160 to 240 HU brought to 0 to 1, as it is stored.

    Stored so because the corruptions take images that are nowhere negative. 100 % noise is the
    whole window.
    """

    product: Literal["spleen_like"] = Field(description="CT with the spleen outlined (HLE-Net)")
    size: int = Field(256, ge=64, le=512, description="rows and columns of a slice")
    subjects: SpleenSubjects = SpleenSubjects()
    slices: SpleenSlices = SpleenSlices()

    classes: ClassVar = ("background", "spleen")
    references: ClassVar = {"CT": 1.0}

    @field_validator("size")
    @classmethod
    def _fine_enough(cls, size: int) -> int:
        if size * COARSEST_PIXEL_MM < FIELD_OF_VIEW_MM[0] or size & (size - 1):
            raise ValueError("must be a power of two: 64, 128, 256 or 512")
        return size

    def source(self) -> VolumeSource:
        """The Decathlon's labelled subjects, or ours."""
        if self.path is not None:
            return MSDSpleen(self.path, size=self.size)
        return Abdomens(self.subjects.total, self.subjects.named, self.seed, self.size)

    def prepared(self, volume: LabelledVolume) -> LabelledVolume:
        """Densities clipped to the window, which becomes 0 to 1."""
        low, high = WINDOW_HU
        contrasts = {
            name: ((np.clip(values, low, high) - low) / (high - low)).astype(np.float32)
            for name, values in volume.contrasts.items()
        }
        parameters = {**volume.parameters, "window_hu": list(WINDOW_HU)}
        return replace(volume, contrasts=contrasts, parameters=parameters)

    def shape_zyx(self) -> tuple[int, int, int]:
        """40 slices."""
        return round(FIELD_OF_VIEW_MM[2] / SLICE_MM), self.size, self.size

    def slice_tables(self, areas: pd.DataFrame, split: Split) -> dict[str, pd.DataFrame]:
        """Of each group of subjects the slices with spleen and their neighbours, by subject."""
        used = np.zeros(len(areas), dtype=np.bool_)
        for group, count in self.slices:
            rows = np.flatnonzero(areas["subject"].isin(getattr(split, group)))
            used[rows] = with_neighbours(areas.iloc[rows], count)
        return {"subjects": by_subject(areas, used, split)}
