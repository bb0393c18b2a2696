"""iSeg's infants of about six months, T1 and T2: real data only, for those who have them."""

from typing import ClassVar, Literal

import pandas as pd
from pydantic import Field

from spinforge.datasets.products.volumes import VolumeProduct
from spinforge.datasets.public.iseg import ISeg2017, ISeg2019
from spinforge.datasets.slice_table import by_subject
from spinforge.datasets.splits import Group, Split, Subjects
from spinforge.datasets.storage.files import UserPath
from spinforge.datasets.volumes import VolumeSource
from spinforge.simulation.tissue import TARGET_NAMES

MATRIX_ZYX = (256, 192, 144)
"""Of the published volumes, for the estimate of disk space."""


class ISegSubjects(Subjects):
    """The ten labelled subjects; the challenge leaves their split to us."""

    train: Group = Field(7, description="number or names of the training subjects")
    validation: Group = Field(1, description="number or names; picks the best checkpoint")
    test: Group = Field(2, description="number or names; touched by the evaluation only")


class ISeg(VolumeProduct):
    """The labelled subjects of iSeg-2017 or iSeg-2019, all slices with brain.

    The brains were stripped by the challenge. Infants of several ages are simulated by
    `infant_bric` and `infant_ibis`.
    """

    product: Literal["iseg"] = Field(description="iSeg's infants of six months; needs path")
    path: UserPath = Field(description="folder that holds iSeg-2017-Training or iSeg-2019-Training")
    edition: Literal[2017, 2019] = Field(2017, description="which of the two challenges")
    subjects: ISegSubjects = ISegSubjects()

    classes: ClassVar = TARGET_NAMES
    references: ClassVar = {"T1": TARGET_NAMES[3], "T2": TARGET_NAMES[1]}
    has_brain: ClassVar = True

    def source(self) -> VolumeSource:
        """The challenge's training subjects."""
        return ISeg2017(self.path) if self.edition == 2017 else ISeg2019(self.path)

    def shape_zyx(self) -> tuple[int, int, int]:
        """The published matrix."""
        return MATRIX_ZYX

    def slice_tables(self, areas: pd.DataFrame, split: Split) -> dict[str, pd.DataFrame]:
        """Every slice with brain, by subject."""
        used = (areas["foreground_px"] > 0).to_numpy()
        return {"subjects": by_subject(areas, used, split)}
