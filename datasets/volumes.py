"""Labelled volumes: what every collection of images delivers, real or made by us."""

from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

IGNORE = 255
"""Label of voxels that nobody scores: padding, unlabelled slices, classes left out."""


@dataclass(frozen=True)
class Collection:
    """A published collection of images: goes into the record of each subject read from it.

    Attributes:
        name: As its makers call it, with the year or edition.
        cite: Whom to cite, and where its terms are.
        simulated: Whether its images were simulated by its makers; else a scanner or camera
            took them.
    """

    name: str
    cite: str
    simulated: bool = False


@dataclass(frozen=True)
class LabelledVolume:
    """Images of one subject on one grid, with its labels.

    Attributes:
        subject: Name, unique within its collection.
        contrasts: Name such as "T1" -> (z, y, x) float32 or uint8; x is left-right, y
            posterior-anterior, z inferior-superior wherever that is known. A collection of
            photographs counts them along z.
        labels: (z, y, x) uint8, 0 for the background, `IGNORE` where nothing is known; None for
            a subject whose labels are not published.
        spacing_mm: Size of a voxel along z, y and x [mm].
        affine: 4 x 4, from voxel (x, y, z) to world coordinates [mm], as NIfTI has it.
        parameters: What else is known, as plain data for the record; of published images
            `collection`, a `Collection` as such data.
    """

    subject: str
    contrasts: dict[str, NDArray[Any]]
    labels: NDArray[np.uint8] | None
    spacing_mm: tuple[float, float, float]
    affine: NDArray[np.float64]
    parameters: dict[str, Any] = field(default_factory=dict)


@runtime_checkable
class VolumeSource(Protocol):
    """A collection of labelled volumes, addressed by subject."""

    def subjects(self) -> list[str]:
        """Every subject there is, sorted.

        Raises:
            SpinforgeError: If the folder is not one of this collection; shows the expected tree.
        """

    def check(self, subject: str) -> None:
        """Raise SpinforgeError if the subject cannot be loaded; quick."""

    def digest(self, subject: str) -> str:
        """SHA-256 of the subject's files, or of the generator and what it is asked for."""

    def load(self, subject: str) -> LabelledVolume:
        """Read or make the volume."""
