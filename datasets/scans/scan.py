"""One scan to be segmented, wherever it came from."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Complex64, Float, Float32, Integer, Shaped

from spinforge.datasets.export.nifti_file import write_nifti, write_nifti_like
from spinforge.datasets.public.nifti import Header
from spinforge.simulation.errors import SpinforgeError


@dataclass(frozen=True)
class Place:
    """Where the voxels of a scan lie, and so where those of its label map do.

    Attributes:
        spacing_mm: Distance between voxels along z, y and x [mm].
        affine: 4 x 4, from voxel (x, y, z) to world coordinates [mm].
        file: The NIfTI file whose orientation and header are to be kept, if there is one.
    """

    spacing_mm: tuple[float, float, float]
    affine: Float[np.ndarray, "4 4"]
    file: Header | None = None

    def write(self, path: Path, values: Shaped[np.ndarray, "*maps z y x"]) -> None:
        """Write a NIfTI file of this scan's space; one that is there is replaced in one step.

        Args:
            path: .nii.gz.
            values: (z, y, x), or (class, z, y, x) of several maps.
        """
        if self.file is None:
            write_nifti(path, values, self.affine)
        else:
            write_nifti_like(path, values, self.file)


@dataclass(frozen=True)
class ImageScan:
    """Images of one scan, on one grid.

    Attributes:
        name: What its files are called after.
        contrasts: Name -> (z, y, x); x counts to the right, y anterior, z superior.
        place: Where they lie.
        brain: True where there is brain; None where nobody says.
        scale: What each contrast is divided by, where that is not the 99th percentile of its own
            values above 0.
        window: Of CT, what was brought to 0 and 1 before, as sets store it; None of values as the
            scanner gave them [HU].
        files: What it was read from, which results must not replace.
        notes: What its reader wants known.
    """

    name: str
    contrasts: dict[str, Float32[np.ndarray, "z y x"]]
    place: Place
    brain: Bool[np.ndarray, "z y x"] | None = None
    scale: dict[str, float] = field(default_factory=dict)
    window: tuple[float, float] | None = None
    files: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class KSpaceScan:
    """Acquired lines of one scan of several slices.

    Attributes:
        name: What its files are called after.
        kspace: (slice, coil, ky, kx), centred and orthonormal; lines outside the mask may hold
            anything.
        mask: Acquired lines, (slice, ky).
        sensitivities: Of the coils, (slice or 1, coil, ky, kx); None where they are not known.
        place: Where the slices lie: z counts slices, y is kx, x is ky.
        files: What it was read from, which results must not replace.
        notes: What its reader wants known.
    """

    name: str
    kspace: Complex64[np.ndarray, "slice coil ky kx"]
    mask: Bool[np.ndarray, "slice ky"]
    sensitivities: Complex64[np.ndarray, "#slice coil ky kx"] | None
    place: Place
    files: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class SequenceScan:
    """Scans of one infant at several ages, with the slices at the same height.

    Attributes:
        name: The infant's.
        frames: One scan an age, in their order; equally many pixels in the plane.
        heights: For every height the axial slice of each age, (height, time); `NOWHERE` where an
            age has none.
    """

    name: str
    frames: tuple[ImageScan, ...]
    heights: Integer[np.ndarray, "height time"]


Scan = ImageScan | KSpaceScan | SequenceScan


def require_channels(name: str, wanted: tuple[str, ...], found: tuple[str, ...]) -> None:
    """Refuse a scan without all that a network reads.

    Raises:
        SpinforgeError: Naming what there is and what is wanted.
    """
    if missing := [channel for channel in wanted if channel not in found]:
        raise SpinforgeError(
            f"{name} has {_counted(found)}; the network reads {_counted(wanted)}: "
            f"{', '.join(missing)} missing"
        )


def _counted(names: tuple[str, ...]) -> str:
    return f"{len(names)} channel{'s' * (len(names) != 1)} ({', '.join(names) or 'none'})"
