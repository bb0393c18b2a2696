"""Dice and surface distances as MONAI computes them, where it does: both regions there."""

import numpy as np
import pytest
import torch
from label_slices import CLASSES, brainweb_labels, disturbed, random_labels
from monai.metrics import (
    compute_average_surface_distance,
    compute_dice,
    compute_hausdorff_distance,
    compute_surface_dice,
)
from real_data import BRAINWEB20, needs_brainweb20

from spinforge.evaluation.overlap import confusion_matrices, dice
from spinforge.evaluation.surface import SurfaceDistances, surface_distances

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*always_return_as_numpy:FutureWarning"),
    pytest.mark.filterwarnings("ignore:the (ground truth|prediction) of class:UserWarning"),
]

SPACINGS = [(1.0, 1.0), (0.7, 1.9)]
PIXELS = 1e-4
"""Allowed difference, in pixels: MONAI's distances are float32, up to about 100 pixels."""


def one_hot(labels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.moveaxis(np.eye(CLASSES, dtype=np.uint8)[labels], -1, 1))


def monai_distances(predicted, target, spacing) -> SurfaceDistances:
    pair = one_hot(predicted), one_hot(target)
    options = {"include_background": False, "spacing": spacing}
    tolerances = [1.0] * (CLASSES - 1)
    values = (
        compute_hausdorff_distance(*pair, **options),
        compute_hausdorff_distance(*pair, percentile=95, **options),
        compute_average_surface_distance(*pair, symmetric=True, **options),
        compute_surface_dice(*pair, tolerances, **options),
    )
    return SurfaceDistances(*(value.double().numpy() for value in values))


def assert_agree(predicted, target, spacing, *, least: int):
    """Everything of the regions that are in both maps, of which there are so many at least."""
    found = surface_distances(predicted, target, spacing_mm=spacing, classes=CLASSES)
    with np.errstate(invalid="ignore"):
        expected = monai_distances(predicted, target, spacing)
    flat = [labels.reshape(len(labels), -1, labels.shape[-1]) for labels in (predicted, target)]
    overlap = dice(confusion_matrices(*flat))[:, 1:]
    expected_overlap = compute_dice(one_hot(predicted), one_hot(target), include_background=False)
    codes = np.arange(1, CLASSES)
    axes = tuple(range(1, target.ndim))
    both = np.stack([((m[..., None] == codes).any(axes)) for m in (predicted, target)]).all(0)
    assert both.sum() >= least
    for name, values in vars(expected).items():
        np.testing.assert_allclose(
            getattr(found, name)[both], values[both], rtol=0, atol=PIXELS, err_msg=name
        )
    np.testing.assert_allclose(overlap[both], expected_overlap.numpy()[both], rtol=0, atol=1e-6)


@pytest.mark.parametrize("spacing", SPACINGS, ids=str)
def test_200_random_slices(spacing):
    target = random_labels(200, (37, 48))
    predicted = disturbed(target)
    # The last 20 have nothing to do with each other: distances beyond all offsets.
    predicted[-20:] = random_labels(20, (37, 48), seed=1)
    assert_agree(predicted, target, spacing, least=500)


@needs_brainweb20
@pytest.mark.parametrize("spacing", SPACINGS, ids=str)
def test_20_slices_of_a_real_head(spacing):
    target = brainweb_labels(BRAINWEB20)[5:45:2]
    assert_agree(disturbed(target), target, spacing, least=57)


def test_volumes_with_thick_slices():
    target = random_labels(3, (9, 20, 17))
    assert_agree(disturbed(target), target, (3.0, 0.9, 1.1), least=8)
