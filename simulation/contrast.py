"""From a sequence and the tissues' relaxation to the signal of each tissue at the echo."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.sequences import (
    MPRAGE,
    REFOCUSED,
    BalancedSSFP,
    DualEcho,
    GradientEcho,
    InversionRecovery,
    PulseSequence,
    SpinEcho,
)
from spinforge.simulation.steady_state import (
    RF_SPOILING_INCREMENT,
    balanced_ssfp,
    dual_echo,
    gradient_echo,
    inversion_recovery,
    mprage,
    spin_echo,
)
from spinforge.simulation.tissue import Tissue
from spinforge.simulation.tissue_sets import Properties

B1_NODES = torch.linspace(0.5, 1.5, 41, dtype=torch.float64)
"""Relative transmit fields at which amplitudes are tabulated; 1 is among them."""


@dataclass(frozen=True)
class AmplitudeTable:
    """Signal of each tissue at the echo, over the transmit field.

    Attributes:
        values: (tissue, node) complex128 in units of the proton density, at `B1_NODES`.
    """

    values: Tensor

    def at(self, row: int, b1: Tensor) -> Tensor:
        """Signal of one tissue where the relative transmit field is `b1`; linear between nodes.

        Raises:
            SpinforgeError: If the field leaves the table.
        """
        low, high = float(B1_NODES[0]), float(B1_NODES[-1])
        if b1.numel() and (b1.min() < low or b1.max() > high):
            raise SpinforgeError(
                f"the relative transmit field spans {float(b1.min()):.2f} to "
                f"{float(b1.max()):.2f}, but signals are tabulated from {low:g} to {high:g}. "
                f"Lower scanner.b1_peak."
            )
        position = (b1 - low) * ((len(B1_NODES) - 1) / (high - low))
        lower = position.floor().clamp(max=len(B1_NODES) - 2).long()
        weight = position - lower
        values = self.values[row].to(torch.complex64).to(b1.device)
        return values[lower] * (1 - weight) + values[lower + 1] * weight


def amplitude_table(
    sequence: PulseSequence, properties: Properties, tissues: tuple[Tissue, ...]
) -> AmplitudeTable:
    """Signal of each tissue over the transmit field; as `nominal_amplitudes`."""
    return AmplitudeTable(_amplitudes(sequence, properties, tissues, B1_NODES))


def nominal_amplitudes(
    sequence: PulseSequence, properties: Properties, tissues: tuple[Tissue, ...]
) -> Tensor:
    """Steady-state signal of each tissue at the echo, where the flip angles are as set.

    All decay until the echo is in it: T2, and for a gradient echo T2' too.

    Args:
        sequence: With its drawn TR and TE.
        properties: Relaxation of every tissue.
        tissues: Order of the result.

    Returns:
        (tissue,) complex128 in units of the proton density.
    """
    nominal = torch.ones(1, dtype=torch.float64)
    return _amplitudes(sequence, properties, tissues, nominal)[:, 0]


def _amplitudes(
    sequence: PulseSequence, properties: Properties, tissues: tuple[Tissue, ...], b1: Tensor
) -> Tensor:
    """(tissue, b1) complex128."""

    def column(values: list[float]) -> Tensor:
        return torch.tensor(values, dtype=torch.float64)[:, None]

    chosen = [properties[tissue] for tissue in tissues]
    t1, t2, b1 = torch.broadcast_tensors(
        column([r.t1 for r in chosen]), column([r.t2 for r in chosen]), b1
    )
    values = _play(sequence, t1, t2, b1) * column([r.proton_density for r in chosen])
    if isinstance(sequence, REFOCUSED):
        return values
    return values * torch.exp(-sequence.te * column([r.r2_prime for r in chosen]))


def _play(sequence: PulseSequence, t1: Tensor, t2: Tensor, b1: Tensor) -> Tensor:
    tr, te = sequence.tr, sequence.te
    match sequence:
        case SpinEcho():
            return spin_echo(t1, t2, b1, tr=tr, te=te)
        case DualEcho():
            early, late = dual_echo(t1, t2, b1, tr=tr, early_te=sequence.early_te_ms * 1e-3, te=te)
            return early if sequence.echo == "early" else late
        case GradientEcho():
            flip = math.radians(sequence.flip_deg) * b1
            increment = None if sequence.spoiling == "ideal" else RF_SPOILING_INCREMENT
            return gradient_echo(t1, t2, flip, tr=tr, te=te, increment=increment)
        case InversionRecovery():
            return inversion_recovery(t1, t2, b1, tr=tr, te=te, ti=sequence.ti_ms * 1e-3)
        case MPRAGE():
            return mprage(t1, t2, b1, sequence)
        case BalancedSSFP():
            return balanced_ssfp(t1, t2, math.radians(sequence.flip_deg) * b1, tr=tr, te=te)
