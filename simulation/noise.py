"""Thermal noise: complex, white, Gaussian, added in k-space."""

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from spinforge.simulation.config import Config
from spinforge.simulation.rng import SampleRng


class Noise(Config):
    """Noise in percent of the white-matter signal.

    The standard deviation of EACH of the real and imaginary channel is percent / 100 times the
    noise-free white-matter signal of that subject's own TR and TE.
    """

    percent: float = Field(10.0, ge=0, le=100, description="noise level [% of WM signal]")


def noise_std(noise: Noise, white_matter_signal: float) -> float:
    """Standard deviation per real and imaginary channel, in signal units."""
    return noise.percent / 100 * white_matter_signal


def draw_noise(rng: SampleRng, shape: tuple[int, ...], std: float) -> Tensor:
    """Complex white Gaussian noise of one slice.

    Always drawn for the whole slice, never for a part of it, so that no chunking can change it.

    Args:
        rng: Random numbers of this slice's noise.
        shape: Shape of the slice, such as (coil, ky, kx).
        std: Standard deviation of each channel.

    Returns:
        complex64 of that shape.
    """
    real, imaginary = rng.normals(2, *shape) * std
    return torch.from_numpy((real + 1j * imaginary).astype(np.complex64))
