"""A scan written out a second time from the documented formulas, for the engine to agree with.

Nothing here calls the code it judges, but for the sum over isochromats of reference.py.
"""

import math

import closed_forms
import torch

from spinforge.simulation.reference import exact_kspace
from spinforge.simulation.tissue import Relaxation, Tissue

GAMMA_BAR = 42.577478e6  # Hz/T
FAT_PPM = -3.5
FAT = (Tissue.FAT, Tissue.AROUND_FAT, Tissue.MARROW)

# (T1, T2, T2*) [ms] and proton density at 3 T, as simulation.md 1.7 has them: MRiLab's, and
# marrow, that is fat of BrainWeb (350/70/58/.9 at 1.5 T), with T1 2^.1743 and R2' 2 times.
MARROW_T2_STAR = 1 / (1 / 70 + 2 * (1 / 58 - 1 / 70))
AT_3T = {
    Tissue.BACKGROUND: (1e3, 1e3, 1e3, 0.0),
    Tissue.GREY_MATTER: (950, 100, 50, 0.8),
    Tissue.WHITE_MATTER: (600, 80, 40, 0.65),
    Tissue.FAT: (330, 130, 26, 1.0),
    Tissue.MUSCLE: (1100, 35, 17.5, 0.7),
    Tissue.MARROW: (350 * 2**0.1743, 70, MARROW_T2_STAR, 0.9),
}


def relaxation(tissue, factors=(1.0, 1.0, 1.0, 1.0)):
    """Of a tissue at 3 T [s], with a subject's factors."""
    t1, t2, t2_star, density = (
        value * factor for value, factor in zip(AT_3T[tissue], factors, strict=True)
    )
    return Relaxation(t1 / 1e3, t2 / 1e3, min(t2, t2_star) / 1e3, density)


def centres(count, width=2.0):
    """Centres of cells that tile an interval about 0."""
    return ((torch.arange(count, dtype=torch.float64) + 0.5) / count - 0.5) * width


def along(axes):
    """Coordinates (x, y, z) that broadcast to a volume."""
    x, y, z = axes
    return x[:, None, None], y[None, :, None], z[None, None, :]


def object_phase(drawn, shape):
    """Second-order polynomial, scaled to its amplitude, and cosine modes in the plane [rad]."""
    x, y, z = along([centres(count) for count in shape])
    powers = [(p, q, r) for p in range(3) for q in range(3) for r in range(3) if 0 < p + q + r < 3]
    terms = zip(drawn["polynomial"], powers, strict=True)
    smooth = sum(c * x**p * y**q * z**r for c, (p, q, r) in terms)
    modes = [
        value * torch.cos(math.pi * m * (x + 1) / 2) * torch.cos(math.pi * n * (y + 1) / 2)
        for m, n, value in drawn["cosines"]
    ]
    return smooth * drawn["amplitude"] / smooth.abs().max() + sum(modes)


def transmit_field(peak, shape, spacing_mm):
    """1 + A exp(-r^2 / 2 s^2) - .7 A with s = 60 mm."""
    sizes = [count * size for count, size in zip(shape, spacing_mm, strict=True)]
    axes = [centres(count, size) for count, size in zip(shape, sizes, strict=True)]
    square = sum(axis**2 for axis in along(axes))
    return 1 + peak * torch.exp(-square / (2 * 60.0**2)) - 0.7 * peak


def gaussian_bump_hz(shape, spacing_mm):
    """MRiLab's 5 uT with a standard deviation of 8 cm."""
    axes = [centres(count, count * spacing_mm) for count in shape]
    square = sum(axis**2 for axis in along(axes))
    return 5e-6 * GAMMA_BAR * torch.exp(-square / (2 * 80.0**2))


def spin_echo_signal(r, b1, *, tr, te):
    """(voxels of b1): proton density, excitation, refocusing and T2 until the echo."""
    return _over(b1, lambda b: closed_forms.spin_echo(r.t1, r.t2, tr=tr, te=te, b1=b), r)


def gradient_echo_signal(r, b1, *, tr, te, flip_deg):
    """The same of Ernst's signal and T2*."""
    decay = math.exp(-te / r.t2_star)
    flip = math.radians(flip_deg)
    return _over(b1, lambda b: closed_forms.ernst(r.t1, tr=tr, flip=flip * b) * decay, r)


def _over(b1, signal, r):
    values = torch.tensor([signal(float(b)) for b in b1.flatten()], dtype=torch.float64)
    return r.proton_density * values.view(b1.shape)


def exact_slice(
    memberships,
    signals,
    relaxations,
    tissues,
    field_hz,
    phase,
    *,
    bandwidth,
    gradient_echo,
    te,
    maps,
):
    """k-space of one slice, (coil, ky, kx): every voxel, tissue and sample summed.

    Args:
        memberships: (tissue, ky, kx).
        signals: At the echo, (tissue, ky, kx).
        relaxations: Of each tissue.
        tissues: Which they are.
        field_hz: Of water, (ky, kx).
        phase: Of the object, (ky, kx) [rad].
        bandwidth: Of the readout [Hz/px].
        gradient_echo: Or a spin echo.
        te: Echo time [s].
        maps: (coil, ky, kx).
    """
    fat_hz = FAT_PPM * 1e-6 * GAMMA_BAR * 3.0
    shifts = torch.tensor([fat_hz * (tissue in FAT) for tissue in tissues], dtype=torch.float64)
    samples = memberships.shape[-1]
    return exact_kspace(
        memberships * signals * torch.polar(torch.ones_like(phase), phase),
        relaxations,
        field_hz + shifts[:, None, None],
        (torch.arange(samples, dtype=torch.float64) - samples // 2) / (bandwidth * samples),
        te=te,
        gradient_echo=gradient_echo,
        coil_maps=maps,
    )
