"""Raw data as ISMRMRD, the format that reconstruction programs read: one HDF5 file a subject."""

from pathlib import Path
from typing import Any

import h5py
import ismrmrd
import numpy as np
from ismrmrd.hdf5 import acquisition_dtype
from numpy.typing import NDArray

from spinforge.datasets.export.ismrmrd_header import header_xml
from spinforge.datasets.export.raw_scan import RawScan
from spinforge.datasets.storage.files import replacing
from spinforge.simulation.errors import SpinforgeError

CENTRE_LINE = ismrmrd.ACQ_USER1
"""Flag of the line through the centre of k-space; ISMRMRD itself has none."""


def write_ismrmrd(scan: RawScan, path: Path) -> None:
    """Write the acquired lines of one subject; the same scan gives the same bytes.

    Lines come slice by slice in ascending order. Positions and directions are in ISMRMRD's patient
    frame (left, posterior, superior), a slice's position being that of voxel (N // 2, N // 2),
    where the Fourier encoding has zero phase.

    Args:
        scan: The subject.
        path: File to create or replace.
    """
    slices, lines = np.nonzero(scan.mask)
    records = np.zeros(len(slices), dtype=acquisition_dtype)
    _fill_headers(records["head"], scan, slices, lines)
    for record, number, line in zip(records, slices, lines, strict=True):
        record["data"] = np.ascontiguousarray(scan.kspace[number, :, line]).view(np.float32).ravel()
        record["traj"] = np.zeros(0, dtype=np.float32)
    with replacing(path) as temporary, h5py.File(temporary, "w") as file:
        group = file.create_group("dataset")
        group.create_dataset(
            "xml", data=[header_xml(scan).encode()], dtype=h5py.special_dtype(vlen=bytes)
        )
        group.create_dataset("data", data=records, maxshape=(None,), chunks=(64,))


def _fill_headers(
    heads: NDArray[Any], scan: RawScan, slices: NDArray[np.intp], lines: NDArray[np.intp]
) -> None:
    """Everything but the samples of each acquisition, in place."""
    _, n_coils, n_lines, n_samples = scan.kspace.shape
    heads["version"] = 1
    heads["measurement_uid"] = 1
    heads["scan_counter"] = np.arange(1, len(slices) + 1)
    heads["number_of_samples"] = n_samples
    heads["available_channels"] = heads["active_channels"] = n_coils
    heads["channel_mask"][:, : n_coils // 64 + 1] = _channel_mask(n_coils)
    heads["center_sample"] = n_samples // 2
    if scan.bandwidth_hz_per_px is not None:
        heads["sample_time_us"] = 1e6 / (scan.bandwidth_hz_per_px * n_samples)
    heads["idx"]["kspace_encode_step_1"] = lines
    heads["idx"]["slice"] = slices
    to_lps = np.array([-1.0, -1.0, 1.0])
    x, y, z = (axis / np.linalg.norm(axis) * to_lps for axis in scan.affine[:3, :3].T)
    heads["phase_dir"], heads["read_dir"], heads["slice_dir"] = x, y, z
    centres = np.stack(
        [np.full(len(slices), n_lines // 2), np.full(len(slices), n_samples // 2), slices], axis=1
    )
    heads["position"] = (centres @ scan.affine[:3, :3].T + scan.affine[:3, 3]) * to_lps
    first = np.r_[True, slices[1:] != slices[:-1]]
    last = np.r_[first[1:], True]
    _flag(heads, first, ismrmrd.ACQ_FIRST_IN_SLICE, ismrmrd.ACQ_FIRST_IN_ENCODE_STEP1)
    _flag(heads, last, ismrmrd.ACQ_LAST_IN_SLICE, ismrmrd.ACQ_LAST_IN_ENCODE_STEP1)
    _flag(heads, lines == n_lines // 2, CENTRE_LINE)
    heads["flags"][-1] |= np.uint64(1) << np.uint64(ismrmrd.ACQ_LAST_IN_MEASUREMENT - 1)


def _flag(heads: NDArray[Any], where: NDArray[np.bool_], *flags: int) -> None:
    for flag in flags:
        heads["flags"][where] |= np.uint64(1) << np.uint64(flag - 1)


def _channel_mask(n_coils: int) -> list[int]:
    """One bit a coil, 64 a word."""
    bits = (1 << n_coils) - 1
    return [(bits >> (64 * word)) & (2**64 - 1) for word in range(n_coils // 64 + 1)]


def read_ismrmrd(path: Path) -> tuple[NDArray[np.complex64], NDArray[np.bool_], str]:
    """Read a Cartesian 2-D file back, ours or another program's.

    Returns:
        k-space (slice, coil, ky, kx), zero where nothing was acquired; acquired lines
        (slice, ky); the XML header.

    Raises:
        SpinforgeError: If it is no ISMRMRD file, not Cartesian, or not of one size.
    """
    try:
        with h5py.File(path, "r") as file:
            xml = bytes(file["dataset/xml"][0]).decode()
            records = file["dataset/data"][...]
        header = ismrmrd.xsd.CreateFromDocument(xml)
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise SpinforgeError(f"{path} is not a readable ISMRMRD file: {error}") from error
    encoding = header.encoding[0]
    if encoding.trajectory != ismrmrd.xsd.trajectoryType.CARTESIAN:
        raise SpinforgeError(f"{path}: need a Cartesian trajectory, got {encoding.trajectory}")
    heads = records["head"]
    sizes = np.unique(heads[["number_of_samples", "active_channels"]])
    if len(sizes) != 1:
        raise SpinforgeError(f"{path}: lines differ in samples or channels: {sizes.tolist()}")
    n_samples, n_coils = (int(value) for value in sizes[0])
    n_lines = encoding.encodedSpace.matrixSize.y
    limit = encoding.encodingLimits.slice
    n_slices = 1 if limit is None else limit.maximum + 1
    kspace = np.zeros((n_slices, n_coils, n_lines, n_samples), dtype=np.complex64)
    mask = np.zeros((n_slices, n_lines), dtype=bool)
    for record, head in zip(records, heads, strict=True):
        place = int(head["idx"]["slice"]), int(head["idx"]["kspace_encode_step_1"])
        kspace[place[0], :, place[1]] = record["data"].view(np.complex64).reshape(n_coils, -1)
        mask[place] = True
    return kspace, mask, xml
