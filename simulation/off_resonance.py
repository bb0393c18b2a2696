"""Off-resonance: how the head itself, or a poor shim, bends the main field."""

import math

import torch
from torch import Tensor
from torch.nn import functional

from spinforge.simulation.phantom import Phantom
from spinforge.simulation.tissue import Tissue

GYROMAGNETIC_RATIO_HZ_PER_T = 42.577_478e6
"""Of the proton, over 2 pi (CODATA 2018)."""

_AIR_PPM, _TISSUE_PPM = 0.36, -9.05
"""Volume susceptibility (Schenck, Med Phys 23:815, 1996)."""

_GRID_MM = 2.0
"""Voxel of the field calculation: the field is smooth where there is signal."""

_BUMP_T, _BUMP_SD_MM = 5e-6, 80.0
"""Height and width of MRiLab's Gaussian field perturbation."""


def susceptibility_field(phantom: Phantom, field_t: float) -> Tensor:
    r"""Field that the head's susceptibility causes, after a linear shim over the brain.

    $\Delta B_z = B_0 \mathcal{F}^{-1}[(1/3 - k_z^2/k^2)\,\mathcal{F}\chi]$, on a grid padded to
    twice its size so that the head does not feel its periodic images.

    Args:
        phantom: Whose BACKGROUND is air; z is the direction of the main field.
        field_t: Main field [T].

    Returns:
        (x, y, z) float32 on the phantom's grid [Hz].

    Source:
        Salomir et al., Concepts Magn Reson 19B:26 (2003); Marques and Bowtell, 25B:65 (2005).
    """
    factor = max(1, round(_GRID_MM / phantom.spacing_mm))
    air = _box_average(phantom.membership(Tissue.BACKGROUND), factor)
    brain = _box_average(
        sum(
            (phantom.membership(t) for t in (Tissue.CSF, Tissue.GREY_MATTER, Tissue.WHITE_MATTER)),
            start=torch.zeros(()),
        ),
        factor,
    )
    # Relative to air, so that the padding is air too.
    susceptibility = (1 - air) * (_TISSUE_PPM - _AIR_PPM) * 1e-6
    # The body goes on below the field of view; cut off there, its end would bend the field.
    height = susceptibility.shape[-1]
    body = susceptibility[:, :, :1].expand(-1, -1, height)
    extended = torch.cat((body, susceptibility), dim=-1)
    field = dipole_field(extended)[:, :, height:] * field_t * GYROMAGNETIC_RATIO_HZ_PER_T
    shimmed = field - linear_fit(field, brain > 0.5)
    shape = phantom.memberships.shape[1:]
    padded = [factor * count for count in shimmed.shape]
    fine = functional.interpolate(shimmed[None, None], size=padded, mode="trilinear")[0, 0]
    return fine[: shape[0], : shape[1], : shape[2]]


def dipole_field(susceptibility: Tensor) -> Tensor:
    """Relative field change of a susceptibility map in a field along the last axis.

    Args:
        susceptibility: (x, y, z), 0 outside the map [1].

    Returns:
        (x, y, z) field change over main field, with the sphere of Lorentz [1].
    """
    padded = [2 * count for count in susceptibility.shape]
    spectrum = torch.fft.rfftn(susceptibility, s=padded)
    kx, ky = (torch.fft.fftfreq(count)[:, None, None] for count in padded[:2])
    kz = torch.fft.rfftfreq(padded[2])
    square = kx**2 + ky.transpose(0, 1) ** 2 + kz**2
    square[0, 0, 0] = 1
    kernel = 1 / 3 - kz**2 / square
    # The mean field of a padded box is arbitrary; a shim removes it.
    kernel[0, 0, 0] = 0
    field = torch.fft.irfftn(spectrum.mul_(kernel), s=padded)
    nx, ny, nz = susceptibility.shape
    return field[:nx, :ny, :nz].contiguous()


def linear_fit(field: Tensor, region: Tensor) -> Tensor:
    """Least-squares constant and linear terms over a region, evaluated everywhere.

    Args:
        field: (x, y, z).
        region: (x, y, z) bool; with no voxel in it the fit is 0.
    """
    if not region.any():
        return torch.zeros_like(field)
    axes = [torch.linspace(-1, 1, count, dtype=torch.float64) for count in field.shape]
    terms = [torch.ones(1, 1, 1, dtype=torch.float64)]
    terms += [axes[0][:, None, None], axes[1][None, :, None], axes[2][None, None, :]]
    design = torch.stack([term.expand(field.shape)[region] for term in terms], dim=1)
    normal, moments = design.mT @ design, design.mT @ field[region].double()
    weights = torch.linalg.lstsq(normal, moments[:, None]).solution[:, 0]
    fit = sum((w * t for w, t in zip(weights, terms, strict=True)), start=torch.zeros(()))
    return fit.to(field.dtype)


def gaussian_field(shape: tuple[int, int, int], spacing_mm: float) -> Tensor:
    """MRiLab's predefined perturbation, centred in the field of view.

    Returns:
        (x, y, z) float32 [Hz].
    """
    square = torch.zeros(shape)
    for axis, count in enumerate(shape):
        position = (torch.arange(count) - (count - 1) / 2) * spacing_mm
        square += (position**2).view([-1 if a == axis else 1 for a in range(3)])
    peak_hz = _BUMP_T * GYROMAGNETIC_RATIO_HZ_PER_T
    return peak_hz * torch.exp(-square / (2 * _BUMP_SD_MM**2))


def fat_shift_hz(fat_ppm: float, field_t: float) -> float:
    """Frequency of fat relative to water [Hz]."""
    return fat_ppm * 1e-6 * GYROMAGNETIC_RATIO_HZ_PER_T * field_t


def _box_average(volume: Tensor, factor: int) -> Tensor:
    """Average cubes of `factor` voxels; the edge is padded with itself."""
    missing = [math.ceil(count / factor) * factor - count for count in volume.shape]
    pad = (0, missing[2], 0, missing[1], 0, missing[0])
    padded = functional.pad(volume[None, None], pad, mode="replicate")
    return functional.avg_pool3d(padded, factor)[0, 0]
