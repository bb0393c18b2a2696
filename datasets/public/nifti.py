"""NIfTI and Analyze files as arrays (z, y, x) in RAS order, checked before they are believed."""

import difflib
import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray

from spinforge.simulation.errors import SpinforgeError

_MOST_VOXELS = 2**29
# Ten times the largest volume of the collections read here. A header is 348 bytes that anybody can
# write; what it asks for is allocated before the file turns out to be short.

_READING_ERRORS = (
    OSError,
    EOFError,
    zlib.error,
    ValueError,
    TypeError,
    KeyError,
    OverflowError,
    nibabel.filebasedimages.ImageFileError,
    nibabel.spatialimages.HeaderDataError,
    nibabel.spatialimages.HeaderTypeError,
)
"""What nibabel raises, depending on which part of a file is nonsense."""

# Codes of `xyzt_units`: metre and micrometre.
_MM_PER_UNIT = {1: 1e3, 3: 1e-3}
_SUFFIXES = (".nii", ".nii.gz", ".hdr")
_MOST_SHOWN = 8
# Of the shortest edge of a voxel. Two headers of one scan differ by rounding, in single precision
# and from quaternions; a volume that is cropped, shifted or flipped differs by a voxel or more.
_SAME_PLACE = 0.5
# No scanner is a kilometre away.
_FARTHEST_MM = 1e6


@dataclass(frozen=True)
class Header:
    """What a file says of its grid.

    Attributes:
        path: The file.
        stored_shape: Number of voxels along the three axes as they are stored.
        stored_affine: 4 x 4, from stored voxel to world coordinates [mm], whatever the unit in the
            file; world is RAS.
        is_placed: Whether the file says where its voxels lie. Analyze files, and NIfTI files with
            both codes 0, do not: then the axes are taken as stored right to left, posterior to
            anterior, inferior to superior, which is Analyze's convention.
        mm_per_unit: The file's own unit of length [mm].
    """

    path: Path
    stored_shape: tuple[int, int, int]
    stored_affine: NDArray[np.float64]
    is_placed: bool
    mm_per_unit: float = 1.0

    @property
    def shape(self) -> tuple[int, int, int]:
        """(z, y, x) after reorientation."""
        axes = self._orientation[:, 0].astype(int).tolist()
        by_axis = {axis: size for axis, size in zip(axes, self.stored_shape, strict=True)}
        return by_axis[2], by_axis[1], by_axis[0]

    @property
    def affine(self) -> NDArray[np.float64]:
        """4 x 4, from voxel (x, y, z) after reorientation to world coordinates [mm]."""
        back = nibabel.orientations.inv_ornt_aff(self._orientation, self.stored_shape)
        return self.stored_affine @ back

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Size of a voxel along z, y and x [mm]."""
        x, y, z = np.linalg.norm(self.affine[:3, :3], axis=0).tolist()
        return z, y, x

    @property
    def affine_in_file_units(self) -> NDArray[np.float64]:
        """`stored_affine` as the file writes it."""
        return _scaled(self.stored_affine, 1 / self.mm_per_unit)

    @property
    def orientation(self) -> str:
        """Where the stored axes point, such as "LAS"."""
        return "".join(nibabel.orientations.ornt2axcodes(self._orientation))

    def placed_like(self, other: "Header") -> "Header":
        """This header, with the other's place if it has none of its own."""
        if self.is_placed or self.stored_shape != other.stored_shape:
            return self
        return replace(self, stored_affine=other.stored_affine)

    def in_ras(self, stored: NDArray[Any]) -> NDArray[Any]:
        """(z, y, x) from an array as it is stored; axes are swapped and flipped, never resampled.

        Oblique axes go to the nearest of the world's.
        """
        values = nibabel.orientations.apply_orientation(stored, self._orientation)
        return np.ascontiguousarray(values.transpose(2, 1, 0))

    def as_stored(self, values: NDArray[Any]) -> NDArray[Any]:
        """Undo `in_ras`, exactly.

        Args:
            values: (z, y, x), or (class, z, y, x) of several maps.

        Returns:
            Axes as the file has them, classes last.
        """
        ras = nibabel.orientations.axcodes2ornt("RAS")
        back = nibabel.orientations.ornt_transform(ras, self._orientation)
        return np.ascontiguousarray(nibabel.orientations.apply_orientation(values.T, back))

    @property
    def oblique_degrees(self) -> float:
        """Largest angle between a stored axis and the axis of the world that it is taken for."""
        axes = self.affine[:3, :3] / np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(np.degrees(np.arccos(np.clip(axes.diagonal(), -1, 1)).max()))

    @property
    def _orientation(self) -> NDArray[np.float64]:
        return nibabel.orientations.io_orientation(self.stored_affine)


