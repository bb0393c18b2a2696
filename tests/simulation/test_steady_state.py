"""Sequences on configuration states against textbook equations (simulation.md 3.6)."""

import math

import closed_forms
import pytest
import torch

from spinforge.simulation import epg, steady_state
from spinforge.simulation.sequences import MPRAGE

# T1, T2 [s] of BrainWeb's table.
TISSUES = {"CSF": (2.569, 0.329), "GM": (0.833, 0.083), "WM": (0.5, 0.07), "fat": (0.35, 0.07)}
NAMES = list(TISSUES)


def column(*values):
    return torch.tensor(values, dtype=torch.float64)


def played(function, name, angle, **timing):
    t1, t2 = TISSUES[name]
    signal = function(column(t1), column(t2), column(angle), **timing)
    return signal


# Stimulated echoes of earlier repetitions, which the closed form leaves out, come back as
# exp(-TR/T1): tolerances of the specification for flip-angle errors up to 20 %.
@pytest.mark.parametrize(
    ("name", "tolerance"), [("CSF", 3e-2), ("GM", 3e-3), ("WM", 2e-4), ("fat", 2e-4)]
)
def test_spin_echo_is_near_its_closed_form(name, tolerance):
    for b1 in torch.linspace(0.8, 1.2, 9).tolist():
        (echo,) = played(steady_state.spin_echo, name, b1, tr=3.0, te=0.08).real
        expected = closed_forms.spin_echo(*TISSUES[name], tr=3.0, te=0.08, b1=b1)
        assert float(echo) == pytest.approx(expected, rel=tolerance)


@pytest.mark.parametrize("name", NAMES)
def test_spin_echo_at_the_nominal_angle_is_its_closed_form(name):
    (echo,) = played(steady_state.spin_echo, name, 1.0, tr=3.0, te=0.08).real
    expected = closed_forms.spin_echo(*TISSUES[name], tr=3.0, te=0.08)
    assert float(echo) == pytest.approx(expected, rel=1e-3)


def dual_echoes(name, b1):
    timing = {"tr": 3.3, "early_te": 0.035, "te": 0.12}
    early, late = played(steady_state.dual_echo, name, b1, **timing)
    expected = closed_forms.dual_echo(*TISSUES[name], b1=b1, **timing)
    return float(early[0].real), float(late[0].real), *expected


@pytest.mark.parametrize("name", NAMES)
def test_dual_echo_at_the_nominal_angle_is_its_closed_form(name):
    early, late, expected_early, expected_late = dual_echoes(name, 1.0)
    # The start is forgotten to exp(-14); what remains is double precision.
    assert early == pytest.approx(expected_early, rel=1e-8)
    assert late == pytest.approx(expected_late, rel=1e-8)


@pytest.mark.parametrize("name", NAMES)
def test_closed_form_misses_the_stimulated_echo_of_an_imperfect_dual_echo(name):
    _, late, _, expected_late = dual_echoes(name, 0.9)
    assert 0.05 < 1 - expected_late / late < 0.10


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("flip_deg", [5, 30, 90])
def test_ideally_spoiled_gradient_echo_is_ernsts(name, flip_deg):
    t1, t2 = TISSUES[name]
    flip = math.radians(flip_deg)
    timing = {"tr": 0.018, "te": 0.01, "increment": None}
    (echo,) = played(steady_state.gradient_echo, name, flip, **timing).real
    expected = closed_forms.ernst(t1, tr=0.018, flip=flip) * math.exp(-0.01 / t2)
    assert float(echo) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize(
    ("name", "percent"), [("WM", -1.7), ("GM", -2.0), ("fat", -1.6), ("CSF", 4.3)]
)
def test_rf_spoiling_differs_from_ernst_as_an_independent_phase_graph_found(name, percent):
    """Figures of the specification's own prototype, to the printed digit."""
    flip = math.radians(30)
    timing = {"tr": 0.018, "te": 0.0, "increment": steady_state.RF_SPOILING_INCREMENT}
    (echo,) = played(steady_state.gradient_echo, name, flip, **timing).abs()
    ratio = closed_forms.ernst(TISSUES[name][0], tr=0.018, flip=flip) / float(echo)
    assert 100 * (ratio - 1) == pytest.approx(percent, abs=0.05)


@pytest.mark.parametrize("name", NAMES)
def test_balanced_ssfp_is_freeman_and_hills(name):
    t1, t2 = TISSUES[name]
    flip = math.radians(60)
    (echo,) = played(steady_state.balanced_ssfp, name, flip, tr=0.0034, te=0.0017).real
    expected = closed_forms.freeman_hill(t1, t2, tr=0.0034, flip=flip) * math.exp(-0.0017 / t2)
    assert float(echo) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("name", ["GM", "WM", "fat"])
def test_inversion_recovery_is_its_closed_form(name):
    timing = {"tr": 11.0, "te": 0.125, "ti": 2.8}
    (echo,) = played(steady_state.inversion_recovery, name, 1.0, **timing).real
    expected = closed_forms.inversion_recovery(*TISSUES[name], **timing)
    assert float(echo) == pytest.approx(expected, rel=1e-6)


def test_inversion_at_the_null_point_leaves_nothing():
    t1, t2 = 2.569, 0.329
    ti, tr = t1 * math.log(2), 40.0
    signal = steady_state.inversion_recovery(
        column(t1), column(t2), column(1.0), tr=tr, te=0.02, ti=ti
    )
    # What is left is the incomplete recovery, exp(-TR/T1).
    assert abs(complex(signal[0])) < 2 * math.exp(-tr / t1)


@pytest.mark.parametrize("name", NAMES)
def test_mprage_is_its_recursion(name):
    t1, t2 = TISSUES[name]
    sequence = MPRAGE(kind="mprage", variation=0.0)
    signal = steady_state.mprage(column(t1), column(t2), column(1.0), sequence)
    expected = closed_forms.mprage(
        t1, tr=1.9, ti=0.9, flip=math.radians(7), spacing=0.008, echoes=176
    )
    assert float(signal[0].real) == pytest.approx(expected * math.exp(-0.00438 / t2), rel=1e-9)


@pytest.mark.parametrize("phase", [0.0, 0.4, math.pi / 2])
def test_a_pulse_is_a_rotation(phase):
    """Without gradients the states are the magnetisation vector; its length is kept."""
    states = epg.at_rest(torch.Size([1]), 1)
    for flip in (0.3, 1.1, 2.0):
        states = epg.pulse(states, column(flip), phase)
    mx_my, mz = states[0, 0, 0], states[0, 2, 0]
    assert float(mx_my.abs() ** 2 + mz.abs() ** 2) == pytest.approx(1.0, rel=1e-12)
    # Same axis: the angles add.
    assert float(mz.real) == pytest.approx(math.cos(3.4), rel=1e-12)


def test_two_gradients_of_opposite_halves_refocus():
    """Dephase, turn by 180 degrees, dephase: all transverse magnetisation is back."""
    states = epg.pulse(epg.at_rest(torch.Size([1]), 8), column(math.pi / 2), 0.0)
    states = epg.dephase(states, 3)
    assert abs(complex(epg.signal(states)[0])) == 0
    states = epg.dephase(epg.pulse(states, column(math.pi), math.pi / 2), 3)
    assert complex(epg.signal(states)[0]) == pytest.approx(1.0, abs=1e-12)
