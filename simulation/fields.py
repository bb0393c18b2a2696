"""Smooth fields over the field of view: the object's phase and the transmit field."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from spinforge.simulation.rng import SampleRng

SHORTEST_WAVELENGTH_MM = 60.0
RANDOM_PHASE_RAD = 0.2

_POWERS = [(p, q, r) for p in range(3) for q in range(3) for r in range(3) if 1 <= p + q + r <= 2]


@dataclass(frozen=True)
class ObjectPhase:
    """Drawn parameters of one subject's phase.

    Attributes:
        polynomial: Coefficients of x^p y^q z^r, total degree 1 and 2, coordinates in [-1, 1].
        amplitude: Largest absolute value of the polynomial over the field of view [rad].
        cosines: Coefficients (m, n, value) of cosine modes along x and y [rad].
    """

    polynomial: tuple[float, ...]
    amplitude: float
    cosines: tuple[tuple[int, int, float], ...]


def draw_phase(rng: SampleRng, *, fov_mm: tuple[float, float]) -> ObjectPhase:
    """Draw a second-order polynomial of 0.3-1 rad and a random field of 0.2 rad.

    The random field is band-limited to wavelengths of 60 mm and longer, which is smooth against
    any head structure a segmentation could use.

    Args:
        rng: Random numbers of this subject's phase.
        fov_mm: Field of view along x and y [mm].
    """
    amplitude = rng.uniform(0.3, 1.0)
    polynomial = tuple(rng.normals(len(_POWERS)).tolist())
    modes = [
        (m, n)
        for m in range(int(2 * fov_mm[0] / SHORTEST_WAVELENGTH_MM) + 1)
        for n in range(int(2 * fov_mm[1] / SHORTEST_WAVELENGTH_MM) + 1)
        if 0 < math.hypot(m / fov_mm[0], n / fov_mm[1]) <= 2 / SHORTEST_WAVELENGTH_MM
    ]
    # A cosine mode has mean square 1/2, a product of two 1/4: equal power in every mode.
    values = rng.normals(len(modes)) * RANDOM_PHASE_RAD / math.sqrt(len(modes))
    cosines = tuple(
        (m, n, float(v) * math.sqrt(2 ** ((m > 0) + (n > 0))))
        for (m, n), v in zip(modes, values, strict=True)
    )
    return ObjectPhase(polynomial, amplitude, cosines)


def phase_map(phase: ObjectPhase, shape: tuple[int, int, int]) -> Tensor:
    """Evaluate the phase on a grid that spans the whole field of view.

    Args:
        phase: Drawn parameters.
        shape: Voxels along x, y and z.

    Returns:
        (x, y, z) float64 [rad].
    """
    x, y, z = (_centred(count) for count in shape)
    polynomial = torch.zeros(shape, dtype=torch.float64)
    for (p, q, r), coefficient in zip(_POWERS, phase.polynomial, strict=True):
        polynomial += coefficient * (
            x[:, None, None] ** p * y[None, :, None] ** q * z[None, None, :] ** r
        )
    polynomial *= phase.amplitude / polynomial.abs().amax()
    plane = torch.zeros(shape[:2], dtype=torch.float64)
    for m, n, value in phase.cosines:
        along_x = torch.cos(math.pi * m * (x + 1) / 2)
        along_y = torch.cos(math.pi * n * (y + 1) / 2)
        plane += value * along_x[:, None] * along_y[None, :]
    return polynomial + plane[:, :, None]


def _centred(count: int) -> Tensor:
    """Voxel centres of `count` equal cells that tile [-1, 1]."""
    return (2 * torch.arange(count, dtype=torch.float64) + 1) / count - 1


B1_WIDTH_MM = 60.0
"""Standard deviation of the transmit field's central hill [mm]."""


def draw_b1_peak(rng: SampleRng, smallest: float, largest: float) -> float:
    """Height of the central hill of one subject, uniform between the two."""
    return rng.uniform(smallest, largest)


def transmit_field(
    peak: float, shape: tuple[int, int, int], spacing_mm: tuple[float, float, float]
) -> Tensor:
    r"""Relative transmit field $B_1^+ = 1 + A e^{-r^2 / 2 s^2} - 0.7 A$.

    The hill of a head's dielectric resonance; 0.7 of it is taken back, as a scanner's calibration
    over the whole head would.

    Args:
        peak: Height A [1].
        shape: Voxels.
        spacing_mm: Their size along each axis [mm].

    Returns:
        Float32 of that shape [1].
    """
    square = torch.zeros(shape, dtype=torch.float64)
    for axis, (count, spacing) in enumerate(zip(shape, spacing_mm, strict=True)):
        position = (torch.arange(count, dtype=torch.float64) - (count - 1) / 2) * spacing
        square += (position**2).view([-1 if other == axis else 1 for other in range(len(shape))])
    hill = torch.exp(-square / (2 * B1_WIDTH_MM**2))
    return (1 + peak * (hill - 0.7)).float()
