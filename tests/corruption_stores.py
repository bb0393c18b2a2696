"""Small clean sets for the tests of corruption sets: images as their products lay them out."""

import numpy as np
from corruption_volume import make_volume

from spinforge.datasets.storage.arrays import StoredArray
from spinforge.datasets.storage.store import DatasetStore

REFERENCE = {"PD": 0.8, "T1": 0.8, "T2": 1.6}
SHAPE_ZYX = (6, 72, 60)


def write_images(store: DatasetStore, subject: str = "head-000", *, as_bytes=False, **attributes):
    """One subject: T1, PD alike, T2 twice as bright; label 1 in a shell, 2 inside."""
    volume = make_volume(complex_image=False)

    def zyx(values):
        return np.ascontiguousarray(values.numpy().swapaxes(1, 2))

    axes = ("z", "y", "x")
    arrays = {
        name: StoredArray(zyx(volume.image) * np.float32(reference / 0.8), axes)
        for name, reference in REFERENCE.items()
    }
    if as_bytes:
        arrays = {"T1": StoredArray(np.rint(255 * zyx(volume.image)).astype(np.uint8), axes)}
    arrays["label"] = StoredArray(zyx(volume.brain).astype(np.uint8) * 2, axes)
    arrays["object"] = StoredArray(zyx(volume.head), axes)
    arrays["brain"] = StoredArray(zyx(volume.brain), axes)
    notes = {
        "config_hash": "clean",
        "phantom": {"source": "ellipsoid", "sha256": "0"},
        "spacing_mm": [3.0, 2.0, 1.0],
        "reference_signal": {n: REFERENCE[n] for n in arrays if n in REFERENCE},
        "scale": {name: 1 / 255 if as_bytes else 1.0 for name in arrays if name in REFERENCE},
    }
    store.write_subject(subject, arrays, notes | attributes)
