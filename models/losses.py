"""What training minimises."""

from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812 (the name everyone knows it by)
from jaxtyping import Float, Integer
from torch import Tensor

from spinforge.datasets.reading.network_input import IGNORE_INDEX
from spinforge.models.collective import n_processes, sum_over_processes
from spinforge.simulation.errors import SpinforgeError

LossName = Literal["cross_entropy", "weighted_cross_entropy", "cross_entropy_dice", "batch_dice"]

Logits = Float[Tensor, "batch classes ky kx"]
Target = Integer[Tensor, "batch ky kx"]


def segmentation_loss(
    name: LossName,
    logits: Logits,
    target: Target,
    class_weights: Float[Tensor, " classes"] | None = None,
) -> Float[Tensor, ""]:
    """What a recipe's `loss` names.

    Pixels of `IGNORE_INDEX` count in none; the mean of none at all is not a number. Where several
    processes train together, each gives its part of a batch and gets the loss of the whole batch.

    Args:
        name: Which loss.
        logits: Before the softmax.
        target: Class codes.
        class_weights: For "weighted_cross_entropy" alone; see `inverse_frequency`.

    Returns:
        A number.
    """
    match name:
        case "batch_dice":
            return batch_dice_loss(logits, target)
        case "weighted_cross_entropy":
            return mean_cross_entropy(logits, target, class_weights)
        case "cross_entropy":
            return mean_cross_entropy(logits, target)
        case "cross_entropy_dice":
            return mean_cross_entropy(logits, target) + slice_dice_loss(logits, target)


def mean_cross_entropy(
    logits: Logits, target: Target, class_weights: Float[Tensor, " classes"] | None = None
) -> Float[Tensor, ""]:
    """Mean cross-entropy of the labelled pixels, each weighted by its class.

    Args:
        logits: Before the softmax.
        target: Class codes.
        class_weights: 1 for each by default.
    """
    if logits.is_cuda and torch.are_deterministic_algorithms_enabled():
        # PyTorch has a deterministic kernel of rows, none of images.
        logits, target = logits.movedim(1, -1).flatten(0, -2), target.flatten()
    if n_processes() == 1:
        return F.cross_entropy(logits, target, class_weights, ignore_index=IGNORE_INDEX)
    total = F.cross_entropy(
        logits, target, class_weights, ignore_index=IGNORE_INDEX, reduction="sum"
    )
    known = target != IGNORE_INDEX
    if class_weights is None:
        size = known.sum().to(total.dtype)
    else:
        size = (class_weights[target.masked_fill(~known, 0)] * known).sum()
    return sum_over_processes(total) / sum_over_processes(size)


def mean_squared_error(found: Tensor, expected: Tensor) -> Float[Tensor, ""]:
    """Mean over all values of a batch, of all processes that train together.

    Args:
        found: Any shape.
        expected: The same shape.
    """
    if n_processes() == 1:
        return F.mse_loss(found, expected)
    total = F.mse_loss(found, expected, reduction="sum")
    return sum_over_processes(total) / sum_over_processes(total.new_tensor(found.numel()))


def inverse_frequency(counts: Integer[Tensor, " classes"]) -> Float[Tensor, " classes"]:
    """Weight of each class: the inverse of its pixels, scaled to a mean of 1.

    A class without pixels gets the weight 0; it occurs in no target.

    Args:
        counts: Labelled pixels of each class in the training set.

    Raises:
        SpinforgeError: If no pixel is labelled.

    Source:
        Gao et al., "Fully convolutional structured LSTM networks" (ISBI 2018), sec. 3; the scale is
        ours and does not change what is minimised.
    """
    present = counts > 0
    if not present.any():
        raise SpinforgeError("no pixel of the training slices has a label")
    weights = torch.where(present, 1 / counts.clamp(min=1).double(), 0.0)
    return (weights / weights[present].mean()).float()


def batch_dice_loss(logits: Logits, target: Target) -> Float[Tensor, ""]:
    r"""One minus the soft Dice of the foreground of all slices together.

    $1 - \frac{2 \sum p g + 1}{\sum p + \sum g + 1}$, summed over all pixels of the batch; of
    several foreground classes the mean.

    Args:
        logits: Before the softmax.
        target: Class codes; background is 0 and left out, as are the pixels of `IGNORE_INDEX`.

    Source:
        Wang et al., "High- and low-level feature enhancement for medical image segmentation" (MLMI
        2019), sec. 3.1; the sums over the batch as in the first author's later code.
    """
    overlap, sizes = _overlap_and_sizes(logits, target)
    overlap, size = (sum_over_processes(part.sum(0)) for part in (overlap, sizes))
    return 1 - torch.mean((2 * overlap + 1) / (size + 1))


def slice_dice_loss(logits: Logits, target: Target) -> Float[Tensor, ""]:
    r"""One minus the soft Dice of each tissue in each slice, averaged.

    $1 - \frac{2 \sum p g + 1}{\sum p + \sum g + 1}$ for probability p and truth g of a tissue,
    summed over the pixels of one slice. Every slice and tissue counts the same, as in the
    evaluation, so a few pixels of white matter at the end of the brain weigh as much as its
    middle. The added 1 makes an absent tissue a perfect score exactly if none is invented.

    Args:
        logits: Before the softmax.
        target: Class codes; background is 0 and left out, as are the pixels of `IGNORE_INDEX`.

    Returns:
        A number from 0 to 1.

    Source:
        Drozdzal et al., "The importance of skip connections in biomedical image segmentation"
        (DLMIA 2016): sums in the denominator, where V-Net (Milletari et al., 3DV 2016) has sums of
        squares. The added 1 as in Wang et al., "High- and low-level feature enhancement" (MLMI
        2019); slice by slice is our choice.
    """
    overlap, sizes = _overlap_and_sizes(logits, target)
    dice = (2 * overlap + 1) / (sizes + 1)
    if n_processes() == 1:
        return 1 - torch.mean(dice)
    count = sum_over_processes(dice.new_tensor(dice.numel()))
    return 1 - sum_over_processes(dice.sum()) / count


def _overlap_and_sizes(
    logits: Logits, target: Target
) -> tuple[Float[Tensor, "batch tissues"], Float[Tensor, "batch tissues"]]:
    """Sum of p g, and of p and g, over the labelled pixels of each slice and foreground class."""
    known = (target != IGNORE_INDEX)[:, None]
    probability = logits.float().softmax(dim=1)[:, 1:] * known
    codes = target.masked_fill(target == IGNORE_INDEX, 0)
    truth = F.one_hot(codes, logits.shape[1]).movedim(-1, 1)[:, 1:]
    overlap = (probability * truth).sum((-2, -1))
    return overlap, probability.sum((-2, -1)) + truth.sum((-2, -1))
