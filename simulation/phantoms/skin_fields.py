"""Random fields of a skin image, on a plane measured in units of its height / 192."""

import math

import numpy as np
import torch
from jaxtyping import Float
from scipy import fft
from torch import Tensor

from spinforge.simulation.rng import SampleRng

Plane = Float[Tensor, "height width"]
Planes = Float[Tensor, "field height width"]
Band = tuple[float, float]
"""Shortest and longest wavelength [units]."""

PERIOD = 384
"""Edge of the periodic square the fields are drawn on [units]; larger than an image."""


def draw_plane_fields(rng: SampleRng, bands: list[Band]) -> Planes:
    r"""Draw fields of zero mean and unit variance, one sample a unit.

    White noise is filtered with $H(k) = \exp(-\frac12 (\ln(k/k_0)/\sigma)^2)$, where $k_0$ is the
    geometric mean of the band's limits and $\sigma$ half their logarithmic distance.
    """
    noise = rng.normals(len(bands), PERIOD, PERIOD)
    kx = fft.rfftfreq(PERIOD)[None, :]
    ky = fft.fftfreq(PERIOD)[:, None]
    k = np.hypot(ky, kx)
    k[0, 0] = 1e-12  # so far below any band that the mean vanishes
    fields = []
    for white, (low, high) in zip(noise, bands, strict=True):
        centre, width = 1.0 / math.sqrt(low * high), 0.5 * math.log(high / low)
        response = np.exp(-0.5 * (np.log(k / centre) / width) ** 2)
        filtered = fft.irfft2(fft.rfft2(white) * response, s=(PERIOD, PERIOD))
        fields.append(filtered / filtered.std())
    return torch.from_numpy(np.stack(fields)).float()


def sample_plane(fields: Float[Tensor, "field _ _"], y: Plane, x: Plane) -> Planes:
    """Values at points [units] from the image's centre, by bicubic interpolation."""
    half = (PERIOD - 1) / 2.0
    points = torch.stack((x / half, y / half), dim=-1)
    return torch.nn.functional.grid_sample(
        fields[None], points[None], mode="bicubic", align_corners=True
    )[0]
