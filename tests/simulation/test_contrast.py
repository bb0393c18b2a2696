import math

import pytest
import torch
from pydantic import ValidationError

from spinforge.simulation.contrast import B1_NODES, amplitude_table, nominal_amplitudes
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.rng import SampleRng
from spinforge.simulation.sequences import (
    MPRAGE,
    DualEcho,
    GradientEcho,
    InversionRecovery,
    SpinEcho,
    draw_timing,
)
from spinforge.simulation.tissue import HEAD_TISSUES, Relaxation, Tissue
from spinforge.simulation.tissue_sets import TISSUE_SETS

PROPERTIES = TISSUE_SETS["brainweb_1p5T"].properties
LISTED = (Tissue.CSF, Tissue.GREY_MATTER, Tissue.WHITE_MATTER, Tissue.FAT, Tissue.MUSCLE_SKIN)

# BrainWeb's contrasts and SERANet's, from the signal equations of BrainWeb's own simulator, worked
# out independently of this code.
GOLDEN = [
    (GradientEcho(kind="gradient_echo"), [0.0210, 0.0521, 0.0702, 0.1189, 0.0469]),
    (DualEcho(kind="dual_echo"), [0.4930, 0.1981, 0.1384, 0.1801, 0.0756]),
    (DualEcho(kind="dual_echo", echo="early"), [0.6384, 0.5517, 0.4662, 0.6065, 0.4610]),
    (SpinEcho(), [0.5326, 0.3182, 0.2448, 0.3188, 0.1752]),
]


@pytest.mark.parametrize(("sequence", "expected"), GOLDEN, ids=["T1", "T2", "PD", "SERANet"])
def test_golden_tissue_values(sequence, expected):
    amplitudes = nominal_amplitudes(sequence, PROPERTIES, LISTED)
    assert amplitudes.real.tolist() == pytest.approx(expected, abs=1e-4)
    assert amplitudes.imag.abs().max() < 1e-12


def test_table_at_the_nominal_angle_is_the_nominal_amplitude():
    table = amplitude_table(SpinEcho(), PROPERTIES, HEAD_TISSUES)
    nominal = nominal_amplitudes(SpinEcho(), PROPERTIES, HEAD_TISSUES)
    for row in range(len(HEAD_TISSUES)):
        assert complex(table.at(row, torch.ones(1))[0]) == pytest.approx(
            complex(nominal[row]), rel=1e-6
        )


def test_table_is_linear_between_its_nodes():
    table = amplitude_table(SpinEcho(), PROPERTIES, LISTED)
    between = (B1_NODES[7] + B1_NODES[8]) / 2
    expected = (table.values[2, 7] + table.values[2, 8]) / 2
    assert complex(table.at(2, between.float()[None])[0]) == pytest.approx(
        complex(expected), rel=1e-6
    )


def test_transmit_field_outside_the_table_is_refused():
    table = amplitude_table(SpinEcho(), PROPERTIES, LISTED)
    with pytest.raises(SpinforgeError, match=r"spans 0\.40 to 1\.00.*Lower scanner\.b1_peak"):
        table.at(0, torch.tensor([0.4, 1.0]))


def test_gradient_echo_decays_with_t2_star_and_spin_echo_with_t2():
    short, long = (
        nominal_amplitudes(
            GradientEcho(kind="gradient_echo", tr_ms=500, te_ms=te), PROPERTIES, LISTED
        ).abs()
        for te in (5.0, 15.0)
    )
    t2_star = torch.tensor([PROPERTIES[t].t2_star for t in LISTED], dtype=torch.float64)
    torch.testing.assert_close(long / short, torch.exp(-0.010 / t2_star), rtol=1e-9, atol=0)


def test_tissue_without_protons_is_silent():
    silent = PROPERTIES | {Tissue.FAT: Relaxation(1.0, 1.0, 1.0, 0.0)}
    assert complex(nominal_amplitudes(SpinEcho(), silent, (Tissue.FAT,))[0]) == 0


def test_timing_stays_within_its_variation_and_differs_between_subjects():
    drawn = [draw_timing(SpinEcho(), SampleRng(0, f"s{n}")) for n in range(200)]
    tr, te = [d.tr for d in drawn], [d.te for d in drawn]
    assert 2.85 <= min(tr) < 2.87 < 3.13 < max(tr) <= 3.15
    assert 0.076 <= min(te) < 0.0765 < 0.0835 < max(te) <= 0.084
    assert len(set(tr)) == 200


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SpinEcho(tr_ms=100, te_ms=99), "the echo must fit in the repetition"),
        (
            lambda: InversionRecovery(kind="inversion_recovery", tr_ms=2800),
            "must fit in the repetition",
        ),
        (lambda: DualEcho(kind="dual_echo", early_te_ms=130), "early_te_ms = 130 must lie before"),
        (lambda: MPRAGE(kind="mprage", ti_ms=300), "half the train, 704 ms, must fit in ti_ms"),
        (lambda: MPRAGE(kind="mprage", te_ms=9), "must be below echo_spacing_ms = 8"),
    ],
)
def test_sequences_that_cannot_be_played_are_refused(make, message):
    with pytest.raises(ValidationError, match=message):
        make()


def test_flair_suppresses_fluid():
    """At 3 T with TI 2.8 s the fluid of the literature's T1 is near its null, GM is not."""
    properties = TISSUE_SETS["literature_3T"].properties
    flair = nominal_amplitudes(InversionRecovery(kind="inversion_recovery"), properties, LISTED)
    assert abs(complex(flair[0])) < 0.35 * math.hypot(flair[1].real, flair[1].imag)
