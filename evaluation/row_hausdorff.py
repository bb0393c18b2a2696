"""A distance between masks that takes their rows for points, for SERANet's published tables.

The tables' 3.7 to 5.8 are no distances between outlines, which are several times larger at such
Dice. They are of the size, and the classes stand in the order, of what comes out when the masks
themselves are given to a function that expects lists of points. That this is what was done is a
guess; the metric is for nothing but comparing with those tables.
"""

import math

import numpy as np
from jaxtyping import Bool, Float64, UInt8

Mask = Bool[np.ndarray, "ky kx"]


def row_hausdorff(predicted: Mask, target: Mask) -> float:
    r"""Hausdorff distance between the rows of two masks, each row a point of zeros and ones.

    $\max\{\max_i \min_j |p_i - t_j|,\ \max_j \min_i |p_i - t_j|\}$ with the Euclidean norm over
    the columns: the root of how many pixels two rows differ in. No unit.

    Args:
        predicted: Predicted region.
        target: True region, same shape.

    Returns:
        NaN if both regions are empty. If one is, its rows are all zero, and this is the root of the
        most pixels that any row of the other has.

    Source:
        The larger of two `scipy.spatial.distance.directed_hausdorff` of the masks.
    """
    if not predicted.any() and not target.any():
        return math.nan
    rows = [_packed_rows(region) for region in (predicted, target)]
    different = np.zeros((len(rows[0]), len(rows[1])), dtype=np.uint16)
    for own, other in zip(rows[0].T, rows[1].T, strict=True):
        different += np.bitwise_count(own[:, None] ^ other)
    return math.sqrt(max(different.min(axis=1).max(), different.min(axis=0).max()))


def row_hausdorff_of_classes(
    predicted: UInt8[np.ndarray, "slice ky kx"],
    target: UInt8[np.ndarray, "slice ky kx"],
    *,
    classes: int,
) -> Float64[np.ndarray, "slice region"]:
    """The same of every slice and class, the background left out.

    Args:
        predicted: Predicted class codes.
        target: True class codes, same shape.
        classes: Number of classes, background included.
    """
    return np.array(
        [
            [row_hausdorff(found == code, true == code) for code in range(1, classes)]
            for found, true in zip(predicted, target, strict=True)
        ]
    ).reshape(len(target), classes - 1)


def _packed_rows(region: Mask) -> np.ndarray:
    """The different rows as bits, 64 a word; equal rows are one point."""
    octets = np.packbits(region, axis=1)
    words = np.pad(octets, ((0, 0), (0, -octets.shape[1] % 8))).view(np.uint64)
    # Most rows above and below a head are empty: kept once.
    filled = words.any(axis=1)
    return words[filled] if filled.all() else np.concatenate([words[filled], words[:1] * 0])
