"""The small parts every network is built from, and the two rules for maps of unequal size."""

import torch.nn.functional as F  # noqa: N812 (the name everyone knows it by)
from jaxtyping import Float
from torch import Tensor, nn

from spinforge.simulation.errors import SpinforgeError

Features = Float[Tensor, "batch channel ky kx"]
"""Images, feature maps or logits of a batch of slices."""

MINIMUM_SIZE = 16
"""Smallest height and width [pixel]: four halvings still leave one pixel."""


def conv_bn_relu(in_channels: int, out_channels: int, *, kernel_size: int = 3) -> nn.Sequential:
    """Convolution with zero padding and bias, batch normalisation, ReLU; keeps the size.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: Odd height and width of the kernel [pixel].
    """
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


def conv_stage(in_channels: int, out_channels: int, *, convolutions: int = 2) -> nn.Sequential:
    """3x3 convolutions in a row, each with batch normalisation and ReLU; the first one widens."""
    return nn.Sequential(
        conv_bn_relu(in_channels, out_channels),
        *(conv_bn_relu(out_channels, out_channels) for _ in range(convolutions - 1)),
    )


def resize_to(
    features: Float[Tensor, "batch channel _h _w"], partner: Float[Tensor, "batch _c ky kx"]
) -> Float[Tensor, "batch channel ky kx"]:
    """Resize bilinearly to the size of `partner`, corner pixels on corner pixels.

    Args:
        features: Maps of any size.
        partner: Maps whose height and width are taken.

    Returns:
        Same batch and channels as `features`, height and width of `partner`.
    """
    size = partner.shape[-2:]
    if features.shape[-2:] == size:
        return features
    return F.interpolate(features, size=size, mode="bilinear", align_corners=True)


def pad_to(
    features: Float[Tensor, "batch channel _h _w"], partner: Float[Tensor, "batch _c ky kx"]
) -> Float[Tensor, "batch channel ky kx"]:
    """Pad with zeros to the size of `partner`, the larger half of the difference left and top.

    Pooling floors odd sizes, so a map doubled again may be one pixel short of its partner.

    Args:
        features: Maps at most as large as `partner`.
        partner: Maps whose height and width are taken.

    Returns:
        Same batch and channels as `features`, height and width of `partner`.
    """
    rows = partner.shape[-2] - features.shape[-2]
    columns = partner.shape[-1] - features.shape[-1]
    if rows == columns == 0:
        return features
    top, left = (rows + 1) // 2, (columns + 1) // 2
    return F.pad(features, (left, columns - left, top, rows - top))


def require_minimum_size(image: Features, minimum: int = MINIMUM_SIZE) -> None:
    """Refuse images that the halvings of a network would make vanish.

    Args:
        image: Any batch of images.
        minimum: Smallest height and width the network works on [pixel].

    Raises:
        SpinforgeError: If height or width is below `minimum`.
    """
    rows, columns = image.shape[-2:]
    if min(rows, columns) < minimum:
        raise SpinforgeError(
            f"images of {rows} x {columns} pixels are too small: "
            f"the network needs at least {minimum} x {minimum}"
        )
