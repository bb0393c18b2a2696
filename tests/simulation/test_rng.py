import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spinforge.simulation.rng import SampleRng

FIRST_UNIFORMS = [0.39788239775074585, 0.9704429511294456, 0.9817473423328215]
FIRST_NORMALS = [0.37826081413307383, 1.8528466892392472, 0.7876606020837277]

seeds = st.integers(0, 2**63 - 1)


def test_first_values_never_change():
    """Stored data sets depend on these; a change needs a new RNG_SCHEME."""
    rng = SampleRng(0, "kspace", "sub-04", "slice-012", "noise")
    assert rng.uniforms(3).tolist() == FIRST_UNIFORMS
    assert rng.normals(3) == pytest.approx(FIRST_NORMALS, rel=1e-15)


def test_gumbels_are_made_of_the_first_uniforms():
    rng = SampleRng(0, "kspace", "sub-04", "slice-012", "noise")
    assert rng.gumbels(3) == pytest.approx(-np.log(-np.log(FIRST_UNIFORMS)), rel=1e-14)


def test_first_normals_are_the_cosines_of_box_and_muller():
    """Independently of the code: radii from the first half of the stream, angles from the rest."""
    u = SampleRng(0, "kspace", "sub-04", "slice-012", "noise").uniforms(4)
    expected = [
        math.sqrt(-2 * math.log(u[i])) * turn(2 * math.pi * u[i + 2])
        for turn in (math.cos, math.sin)
        for i in (0, 1)
    ]
    drawn = SampleRng(0, "kspace", "sub-04", "slice-012", "noise").normals(4)
    assert drawn == pytest.approx(expected, rel=1e-14)


@given(seeds, st.permutations(range(6)), st.integers(1, 6))
def test_order_and_number_of_other_samples_do_not_matter(seed, order, count):
    alone = [SampleRng(seed, "sub", i).normals(4) for i in range(6)]
    for i in order[:count]:
        np.testing.assert_array_equal(SampleRng(seed, "sub", i).normals(4), alone[i])


@given(seeds, st.integers(1, 9), st.integers(1, 9))
def test_interleaved_samples_do_not_disturb_each_other(seed, first, second):
    a, b = SampleRng(seed, "a"), SampleRng(seed, "b")
    drawn = [a.uniforms(first), b.uniforms(5), a.uniforms(second)]
    whole = SampleRng(seed, "a").uniforms(first + second)
    np.testing.assert_array_equal(np.concatenate((drawn[0], drawn[2])), whole)


@given(seeds, st.integers(1, 6), st.integers(1, 6))
def test_shape_does_not_matter_only_the_count(seed, height, width):
    flat = SampleRng(seed, "x").normals(height * width)
    np.testing.assert_array_equal(SampleRng(seed, "x").normals(height, width).ravel(), flat)


@given(seeds, st.text(st.characters(codec="utf-8", exclude_characters="/"), max_size=20))
def test_same_path_same_numbers(seed, path):
    np.testing.assert_array_equal(
        SampleRng(seed, path).normals(5), SampleRng(seed, path).normals(5)
    )


@given(seeds)
def test_neighbouring_paths_share_no_number(seed):
    a, b = (SampleRng(seed, "sub", name).uniforms(8) for name in ("slice-1", "slice-2"))
    assert not set(a) & set(b)


def test_path_parts_and_seed_all_matter():
    draws = [
        SampleRng(0, "a", "b").uniforms(1)[0],
        SampleRng(1, "a", "b").uniforms(1)[0],
        SampleRng(0, "b", "a").uniforms(1)[0],
        SampleRng(0, "a").uniforms(1)[0],
    ]
    assert len(set(draws)) == 4


def test_global_state_is_neither_read_nor_changed():
    np.random.seed(1)
    before = np.random.get_state()[1].copy()
    first = SampleRng(3, "x").normals(4)
    np.testing.assert_array_equal(np.random.get_state()[1], before)
    np.random.seed(2)
    np.testing.assert_array_equal(SampleRng(3, "x").normals(4), first)


N = 400_000


def test_normals_have_standard_moments():
    x = SampleRng(1, "moments").normals(N)
    # Five standard errors: 1/sqrt(N), sqrt(2/N), sqrt(15/N), sqrt(96/N).
    assert abs(x.mean()) < 5 / N**0.5
    assert abs(x.var() - 1) < 5 * (2 / N) ** 0.5
    assert abs((x**3).mean()) < 5 * (15 / N) ** 0.5
    assert abs((x**4).mean() - 3) < 5 * (96 / N) ** 0.5


def test_uniforms_fill_the_open_interval_evenly():
    u = SampleRng(1, "uniform").uniforms(N)
    assert 0 < u.min()
    assert u.max() < 1
    counts, _ = np.histogram(u, bins=100, range=(0, 1))
    chi_square = ((counts - N / 100) ** 2 / (N / 100)).sum()
    assert chi_square < 99 + 5 * (2 * 99) ** 0.5


def test_gumbels_have_the_euler_mascheroni_mean():
    g = SampleRng(1, "gumbel").gumbels(N)
    assert g.mean() == pytest.approx(np.euler_gamma, abs=5 * (np.pi**2 / 6 / N) ** 0.5)


def test_permutation_holds_every_index_once():
    assert sorted(SampleRng(1, "p").permutation(100)) == list(range(100))


def test_a_path_has_one_meaning():
    with pytest.raises(ValueError, match="'sub/04': no part of a path may contain a slash"):
        SampleRng(0, "sub/04", "noise")
