"""Rules for maps of unequal size: resize, pad with zeros, or continue the image by reflection."""

import torch.nn.functional as F  # noqa: N812 (the name everyone knows it by)
from jaxtyping import Float
from torch import Tensor

from spinforge.models.layers.blocks import Features
from spinforge.simulation.errors import SpinforgeError

MINIMUM_SIZE = 16
"""Smallest height and width of most networks [pixel]: four halvings leave one pixel, and reflection
can still continue the image to 32."""


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


def pad_to_multiple(image: Features, multiple: int) -> Float[Tensor, "batch channel _h _w"]:
    """Continue the image by reflection until `multiple` divides height and width.

    The added pixels lie around the image, the larger half left and top. A power of two lets as many
    halvings and doublings of the result meet the same sizes again (32: five), and no map needs to
    be resized.

    Args:
        image: Larger, each way, than what is added at one side: 16 x 16 pixels will do for 32.
        multiple: What must divide height and width [pixel].

    Returns:
        Same batch and channels; the image itself if its size already fits.
    """
    (top, bottom), (left, right) = (
        _margins_larger_first(size, multiple) for size in image.shape[-2:]
    )
    if top == left == 0:
        return image
    return F.pad(image, (left, right, top, bottom), mode="reflect")


def crop_padding(
    padded: Float[Tensor, "batch channel _h _w"],
    image: Float[Tensor, "batch _c ky kx"],
    multiple: int,
) -> Float[Tensor, "batch channel ky kx"]:
    """Remove what `pad_to_multiple` added around `image`.

    Args:
        padded: Maps of the padded image's size.
        image: The image before it was padded.
        multiple: As it was padded.

    Returns:
        Same batch and channels as `padded`, height and width of `image`.
    """
    rows, columns = image.shape[-2:]
    (top, _), (left, _) = (
        _margins_larger_first(rows, multiple),
        _margins_larger_first(columns, multiple),
    )
    return padded[..., top : top + rows, left : left + columns]


def _margins_larger_first(size: int, multiple: int) -> tuple[int, int]:
    """Pixels to add before and after; of an odd number the larger half comes first."""
    missing = -size % multiple
    return (missing + 1) // 2, missing // 2
