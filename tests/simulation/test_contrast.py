import csv
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from spinforge.simulation.contrast import SpinEcho, draw_timing, spin_echo, tissue_amplitudes
from spinforge.simulation.rng import SampleRng
from spinforge.simulation.tissue import HEAD_TISSUES, Relaxation, Tissue
from spinforge.simulation.tissue_sets import BRAINWEB_1P5T

GOLDEN = Path(__file__).parent.parent / "golden" / "spin_echo_3000_80.csv"


def golden_table():
    """Tissue values of a 3000/80 ms spin echo; the file says where they come from."""
    lines = [line for line in GOLDEN.read_text().splitlines() if not line.startswith("#")]
    return [(row["tissue"], float(row["signal"])) for row in csv.DictReader(lines)]


@pytest.mark.parametrize(("tissue", "signal"), golden_table())
def test_spin_echo_equals_the_golden_table(tissue, signal):
    # 1e-4: the table is rounded to four decimals.
    amplitudes = tissue_amplitudes(BRAINWEB_1P5T, HEAD_TISSUES, tr=3.0, te=0.080)
    assert amplitudes[Tissue[tissue]].item() == pytest.approx(signal, abs=1e-4)


def test_full_recovery_and_no_decay_give_the_proton_density():
    tissue = Relaxation(t1=0.5, t2=1e9, t2_star=1.0, proton_density=0.77)
    assert spin_echo(tissue, tr=1e4, te=1e-6) == pytest.approx(0.77, rel=1e-9)


def test_echo_decays_with_t2():
    tissue = BRAINWEB_1P5T[Tissue.WHITE_MATTER]
    early, late = (spin_echo(tissue, tr=1e3, te=te) for te in (0.050, 0.050 + tissue.t2))
    # TR is so long that TE changes the recovery by less than exp(-1000).
    assert late / early == pytest.approx(0.36787944117, rel=1e-9)


def test_saturates_like_a_bloch_integration():
    """Independent: follow M_z through 90 - TE/2 - 180 - rest of TR until it repeats."""
    tissue, tr, te = BRAINWEB_1P5T[Tissue.GREY_MATTER], 1.2, 0.1
    mz = 1.0
    for _ in range(50):
        transverse = mz
        mz = 1 - (1 - 0.0) * torch.exp(torch.tensor(-te / 2 / tissue.t1)).double().item()
        mz = 1 - (1 + mz) * torch.exp(torch.tensor(-(tr - te / 2) / tissue.t1)).double().item()
    expected = tissue.proton_density * transverse * torch.exp(torch.tensor(-te / tissue.t2)).item()
    assert spin_echo(tissue, tr=tr, te=te) == pytest.approx(expected, rel=1e-6)


def test_background_and_skull_give_no_signal():
    amplitudes = tissue_amplitudes(BRAINWEB_1P5T, HEAD_TISSUES, tr=3.0, te=0.080)
    assert amplitudes[Tissue.BACKGROUND] == 0
    assert amplitudes[Tissue.SKULL] < 1e-9


@pytest.mark.parametrize(("tr", "te"), [(0.08, 0.08), (3.0, 0.0), (0.05, 0.08)])
def test_refuses_an_echo_outside_the_repetition(tr, te):
    with pytest.raises(ValueError, match="need 0 < te < tr"):
        spin_echo(BRAINWEB_1P5T[Tissue.CSF], tr=tr, te=te)


def test_timing_is_uniform_within_the_variation():
    sequence = SpinEcho(tr_ms=3000, te_ms=80, variation=0.05)
    drawn = [draw_timing(sequence, SampleRng(0, f"sub-{i}")) for i in range(400)]
    tr, te = torch.tensor(drawn, dtype=torch.float64).T
    assert tr.min() >= 2.85
    assert tr.max() <= 3.15
    assert te.min() >= 0.076
    assert te.max() <= 0.084
    # Standard error of the mean of 400 uniform draws of width w is w / sqrt(12 * 400).
    assert abs(tr.mean() - 3.0) < 4 * 0.3 / (12 * 400) ** 0.5
    assert abs(te.mean() - 0.08) < 4 * 0.008 / (12 * 400) ** 0.5


def test_configurations_whose_echo_may_not_fit_are_refused():
    with pytest.raises(ValidationError, match="the echo must fit in the repetition"):
        SpinEcho(tr_ms=85, te_ms=80, variation=0.05)
