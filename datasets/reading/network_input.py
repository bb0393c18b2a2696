"""What stored slices need to become input of a network: one size, and a code for "not scored"."""

from collections.abc import Iterable

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from spinforge.datasets.volumes import IGNORE

IGNORE_INDEX = -100
"""Class of pixels without loss; PyTorch's cross-entropy leaves them out by default."""

MULTIPLE = 16
"""Four halvings, those of a U-Net, divide this [pixel]."""


def network_target(labels: UInt8[Tensor, "*shape"]) -> Int64[Tensor, "*shape"]:
    """Labels as a loss wants them: `IGNORE` becomes `IGNORE_INDEX`."""
    return torch.where(labels == IGNORE, IGNORE_INDEX, labels.long())


def common_size(sizes: Iterable[tuple[int, ...]], multiple: int = MULTIPLE) -> tuple[int, int]:
    """The smallest (height, width) that holds all of them and that `multiple` divides."""
    height, width = (max(extents) for extents in zip(*sizes, strict=True))
    return -(-height // multiple) * multiple, -(-width // multiple) * multiple


def padded(
    images: Float[np.ndarray, "*batch _h _w"] | UInt8[np.ndarray, "*batch _h _w"],
    size: tuple[int, int],
    *,
    value: int,
) -> Float[np.ndarray, "*batch _H _W"] | UInt8[np.ndarray, "*batch _H _W"]:
    """Put slices in the middle of larger ones; of an odd margin the larger half comes last.

    Args:
        images: (..., height, width), no larger than `size`.
        size: Height and width wanted.
        value: What the margin holds.
    """
    missing = [want - have for want, have in zip(size, images.shape[-2:], strict=True)]
    around = [(gap // 2, gap - gap // 2) for gap in missing]
    return np.pad(
        images, [(0, 0)] * (images.ndim - 2) + around, mode="constant", constant_values=value
    )


def intensity_99(values: Float[np.ndarray, "*shape"]) -> float:
    """99th percentile of the values above 0, or 1 if there are none; divides a volume."""
    inside = values[values > 0]
    return float(np.quantile(inside, 0.99)) if inside.size else 1.0
