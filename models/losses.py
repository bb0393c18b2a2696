"""What training minimises."""

from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812 (the name everyone knows it by)
from jaxtyping import Float, Integer
from torch import Tensor

from spinforge.datasets.reading.network_input import IGNORE_INDEX

LossName = Literal["cross_entropy", "cross_entropy_dice"]

Logits = Float[Tensor, "batch classes ky kx"]
Target = Integer[Tensor, "batch ky kx"]


def segmentation_loss(name: LossName, logits: Logits, target: Target) -> Float[Tensor, ""]:
    """Mean cross-entropy of the pixels, alone or plus the Dice loss of the slices.

    Pixels of `IGNORE_INDEX` count in neither; the mean of none at all is not a number.

    Args:
        name: Which of the two.
        logits: (batch, classes, ky, kx), before the softmax.
        target: Class codes (batch, ky, kx); background is 0.

    Returns:
        A number.
    """
    cross_entropy = F.cross_entropy(logits, target, ignore_index=IGNORE_INDEX)
    if name == "cross_entropy":
        return cross_entropy
    return cross_entropy + slice_dice_loss(logits, target)


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
    known = (target != IGNORE_INDEX)[:, None]
    probability = logits.float().softmax(dim=1)[:, 1:] * known
    codes = target.masked_fill(target == IGNORE_INDEX, 0)
    truth = F.one_hot(codes, logits.shape[1]).movedim(-1, 1)[:, 1:]
    overlap = (probability * truth).sum((-2, -1))
    sizes = probability.sum((-2, -1)) + truth.sum((-2, -1))
    return 1 - torch.mean((2 * overlap + 1) / (sizes + 1))
