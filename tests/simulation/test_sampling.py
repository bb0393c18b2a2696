import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.rng import SampleRng
from spinforge.simulation.sampling import Gaussian1D, draw_line_mask, lines_kept

PAPER = Gaussian1D()


def masks(count, sampling=PAPER, n_lines=180):
    drawn = [draw_line_mask(sampling, n_lines, SampleRng(0, "mask", i)) for i in range(count)]
    return torch.stack(drawn)


def test_paper_keeps_exactly_54_of_180_lines():
    assert masks(300).sum(1).tolist() == [54] * 300


def test_paper_always_keeps_the_16_centre_lines():
    # Offsets -8 .. 7 from the zero frequency at index 90.
    assert masks(300)[:, 82:98].all()


@settings(max_examples=60)
@given(
    st.integers(8, 300),
    st.floats(0.05, 1.0),
    st.integers(0, 20),
    st.floats(0.05, 2.0),
    st.integers(0, 2**32),
)
def test_count_and_centre_hold_for_any_setting(n_lines, keep, acs_lines, sigma_fraction, seed):
    sampling = Gaussian1D(keep=keep, acs_lines=acs_lines, sigma_fraction=sigma_fraction)
    if acs_lines > round(keep * n_lines):
        with pytest.raises(SpinforgeError, match="acs_lines"):
            lines_kept(sampling, n_lines)
        return
    mask = draw_line_mask(sampling, n_lines, SampleRng(seed, "m"))
    assert mask.sum() == round(keep * n_lines)
    centre = n_lines // 2
    assert mask[centre - acs_lines // 2 : centre + acs_lines - acs_lines // 2].all()


def test_density_falls_like_the_gaussian():
    """Empirical density at six offsets, measured on another implementation (4000 seeds)."""
    density = masks(4000).double().mean(0)
    for offset, expected in (
        (10, 0.54),
        (20, 0.49),
        (30, 0.38),
        (45, 0.23),
        (60, 0.10),
        (85, 0.02),
    ):
        both_sides = (density[90 + offset] + density[90 - offset]) / 2
        # The reference is rounded to 0.01; 8000 Bernoulli draws have a standard error of 0.0056.
        assert both_sides == pytest.approx(expected, abs=0.005 + 3 * 0.0056)


def test_density_is_symmetric():
    drawn = masks(2000).numpy()
    left, right = drawn[:, 1:82].sum(0)[::-1], drawn[:, 99:180].sum(0)
    chi_square = ((left - right) ** 2 / np.maximum(left + right, 1)).sum()
    assert chi_square < 81 + 5 * (2 * 81) ** 0.5


def test_too_many_acs_lines_say_what_to_change():
    with pytest.raises(SpinforgeError, match=r"acs_lines = 60 does not fit in the 54 lines"):
        lines_kept(Gaussian1D(acs_lines=60), 180)
