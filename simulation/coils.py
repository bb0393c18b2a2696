"""Receive coils: how strongly each of them sees each voxel."""

import itertools

import numpy as np
import torch
from torch import Tensor

from spinforge.simulation.arrays import CoilMaps
from spinforge.simulation.rng import SampleRng

_BIRDCAGE_RADIUS, _BIRDCAGE_ELEMENTS = 1.5, 8
_DEGREE = 2


def birdcage_maps(n_coils: int, shape: tuple[int, int]) -> CoilMaps:
    """Sensitivities of a birdcage about the field of view; root sum of squares is 1.

    Args:
        n_coils: Number of coils.
        shape: (ky, kx) voxels.

    Returns:
        (1, coil, ky, kx) complex64, the same for every slice.
    """
    from sigpy import mri  # slow to import

    maps = mri.birdcage_maps((n_coils, *shape), r=_BIRDCAGE_RADIUS, nzz=_BIRDCAGE_ELEMENTS)
    return torch.from_numpy(np.asarray(maps, dtype=np.complex64))[None]


def draw_receive_profile(rng: SampleRng) -> tuple[float, ...]:
    """Coefficients of a smooth single-coil profile; see `receive_profile`."""
    count = sum(1 for _ in _degrees())
    return tuple(rng.normals(count).tolist())


def receive_profile(
    coefficients: tuple[float, ...], shape: tuple[int, int, int], range_percent: float
) -> Tensor:
    """Smooth real sensitivity that spans 1 - r/2 to 1 + r/2 over the field of view.

    Args:
        coefficients: Of the Legendre products of total degree 1 and 2.
        shape: Voxels (slice, ky, kx).
        range_percent: 100 r.

    Returns:
        (slice, 1, ky, kx) complex64.
    """
    legendre = [_legendre(count) for count in shape]
    field = torch.zeros(shape, dtype=torch.float64)
    for (p, q, r), value in zip(_degrees(), coefficients, strict=True):
        z, y, x = legendre[0][p], legendre[1][q], legendre[2][r]
        field += value / (1 + p + q + r) * z[:, None, None] * y[None, :, None] * x
    span = (field.amax() - field.amin()).clamp(min=torch.finfo(field.dtype).tiny)
    field = 1 + range_percent / 100 * ((field - field.amin()) / span - 0.5)
    return field[:, None].to(torch.complex64)


def _degrees() -> list[tuple[int, int, int]]:
    orders = itertools.product(range(_DEGREE + 1), repeat=3)
    return [(p, q, r) for p, q, r in orders if 1 <= p + q + r <= _DEGREE]


def _legendre(count: int) -> list[Tensor]:
    """Legendre polynomials of degree 0, 1 and 2 at the centres of `count` cells of [-1, 1]."""
    x = (2 * torch.arange(count, dtype=torch.float64) + 1) / count - 1
    return [torch.ones_like(x), x, (3 * x**2 - 1) / 2]
