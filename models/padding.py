"""One rule for sizes that halvings do not divide: continue the image by reflection, then crop."""

import torch.nn.functional as F  # noqa: N812 (the name everyone knows it by)
from jaxtyping import Float
from torch import Tensor

from spinforge.models.blocks import Features


def pad_to_multiple(image: Features, multiple: int) -> Float[Tensor, "batch channel _h _w"]:
    """Continue the image by reflection until `multiple` divides height and width.

    The added pixels lie around the image, the larger half left and top. Five halvings and
    doublings of the result then meet the same sizes again, and no map needs to be resized.

    Args:
        image: At least half as large as what it is padded to: 16 x 16 pixels for 32.
        multiple: What must divide height and width [pixel].

    Returns:
        Same batch and channels; the image itself if its size already fits.
    """
    (top, bottom), (left, right) = (_margins(size, multiple) for size in image.shape[-2:])
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
    (top, _), (left, _) = _margins(rows, multiple), _margins(columns, multiple)
    return padded[..., top : top + rows, left : left + columns]


def _margins(size: int, multiple: int) -> tuple[int, int]:
    """Pixels to add before and after."""
    missing = -size % multiple
    return (missing + 1) // 2, missing // 2
