"""From k-space back to the images a network sees."""

import torch
from torch import Tensor

from spinforge.simulation.arrays import ComplexImage, ImageChannels, KSpace, LineMask
from spinforge.simulation.fourier import kspace_to_image


def zero_filled(kspace: KSpace, mask: LineMask) -> ComplexImage:
    """Inverse FFT with the missing lines set to 0.

    Args:
        kspace: Fully sampled, (..., ky, kx).
        mask: Acquired lines, (..., ky).
    """
    return kspace_to_image(kspace * mask[..., None])


def intensity_scale(image: ComplexImage) -> Tensor:
    """99th percentile of the magnitude of each slice; divides a network's input.

    Args:
        image: (..., ky, kx).

    Returns:
        (...,) float32, at least the smallest positive number so that air can be divided by it.
    """
    magnitude = image.abs().flatten(-2)
    rank = max(1, round(0.99 * magnitude.shape[-1]))
    value = magnitude.kthvalue(rank, dim=-1).values
    return value.clamp_min(torch.finfo(value.dtype).tiny)


def real_channels(image: ComplexImage) -> ImageChannels:
    """Real and imaginary part as two channels: (..., ky, kx) -> (..., 2, ky, kx)."""
    return torch.stack((image.real, image.imag), dim=-3)
