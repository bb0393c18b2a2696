"""What a scanner does to slices, for whole batches on any device; pure functions.

The same bias fields, movements and noise as those of `simulation/corruption`, which does them
volume by volume; the tests hold each against its counterpart there.
"""

import math
from collections.abc import Callable

import torch
from jaxtyping import Complex, Float, Int64
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 (the name everyone knows it by)

from spinforge.models.augmentation.draws import DEGREES
from spinforge.simulation.corruption.intensity import FIELD_LIMITS
from spinforge.simulation.corruption.motion import CENTRE_FRACTION
from spinforge.simulation.fourier import image_to_kspace, kspace_to_image
from spinforge.simulation.philox import normals_of_samples

Images = Complex[Tensor, "item ky kx"]


def bias_fields(
    percent: Float[Tensor, "*batch"], shape: Float[Tensor, "*batch product"], size: tuple[int, int]
) -> Float[Tensor, "*batch ky kx"]:
    r"""Legendre products over the slice, scaled as BrainWeb scales its fields.

    $F = 1 + \frac{L}{100}\left(\frac{f - \min f}{\max f - \min f} - \frac12\right)$ with the
    extremes over the ellipse that the slice's borders enclose, where the object lies.

    Args:
        percent: Range L; 0 is a field of 1.
        shape: Coefficient of each product of `DEGREES`.
        size: Pixels along ky and kx.

    Source:
        `simulation.corruption.intensity.polynomial_field`, there with the extremes over a volume's
        brain.
    """
    y, x = (_from_end_to_end(count, percent.device) for count in size)
    along_y, along_x = _legendre(y), _legendre(x)
    products = torch.stack([along_y[p][:, None] * along_x[q] for p, q in DEGREES])
    field = torch.einsum("...d,dyx->...yx", shape, products)
    inside = y[:, None] ** 2 + x**2 <= 1
    low = field.where(inside, math.inf).amin((-2, -1), keepdim=True)
    high = field.where(inside, -math.inf).amax((-2, -1), keepdim=True)
    scaled = 1 + percent[..., None, None] / 100 * ((field - low) / (high - low) - 0.5)
    return torch.where(inside, scaled, scaled.clamp(*FIELD_LIMITS))


def _from_end_to_end(count: int, device: torch.device) -> Float[Tensor, " count"]:
    """Positions of pixels, -1 for the first and 1 for the last."""
    return torch.linspace(-1, 1, count, device=device)


def _legendre(x: Float[Tensor, " count"]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Legendre polynomials of degree 0 to 3."""
    return torch.ones_like(x), x, (3 * x**2 - 1) / 2, (5 * x**3 - 3 * x) / 2


def with_motion(
    images: Images,
    moments: Float[Tensor, "item movement"],
    poses: Float[Tensor, "item movement 3"],
    *,
    seen: Callable[[Images], Complex[Tensor, "item *coil ky kx"]] = lambda head: head,
) -> Complex[Tensor, "item *coil ky kx"]:
    """Slices of heads that move while their lines are acquired, from the first to the last.

    The head is in its labels' pose until the centre of k-space is acquired, so the labels stay
    true; each later segment of lines sees it in another pose.

    Args:
        images: Of the heads.
        moments: Sorted, as fractions of the lines after the centre.
        poses: Rotation from ky towards kx [degree] and shifts along ky and kx [pixel].
        seen: What the coils see of a head; the head itself by default.

    Source:
        `simulation.corruption.motion`, whose levels 1 and 2 leave the centre still as well.
    """
    n_lines = images.shape[-2]
    first = n_lines // 2 + math.ceil(CENTRE_FRACTION * n_lines / 2)
    starts = first + (moments * (n_lines - first)).floor()
    line = torch.arange(n_lines, device=images.device)
    kspace = image_to_kspace(seen(images))
    for number in range(moments.shape[1]):
        moved = image_to_kspace(seen(posed(images, poses[:, number])))
        is_later = (line >= starts[:, number, None]).view(
            len(images), *[1] * (kspace.ndim - 3), n_lines, 1
        )
        kspace = torch.where(is_later, moved, kspace)
    return kspace_to_image(kspace)


def posed(images: Images, poses: Float[Tensor, "item 3"]) -> Images:
    """Turn slices about the centre of the field of view, then shift them; bicubic.

    As `simulation.corruption.motion.moved`, but each slice by its own pose and in pixels.

    Args:
        images: Complex slices.
        poses: Rotation from ky towards kx [degree] and shifts along ky and kx [pixel].
    """
    height, width = images.shape[1:]
    radians, (shift_y, shift_x) = poses[:, 0] * (math.pi / 180), poses[:, 1:].unbind(1)
    y = torch.arange(height, device=images.device) - height // 2 - shift_y[:, None]
    x = torch.arange(width, device=images.device) - width // 2 - shift_x[:, None]
    y, x = y[:, :, None], x[:, None, :]
    cosine, sine = radians.cos()[:, None, None], radians.sin()[:, None, None]
    # Where what is here now was before: the inverse rotation.
    from_y, from_x = cosine * y + sine * x, cosine * x - sine * y
    grid = torch.stack(
        (
            2 * (from_x + width // 2 + 0.5) / width - 1,
            2 * (from_y + height // 2 + 0.5) / height - 1,
        ),
        dim=-1,
    )
    channels = torch.view_as_real(images).permute(0, 3, 1, 2)
    sampled = F.grid_sample(channels, grid, mode="bicubic", align_corners=False)
    return torch.view_as_complex(sampled.permute(0, 2, 3, 1).contiguous())


def complex_noise(
    std: Float[Tensor, "item scan"],
    keys: Int64[Tensor, "4 item"],
    size: tuple[int, int],
    *,
    coils: int = 1,
) -> Complex[Tensor, "item channel ky kx"]:
    """White noise of each scan, in k-space or in the image: the transform is orthonormal.

    Args:
        std: Standard deviation of each real and imaginary part.
        keys: Of each item, see `simulation.philox`.
        size: Pixels along ky and kx.
        coils: Coils with noise of their own in each scan.

    Returns:
        The channels are the coils of the first scan, then those of the second, ...
    """
    n_items, n_scans = std.shape
    rows = n_scans * coils * size[0]
    noise = normals_of_samples(keys, rows, size[1]).reshape(n_items, n_scans * coils, *size)
    return std.repeat_interleave(coils, dim=1)[:, :, None, None] * noise


def rician(
    magnitude: Float[Tensor, "item scan ky kx"], noise: Complex[Tensor, "item scan ky kx"]
) -> Float[Tensor, "item scan ky kx"]:
    """Magnitude of an image with complex noise; the image's phase does not matter."""
    return torch.complex(magnitude + noise.real, noise.imag).abs()
