"""Label slices and what a network might make of them, for the tests of metrics."""

import functools
from pathlib import Path

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from spinforge.datasets.brainweb.twenty import load_brainweb20
from spinforge.simulation.phantom import Phantom
from spinforge.simulation.phantoms.head import generate_head
from spinforge.simulation.slices import Slices, slice_memberships, slice_targets

CLASSES = 4


def random_labels(count: int, shape: tuple[int, ...], *, seed: int = 0) -> np.ndarray:
    """Smooth random regions of four classes, some of which are missing in some slices."""
    rng = np.random.default_rng(seed)
    fields = gaussian_filter(
        rng.standard_normal((count, CLASSES, *shape)), (0, 0, *[2] * len(shape))
    )
    fields[rng.random((count, CLASSES)) < 0.1] = -np.inf
    return fields.argmax(axis=1).astype(np.uint8)


def disturbed(labels: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """The labels with outlines that are off by a pixel or so, and specks in other tissues.

    The most likely class after blurring each by 0.8 pixels and adding smooth noise. The noise of
    each slice has a strength of its own, from hardly any to much.
    """
    rng = np.random.default_rng(seed)
    found = np.empty_like(labels)
    for number, one in enumerate(labels):
        noise = gaussian_filter(rng.standard_normal((CLASSES, *one.shape)), (0, *[0.7] * one.ndim))
        likely = np.stack([gaussian_filter((one == k).astype(float), 0.8) for k in range(CLASSES)])
        likely += rng.uniform(0.2, 0.9) * noise
        likely[0][one == 0] += 0.5  # few specks outside the head
        found[number] = likely.argmax(axis=0)
    return found


@functools.cache
def brainweb_labels(folder: Path, subject: str = "subject04") -> np.ndarray:
    """The 57 slices of one of BrainWeb's heads, (slice, ky, kx)."""
    return _labels(load_brainweb20(folder, subject))


def procedural_labels(subject: str) -> np.ndarray:
    """Likewise of a head made of equations."""
    return _labels(generate_head(subject, seed=0))


def _labels(head: Phantom) -> np.ndarray:
    codes = torch.tensor([int(tissue) for tissue in head.tissues])
    return slice_targets(slice_memberships(head, Slices()), codes).numpy().astype(np.uint8)
