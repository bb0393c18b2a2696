"""Small k-space written by hand: a set of one or several coils, and the same as a raw scan."""

from pathlib import Path

import hand_made_sets
import numpy as np
import torch

from spinforge.datasets.export.raw_scan import RawScan
from spinforge.datasets.storage.arrays import StoredArray
from spinforge.datasets.storage.store import DatasetStore
from spinforge.simulation.fourier import image_to_kspace

SLICES, LINES, SAMPLES = 3, 20, 22
SPACING_ZYX = (6.0, 2.0, 4.0)
CENTRE = slice(4, 16)
"""Lines that every slice has."""


def image() -> np.ndarray:
    """Complex, (slice, ky, kx), unlike any of its mirror images."""
    rng = np.random.default_rng(0)
    values = np.zeros((SLICES, LINES, SAMPLES), np.complex64)
    values[:, 4:15, 6:19] = 1 + 0.2j
    values[0, 5:9, 7:12] = 2
    values[2, 11:14, 15:18] = 3j
    return values + 0.02 * rng.normal(size=values.shape).astype(np.float32)


def coil_maps(coils: int) -> np.ndarray:
    """Smooth sensitivities, (1, coil, ky, kx)."""
    y, x = np.meshgrid(np.linspace(-1, 1, LINES), np.linspace(-1, 1, SAMPLES), indexing="ij")
    angles = 2 * np.pi * np.arange(coils) / coils
    maps = [np.exp(-((y - np.cos(a)) ** 2) - (x - np.sin(a)) ** 2 + 1j * a) for a in angles]
    return np.array(maps, np.complex64)[None]


def kspace(coils: int) -> np.ndarray:
    maps = np.ones((1, 1, LINES, SAMPLES), np.complex64) if coils == 1 else coil_maps(coils)
    return image_to_kspace(torch.from_numpy(image()[:, None] * maps)).numpy()


def mask() -> np.ndarray:
    """The centre and some other lines, each slice its own; (slice, ky)."""
    lines = np.random.default_rng(1).random((SLICES, LINES)) < 0.2
    lines[:, CENTRE] = True
    return lines


def affine() -> np.ndarray:
    z, y, x = SPACING_ZYX
    rows = np.diag([x, y, z, 1.0])
    rows[:3, 3] = -40.0, -25.0, 12.0
    return rows


def kspace_set(path: Path, coils: int = 1) -> DatasetStore:
    """A set with one subject, head-000."""
    store = DatasetStore(path)
    store.create({"product": "seranet", "seed": 3})
    plane = ("ky", "kx")
    arrays = {
        "full": StoredArray(kspace(coils), ("slice", "coil", *plane)),
        "coil_maps": StoredArray(coil_maps(coils), ("every_slice", "coil", *plane)),
        "target": StoredArray((abs(image()) > 0.5).astype(np.uint8), ("slice", *plane)),
        "te": StoredArray(np.ones(SLICES, np.float32), ("slice",), per_slice=False),
        "masks/fixed": StoredArray(mask(), ("slice", "ky"), per_slice=False),
    }
    about = {"subject": "head-000", "spacing_mm": list(SPACING_ZYX), "affine": affine().tolist()}
    store.write_subject("head-000", arrays, hand_made_sets.provenance() | about)
    return store


def raw_scan(coils: int = 1, lines: np.ndarray | None = None) -> RawScan:
    """The same subject, with the lines of the mask or others."""
    kept = mask() if lines is None else lines
    return RawScan(
        subject="head-000",
        kspace=np.where(kept[:, None, :, None], kspace(coils), np.complex64(0)),
        mask=kept,
        mask_name="fixed",
        coil_maps=coil_maps(coils),
        spacing_mm=SPACING_ZYX,
        affine=affine(),
        tr=3.0,
        te=0.08,
        noise_std=0.02,
        sequence={"kind": "spin_echo", "tr_ms": 3000.0, "te_ms": 80.0},
        field_t=1.5,
        bandwidth_hz_per_px=None,
        attributes={"content_sha256": "a" * 64, "config_hash": "b" * 64},
    )