def read_header(path: Path) -> Header:
    """Read what a file says of its grid; quick, no voxels are read.

    Args:
        path: A .nii, .nii.gz or (Analyze or NIfTI pair) .hdr file. Axes of length 1 behind the
            third are dropped.

    Raises:
        SpinforgeError: If it is no such file, or no three-dimensional volume of numbers.
    """
    return _opened(path)[0]


def read_image(header: Header) -> NDArray[np.float32]:
    """Read the voxels of an image, scaled as its header says.

    Returns:
        (z, y, x) float32.

    Raises:
        SpinforgeError: If the file is truncated or holds NaN or infinity.
    """
    _, file = _opened(header.path)
    try:
        with np.errstate(all="ignore"):
            stored = file.get_fdata(caching="unchanged", dtype=np.float32)
    except _READING_ERRORS as error:
        raise _damaged(header.path, error) from error
    if not np.isfinite(stored).all():
        raise SpinforgeError(
            f"{header.path} holds NaN or infinite values. If a program put them where it knows "
            f"nothing, set them to 0; else the file is damaged: get it again."
        )
    return header.in_ras(stored.reshape(header.stored_shape))


def read_labels(header: Header, codes: Mapping[int, int], *, hint: str = "") -> NDArray[np.uint8]:
    """Read a label map.

    Args:
        header: Of its file.
        codes: Value in the file -> label.
        hint: What else the file may be, if other values are found.

    Returns:
        (z, y, x) uint8 labels.

    Raises:
        SpinforgeError: If the file is truncated or holds a value that is not in `codes`.
    """
    _, file = _opened(header.path)
    try:
        with np.errstate(all="ignore"):
            stored = np.asanyarray(file.dataobj).reshape(header.stored_shape)
    except _READING_ERRORS as error:
        raise _damaged(header.path, error) from error
    return header.in_ras(coded(header.path, stored, codes, hint=hint))


def coded(
    path: Path, values: NDArray[Any], codes: Mapping[int, int], *, hint: str = ""
) -> NDArray[np.uint8]:
    """Labels from the values a file codes them with.

    Raises:
        SpinforgeError: If a value is not in `codes`.
    """
    labels = np.zeros(values.shape, dtype=np.uint8)
    is_known = np.zeros(values.shape, dtype=bool)
    for value, label in codes.items():
        here = values == value
        labels[here] = label
        is_known |= here
    if not is_known.all():
        others = np.unique(values[~is_known])
        listed = ", ".join(f"{value:g}" for value in others[:_MOST_SHOWN])
        more = ", ..." if len(others) > _MOST_SHOWN else ""
        raise SpinforgeError(
            f"{path} holds the values {listed}{more}, expected only "
            f"{', '.join(map(str, sorted(codes)))}.{hint and ' ' + hint}"
        )
    return labels


def check_same_grid(first: Header, second: Header) -> None:
    """Check that two files show the same voxels.

    Raises:
        SpinforgeError: If their shapes differ, or their corners lie more than half a voxel apart.
    """
    if first.shape != second.shape:
        raise SpinforgeError(
            f"{first.path} has shape {first.shape} and {second.path} has shape {second.shape} "
            f"(z, y, x): they are not of the same grid. Take both from the same archive."
        )
    corners = np.array([*np.ndindex(2, 2, 2)]) * (np.array(first.shape[::-1]) - 1)
    apart = _world(first.affine, corners) - _world(second.affine, corners)
    distance = float(np.linalg.norm(apart, axis=1).max())
    if distance > _SAME_PLACE * min(first.spacing_mm):
        raise SpinforgeError(
            f"{first.path} {first.shape} and {second.path} {second.shape} have the same shape, but "
            f"their headers put them up to {distance:.3g} mm apart: one is shifted, flipped or of "
            f"another voxel size. Take both from the same archive."
        )


def _world(affine: NDArray[np.float64], voxels: NDArray[Any]) -> NDArray[np.float64]:
    return voxels @ affine[:3, :3].T + affine[:3, 3]


