"""The confusion matrix of the validation slices, and the Dice that an epoch is judged by."""

import torch
from jaxtyping import Float, Integer
from torch import Tensor

from spinforge.datasets.reading.network_input import IGNORE_INDEX
from spinforge.simulation.errors import SpinforgeError


def count_confusion(
    target: Integer[Tensor, "*shape"], predicted: Integer[Tensor, "*shape"], n_classes: int
) -> Integer[Tensor, "true predicted"]:
    """Pixels of true class j that were given class k, at [j, k], but for `IGNORE_INDEX`."""
    known = target != IGNORE_INDEX
    pairs = target[known] * n_classes + predicted[known]
    return torch.bincount(pairs, minlength=n_classes**2).reshape(n_classes, n_classes)


def mean_tissue_dice(confusion: Integer[Tensor, "true predicted"]) -> Float[Tensor, ""]:
    r"""Mean Dice of all classes but the background, from pooled pixels.

    $D_k = 2 n_{kk} / (\sum_j n_{jk} + \sum_j n_{kj})$, averaged over the k > 0 that occur in the
    truth or in the prediction.

    Args:
        confusion: Pixels of true class j and predicted class k, at [j, k].

    Returns:
        One number from 0 to 1.

    Raises:
        SpinforgeError: If there is no tissue at all.
    """
    counts = confusion.double()
    sizes = (counts.sum(0) + counts.sum(1))[1:]
    present = sizes > 0
    if not present.any():
        raise SpinforgeError("the validation slices hold background only; choose others")
    return (2 * counts.diagonal()[1:][present] / sizes[present]).mean().float()
