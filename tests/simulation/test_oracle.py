"""Our engine against MRzeroCore, an independent simulator that knows nothing of our formulas.

Needs the extra `oracle`. The tolerances are those within which MRzeroCore agrees with exact sums
and isochromats; it drops states below 1e-3, and works in single precision.
"""

import importlib.util
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from spinforge.simulation import steady_state
from spinforge.simulation.coils import birdcage_maps
from spinforge.simulation.forward import Fields, encode, signal_components
from spinforge.simulation.readout import readout_factors, sample_times
from spinforge.simulation.tissue import Relaxation, Tissue

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("MRzeroCore") is None,
    reason="MRzeroCore is not installed: pip install -e '.[oracle]'",
)

SCRIPT = Path(__file__).parents[1] / "oracle" / "mrzero_signals.py"
N_READ, N_PHASE, N_COILS = 24, 20, 8
DWELL, TE, FLIP = 1e-4, 0.01, math.radians(70)
B1 = (0.7, 0.85, 1.15)

TISSUES = (Tissue.WHITE_MATTER, Tissue.GREY_MATTER, Tissue.CSF)
# Proton density, T1, T2, T2' of three tissues at 3 T.
VALUES = {
    Tissue.WHITE_MATTER: (0.77, 0.83, 0.061, 0.081),
    Tissue.GREY_MATTER: (0.86, 1.40, 0.083, 0.092),
    Tissue.CSF: (1.00, 4.16, 0.329, 0.058),
}


def label_map():
    """Rings of three tissues, (readout, phase) as MRzeroCore's x and y."""
    x = (torch.arange(N_READ) - N_READ // 2) / N_READ
    y = (torch.arange(N_PHASE) - N_PHASE // 2) / N_PHASE
    r = torch.hypot(x[:, None], 1.1 * y[None, :])
    return (r < 0.45).long() + (r < 0.33).long() + (r < 0.15).long()  # 0 is air


def off_resonance():
    x = (torch.arange(N_READ) - N_READ // 2) / N_READ
    y = (torch.arange(N_PHASE) - N_PHASE // 2) / N_PHASE
    bump = torch.exp(-((x[:, None] - 0.2) ** 2 + (y[None, :] + 0.1) ** 2) / 0.02)
    return 40 * (x[:, None] + 0.5 * y[None, :]) + 60 * bump


@pytest.fixture(scope="module")
def oracle(tmp_path_factory):
    labels = label_map()

    def values(column, air):
        table = torch.tensor([air, *(VALUES[t][column] for t in TISSUES)])
        return table[labels].numpy()

    folder = tmp_path_factory.mktemp("oracle")
    np.savez(
        folder / "input.npz",
        proton_density=values(0, 0.0),
        t1=values(1, 1.0),
        t2=values(2, 1.0),
        t2_prime=values(3, 1.0),
        off_resonance=off_resonance().numpy(),
        coils=birdcage_maps(N_COILS, (N_PHASE, N_READ))[0].mT.contiguous().numpy(),
        te=TE,
        dwell=DWELL,
        flip=FLIP,
        b1=np.array(B1),
        train_t1=VALUES[Tissue.GREY_MATTER][1],
        train_t2=VALUES[Tissue.GREY_MATTER][2],
    )
    subprocess.run(
        [sys.executable, str(SCRIPT), str(folder / "input.npz"), str(folder / "output.npz")],
        check=True,
        capture_output=True,
        cwd=folder,
    )
    with np.load(folder / "output.npz") as answer:
        return {name: torch.from_numpy(answer[name]) for name in answer.files}


def ours(amplitudes, *, gradient_echo):
    """(coil, readout, phase) k-space of the fast engine; MRzeroCore's transform is a plain sum."""
    labels = label_map()
    memberships = torch.stack([(labels == i + 1).float() for i in range(3)])
    properties = {
        t: Relaxation(t1, t2, 1 / (1 / t2 + 1 / t2_prime), density)
        for t, (density, t1, t2, t2_prime) in VALUES.items()
    }
    field = off_resonance()
    readout = readout_factors(
        properties,
        TISSUES,
        (float(field.min()), float(field.max())),
        sample_times(N_READ, 1 / (DWELL * N_READ)),
        amplitudes=amplitudes,
        gradient_echo=gradient_echo,
        tolerance=1e-7,
    )
    zero = torch.zeros(1, N_PHASE, N_READ, dtype=torch.float64)
    components = signal_components(
        memberships.mT[None].contiguous(),
        lambda row, _: amplitudes[row],
        Fields(zero, zero.float() + 1, field.mT[None].contiguous()),
        readout,
        rows=[0, 1, 2],
        shifts_hz=[0.0, 0.0, 0.0],
        gradient_echo_te=TE if gradient_echo else 0.0,
    )
    kspace = encode(components, birdcage_maps(N_COILS, (N_PHASE, N_READ)), readout.basis)[0]
    return kspace.mT * math.sqrt(N_READ * N_PHASE)


def column(index):
    return torch.tensor([VALUES[t][index] for t in TISSUES], dtype=torch.float64)


def relative_error(found, expected):
    return float((found - expected).norm() / expected.norm())


def test_spin_echo_with_eight_coils_t2_prime_and_off_resonance(oracle):
    t1, t2 = column(1), column(2)
    signal = steady_state.spin_echo(t1, t2, torch.ones_like(t1), tr=3.0, te=0.08)
    # MRzeroCore starts from equilibrium and plays one dummy: at b1 = 1 that is the steady state.
    found = ours((column(0) * signal).to(torch.complex64), gradient_echo=False)
    assert relative_error(found, oracle["spin_echo"]) <= 2e-5


def test_gradient_echo_with_eight_coils_t2_prime_and_off_resonance(oracle):
    t1, t2, t2_prime = column(1), column(2), column(3)
    signal = steady_state.gradient_echo(
        t1, t2, torch.full_like(t1, FLIP), tr=30.0, te=TE, increment=None
    )
    signal = signal * torch.exp(-TE / t2_prime)
    found = ours((column(0) * signal).to(torch.complex64), gradient_echo=True)
    assert relative_error(found, oracle["gradient_echo"]) <= 2e-5


@pytest.mark.parametrize("b1", B1)
def test_spin_echo_train_with_imperfect_pulses(oracle, b1):
    _, t1, t2, _ = (torch.tensor([v]).double() for v in VALUES[Tissue.GREY_MATTER])
    echoes = steady_state.spin_echo_train(
        t1,
        t2,
        torch.full_like(t1, b1),
        tr=60.0,
        echo_times=tuple(0.02 * n for n in range(1, 7)),
    )
    found = torch.stack([echo.abs()[0] for echo in echoes])
    assert relative_error(found, oracle[f"train_{b1:g}"].double()) <= 1e-5
