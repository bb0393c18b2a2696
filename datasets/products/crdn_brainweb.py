"""CRDN's BrainWeb set: T1, T2 and PD of one head, in slices along three directions."""

from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from spinforge.datasets.brainweb.subject0 import Model
from spinforge.datasets.phantoms import BrainWeb0, PhantomSource, ProceduralHeads
from spinforge.datasets.products.brain_slices import (
    BrainSlices,
    TogetherSubjects,
    brain_slice_tables,
    check_split_fits,
)
from spinforge.datasets.products.volumes import DIMENSIONS, VolumeMaker, VolumeProduct
from spinforge.datasets.public.brainweb_volumes import BrainWebImages
from spinforge.datasets.slice_table import View, largest
from spinforge.datasets.splits import Split
from spinforge.datasets.standins.heads import PROPERTIES, SimulatedBrainWeb
from spinforge.datasets.standins.names import as_zyx
from spinforge.datasets.storage.arrays import StoredArray
from spinforge.datasets.volumes import VolumeSource
from spinforge.simulation.nominal_image import BRAINWEB_PROTOCOL, nominal_image
from spinforge.simulation.phantom import Phantom
from spinforge.simulation.phantoms.head import GRID_EXTENT_MM
from spinforge.simulation.scanner import Scanner
from spinforge.simulation.sequences import PulseSequence
from spinforge.simulation.tissue import TARGET_NAMES


class CrdnBrainWeb(VolumeProduct):
    """Images of a healthy head without noise or bias; those come as corrupted sets of it.

    All slices of all three views are there; the 399 with most brain are used, 239 of them for
    training and validation.
    """

    product: Literal["crdn_brainweb"] = Field(
        description="T1, T2, PD of a head by BrainWeb's sequences, three views (CRDN)"
    )
    images: Literal["simulated", "brainweb"] = Field(
        "simulated",
        description="with path: images simulated here from BrainWeb's model there, or BrainWeb's "
        "own images (pn0, rf0)",
    )
    model: Model = Field("normal", description="with path: BrainWeb's healthy head or an MS model")
    spacing_mm: Literal[1, 2, 4] = Field(
        1, description="voxel size of procedural heads [mm]; 4 is for smoke tests"
    )
    subjects: TogetherSubjects = TogetherSubjects()
    slices: BrainSlices = BrainSlices()

    classes: ClassVar = TARGET_NAMES
    references: ClassVar = {"T1": "WM", "T2": "CSF", "PD": "CSF"}
    views: ClassVar[tuple[View, ...]] = ("axial", "coronal", "sagittal")
    stand_in_only: ClassVar = ("spacing_mm",)
    has_brain: ClassVar = True

    @model_validator(mode="after")
    def _fits(self) -> "CrdnBrainWeb":
        check_split_fits(self.slices, self.subjects)
        if self.path is None and (self.images != "simulated" or self.model != "normal"):
            raise ValueError("images and model need path, the folder of BrainWeb's files")
        if self.images == "brainweb" and self.model != "normal":
            raise ValueError("images = brainweb: those of model normal only are read")
        return self

    def source(self) -> VolumeSource:
        """Our heads, BrainWeb's model under our simulation, or BrainWeb's images."""
        if self.images == "brainweb":
            assert self.path is not None
            return BrainWebImages(self.path)
        return SimulatedBrainWeb(self.phantoms(), None if self.path is None else [self.model])

    def phantoms(self) -> PhantomSource:
        """The heads that are simulated."""
        if self.path is not None:
            return BrainWeb0(self.path)
        return ProceduralHeads(
            self.subjects.total,
            self.subjects.named,
            seed=self.seed,
            spacing_mm=float(self.spacing_mm),
        )

    def shape_zyx(self) -> tuple[int, int, int]:
        """BrainWeb's grid."""
        x, y, z = (round(extent / self.spacing_mm) for extent in GRID_EXTENT_MM)
        return z, y, x

    def slice_tables(self, areas: pd.DataFrame, split: Split) -> dict[str, pd.DataFrame]:
        """Of every head the slices with most brain."""
        used = np.zeros(len(areas), dtype=np.bool_)
        for rows in areas.groupby("subject").indices.values():
            used[rows] = largest(areas.iloc[rows], self.slices.count)
        return brain_slice_tables(areas, used, self.slices, split, self.seed)


class SimulatedBrainWebMaker(VolumeMaker):
    """Makes simulated images, and scans their heads again with other sequences.

    Args:
        product: With images = simulated.
    """

    def __init__(self, product: CrdnBrainWeb) -> None:
        super().__init__(product)
        self._phantoms = product.phantoms()

    def clean_scans(self) -> dict[str, tuple[PulseSequence, Scanner]]:
        """Sequence and scanner of every contrast."""
        scanner = Scanner(profile="brainweb")
        return {contrast: (sequence, scanner) for contrast, sequence in BRAINWEB_PROTOCOL.items()}

    def load_phantom(self, subject: str) -> Phantom:
        """What is scanned."""
        return self._phantoms.load(subject)

    def rescan(
        self,
        phantom: Phantom,
        contrast: str,
        sequence: PulseSequence,
        scanner: Scanner,
        clean: dict[str, Any],
    ) -> dict[str, StoredArray]:
        """Simulate one contrast again; without noise, as the clean one.

        Args:
            phantom: Of `load_phantom`.
            contrast: Which.
            sequence: Instead of the clean one.
            scanner: BrainWeb's, which has no imperfection that a rescan could change.
            clean: Attributes of the clean subject.
        """
        image = as_zyx(nominal_image(phantom, sequence, PROPERTIES))
        return {contrast: StoredArray(image, DIMENSIONS)}