def _opened(path: Path) -> tuple[Header, Any]:
    """Header, and nibabel's image, whose voxels are not read yet."""
    if not path.name.lower().endswith(_SUFFIXES):
        raise SpinforgeError(f"{path}: unknown format. Use one of {', '.join(_SUFFIXES)}.")
    if not path.exists():
        raise _not_there(path)
    try:
        # Nonsense in a header may overflow; what comes of it is looked at below.
        with np.errstate(all="ignore"):
            file, kind, shape, stored_affine, is_placed = _described(path)
            mm_per_unit = _mm_per_unit(file.header)
    except _READING_ERRORS as error:
        raise _damaged(path, error) from error
    if kind not in "iuf":
        raise _not_a_volume(path, "its voxels are not real numbers")
    if len(shape) > 3 and min(shape) > 0 and max(shape[3:]) > 1:
        several = "its shape is {}: several volumes or directions. Give one volume"
        raise _not_a_volume(path, several.format(shape))
    if len(shape) < 3 or min(shape) < 1:
        raise _not_a_volume(path, f"its shape is {shape}, expected three axes")
    if math.prod(shape) > _MOST_VOXELS:
        raise _not_a_volume(
            path, f"its header asks for {shape} voxels, and {_MOST_VOXELS} (2^29) are the most"
        )
    stored_affine = _scaled(stored_affine, mm_per_unit)
    if not _is_usable(stored_affine):
        raise _not_a_volume(path, "its header gives voxels no size or no direction")
    stored_shape = (shape[0], shape[1], shape[2])
    return Header(path, stored_shape, stored_affine, is_placed, mm_per_unit), file


def _scaled(affine: NDArray[np.float64], factor: float) -> NDArray[np.float64]:
    """An affine to another unit of length."""
    return affine * np.array([[factor], [factor], [factor], [1.0]])


def _mm_per_unit(header: Any) -> float:
    """Unit of length that a header gives; millimetres, if it gives none, as everybody does."""
    code = int(header["xyzt_units"]) & 7 if "xyzt_units" in header else 0
    return _MM_PER_UNIT.get(code, 1.0)


def _described(path: Path) -> tuple[Any, str, tuple[int, ...], NDArray[np.float64], bool]:
    """Image of nibabel; kind of its voxels, shape, affine, and whether that is the file's own."""
    # Not mapped into memory: a file that is cut while it is mapped ends the process.
    file: Any = nibabel.load(path, mmap=False)
    # NIfTI's classes, single files and pairs, derive from Analyze's.
    if not isinstance(file, nibabel.analyze.AnalyzeImage):
        raise _not_a_volume(path, f"it is of type {type(file).__name__}")
    header = file.header
    is_placed = "sform_code" in header and bool(
        header["sform_code"] > 0 or header["qform_code"] > 0
    )
    affine = header.get_best_affine() if is_placed else header.get_base_affine()
    shape = tuple(int(size) for size in file.shape)
    return file, file.get_data_dtype().kind, shape, np.asarray(affine, np.float64), is_placed


def _is_usable(affine: NDArray[np.float64]) -> bool:
    """Whether the three axes have a length and point in different directions."""
    if not np.isfinite(affine).all() or np.abs(affine).max() > _FARTHEST_MM:
        return False
    axes = nibabel.orientations.io_orientation(affine)[:, 0]
    return sorted(axes.tolist()) == [0, 1, 2] and bool(abs(np.linalg.det(affine[:3, :3])) > 1e-9)


def _not_a_volume(path: Path, reason: str) -> SpinforgeError:
    return SpinforgeError(f"{path} is not a volume that can be read: {reason}.")


def _not_there(path: Path) -> SpinforgeError:
    beside = [other.name for other in path.parent.glob("*") if other.name.endswith(_SUFFIXES)]
    near = difflib.get_close_matches(path.name, beside, n=1)
    hint = f" Did you mean {path.with_name(near[0])}?" if near else ""
    return SpinforgeError(f"{path} does not exist.{hint}")


def _damaged(path: Path, reason: object) -> SpinforgeError:
    return SpinforgeError(
        f"{path} is missing, damaged or no NIfTI or Analyze file ({reason}). Get it again: "
        f"unpack its archive, or save your own file once more."
    )
