"""How much two label maps overlap; every answer comes from confusion matrices.

With $n_{jk}$ the number of pixels of true class j that were predicted as class k, all
measures below are ratios of sums of $n_{jk}$. A volume's matrix is the sum of its slices'.
"""

import numpy as np
from jaxtyping import Bool, Float64, Int64, UInt8

from spinforge.simulation.tissue import TARGET_NAMES

LabelSlices = UInt8[np.ndarray, "slice ky kx"]
"""Class codes; 0 is the background."""

Scored = Bool[np.ndarray, "slice ky kx"]
"""Pixels that count."""

Confusion = Int64[np.ndarray, "*batch classes classes"]
"""Pixel counts; rows are the true class, columns the predicted one."""

PerClass = Float64[np.ndarray, "*batch classes"]


def confusion_matrices(
    predicted: LabelSlices,
    target: LabelSlices,
    *,
    classes: int = len(TARGET_NAMES),
    scored: Scored | None = None,
) -> Int64[np.ndarray, "slice classes classes"]:
    """Count the pixels of every (true, predicted) pair of classes, slice by slice.

    Args:
        predicted: Predicted class codes, below `classes`.
        target: True class codes, same shape.
        classes: Number of classes, background included.
        scored: Pixels that count, same shape; all of them by default. The codes of the others do
            not matter.

    Returns:
        One matrix per slice; rows are the true class, columns the predicted one.

    Raises:
        ValueError: If the shapes differ or a code is not below `classes`.
    """
    if predicted.shape != target.shape:
        raise ValueError(f"need equal shapes, got {predicted.shape} and {target.shape}")
    if scored is not None:
        predicted, target = np.where(scored, predicted, 0), np.where(scored, target, 0)
    largest = max(predicted.max(initial=0), target.max(initial=0))
    if largest >= classes:
        raise ValueError(f"need class codes below {classes}, got {largest}")
    n_slices = len(target)
    pair = (target.astype(np.int64) * classes + predicted).reshape(n_slices, -1)
    pair += np.arange(n_slices)[:, None] * classes**2
    pairs = pair.ravel() if scored is None else pair[scored.reshape(n_slices, -1)]
    counts = np.bincount(pairs, minlength=n_slices * classes**2)
    return counts.reshape(n_slices, classes, classes).astype(np.int64, copy=False)


def dice(confusion: Confusion) -> PerClass:
    r"""Dice coefficient of each class; NaN where the class is empty in both label maps.

    $D_k = 2 n_{kk} / (\sum_j n_{kj} + \sum_j n_{jk})$, between 0 and 1.

    Source:
        Dice, Ecology 26(3):297 (1945).
    """
    both, true, found = _class_sizes(confusion)
    return _ratio(2 * both, true + found)


def jaccard(confusion: Confusion) -> PerClass:
    r"""Jaccard index of each class; NaN where the class is empty in both label maps.

    $J_k = n_{kk} / (\sum_j n_{kj} + \sum_j n_{jk} - n_{kk}) = D_k / (2 - D_k)$.
    """
    both, true, found = _class_sizes(confusion)
    return _ratio(both, true + found - both)


def pixel_accuracy(confusion: Confusion) -> Float64[np.ndarray, "*batch"]:
    r"""Fraction of all pixels whose class is right, background included: $\sum n_{kk} / \sum n$."""
    right = np.trace(confusion, axis1=-2, axis2=-1)
    return _ratio(np.asarray(right), np.asarray(confusion.sum(axis=(-2, -1))))


def one_against_rest_accuracy(confusion: Confusion) -> PerClass:
    """Fraction of all pixels on which "is it this class?" is answered right, for each class."""
    both, true, found = _class_sizes(confusion)
    total = confusion.sum(axis=(-2, -1))[..., None]
    return _ratio(total - true - found + 2 * both, np.broadcast_to(total, both.shape))


def _class_sizes(confusion: Confusion) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixels of each class in both maps, in the true map, and in the predicted map."""
    both = np.diagonal(confusion, axis1=-2, axis2=-1)
    return both, confusion.sum(axis=-1), confusion.sum(axis=-2)


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Divide counts; NaN where the denominator is zero."""
    undefined = np.full(numerator.shape, np.nan)
    return np.divide(numerator, denominator, out=undefined, where=denominator > 0)
