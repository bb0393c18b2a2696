"""One k-space subject as every raw-data format needs it: lines, geometry, timing, hashes."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from spinforge.datasets.products.kspace import FIXED_MASK
from spinforge.datasets.reading.acquisition import scanner_of, sequence_of
from spinforge.datasets.reading.subject_reader import SubjectReader
from spinforge.datasets.storage.store import DatasetStore
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.tissue_sets import TISSUE_SETS

MaskName = Literal["all", "fixed"]
"""Which lines an export writes: every one, or those of the stored mask of validation and test."""


@dataclass(frozen=True)
class RawScan:
    """A subject's raw data.

    Attributes:
        subject: Its name.
        kspace: (slice, coil, ky, kx) complex64, zero where `mask` is False.
        mask: Acquired lines, (slice, ky) bool.
        mask_name: Which mask that is.
        coil_maps: Receive sensitivities, (slice or 1, coil, ky, kx) complex64.
        spacing_mm: Slice thickness and voxel size along y and x [mm].
        affine: From voxel (x, y, slice) to millimetres right, anterior, superior.
        tr: Repetition time [s].
        te: Echo time [s].
        noise_std: Noise per real and imaginary channel, in units of k-space; None where a
            corruption changed it in a way that no one number describes.
        sequence: Settings of the pulse sequence, as in the study or as a corruption changed them.
        field_t: Field strength [T].
        bandwidth_hz_per_px: Receive bandwidth; None where the read-out takes no time.
        attributes: Provenance of the subject.
    """

    subject: str
    kspace: NDArray[np.complex64]
    mask: NDArray[np.bool_]
    mask_name: MaskName
    coil_maps: NDArray[np.complex64]
    spacing_mm: tuple[float, float, float]
    affine: NDArray[np.float64]
    tr: float
    te: float
    noise_std: float | None
    sequence: dict[str, Any]
    field_t: float
    bandwidth_hz_per_px: float | None
    attributes: dict[str, Any]


def load_raw_scan(store: DatasetStore, subject: str, mask: MaskName = "all") -> RawScan:
    """Read one subject of a k-space set.

    Args:
        store: The set, or a group of corrupted k-space in it.
        subject: Name of a complete subject.
        mask: Which lines to keep.

    Raises:
        SpinforgeError: If the subject is not there, damaged, or holds no k-space.
    """
    reader = SubjectReader(store, subject)
    if "full" not in reader.own:
        raise SpinforgeError(
            f"{store.path}: {store.group}/{subject} holds images, no k-space, so there is no raw "
            f"data to export. Export it with: spinforge export bids"
        )
    full = reader.read("full")
    kept = np.ones((len(full), full.shape[-2]), dtype=bool)
    if mask == "fixed":
        kept = reader.read(f"masks/{FIXED_MASK}")
    scanner = scanner_of(reader.attributes, reader.config, "full")
    noise_std = reader.attributes["scan"]["noise_std"]
    return RawScan(
        subject=subject,
        # `where` and not a product: that would turn -0 into 0, and the bytes must stay.
        kspace=np.where(kept[:, None, :, None], full, np.complex64(0)),
        mask=kept,
        mask_name=mask,
        coil_maps=reader.read("coil_maps"),
        spacing_mm=reader.spacing_mm,
        affine=reader.affine,
        tr=float(reader.read("tr")[0]),
        te=float(reader.read("te")[0]),
        noise_std=None if noise_std is None else float(noise_std),
        sequence=sequence_of(reader.attributes, reader.config, "full"),
        field_t=TISSUE_SETS[scanner["tissue_set"]].field_t,
        bandwidth_hz_per_px=scanner["bandwidth_hz_per_px"] if scanner["readout"] else None,
        attributes=reader.attributes,
    )


def flip_angle_deg(sequence: dict[str, Any]) -> float:
    """Nominal flip angle of the excitation [degree]; 90 for every spin echo."""
    return float(sequence.get("flip_deg", 90.0))
