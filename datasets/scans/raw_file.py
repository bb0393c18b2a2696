"""A scan from raw data: ISMRMRD, or k-space in fastMRI's layout. Needs the extra `ismrmrd`."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Complex64, Float
from torch import fft

from spinforge.datasets.scans.scan import KSpaceScan, Place
from spinforge.simulation.errors import SpinforgeError

RAW_SUFFIXES = (".h5", ".hdf5", ".mrd")

_TO_RAS = np.array([-1.0, -1.0, 1.0])
"""ISMRMRD's patient frame counts to the left, posterior and superior."""


def read_raw_scan(path: Path) -> KSpaceScan:
    """Read a file of either kind, ours or another program's.

    Samples that the read-out took beyond the field of view are cut off, as reconstruction programs
    do. Sensitivities are in neither kind of file.

    Returns:
        The lines; slices lie as far apart as their positions say, where the file gives them.

    Raises:
        SpinforgeError: If it is neither, is damaged, not Cartesian or in two dimensions, or if
            `ismrmrd` is not installed.
    """
    # Says what to install.
    from spinforge.datasets.export import ismrmrd_header as ismrmrd_header

    import h5py  # isort: skip

    if not path.is_file():
        raise SpinforgeError(f"{path} does not exist")
    try:
        with h5py.File(path, "r") as file:
            is_ismrmrd, is_fastmri = "dataset" in file, "kspace" in file
    except OSError as error:
        raise SpinforgeError(f"{path} is damaged or no HDF5 file: {error}") from error
    if is_ismrmrd:
        return _ismrmrd(path)
    if is_fastmri:
        return _fastmri(path)
    raise SpinforgeError(
        f"{path} is neither ISMRMRD (no group 'dataset') nor of fastMRI's layout (no array "
        f"'kspace')"
    )


def _ismrmrd(path: Path) -> KSpaceScan:
    import h5py

    from spinforge.datasets.export.ismrmrd_file import read_ismrmrd

    kspace, mask, xml = read_ismrmrd(path)
    with h5py.File(path, "r") as file:
        heads = file["dataset/data"][...]["head"]
    kspace, spacing_mm = _described(path, kspace, xml)
    affine = _affine(heads, spacing_mm, (kspace.shape[-2], kspace.shape[-1]))
    notes: tuple[str, ...] = ()
    if affine is None:
        place, notes = Place(spacing_mm, _upright(spacing_mm)), (_UNPLACED,)
    else:
        # The header gives the thickness of a slice, positions the distance between them.
        x, y, z = np.linalg.norm(affine[:3, :3], axis=0).tolist()
        place = Place((z, y, x), affine)
    return KSpaceScan(path.stem, kspace, mask, None, place, (path,), notes)


def _fastmri(path: Path) -> KSpaceScan:
    from spinforge.datasets.export.fastmri_file import read_fastmri_kspace

    kspace, mask, xml = read_fastmri_kspace(path)
    notes: tuple[str, ...] = (_UNPLACED,)
    if xml is None:
        spacing_mm = (1.0, 1.0, 1.0)
        notes += ("the file does not give the size of its voxels; 1 mm was written",)
    else:
        kspace, spacing_mm = _described(path, kspace, xml)
    place = Place(spacing_mm, _upright(spacing_mm))
    return KSpaceScan(path.stem, kspace, mask, None, place, (path,), notes)


_UNPLACED = (
    "the file does not say how the head lay; phase encoding was taken as left to right, read-out "
    "as posterior to anterior, slices as inferior to superior"
)


def _described(
    path: Path, kspace: Complex64[np.ndarray, "slice coil ky _kx"], xml: str
) -> tuple[Complex64[np.ndarray, "slice coil ky kx"], tuple[float, float, float]]:
    """k-space of the field of view alone, and the size of its voxels along z, y and x [mm]."""
    from ismrmrd import xsd

    try:
        encoding = xsd.CreateFromDocument(xml).encoding[0]
        encoded, wanted = encoding.encodedSpace, encoding.reconSpace
        matrix, extent = encoded.matrixSize, encoded.fieldOfView_mm
        spacing_mm = (extent.z / matrix.z, extent.x / matrix.x, extent.y / matrix.y)
    except (ValueError, TypeError, AttributeError, IndexError, ZeroDivisionError) as error:
        raise SpinforgeError(f"{path}: its header describes no encoding: {error}") from error
    if matrix.z > 1:
        raise SpinforgeError(f"{path}: encoded in three dimensions; need slices in two")
    if kspace.shape[-1] == matrix.x and wanted.matrixSize.x < matrix.x:
        kspace = _cropped_readout(kspace, wanted.matrixSize.x)
    return kspace, spacing_mm


def _cropped_readout(
    kspace: Complex64[np.ndarray, "slice coil ky _kx"], size: int
) -> Complex64[np.ndarray, "slice coil ky kx"]:
    """k-space of the central pixels along the read-out, whose samples are all there."""
    axis = (-1,)
    values = fft.ifftshift(torch.from_numpy(kspace), axis)
    profile = fft.fftshift(fft.ifft(values, dim=-1, norm="ortho"), axis)
    first = kspace.shape[-1] // 2 - size // 2
    kept = fft.ifftshift(profile[..., first : first + size], axis)
    cropped: Complex64[np.ndarray, "slice coil ky kx"] = (
        fft.fftshift(fft.fft(kept, dim=-1, norm="ortho"), axis).contiguous().numpy()
    )
    return cropped


def _affine(
    heads: Any, spacing_mm: tuple[float, float, float], size: tuple[int, int]
) -> Float[np.ndarray, "4 4"] | None:
    """From voxel (ky, kx, slice) to world; None if the file does not say it.

    A slice's position is that of its pixel (N // 2, N // 2).
    """
    slices, first = np.unique(heads["idx"]["slice"], return_index=True)
    directions = [
        np.array(heads[first[0]][name], dtype=np.float64) * _TO_RAS
        for name in ("phase_dir", "read_dir", "slice_dir")
    ]
    positions = np.array(heads["position"][first], dtype=np.float64) * _TO_RAS
    if not all(np.linalg.norm(direction) > 0 for direction in directions):
        return None
    z, y, x = spacing_mm
    columns = [
        direction / np.linalg.norm(direction) * mm
        for direction, mm in zip(directions, (x, y, z), strict=True)
    ]
    if len(slices) > 1:
        step = (positions[-1] - positions[0]) / float(slices[-1] - slices[0])
        columns[2] = step if np.linalg.norm(step) > 0 else columns[2]
    affine = np.eye(4)
    affine[:3, :3] = np.stack(columns, axis=1)
    centre = np.array([size[0] // 2, size[1] // 2, int(slices[0])])
    affine[:3, 3] = positions[0] - affine[:3, :3] @ centre
    return affine


def _upright(spacing_mm: tuple[float, float, float]) -> Float[np.ndarray, "4 4"]:
    """Axes along the world's, the first voxel at the origin."""
    return np.diag([*spacing_mm[::-1], 1.0])
