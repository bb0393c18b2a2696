"""Flips, rotations, changes of size and crops of images and labels together; pure functions."""

import torch
from jaxtyping import Bool, Float, Integer, Shaped
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 (the name everyone knows it by)

from spinforge.datasets.reading.network_input import IGNORE_INDEX

Placement = Float[Tensor, "item 2 3"]
"""Where each output pixel comes from, as `torch.nn.functional.affine_grid` takes it."""


def flipped(
    values: Shaped[Tensor, "item *channels ky kx"], flips: Bool[Tensor, "item 2"]
) -> Shaped[Tensor, "item *channels ky kx"]:
    """Turn items over along ky, kx or both; exact, and its own inverse.

    Args:
        values: Images, labels or maps.
        flips: Whether along each axis.
    """
    for axis, turned in ((-2, flips[:, 0]), (-1, flips[:, 1])):
        is_turned = turned.view(-1, *[1] * (values.ndim - 1))
        values = torch.where(is_turned, values.flip(axis), values)
    return values


def placement(
    radians: Float[Tensor, " item"],
    zoom: Float[Tensor, " item"],
    window: Float[Tensor, " item"],
    place: Float[Tensor, "item 2"],
    size: tuple[int, int],
) -> Placement:
    r"""Rotation and size about the middle, then a window of it enlarged to the whole.

    A pixel at q from the output's middle shows the input at
    $p = \frac{w}{z} R q + (1 - w) \frac{n}{2} o$ from the input's: zoom z, rotation R, and a window
    of the share w of n pixels at o. Pixels are taken for square.

    Args:
        radians: Rotation from ky towards kx.
        zoom: z, above 1 for larger.
        window: w, up to 1.
        place: o along ky and kx, from -1 to 1.
        size: Pixels along ky and kx.
    """
    height, width = size
    share = window / zoom
    cosine, sine = share * radians.cos(), share * radians.sin()
    offset = (1 - window)[:, None] * place
    # `affine_grid` has kx first, and each axis from -1 to 1 whatever its length.
    along_kx = torch.stack((cosine, -sine * (height / width), offset[:, 1]), dim=1)
    along_ky = torch.stack((sine * (width / height), cosine, offset[:, 0]), dim=1)
    return torch.stack((along_kx, along_ky), dim=1)


def placed_image(
    image: Float[Tensor, "item *channels ky kx"], theta: Placement
) -> Float[Tensor, "item *channels ky kx"]:
    """Move images by bilinear interpolation; 0 where they come from outside.

    Args:
        image: (item, ..., ky, kx), all channels of an item moved alike.
        theta: Of `placement`.
    """
    return _sampled(image, theta, "bilinear")


def placed_labels(
    target: Integer[Tensor, "item *channels ky kx"], theta: Placement
) -> Integer[Tensor, "item *channels ky kx"]:
    """Move labels, each pixel that of the nearest; `IGNORE_INDEX` where they come from outside.

    What lies outside is not known: it may be air, or the rest of a photograph.

    Args:
        target: Class codes, or `IGNORE_INDEX`.
        theta: Of `placement`.
    """
    # Counted from IGNORE_INDEX, so that the zeros around the image mean it.
    moved = _sampled((target - IGNORE_INDEX).float(), theta, "nearest")
    return moved.to(target.dtype) + IGNORE_INDEX


def _sampled(values: Tensor, theta: Tensor, mode: str) -> Tensor:
    flat = values.reshape(len(values), -1, *values.shape[-2:])
    grid = F.affine_grid(theta, list(flat.shape), align_corners=False)
    return F.grid_sample(flat, grid, mode=mode, align_corners=False).reshape(values.shape)
