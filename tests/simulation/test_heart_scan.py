"""Bands of bSSFP: the closed form against pulses played one by one, and where the bands are."""

import math

import numpy as np
import pytest
import torch

from spinforge.simulation.phantoms.heart import BSSFP, CHEST_1P5T, generate_heart, heart_image
from spinforge.simulation.phantoms.heart import heart_labels as labels_of
from spinforge.simulation.phantoms.heart_scan import (
    balanced_ssfp_off_resonance,
    banded_heart_image,
    chest_field,
)
from spinforge.simulation.tissue import FAT_TISSUES, Tissue

FLIP, TR = math.radians(BSSFP.flip_deg), BSSFP.tr


def played(frequency_hz: float, tissue: Tissue) -> complex:
    """Magnetisation at TR / 2 in the steady state, by rotations and relaxation of a vector."""
    t = CHEST_1P5T[tissue]

    def precess(m: np.ndarray, seconds: float) -> np.ndarray:
        transverse = (m[0] + 1j * m[1]) * np.exp(
            2j * np.pi * frequency_hz * seconds - seconds / t.t2
        )
        e1 = np.exp(-seconds / t.t1)
        return np.array([transverse.real, transverse.imag, m[2] * e1 + t.proton_density * (1 - e1)])

    def pulse(m: np.ndarray, angle: float) -> np.ndarray:
        c, s = np.cos(angle), np.sin(angle)
        return np.array([c * m[0] + s * m[2], m[1], -s * m[0] + c * m[2]])

    m = np.array([0.0, 0.0, t.proton_density])
    # Ten T1: what is left of the start is 5e-5 of it.
    for number in range(2 * round(10 * t.t1 / TR / 2)):
        m = precess(pulse(m, FLIP if number % 2 == 0 else -FLIP), TR)
    echo = precess(pulse(m, FLIP), TR / 2)
    return complex(echo[0], echo[1])


@pytest.mark.parametrize("tissue", [Tissue.BLOOD, Tissue.MYOCARDIUM, Tissue.FAT])
@pytest.mark.parametrize("frequency_hz", [0.0, 60.0, 140.0, -147.0, 224.0])
def test_the_closed_form_is_the_steady_state(tissue, frequency_hz):
    field = torch.full((1, 1, 1), frequency_hz)
    closed = complex(balanced_ssfp_off_resonance(field, CHEST_1P5T[tissue], flip=FLIP, tr=TR))
    # Single precision, beside the rest of the approach.
    assert closed == pytest.approx(played(frequency_hz, tissue), abs=2e-4)


def test_bands_repeat_with_the_repetition_rate_and_turn_the_sign():
    frequency = torch.linspace(-400, 400, 81).reshape(-1, 1, 1)
    blood = CHEST_1P5T[Tissue.BLOOD]
    here = balanced_ssfp_off_resonance(frequency, blood, flip=FLIP, tr=TR)
    there = balanced_ssfp_off_resonance(frequency + 1 / TR, blood, flip=FLIP, tr=TR)
    torch.testing.assert_close(there, -here, rtol=0, atol=1e-5)
    band = balanced_ssfp_off_resonance(torch.full((1, 1, 1), 0.5 / TR), blood, flip=FLIP, tr=TR)
    centre = balanced_ssfp_off_resonance(torch.zeros(1, 1, 1), blood, flip=FLIP, tr=TR)
    assert float(band.abs()) < 0.1 * float(centre.abs())


def test_without_off_resonance_only_fat_differs_from_the_plain_image():
    phantom = generate_heart("a", seed=0, spacing_mm=4.0)
    plain = heart_image(phantom)
    banded = banded_heart_image(phantom, torch.zeros_like(plain))
    fat = sum((phantom.membership(t) for t in FAT_TISSUES), start=torch.zeros_like(plain))
    assert bool((fat == 0).any())
    # Phase graphs in double precision against the closed form in single.
    torch.testing.assert_close(banded[fat == 0], plain[fat == 0], rtol=1e-4, atol=1e-6)


def test_the_field_comes_from_the_lungs_and_is_shimmed_over_the_heart():
    phantom = generate_heart("a", seed=0, spacing_mm=4.0)
    labels = labels_of(phantom)
    field = chest_field(phantom, labels)
    inside = field[labels > 0]
    # A least-squares fit that has a constant among its terms leaves none; the fit is on the tissue
    # of the heart's voxels, not on whole ones.
    assert abs(float(inside.mean())) < 0.1 * float(inside.std())
    # At 1.5 T lungs bend the field over the heart by tens of hertz (Reeder, MRM 39:988, 1998).
    assert 15 < float(inside.std()) < 80
