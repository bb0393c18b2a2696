"""What each sequence makes of the magnetisation once it repeats itself.

The sequences are played on configuration states (epg.py). Flip angles are the actual ones:
nominal times the relative transmit field B1+. Inversion pulses are adiabatic, so B1+ leaves them
alone. At the end of a repetition of spin echoes nothing transverse is left, but what imperfect
pulses stored along the field comes back as stimulated echoes.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from spinforge.simulation import epg
from spinforge.simulation.sequences import MPRAGE

RF_SPOILING_INCREMENT = math.radians(117)
"""Quadratic phase increment of RF spoiling (Zur et al., Magn Reson Med 21:251, 1991)."""

_HALF_TURN, _QUARTER_TURN = math.pi, math.pi / 2
_CRUSHER = 2
"""Orders by which the gradients around a refocusing pulse dephase."""

_ORDERS = 64
"""Configuration orders kept; a state this far out has been through many repetitions."""

_RECOVERY = 14.0
"""Longest T1 in repetitions: exp(-14) < 1e-6 of the start is left."""


def spin_echo(t1: Tensor, t2: Tensor, b1: Tensor, *, tr: float, te: float) -> Tensor:
    """Repeated 90-180 spin echo with crushers.

    Args:
        t1: One an entry of the batch [s].
        t2: One an entry of the batch [s].
        b1: Relative transmit field, one an entry of the batch [1].
        tr: Repetition time [s].
        te: Echo time [s].

    Returns:
        Signal at the echo as complex128, relative to full transverse magnetisation.
    """
    (echo,) = spin_echo_train(t1, t2, b1, tr=tr, echo_times=(te,))
    return echo


def dual_echo(
    t1: Tensor, t2: Tensor, b1: Tensor, *, tr: float, early_te: float, te: float
) -> tuple[Tensor, Tensor]:
    """Repeated 90-180-180: both echoes, as `spin_echo`."""
    early, late = spin_echo_train(t1, t2, b1, tr=tr, echo_times=(early_te, te))
    return early, late


def spin_echo_train(
    t1: Tensor, t2: Tensor, b1: Tensor, *, tr: float, echo_times: tuple[float, ...]
) -> list[Tensor]:
    """Repeated 90 degree pulse with a 180 degree pulse halfway to each echo (CPMG phases).

    Arguments as `spin_echo`; the echoes are at `echo_times` [s].
    """
    states = epg.at_rest(t1.shape, _ORDERS)
    signals: list[Tensor] = []
    for _ in range(_repetitions(t1, tr)):
        signals, now = [], 0.0
        states = epg.pulse(states, _QUARTER_TURN * b1, 0.0)
        for echo_time in echo_times:
            half = (echo_time - now) / 2
            states = epg.dephase(epg.relax(states, half, t1, t2), _CRUSHER)
            states = epg.pulse(states, _HALF_TURN * b1, _QUARTER_TURN)
            states = epg.relax(epg.dephase(states, _CRUSHER), half, t1, t2)
            signals.append(epg.signal(states))
            now = echo_time
        states = epg.relax(epg.spoil(states), tr - now, t1, t2)
    return signals


def gradient_echo(
    t1: Tensor, t2: Tensor, flip: Tensor, *, tr: float, te: float, increment: float | None
) -> Tensor:
    """Spoiled gradient echo.

    Args:
        t1: One an entry of the batch [s].
        t2: One an entry of the batch [s].
        flip: Actual flip angle, one an entry of the batch [rad].
        tr: Repetition time [s].
        te: Echo time [s].
        increment: Quadratic phase increment of RF spoiling [rad]; None spoils ideally.

    Returns:
        Signal at the echo as complex128, without the reversible decay until then.
    """
    decay = torch.exp(-te / t2)
    if increment is None:

        def repetition(states: epg.States) -> epg.States:
            return epg.relax(epg.spoil(epg.pulse(states, flip, 0.0)), tr, t1, t2)

        return epg.signal(epg.pulse(_steady_state(repetition, t1.shape), flip, 0.0)) * decay

    states, phase, step, echo = epg.at_rest(t1.shape, 2 * _ORDERS), 0.0, 0.0, torch.zeros(0)
    for _ in range(_repetitions(t1, tr)):
        states = epg.pulse(states, flip, phase)
        echo = epg.signal(states, phase)
        states = epg.dephase(epg.relax(states, tr, t1, t2), 1)
        step = math.remainder(step + increment, 2 * math.pi)
        phase = math.remainder(phase + step, 2 * math.pi)
    return echo * decay


def inversion_recovery(
    t1: Tensor, t2: Tensor, b1: Tensor, *, tr: float, te: float, ti: float
) -> Tensor:
    """Inversion, TI, then a 90-180 spin echo; negative where the magnetisation still is."""

    def until_excitation(states: epg.States) -> epg.States:
        inverted = epg.spoil(epg.pulse(states, torch.full_like(t1, _HALF_TURN), 0.0))
        return epg.relax(inverted, ti, t1, t2)

    states = epg.at_rest(t1.shape, _ORDERS)
    echo = torch.zeros(0)
    for _ in range(_repetitions(t1, tr)):
        states = epg.pulse(until_excitation(states), _QUARTER_TURN * b1, 0.0)
        states = epg.dephase(epg.relax(states, te / 2, t1, t2), _CRUSHER)
        states = epg.pulse(states, _HALF_TURN * b1, _QUARTER_TURN)
        states = epg.relax(epg.dephase(states, _CRUSHER), te / 2, t1, t2)
        echo = epg.signal(states)
        states = epg.relax(epg.spoil(states), tr - ti - te, t1, t2)
    return echo


def mprage(t1: Tensor, t2: Tensor, b1: Tensor, sequence: MPRAGE) -> Tensor:
    """Inversion, then ideally spoiled echoes; the middle one of the train, signed.

    The reversible decay until TE is left out, as in `gradient_echo`.

    Source:
        Mugler and Brookeman, Magn Reson Med 15:152 (1990).
    """
    spacing, before = sequence.echo_spacing_ms * 1e-3, sequence.echoes // 2
    ti = sequence.ti_ms * 1e-3
    flip = math.radians(sequence.flip_deg) * b1
    rest = sequence.tr - ti - (sequence.echoes - before) * spacing

    def echoes(states: epg.States, count: int) -> epg.States:
        for _ in range(count):
            states = epg.relax(epg.spoil(epg.pulse(states, flip, 0.0)), spacing, t1, t2)
        return states

    def until_centre(states: epg.States) -> epg.States:
        inverted = epg.spoil(epg.pulse(states, torch.full_like(t1, _HALF_TURN), 0.0))
        return echoes(epg.relax(inverted, ti - before * spacing, t1, t2), before)

    def repetition(states: epg.States) -> epg.States:
        train = echoes(until_centre(states), sequence.echoes - before)
        return epg.relax(train, rest, t1, t2)

    centre = until_centre(_steady_state(repetition, t1.shape))
    return epg.signal(epg.pulse(centre, flip, 0.0)) * torch.exp(-sequence.te / t2)


def balanced_ssfp(t1: Tensor, t2: Tensor, flip: Tensor, *, tr: float, te: float) -> Tensor:
    """Balanced steady state on resonance, pulses of alternating sign; at the echo.

    Source:
        Freeman and Hill, J Magn Reson 4:366 (1971), whose steady state this solves for.
    """

    def repetition(states: epg.States) -> epg.States:
        # Seen from a frame that turns by half a turn a repetition, all pulses are alike.
        relaxed = epg.relax(epg.pulse(states, flip, 0.0), tr, t1, t2)
        relaxed[..., :2, :] *= -1
        return relaxed

    origin = torch.zeros((*t1.shape, 3, 1), dtype=torch.complex128)
    start = repetition(origin)
    columns = []
    for row in range(3):
        unit = origin.clone()
        unit[..., row, 0] = 1
        columns.append((repetition(unit) - start)[..., 0])
    matrix = torch.eye(3, dtype=torch.complex128) - torch.stack(columns, dim=-1)
    steady = torch.linalg.solve(matrix, start)
    return epg.signal(epg.pulse(steady, flip, 0.0)) * torch.exp(-te / t2)


def _repetitions(t1: Tensor, tr: float) -> int:
    """Repetitions until the start is forgotten."""
    return max(2, math.ceil(_RECOVERY * float(t1.max()) / tr))


def _steady_state(repetition: Callable[[epg.States], epg.States], shape: torch.Size) -> epg.States:
    """State that a repetition which leaves only longitudinal magnetisation returns to.

    Such a repetition is Z -> a Z + b, so two tries tell a and b.
    """
    full = epg.at_rest(shape, 1)
    from_zero = repetition(torch.zeros_like(full))
    gain = repetition(full) - from_zero
    steady = torch.zeros_like(full)
    steady[..., 2, 0] = from_zero[..., 2, 0] / (1 - gain[..., 2, 0])
    return steady
