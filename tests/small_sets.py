"""Sets of a few kilobytes with every kind of array a product stores."""

from pathlib import Path

import numpy as np

from spinforge.datasets.storage.arrays import StoredArray
from spinforge.datasets.storage.store import DatasetStore

CONFIG = {"noise": {"percent": 10.0}, "seed": 0}


def small_arrays(seed: int = 0, slices: int = 14) -> dict[str, StoredArray]:
    """Complex, real, label and mask arrays, one below an inner group; nothing is constant."""
    rng = np.random.default_rng(seed)
    kspace = rng.normal(size=(slices, 1, 5, 6)) + 1j * rng.normal(size=(slices, 1, 5, 6))
    plane = ("slice", "ky", "kx")
    return {
        "full": StoredArray(kspace.astype(np.complex64), ("slice", "coil", "ky", "kx")),
        "t1": StoredArray(rng.normal(size=(slices, 5, 6)).astype(np.float32), plane),
        "target": StoredArray(rng.integers(0, 4, (slices, 5, 6), dtype=np.uint8), plane),
        "te": StoredArray(rng.normal(size=slices).astype(np.float32), ("slice",), per_slice=False),
        "masks/fixed": StoredArray(rng.random((slices, 5)) < 0.5, ("slice", "ky"), per_slice=False),
    }


def small_set(path: Path | str) -> DatasetStore:
    """Two subjects of k-space and one of corrupted images, with a manifest."""
    store = DatasetStore(path)
    store.create(CONFIG)
    with store.writing():
        for seed, subject in enumerate(("a", "b")):
            provenance = {"subject": subject, "scan": {"te_s": 8e-7, "name": "écho"}}
            store.write_subject(subject, small_arrays(seed), provenance)
        corrupt = store.within("corrupt/noise/3")
        corrupt.write_subject("a", small_arrays(2), {"subject": "a", "sigma": 0.1})
        store.write_manifest()
    return store


def write_one(path: str, seed: int) -> str:
    """Add one subject to a set; here, where other processes find it."""
    return DatasetStore(path).write_subject(f"s{seed}", small_arrays(seed), {"subject": f"s{seed}"})
