"""One slice of every corruption at every strength, for data cards and figures."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float

from spinforge.datasets.corruption.sets import CorruptedStore, sets_in
from spinforge.datasets.corruption.sources import CleanSubject
from spinforge.datasets.storage.store import DatasetStore
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.fourier import kspace_to_image
from spinforge.simulation.reconstruction import combine_coils


@dataclass(frozen=True)
class CorruptionExample:
    """One slice of one corruption set.

    Attributes:
        name: Of the set; empty for the clean slice.
        strength: Level, percentage, or "fixed"; empty for the clean slice.
        contrast: Which.
        subject: Whose.
        image: Magnitude, (row, column); the clean slice's 99th percentile is 1. Rows run from
            anterior to posterior, columns from left to right.
        history: What was drawn, as the set notes it.
    """

    name: str
    strength: str
    contrast: str
    subject: str
    image: Float[np.ndarray, "row column"]
    history: list[dict[str, Any]]


def corruption_examples(
    store: DatasetStore,
    *,
    subject: str | None = None,
    contrast: str | None = None,
    slice_index: int | None = None,
) -> list[CorruptionExample]:
    """The same slice, clean and from every corruption set of a store.

    Args:
        store: The set, seen as its clean subjects.
        subject: Whose; by default the first one that is in a corruption set.
        contrast: Which; by default the first one.
        slice_index: Which; by default the one with most brain.

    Returns:
        The clean slice first, then every set by name, weakest first; empty without any set.

    Raises:
        SpinforgeError: If the subject or the contrast is not in the store, or damaged.
    """
    sets = [CorruptedStore(store, name, s) for name, found in sets_in(store).items() for s in found]
    if not sets:
        return []
    subject = subject or sets[0].complete_subjects()[0]
    clean = CleanSubject(store, subject)
    contrast = contrast or clean.contrasts[0]
    if contrast not in clean.contrasts:
        raise SpinforgeError(
            f"{store.path} has no contrast {contrast!r}; it has {', '.join(clean.contrasts)}."
        )
    if slice_index is None:
        slice_index = _most_brain(clean, contrast)
    plain = _slice(store, clean, contrast, slice_index)
    white = float(np.percentile(plain, 99)) or 1.0
    examples = [CorruptionExample("", "", contrast, subject, plain / white, [])]
    for corrupted in sets:
        attributes = corrupted.subject_attributes(subject)
        if attributes is None:
            continue
        image = _slice(corrupted, clean, contrast, slice_index) / white
        _, name, strength = corrupted.group.split("/")
        history = attributes["history"][contrast]
        examples.append(CorruptionExample(name, strength, contrast, subject, image, history))
    return examples


def _most_brain(clean: CleanSubject, contrast: str) -> int:
    brain: Bool[torch.Tensor, "slice ky kx"] = clean.volume(contrast).brain
    return int(brain.sum((1, 2)).argmax())


def _slice(
    store: DatasetStore, clean: CleanSubject, contrast: str, index: int
) -> Float[np.ndarray, "row column"]:
    """Magnitude of one slice, anterior at the top."""
    values = store.read(clean.subject, contrast)[index]
    if clean.is_kspace:
        maps = clean.read("coil_maps")
        coils = kspace_to_image(torch.from_numpy(values))
        image = combine_coils(coils, torch.from_numpy(maps[index if len(maps) > 1 else 0]))
        values = image.abs().numpy().T  # (ky, kx) = (left-right, posterior-anterior)
    return np.ascontiguousarray(values[::-1]).astype(np.float32)
