"""How much two label maps overlap; every answer comes from confusion matrices.

With $n_{jk}$ the number of pixels of true class j that were predicted as class k, all
measures below are ratios of sums of $n_{jk}$. A volume's matrix is the sum of its slices'.
"""

import numpy as np
from jaxtyping import Bool, Float64, Int64, UInt8
from numpy.typing import ArrayLike

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
    both, true, found = class_sizes(confusion)
    return _ratio(2 * both, true + found)


def jaccard(confusion: Confusion) -> PerClass:
    r"""Jaccard index of each class; NaN where the class is empty in both label maps.

    $J_k = n_{kk} / (\sum_j n_{kj} + \sum_j n_{jk} - n_{kk}) = D_k / (2 - D_k)$.
    """
    both, true, found = class_sizes(confusion)
    return _ratio(both, true + found - both)


def pixel_accuracy(confusion: Confusion) -> Float64[np.ndarray, "*batch"]:
    r"""Fraction of all pixels whose class is right, background included: $\sum n_{kk} / \sum n$."""
    right = np.trace(confusion, axis1=-2, axis2=-1)
    return _ratio(right, confusion.sum(axis=(-2, -1)))


def one_against_rest_accuracy(confusion: Confusion) -> PerClass:
    """Fraction of all pixels on which "is it this class?" is answered right, for each class."""
    both, true, found = class_sizes(confusion)
    total = confusion.sum(axis=(-2, -1))[..., None]
    return _ratio(total - true - found + 2 * both, np.broadcast_to(total, both.shape))


def precision(confusion: Confusion) -> PerClass:
    r"""Share of what was found that is right: $n_{kk} / \sum_j n_{jk}$; NaN where nothing was."""
    both, _, found = class_sizes(confusion)
    return _ratio(both, found)


def recall(confusion: Confusion) -> PerClass:
    r"""Share of what is there that was found: $n_{kk} / \sum_j n_{kj}$; NaN where there is none."""
    both, true, _ = class_sizes(confusion)
    return _ratio(both, true)


def mean_pixel_accuracy(confusion: Confusion) -> Float64[np.ndarray, "*batch"]:
    """Mean recall of all classes that are there, background included; NaN without any pixel.

    Source:
        What FCSLSTM's paper calls mPA (Gao et al., ISBI 2018).
    """
    return mean_of_defined(recall(confusion))


def volume_difference(confusion: Confusion) -> PerClass:
    r"""Relative error of the size: $(\sum_j n_{jk} - \sum_j n_{kj}) / \sum_j n_{kj}$.

    Above 0 where too much was found; -1 if nothing was; NaN where there is nothing to be found.
    """
    _, true, found = class_sizes(confusion)
    return _ratio(found - true, true)


def mean_of_defined(values: Float64[np.ndarray, "*batch classes"]) -> Float64[np.ndarray, "*batch"]:
    """Mean over the last axis of what is not NaN; NaN where nothing is defined."""
    defined = ~np.isnan(values)
    return _ratio(np.where(defined, values, 0.0).sum(axis=-1), defined.sum(axis=-1))


def class_sizes(confusion: Confusion) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixels of each class in both maps, in the true map, and in the predicted map."""
    both = np.diagonal(confusion, axis1=-2, axis2=-1)
    return both, confusion.sum(axis=-1), confusion.sum(axis=-2)


def _ratio(numerator: ArrayLike, denominator: ArrayLike) -> np.ndarray:
    """Divide; NaN where the denominator is zero."""
    numerator, denominator = np.asarray(numerator), np.asarray(denominator)
    undefined = np.full(numerator.shape, np.nan)
    return np.divide(numerator, denominator, out=undefined, where=denominator > 0)
