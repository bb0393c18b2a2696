r"""Extended phase graphs: what a train of pulses makes of the magnetisation.

The configuration states $F^+_k, F^-_k, Z_k$ are the Fourier components of the magnetisation
along the direction of the crusher gradients; pulses mix them, gradients shift $k$, relaxation
damps them. Stimulated echoes are therefore in the signal, which closed formulas leave out.

Everything works on a batch, one entry a tissue and flip-angle error.

Source: Weigel, J Magn Reson Imaging 41:266 (2015).
"""

import math

import torch
from torch import Tensor

States = Tensor
"""(..., 3, order) complex128: rows $F_k$, $F_{-k}^*$ and $Z_k$, k = 0, 1, ..."""


def at_rest(shape: torch.Size, orders: int) -> States:
    """Thermal equilibrium: Z of order 0 is 1."""
    states = torch.zeros((*shape, 3, orders), dtype=torch.complex128)
    states[..., 2, 0] = 1
    return states


def pulse(states: States, flip: Tensor, phase: float) -> States:
    """Rotate by a pulse without duration.

    Args:
        states: Before the pulse.
        flip: Flip angle, one an entry of the batch [rad].
        phase: Phase of the pulse; 0 rotates about x [rad].
    """
    half_cos, half_sin = torch.cos(flip / 2) ** 2, torch.sin(flip / 2) ** 2
    sine, cosine = torch.sin(flip), torch.cos(flip)
    turn = complex(math.cos(phase), math.sin(phase))
    back = turn.conjugate()
    rows = [
        (half_cos + 0j, turn**2 * half_sin, -1j * turn * sine),
        (back**2 * half_sin, half_cos + 0j, 1j * back * sine),
        (-0.5j * back * sine, 0.5j * turn * sine, cosine + 0j),
    ]
    rotation = torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)
    return rotation.to(states.dtype) @ states


def relax(states: States, duration: float, t1: Tensor, t2: Tensor) -> States:
    """Let T1 and T2 act for a while.

    Args:
        states: At the start.
        duration: Time [s].
        t1: One an entry of the batch [s].
        t2: One an entry of the batch [s].
    """
    longitudinal, transverse = torch.exp(-duration / t1), torch.exp(-duration / t2)
    damping = torch.stack((transverse, transverse, longitudinal), dim=-1)
    relaxed = states * damping[..., None]
    relaxed[..., 2, 0] += 1 - longitudinal
    return relaxed


def dephase(states: States, cycles: int) -> States:
    """Act with a gradient that adds `cycles` to the order of every transverse state.

    States beyond the last order are dropped; with enough orders they could not come back.
    """
    shifted = torch.zeros_like(states)
    shifted[..., 2, :] = states[..., 2, :]
    shifted[..., 0, cycles:] = states[..., 0, :-cycles]
    shifted[..., 1, :-cycles] = states[..., 1, cycles:]
    # Order -k, kept as the conjugate in F-, becomes order cycles - k >= 0.
    shifted[..., 0, :cycles] = states[..., 1, 1 : cycles + 1].flip(-1).conj()
    return shifted


def spoil(states: States) -> States:
    """Destroy all transverse magnetisation, as an ideal spoiler does."""
    kept = states.clone()
    kept[..., :2, :] = 0
    return kept


def signal(states: States, phase: float = 0.0) -> Tensor:
    """Demodulated signal: 1 after a 90 degree pulse of that phase from equilibrium; (...)."""
    return 1j * complex(math.cos(phase), -math.sin(phase)) * states[..., 0, 0]
