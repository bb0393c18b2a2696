"""Paired tests against published tables and planted differences."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from spinforge.evaluation.comparison import (
    compare_networks,
    holm,
    rank_stability,
    signed_rank_test,
    smallest_p,
)


def scores(**networks):
    """Long table of one value a subject."""
    return pd.concat(
        pd.DataFrame(
            {
                "network": name,
                "subject": [f"s{i:02d}" for i in range(len(values))],
                "value": np.asarray(values, dtype=float),
            }
        )
        for name, values in networks.items()
    )


def test_identical_arrays_differ_with_probability_1():
    assert signed_rank_test(np.ones(10), np.ones(10)) == (1.0, 0.0)


def test_signed_ranks_of_a_hand_computed_case():
    """Differences 1, 2, 3, -4, 5: ranks for 11, against 4; exact p by counting 32 signs."""
    first = np.array([1.0, 2, 3, 0, 5])
    second = np.array([0.0, 0, 0, 4, 0])
    p, effect = signed_rank_test(first, second)
    assert effect == pytest.approx(7 / 15)
    signs = 2 * ((np.arange(32)[:, None] >> np.arange(5)) & 1) - 1
    sums = np.abs((signs * np.arange(1, 6)).sum(1))
    assert p == pytest.approx((sums >= 7).mean())


def test_holm_steps_down():
    """Four p values: .01 x 4, .02 x 3, .03 x 2, .5 x 1, never decreasing, at most 1."""
    assert holm([0.03, 0.01, 0.5, 0.02]) == pytest.approx([0.06, 0.04, 0.5, 0.06])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


def test_holm_keeps_the_error_of_the_family():
    """Of 2000 families of 6 true null hypotheses at most 5 % (+ 2 sd, 1 %) have a rejection."""
    p = np.random.default_rng(0).random((2000, 6))
    rejected = sum(min(holm(family.tolist())) <= 0.05 for family in p)
    assert rejected / 2000 <= 0.06


def test_a_planted_difference_is_found_and_has_its_sign():
    base = np.random.default_rng(0).random(12)
    a, b, c = (
        comparison
        for comparison in compare_networks(scores(good=base + 0.05, poor=base, same=base))
    )
    assert (a.first, a.second, a.verdict) == ("good", "poor", "first larger")
    assert a.mean_difference == pytest.approx(0.05)
    assert a.rank_biserial == 1.0
    assert a.p == pytest.approx(smallest_p(12))
    assert a.p_holm == pytest.approx(3 * smallest_p(12))
    assert (b.first, b.second, b.verdict) == ("good", "same", "first larger")
    assert (c.p, c.verdict) == (1.0, "not shown")


def test_slices_of_a_subject_count_once():
    rng = np.random.default_rng(0)
    table = pd.concat([scores(a=rng.random(8), b=rng.random(8)) for _ in range(40)])
    (comparison,) = compare_networks(table)
    assert comparison.pairs == 8


@pytest.mark.parametrize(("pairs", "verdict"), [(5, "too few"), (6, "first larger")])
def test_five_pairs_can_never_show_a_difference(pairs, verdict):
    """Two of 2^5 outcomes are as extreme as can be: 6 %."""
    base = np.arange(float(pairs))
    (comparison,) = compare_networks(scores(a=base + 1, b=base - np.arange(pairs)))
    assert comparison.p == pytest.approx(smallest_p(pairs), rel=1e-6)
    assert comparison.verdict == verdict


def test_equal_pairs_do_not_count_as_evidence():
    """Of eight pairs only three differ: p can not fall below 1 / 4."""
    base = np.arange(8.0)
    other = base.copy()
    other[:3] += [1, 2, 3]
    (comparison,) = compare_networks(scores(a=other, b=base))
    assert comparison.verdict == "too few"


def test_infinite_distances_are_refused():
    table = scores(a=[1.0, np.inf, 2.0], b=[1.0, 2.0, 3.0])
    for use in (compare_networks, rank_stability):
        with pytest.raises(ValueError, match="infinite values have no mean"):
            use(table)


def test_smallest_p_is_what_scipy_finds_for_all_signs_alike():
    for pairs in range(3, 12):
        assert stats.wilcoxon(np.arange(1.0, pairs + 1)).pvalue == pytest.approx(smallest_p(pairs))


def test_subjects_that_only_one_network_has_are_left_out():
    table = scores(a=np.arange(8.0), b=np.arange(6.0))
    assert compare_networks(table)[0].pairs == 6


def test_ranks_of_clearly_different_networks_are_certain():
    base = np.random.default_rng(0).random(10)
    shares = rank_stability(scores(a=base, b=base + 1, c=base - 1))
    assert shares.loc["b", 1] == shares.loc["a", 2] == shares.loc["c", 3] == 1
    distances = rank_stability(scores(a=base, b=base + 1), larger_is_better=False)
    assert distances.loc["a", 1] == 1


def test_equal_networks_share_their_ranks():
    base = np.random.default_rng(0).random(10)
    shares = rank_stability(scores(a=base, b=base))
    np.testing.assert_allclose(shares.to_numpy(), 0.5)


def test_networks_that_differ_by_noise_take_either_rank():
    rng = np.random.default_rng(3)
    shares = rank_stability(scores(a=rng.normal(size=20), b=rng.normal(size=20)))
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    np.testing.assert_allclose(shares.sum(axis=0), 1)
    assert 0.02 < shares.loc["a", 1] < 0.98


def test_without_common_subjects_there_is_no_rank():
    table = scores(a=[1.0], b=[np.nan])
    assert rank_stability(table).empty
