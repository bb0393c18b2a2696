"""From k-space back to the images a network sees."""

import math

import torch
from jaxtyping import Bool, Complex, Float
from torch import Tensor

from spinforge.simulation.arrays import (
    CoilImages,
    ComplexImage,
    ImageChannels,
    KSpace,
    LineMask,
)
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.fourier import image_to_kspace, kspace_to_image


def zero_filled(kspace: KSpace, mask: Bool[Tensor, "*#batch ky"]) -> ComplexImage:
    """Inverse FFT with the missing lines set to 0.

    Args:
        kspace: (..., ky, kx); lines outside the mask may hold anything, also what is no number.
        mask: Acquired lines, (..., ky) or broadcast to it.
    """
    # Chosen, not multiplied with the mask: not even 0 times what is no number is 0.
    return kspace_to_image(torch.where(mask[..., None], kspace, 0))


def intensity_scale(image: ComplexImage) -> Tensor:
    """99th percentile of the magnitude of each slice; divides a network's input.

    Args:
        image: (..., ky, kx).

    Returns:
        (...,) float32, at least the smallest positive number so that air can be divided by it.
    """
    magnitude = image.abs().flatten(-2)
    n_above = magnitude.shape[-1] - percentile_rank(magnitude.shape[-1])
    # Not `kthvalue`: on a GPU PyTorch has no deterministic one.
    value = magnitude.topk(n_above + 1, dim=-1).values[..., -1]
    return value.clamp_min(torch.finfo(value.dtype).tiny)


def percentile_rank(n_values: int) -> int:
    """Which of n values, from the smallest (1) on, `intensity_scale` takes for their percentile."""
    return max(1, round(0.99 * n_values))


def real_channels(image: ComplexImage) -> ImageChannels:
    """Real and imaginary part as two channels: (..., ky, kx) -> (..., 2, ky, kx)."""
    return torch.stack((image.real, image.imag), dim=-3)


def root_sum_of_squares(images: CoilImages) -> Float[Tensor, "*batch ky kx"]:
    r"""Magnitude $\sqrt{\sum_c |s_c|^2}$ of all coils, without knowing their sensitivities.

    Source:
        Roemer et al., Magn. Reson. Med. 16:192 (1990).
    """
    return images.abs().square().sum(-3).sqrt()


def combine_coils(
    images: CoilImages, sensitivities: Complex[Tensor, "*#batch coil ky kx"]
) -> ComplexImage:
    r"""Combine coils for the best signal-to-noise ratio: $\sum_c C_c^* s_c / \sum_c |C_c|^2$.

    Best for noise that is white and equal in all coils. Unbiased: the object at unit sensitivity.

    Args:
        images: Coil images, (..., coil, ky, kx).
        sensitivities: Complex receive sensitivities C, the same shape or broadcast to it.

    Returns:
        (..., ky, kx); 0 where no coil is sensitive.

    Source:
        Roemer et al., Magn. Reson. Med. 16:192 (1990), for uncorrelated noise.
    """
    energy = sensitivities.abs().square().sum(-3)
    combined = (sensitivities.conj() * images).sum(-3)
    return torch.where(energy > 0, combined / energy.where(energy > 0, 1), 0)


def zero_filled_combined(
    kspace: Complex[Tensor, "*batch coil ky kx"],
    mask: LineMask,
    sensitivities: Complex[Tensor, "*#batch coil ky kx"],
) -> ComplexImage:
    """Zero-filled image of all coils.

    A single coil is left as it is: nobody knows its sensitivity, so its shading stays.

    Args:
        kspace: (..., coil, ky, kx); lines outside the mask may hold anything.
        mask: Acquired lines, (..., ky).
        sensitivities: Complex receive sensitivities, the same shape or broadcast to it.
    """
    images = zero_filled(kspace, mask[..., None, :])
    if kspace.shape[-3] == 1:
        return images[..., 0, :, :]
    return combine_coils(images, sensitivities)


def pocs(kspace: KSpace, mask: Bool[Tensor, " ky"], *, iterations: int = 20) -> ComplexImage:
    """Fill the missing end of a partial-Fourier scan with the object's smooth phase.

    Alternates between two sets: images with the phase of the symmetric centre of k-space, and
    images that agree with the acquired lines (projections onto convex sets).

    Args:
        kspace: (..., ky, kx); unacquired lines are ignored.
        mask: One contiguous block of lines that reaches beyond the centre.
        iterations: Number of alternations.

    Returns:
        (..., ky, kx), in agreement with the acquired lines.

    Raises:
        SpinforgeError: If the lines are not contiguous or do not hold the centre.

    Source:
        Haacke et al., J. Magn. Reson. 92:126 (1991).
    """
    lines = mask.nonzero().flatten() - len(mask) // 2
    if len(lines) == 0 or lines[-1] - lines[0] + 1 != len(lines) or lines[0] > 0 or lines[-1] < 0:
        raise SpinforgeError(
            f"pocs: the {len(lines)} acquired of {len(mask)} lines must be contiguous and hold the "
            f"centre of k-space. Use a mask of kind partial_fourier."
        )
    kspace = torch.where(mask[:, None], kspace, 0)
    symmetric = min(-int(lines[0]), int(lines[-1]))
    offset = torch.arange(len(mask), device=kspace.device) - len(mask) // 2
    window = torch.cos(math.pi / 2 * offset / (symmetric + 1)).square()
    window = window.where(offset.abs() <= symmetric, 0).to(kspace.real.dtype)
    phase = torch.sgn(kspace_to_image(kspace * window[:, None]))

    image = kspace_to_image(kspace)
    for _ in range(iterations):
        image = (image * phase.conj()).real * phase
        filled = torch.where(mask[:, None], kspace, image_to_kspace(image))
        image = kspace_to_image(filled)
    return image
