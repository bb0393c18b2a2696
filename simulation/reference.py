"""The exact signal, summed voxel by voxel and sample by sample: slow, for validation only."""

import math

import torch
from torch import Tensor

from spinforge.simulation.tissue import Relaxation


def exact_kspace(
    density: Tensor,
    relaxations: list[Relaxation],
    frequency_hz: Tensor,
    times: Tensor,
    *,
    te: float,
    gradient_echo: bool,
    coil_maps: Tensor | None = None,
) -> Tensor:
    r"""Isochromat sum with an explicit Fourier sum instead of an FFT.

    $s(k_y, n) = \sum_r \sum_c o_c(r)\, E_c(r, \tau_n)\, e^{-2\pi i k \cdot r} / \sqrt{N_y N_x}$.

    Args:
        density: Signal at the echo of each class, decay until then included,
            (class, ky, kx) complex.
        relaxations: T2 and T2* of each class.
        frequency_hz: Off-resonance of each class, chemical shift included, (class, ky, kx).
        times: Sample times about the echo, (kx,) [s].
        te: Echo time, over which a gradient echo gathers phase [s].
        gradient_echo: Whether off-resonance and T2' are refocused at the echo or not.
        coil_maps: (coil, ky, kx); one uniform coil by default.

    Returns:
        (coil, ky, kx) complex128, centred and orthonormal.
    """
    n_classes, height, width = density.shape
    maps = torch.ones(1, height, width) if coil_maps is None else coil_maps
    maps, density = maps.to(torch.complex128), density.to(torch.complex128)
    y, x = (torch.arange(n, dtype=torch.float64) - n // 2 for n in (height, width))
    along_y = torch.exp(-2j * math.pi * torch.outer(y / height, y))
    frequency = frequency_hz.double()
    kspace = torch.empty((len(maps), height, width), dtype=torch.complex128)
    for n, tau in enumerate(times.tolist()):
        evolved = torch.zeros((height, width), dtype=torch.complex128)
        for c in range(n_classes):
            r2, r2_prime = 1 / relaxations[c].t2, relaxations[c].r2_prime
            reversible, since = (tau, tau + te) if gradient_echo else (abs(tau), tau)
            decay = math.exp(-r2 * tau - r2_prime * reversible)
            evolved += density[c] * decay * torch.exp(2j * math.pi * frequency[c] * since)
        along_x = torch.exp(-2j * math.pi * x[n] / width * x)
        kspace[:, :, n] = (maps * evolved @ along_x) @ along_y.mT
    return kspace / math.sqrt(height * width)
