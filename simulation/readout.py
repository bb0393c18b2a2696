r"""What happens to the signal while one line is read: decay, off-resonance, chemical shift.

A sample taken at time tau from the echo has evolved by
$E(\tau) = e^{-\tau/T_2 - |\tau|/T_2' + i 2\pi f \tau}$ after a spin echo and by
$E(\tau) = e^{-\tau/T_2^* + i 2\pi f \tau}$ after a gradient echo, differently at every voxel. The
evolutions of all tissues and frequencies span a small space, so that L images with L Fourier
transforms hold them all (time segmentation by singular values: Fessler et al., IEEE Trans Signal
Process 53:3393, 2005).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from spinforge.simulation.tissue import Tissue
from spinforge.simulation.tissue_sets import Properties

_FREQUENCIES = 301
"""Frequencies tabulated between the lowest and the highest; linear in between."""


@dataclass(frozen=True)
class Readout:
    """Low-rank evolution of one scan.

    Attributes:
        basis: Evolution in time, (kx, component) complex64.
        coefficients: Component of each tissue at each tabulated frequency, (tissue, frequency,
            component) complex64.
        lowest_hz: First tabulated frequency.
        step_hz: Spacing of the table; 1 if it has one entry.
    """

    basis: Tensor
    coefficients: Tensor
    lowest_hz: float
    step_hz: float

    @property
    def rank(self) -> int:
        """Number of components L."""
        return self.basis.shape[1]

    def at(self, row: int, frequency_hz: Tensor) -> Tensor:
        """Components of one tissue where it precesses at these frequencies.

        Args:
            row: Which tissue.
            frequency_hz: (voxel,).

        Returns:
            (voxel, component) complex64.
        """
        table = self.coefficients[row].to(frequency_hz.device)
        if len(table) == 1:
            return table.expand(len(frequency_hz), -1)
        position = ((frequency_hz - self.lowest_hz) / self.step_hz).clamp(0, len(table) - 1)
        lower = position.floor().clamp(max=len(table) - 2).long()
        weight = (position - lower)[:, None].to(torch.float32)
        return torch.lerp(table[lower], table[lower + 1], weight.to(table.dtype))


def sample_times(n_samples: int, bandwidth_hz_per_px: float) -> Tensor:
    """Time of each sample of a line about the echo, (n_samples,) float64 [s]."""
    return (torch.arange(n_samples) - n_samples // 2).double() / (bandwidth_hz_per_px * n_samples)


def evolution(
    properties: Properties,
    tissues: tuple[Tissue, ...],
    frequencies_hz: Tensor,
    times: Tensor,
    *,
    gradient_echo: bool,
) -> Tensor:
    """The exact evolution E, (tissue, frequency, time) complex128."""

    def column(values: list[float]) -> Tensor:
        return torch.tensor(values, dtype=torch.float64)[:, None, None]

    chosen = [properties[tissue] for tissue in tissues]
    r2, r2_prime = column([1 / r.t2 for r in chosen]), column([r.r2_prime for r in chosen])
    reversible = times if gradient_echo else times.abs()
    angle = 2 * torch.pi * frequencies_hz.double()[None, :, None] * times
    return torch.exp(-r2 * times - r2_prime * reversible) * torch.exp(1j * angle)


def readout_factors(
    properties: Properties,
    tissues: tuple[Tissue, ...],
    frequency_range_hz: tuple[float, float],
    times: Tensor,
    *,
    amplitudes: Tensor,
    gradient_echo: bool,
    tolerance: float,
) -> Readout:
    """Factorise the evolution of all tissues over a range of frequencies.

    Args:
        properties: Relaxation of every tissue.
        tissues: Tissues with signal; rows of the coefficients.
        frequency_range_hz: Lowest and highest frequency of any tissue anywhere.
        times: Sample times about the echo, (kx,) [s].
        amplitudes: Signal of each tissue at the echo, (tissue,): how much its error counts. A
            solid has none left, but grows without bounds towards the time before the echo.
        gradient_echo: Whether T2' decays through the echo or is refocused at it.
        tolerance: Relative energy (root of sum of squares) that may be left out.
    """
    low, high = frequency_range_hz
    count = _FREQUENCIES if high > low else 1
    grid = torch.linspace(low, high, count, dtype=torch.float64)
    exact = evolution(properties, tissues, grid, times, gradient_echo=gradient_echo)
    table = exact.reshape(-1, len(times))
    weighted = (exact * amplitudes.abs().double()[:, None, None]).reshape(table.shape)
    # The small Gram matrix in time has the same right singular vectors as the long table.
    energies, vectors = torch.linalg.eigh(weighted.mH @ weighted)
    tail = energies.clamp(min=0).cumsum(0) / energies.clamp(min=0).sum()
    kept = max(1, int((tail > tolerance**2).sum()))
    chosen = vectors[:, -kept:]
    coefficients = (table @ chosen).reshape(len(tissues), count, kept)
    step = (high - low) / (count - 1) if count > 1 else 1.0
    return Readout(
        chosen.conj().to(torch.complex64).contiguous(),
        coefficients.to(torch.complex64).contiguous(),
        low,
        step,
    )
