import numpy as np
import pytest
import torch

from spinforge.datasets.reading.network_input import IGNORE_INDEX
from spinforge.models.losses import segmentation_loss, slice_dice_loss


def logits_of(labels, confidence=50.0):
    """Logits that are as good as certain of `labels`."""
    return torch.nn.functional.one_hot(labels, 4).movedim(-1, 1) * confidence


@pytest.fixture
def target():
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 4, (3, 6, 7), generator=generator)


def test_a_perfect_prediction_costs_nothing(target):
    assert slice_dice_loss(logits_of(target), target).item() == pytest.approx(0, abs=1e-6)


def test_equals_the_formula_in_numpy(target):
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(3, 4, 6, 7, generator=generator)
    p = np.exp(logits.double().numpy())
    p /= p.sum(1, keepdims=True)
    scores = []
    for image in range(3):
        for tissue in (1, 2, 3):
            g = (target[image] == tissue).double().numpy()
            q = p[image, tissue]
            scores.append((2 * (q * g).sum() + 1) / (q.sum() + g.sum() + 1))
    # float32 sums of 42 numbers.
    assert slice_dice_loss(logits, target).item() == pytest.approx(1 - np.mean(scores), rel=1e-5)


@pytest.mark.parametrize("name", ["cross_entropy", "cross_entropy_dice"])
def test_pixels_without_a_label_do_not_count(target, name):
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(3, 4, 6, 7, generator=generator)
    padded_target = torch.full((3, 8, 9), IGNORE_INDEX)
    padded_target[:, 1:7, 1:8] = target
    padded = torch.randn(3, 4, 8, 9, generator=generator)
    padded[:, :, 1:7, 1:8] = logits
    padded.requires_grad_()
    loss = segmentation_loss(name, padded, padded_target)
    # Sums of the same numbers in another order, in float32.
    assert loss.item() == pytest.approx(segmentation_loss(name, logits, target).item(), rel=1e-6)
    loss.backward()
    ignored = (padded_target == IGNORE_INDEX)[:, None].expand_as(padded)
    assert not padded.grad[ignored].any()
    assert padded.grad[~ignored].all()


def test_a_small_region_weighs_as_much_as_a_large_one():
    target = torch.zeros(2, 10, 10, dtype=torch.int64)
    target[0, :8] = 1
    target[1, 0, :2] = 1
    nothing = torch.zeros_like(target)
    missed = [
        slice_dice_loss(logits_of(nothing[i : i + 1]), target[i : i + 1]).item() for i in (0, 1)
    ]
    # One tissue of three is missed: 1/3 less the smoothing, 1 / (size + 1).
    assert missed == pytest.approx([(1 - 1 / 81) / 3, (1 - 1 / 3) / 3], abs=1e-6)


def test_inventing_an_absent_tissue_costs(target):
    empty = torch.zeros_like(target)
    invented = empty.clone()
    invented[:, 0, 0] = 3
    assert slice_dice_loss(logits_of(empty), empty).item() == pytest.approx(0, abs=1e-6)
    assert slice_dice_loss(logits_of(invented), empty).item() == pytest.approx(0.5 / 3, abs=1e-6)


def test_the_sum_is_cross_entropy_plus_dice(target):
    generator = torch.Generator().manual_seed(2)
    logits = torch.randn(3, 4, 6, 7, generator=generator)
    alone = segmentation_loss("cross_entropy", logits, target)
    torch.testing.assert_close(alone, torch.nn.functional.cross_entropy(logits, target))
    both = segmentation_loss("cross_entropy_dice", logits, target)
    torch.testing.assert_close(both - alone, slice_dice_loss(logits, target))
