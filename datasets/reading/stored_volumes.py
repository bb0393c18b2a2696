"""Any subject of any set as labelled volumes: what exports and the data card look at."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from spinforge.datasets.reading.subject_reader import SubjectReader
from spinforge.datasets.storage.store import DatasetStore
from spinforge.datasets.volumes import LabelledVolume
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.reconstruction import zero_filled_combined
from spinforge.simulation.tissue import TARGET_NAMES

LABEL_NAMES = ("label", "labels", "target")
"""Arrays with the hard labels of a volume, by product."""

_NO_IMAGES = {*LABEL_NAMES, "truth", "brain", "object"}
"""Volumes beside the images that are no contrast."""


@dataclass(frozen=True)
class StoredVolume:
    """One scan of one subject.

    Attributes:
        volume: Images and labels, (z, y, x).
        session: Such as "06mo" where a subject was scanned at several ages.
        classes: Names of the labels 0, 1, ...
        memberships: Class -> fraction of each voxel, (z, y, x) float32, where it is stored.
        is_kspace: The image is the magnitude of the fully sampled, noisy k-space.
        config: What the set was made with.
    """

    volume: LabelledVolume
    session: str | None
    classes: tuple[str, ...]
    memberships: dict[str, NDArray[np.float32]]
    is_kspace: bool
    config: dict[str, Any]


def stored_volumes(store: DatasetStore, subject: str) -> list[StoredVolume]:
    """Read one subject, whatever the product; a k-space subject becomes a volume of magnitudes.

    Args:
        store: A set, or a group of corrupted images in it.
        subject: Name of a complete subject.

    Raises:
        SpinforgeError: If the subject is not there or damaged.
    """
    reader = SubjectReader(store, subject)
    if "full" in reader.own:
        return [_scan(reader)]
    sessions = {name.split("/")[0] for name in reader.own if name.startswith("ses-")}
    return [_images(reader, session) for session in sorted(sessions) or [""]]


def _scan(reader: SubjectReader) -> StoredVolume:
    """The combined magnitude of all lines; slices are (ky, kx) = (x, y), so they are transposed."""
    magnitude = combined_magnitude(reader.read("full"), reader.read("coil_maps"))
    soft = reader.read("target_soft").swapaxes(-1, -2).astype(np.float32) / np.float32(255)
    classes = tuple(reader.attributes.get("targets", TARGET_NAMES))
    volume = LabelledVolume(
        subject=reader.subject,
        contrasts={"image": np.ascontiguousarray(magnitude.swapaxes(1, 2))},
        labels=np.ascontiguousarray(reader.read("target").swapaxes(1, 2)),
        spacing_mm=reader.spacing_mm,
        affine=reader.affine,
        parameters=reader.attributes,
    )
    memberships = {name: np.ascontiguousarray(soft[:, code]) for code, name in enumerate(classes)}
    return StoredVolume(volume, None, classes, memberships, True, reader.config)


def combined_magnitude(
    kspace: NDArray[np.complex64], coil_maps: NDArray[np.complex64]
) -> NDArray[np.float32]:
    """Magnitude image of fully sampled k-space, coils combined by their sensitivities.

    Args:
        kspace: (slice, coil, ky, kx).
        coil_maps: (slice or 1, coil, ky, kx).

    Returns:
        (slice, ky, kx).
    """
    maps = torch.from_numpy(coil_maps)
    every_line = torch.ones(kspace.shape[-2], dtype=torch.bool)
    # Slice by slice: the images of all coils at once take much memory.
    planes = [
        zero_filled_combined(one, every_line, maps[number if len(maps) > 1 else 0]).abs()
        for number, one in enumerate(torch.from_numpy(kspace))
    ]
    return torch.stack(planes).numpy()


def _images(reader: SubjectReader, session: str) -> StoredVolume:
    """Images that are stored as such; (z, y, x) already."""
    prefix = f"{session}/" if session else ""
    label = next((name for name in LABEL_NAMES if prefix + name in reader.names), None)
    candidates = [n.removeprefix(prefix) for n in reader.own if n.startswith(prefix)]
    arrays = {
        name: reader.read(prefix + name)
        for name in candidates
        if name not in _NO_IMAGES and "/" not in name
    }
    listed = reader.attributes.get("contrasts", [])  # in the order people know them in
    ordered = sorted(arrays, key=lambda n: (listed.index(n) if n in listed else len(listed), n))
    contrasts = {n: arrays[n] for n in ordered if arrays[n].ndim == 3 and arrays[n].dtype != bool}
    if not contrasts:
        raise SpinforgeError(
            f"subject {reader.subject}: there is no image among its arrays: {', '.join(reader.own)}"
        )
    volume = LabelledVolume(
        subject=reader.subject,
        contrasts=contrasts,
        labels=reader.read(prefix + label) if label else None,
        spacing_mm=reader.spacing_mm,
        affine=reader.affine,
        parameters=reader.attributes,
    )
    classes = tuple(reader.attributes.get("classes") or reader.attributes.get("targets") or ())
    return StoredVolume(
        volume, session.removeprefix("ses-") or None, classes, {}, False, reader.config
    )
