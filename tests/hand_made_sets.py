"""Small sets of every kind, written by hand: images, infants at several ages, corrupted images."""

from pathlib import Path

import numpy as np

from spinforge.datasets.storage.arrays import StoredArray
from spinforge.datasets.storage.store import DatasetStore

SPACING_ZYX = (3.0, 2.0, 1.0)
SHAPE_ZYX = (4, 6, 10)
MARKER_ZYX = (3, 4, 8)
"""Off the centre along every axis, so that no flip or exchange of axes goes unseen."""

AXES = ("z", "y", "x")
ORIGIN_MM = (-7.0, 11.0, 5.0)


def marked(value: float = 100.0) -> np.ndarray:
    """A ramp with one bright voxel."""
    values = np.arange(np.prod(SHAPE_ZYX), dtype=np.float32).reshape(SHAPE_ZYX) / 10
    values[MARKER_ZYX] = value
    return values


def marked_labels() -> np.ndarray:
    """Label 1 in the left half, 2 at the marker, 255 (unlabelled) in the lowest slice."""
    labels = np.zeros(SHAPE_ZYX, dtype=np.uint8)
    labels[:, :, :5] = 1
    labels[MARKER_ZYX] = 2
    labels[0] = 255
    return labels


def affine() -> list[list[float]]:
    z, y, x = SPACING_ZYX
    rows = np.diag([x, y, z, 1.0])
    rows[:3, 3] = ORIGIN_MM
    return rows.tolist()


def provenance(config_hash: str = "c" * 64) -> dict:
    return {
        "config_hash": config_hash,
        "root_seed": 3,
        "rng_scheme": "philox-blake2b-v1",
        "versions": {"spinforge": "0.1.0", "python": "3.11"},
        "code": {"commit": "0" * 40, "dirty": False},
        "created": "2026-01-01T00:00:00+00:00",
        "phantom": {"source": "procedural", "sha256": "a" * 64, "parameters": {}},
        "spacing_mm": list(SPACING_ZYX),
        "affine": affine(),
        "classes": ["background", "left", "marker"],
        "orientation_verified": True,
    }


def images_set(path: Path, subjects=("head-000", "head-001")) -> DatasetStore:
    """T1 and T2 images."""
    store = DatasetStore(path, "images")
    store.create({"product": "crdn_brainweb", "seed": 3})
    for number, subject in enumerate(subjects):
        arrays = {
            "T1": StoredArray(marked(100 + number), AXES),
            "T2": StoredArray(marked(50), AXES),
            "label": StoredArray(marked_labels(), AXES),
            "brain": StoredArray(marked_labels() > 0, AXES),
        }
        store.write_subject(subject, arrays, {"subject": subject} | provenance())
    return store


def longitudinal_set(path: Path, **notes) -> DatasetStore:
    """One infant at 0 and 6 months; the truth is stored beside the labels."""
    store = DatasetStore(path, "longitudinal")
    store.create({"product": "infant_bric", "seed": 3})
    arrays = {"ages": StoredArray(np.array([0, 6], np.float32), ("time",), per_slice=False)}
    arrays["has_label"] = StoredArray(np.ones((2, 4), bool), ("time", "slice"), per_slice=False)
    for age in ("00", "06"):
        arrays[f"ses-{age}mo/T1w"] = StoredArray(marked(float(age) + 100), AXES)
        arrays[f"ses-{age}mo/label"] = StoredArray(marked_labels(), AXES)
        arrays[f"ses-{age}mo/truth"] = StoredArray(marked_labels(), AXES)
    store.write_subject("infant-000", arrays, {"subject": "infant-000"} | provenance() | notes)
    return store


def add_corruptions(store: DatasetStore, names=("noise", "motion"), levels=(1, 3), **notes) -> None:
    """Corrupted T1 images of the last subject."""
    subject = store.complete_subjects()[-1]
    clean = store.read(subject, "T1")
    for name in names:
        for level in levels:
            added = float(level) if level != "fixed" else 1.0
            corrupted = (clean + added).astype(np.float32)
            step = {"id": name, "level": level, "parameters": {"sigma": 0.01 * added}}
            store.within(f"corrupt/{name}/{level}").write_subject(
                subject,
                {"T1": StoredArray(corrupted, AXES)},
                provenance() | {"subject": subject, "history": {"T1": [step]}} | notes,
            )
