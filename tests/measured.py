"""Measurements for the tests of networks that start from k-space."""

import torch

from spinforge.models.seranet.measurement import Measurement
from spinforge.simulation.fourier import image_to_kspace


def line_mask(batch, rows, *, seed=0):
    """Two lines of five, another choice for each slice, and the centre."""
    generator = torch.Generator().manual_seed(seed)
    mask = torch.rand(batch, rows, generator=generator) < 0.4
    mask[:, rows // 2] = True
    return mask


def complex_normal(*shape, seed=0, dtype=torch.complex128):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def random_measurement(batch=2, coils=1, size=(17, 20), *, seed=0, dtype=torch.complex128):
    """Noise in all lines, of which two in five count as acquired."""
    shape = (batch, coils, *size)
    sensitivities = complex_normal(*shape, seed=seed + 1, dtype=dtype) if coils > 1 else None
    kspace = complex_normal(*shape, seed=seed, dtype=dtype)
    return Measurement(kspace, line_mask(batch, size[0], seed=seed), sensitivities)


def measure(image, mask, sensitivities=None):
    """Noise-free measurement of (batch, ky, kx) by one coil, or by those of `sensitivities`."""
    coil_images = image[:, None] if sensitivities is None else sensitivities * image[:, None]
    return Measurement(image_to_kspace(coil_images), mask, sensitivities)
