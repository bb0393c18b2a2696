import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.rng import SampleRng
from spinforge.simulation.sampling import (
    Equispaced,
    Gaussian1D,
    LineSampling,
    PartialFourier,
    draw_line_mask,
    draw_lines,
    lines_kept,
)
from spinforge.simulation.sampling_fastmri import EquispacedFraction, Random1D

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


KINDS = [
    Gaussian1D(keep=0.3, acs_lines=9),
    Random1D(acceleration=3.5, centre_fraction=0.1),
    Random1D(acceleration=3.5, centre_fraction=0.1, exact=True),
    Equispaced(acceleration=3, acs_lines=11),
    EquispacedFraction(acceleration=3.5, centre_fraction=0.1),
    PartialFourier(fraction=0.7),
    PartialFourier(fraction=0.7, omit="positive"),
]
each_kind = pytest.mark.parametrize("sampling", KINDS, ids=lambda k: k.kind)
sizes, seeds = st.integers(48, 400), st.integers(0, 2**63 - 1)


def centre_of(result):
    """The lines that the result says are fully sampled."""
    (width,) = result.acs
    centre = len(result.mask) // 2
    return result.mask[centre - width // 2 : centre + width - width // 2]


@each_kind
@given(sizes, seeds)
def test_centre_is_fully_sampled_and_as_wide_as_stated(sampling, n_lines, seed):
    result = draw_lines(sampling, n_lines, SampleRng(seed, "m"))
    assert len(centre_of(result)) == result.acs[0]
    assert centre_of(result).all()


@each_kind
@given(sizes, seeds)
def test_count_is_the_target_or_for_fastmri_near_it(sampling, n_lines, seed):
    result = draw_lines(sampling, n_lines, SampleRng(seed, "m"))
    assert result.mask.shape == (n_lines,)
    assert result.mask.dtype == torch.bool
    assert result.acquired == result.mask.sum()
    assert result.effective_acceleration == n_lines / result.acquired
    if sampling.kind == "equispaced_fraction":
        assert abs(result.acquired - n_lines / sampling.acceleration) < 2
    elif getattr(sampling, "exact", True):
        assert result.acquired == result.target


@each_kind
def test_same_path_same_mask_whatever_else_happens(sampling):
    """No dependence on order, chunk, global generators or default number type."""
    numbers = range(12)
    whole = {i: draw_line_mask(sampling, 101, SampleRng(5, "mask", i)) for i in numbers}
    np.random.seed(1)
    torch.manual_seed(1)
    states = np.random.get_state()[1].copy(), torch.get_rng_state()
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        again = {i: draw_line_mask(sampling, 101, SampleRng(5, "mask", i)) for i in numbers[::-3]}
    finally:
        torch.set_default_dtype(default)
    assert all(torch.equal(whole[i], mask) for i, mask in again.items())
    np.testing.assert_array_equal(np.random.get_state()[1], states[0])
    assert torch.equal(torch.get_rng_state(), states[1])


def test_gaussian_density_falls_monotonically():
    """In bands of ten offsets, beyond the 16 central lines."""
    density = masks(4000).double().mean(0)
    bands = [density[99 + 10 * b : 109 + 10 * b].mean() for b in range(8)]
    assert bands == sorted(bands, reverse=True)


def test_gaussian_mask_never_changes():
    """Stored data sets depend on it; a change needs a new RNG_SCHEME."""
    mask = draw_line_mask(Gaussian1D(keep=0.25, acs_lines=4), 32, SampleRng(0, "pin"))
    assert mask.nonzero().flatten().tolist() == [10, 14, 15, 16, 17, 18, 20, 23]


def test_fastmri_random_keeps_the_expected_number_of_lines():
    sampling = Random1D(acceleration=4, centre_fraction=0.08)
    counts = np.array(
        [draw_lines(sampling, 180, SampleRng(0, "mask", i)).acquired for i in range(2000)]
    )
    # 14 central lines and 166 with chance 31/166: mean 45, variance 166 p (1 - p) = 25.2.
    assert counts.mean() == pytest.approx(45, abs=5 * (25.2 / 2000) ** 0.5)
    assert counts.var() == pytest.approx(25.2, rel=5 * (2 / 2000) ** 0.5)


@pytest.mark.parametrize("exact", [False, True])
def test_fastmri_random_density_is_flat(exact):
    sampling = Random1D(acceleration=4, centre_fraction=0.08, exact=exact)
    drawn = masks(2000, sampling).numpy()
    outside = np.delete(drawn.sum(0), range(83, 97))
    expected = 2000 * 31 / 166
    chi_square = ((outside - expected) ** 2 / (expected * (1 - 31 / 166))).sum()
    assert chi_square < 166 + 5 * (2 * 166) ** 0.5


@pytest.mark.parametrize(("acceleration", "fraction"), [(4, 0.08), (8, 0.04)])
@pytest.mark.parametrize("n_lines", [180, 320, 368])
def test_fastmri_fraction_keeps_n_over_r_lines_within_one(acceleration, fraction, n_lines):
    sampling = EquispacedFraction(acceleration=acceleration, centre_fraction=fraction)
    for index in range(40):
        acquired = draw_lines(sampling, n_lines, SampleRng(index, "m")).acquired
        assert abs(acquired - n_lines / acceleration) <= 1


def test_fastmri_fraction_by_hand():
    """40 lines, R = 4, 4 central: spacing 4 (4 - 40) / (16 - 40) = 6, offsets 0 .. 5."""
    sampling = EquispacedFraction(acceleration=4, centre_fraction=0.1)
    drawn = {
        tuple(draw_line_mask(sampling, 40, SampleRng(i, "m")).nonzero().flatten().tolist())
        for i in range(60)
    }
    expected = {tuple(sorted({*range(18, 22), *range(offset, 39, 6)})) for offset in range(6)}
    assert drawn == expected


def test_180_lines_at_r_4_with_16_acs_lines_are_57_for_every_offset():
    for offset in range(4):
        result = draw_lines(Equispaced(offset=offset), 180, SampleRng(0))
        assert (result.acquired, result.acceleration) == (57, 4)
        assert result.effective_acceleration == pytest.approx(180 / 57)
        assert result.mask[offset::4].all()


def test_every_offset_is_drawn():
    first = {
        int(draw_line_mask(Equispaced(acs_lines=0), 180, SampleRng(i, "m")).nonzero()[0])
        for i in range(60)
    }
    assert first == {0, 1, 2, 3}


@pytest.mark.parametrize("n_lines", [180, 181])
@pytest.mark.parametrize(("omit", "missing"), [("negative", 0), ("positive", -1)])
def test_partial_fourier_is_one_block_from_one_end(n_lines, omit, missing):
    result = draw_lines(PartialFourier(fraction=5 / 8, omit=omit), n_lines, SampleRng(0))
    lines = result.mask.nonzero().flatten()
    assert len(lines) == round(5 / 8 * n_lines)
    assert lines[-1] - lines[0] + 1 == len(lines)
    assert not result.mask[missing]
    assert result.mask[-1 - missing]
    # One line wider, and the symmetric centre would leave the block.
    width, centre = result.acs[0] + 1, n_lines // 2
    assert not result.mask[centre - width // 2 : centre + width - width // 2].all()


@pytest.mark.parametrize(
    ("sampling", "message"),
    [
        (Gaussian1D(acs_lines=60), r"acs_lines = 60 does not fit in the 54 lines"),
        (Random1D(centre_fraction=0.3), r"centre_fraction = 0.3 keeps 54 .* leaves only 45 of 180"),
        (EquispacedFraction(centre_fraction=0.3), r"Lower centre_fraction to 0.25 or less"),
        (Equispaced(acs_lines=181), r"acs_lines = 181 are more than the 180 lines"),
    ],
    ids=lambda value: getattr(value, "kind", ""),
)
def test_what_does_not_fit_says_what_to_change(sampling, message):
    with pytest.raises(SpinforgeError, match=message):
        draw_lines(sampling, 180, SampleRng(0))


def test_one_line_of_partial_fourier_misses_the_centre():
    with pytest.raises(SpinforgeError, match=r"fraction = 0.625 of 2 lines does not reach"):
        draw_lines(PartialFourier(fraction=5 / 8, omit="positive"), 2, SampleRng(0))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"kind": "equispaced", "acceleration": 4, "offset": 4}, "must be below acceleration = 4"),
        ({"kind": "partial_fourier", "fraction": 0.6}, "greater than or equal to 0.625"),
        ({"kind": "random1d", "acceleration": 0.5}, "greater than or equal to 1"),
        ({"kind": "random1d", "keep": 0.3}, "Extra inputs are not permitted"),
        ({"kind": "poisson"}, "does not match any of the expected tags"),
        ({"acs_line": 3}, "Extra inputs are not permitted"),
    ],
)
def test_study_files_name_valid_settings_only(content, message):
    with pytest.raises(ValidationError, match=message):
        TypeAdapter(LineSampling).validate_python(content)


@each_kind
def test_settings_survive_a_study_file(sampling):
    adapter = TypeAdapter(LineSampling)
    assert adapter.validate_json(sampling.model_dump_json()) == sampling


def test_without_a_kind_it_is_the_gaussian_of_the_paper():
    assert TypeAdapter(LineSampling).validate_python({"acs_lines": 4}) == Gaussian1D(acs_lines=4)
