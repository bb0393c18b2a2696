"""The signed-rank test against every sign counted, SciPy, and Holm's correction against others."""

import itertools

import numpy as np
import pytest
from scipy import stats

from spinforge.evaluation.signed_rank import (
    EXACT_UP_TO,
    best_corrected_p,
    fewest_pairs,
    holm,
    signed_rank_test,
    smallest_p,
)


def counted_p(differences):
    """Share of all sign patterns whose rank sum is as far from its mean as the one found."""
    ranks = stats.rankdata(np.abs(differences))
    patterns = np.array(list(itertools.product([-1, 1], repeat=len(ranks))))
    sums = np.abs(patterns @ ranks)
    return (sums >= abs((np.sign(differences) * ranks).sum()) - 1e-9).mean()


def test_identical_arrays_differ_with_probability_1():
    assert signed_rank_test(np.ones(10), np.ones(10)) == (1.0, 0.0, 0)
    assert signed_rank_test(np.zeros(10), np.zeros(10)) == (1.0, 0.0, 0)
    assert signed_rank_test(np.empty(0), np.empty(0)) == (1.0, 0.0, 0)


def test_signed_ranks_of_a_hand_computed_case():
    """Differences 1, 2, 3, -4, 5: ranks for 11, against 4; 14 of 32 patterns reach 7."""
    first = np.array([1.0, 2, 3, 0, 5])
    second = np.array([0.0, 0, 0, 4, 0])
    p, effect, unequal = signed_rank_test(first, second)
    assert effect == pytest.approx(7 / 15)
    assert p == pytest.approx(14 / 32)
    assert unequal == 5


@pytest.mark.parametrize("pairs", [3, 7, 12, 30, 50])
def test_without_ties_it_is_scipys_exact_test(pairs):
    first, second = np.random.default_rng(pairs).normal(size=(2, pairs))
    first += 0.3
    expected = stats.wilcoxon(first, second, method="exact").pvalue
    assert signed_rank_test(first, second).p == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("seed", range(5))
def test_with_ties_it_is_what_counting_every_pattern_of_signs_gives(seed):
    differences = np.random.default_rng(seed).integers(1, 5, 11) * np.where(
        np.arange(11) % 3, 1, -1
    )
    found = signed_rank_test(differences.astype(float), np.zeros(11))
    assert found.p == pytest.approx(counted_p(differences), rel=1e-10)


def test_equal_pairs_are_left_out_as_wilcoxon_did():
    """Not ranked as in Pratt's variant, which SciPy calls zero_method="pratt"."""
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 12))
    with_zeros = signed_rank_test(np.append(first, [1.0, 2.0]), np.append(second, [1.0, 2.0]))
    assert with_zeros == signed_rank_test(first, second)


def test_differences_that_only_rounding_tells_apart_are_ties():
    """0.3 - 0.2, 0.4 - 0.3 and so on are five different numbers, all of them 0.1."""
    second = np.array([0.2, 0.3, 0.4, 0.5, 0.6, 0.7])
    first = second + 0.1
    first[0] = 0.1
    assert len(np.unique(np.abs(first - second))) > 1
    ties = signed_rank_test(first, second)
    assert ties.rank_biserial == pytest.approx(4 / 6)
    assert ties.p == pytest.approx(2 * (6 + 1) / 2**6)
    assert signed_rank_test(second * (1 + 1e-15), second) == (1.0, 0.0, 0)


def test_many_pairs_are_approximated_closely():
    """The first Edgeworth term of 200 pairs is 1.6 % of a p value of 1 %."""
    rng = np.random.default_rng(0)
    differences = rng.normal(size=EXACT_UP_TO) + 0.15
    exact = signed_rank_test(differences, np.zeros(EXACT_UP_TO)).p
    assert exact == pytest.approx(stats.wilcoxon(differences).pvalue, rel=0.03)
    more = np.append(differences, 0.15)
    assert signed_rank_test(more, np.zeros(len(more))).p == stats.wilcoxon(more).pvalue


def test_the_test_keeps_its_level():
    """2000 experiments without a difference at 5 %: 2 sd of the rejected share are 1 %."""
    rng = np.random.default_rng(1)
    p = [signed_rank_test(*rng.normal(size=(2, 12))).p for _ in range(2000)]
    assert 0.035 <= np.mean(np.array(p) <= 0.05) <= 0.06


def test_smallest_p_is_what_scipy_finds_for_all_signs_alike():
    for pairs in range(3, 12):
        assert stats.wilcoxon(np.arange(1.0, pairs + 1)).pvalue == pytest.approx(smallest_p(pairs))


@pytest.mark.parametrize(("comparisons", "pairs"), [(1, 6), (2, 7), (10, 9), (100, 12), (960, 16)])
def test_fewest_pairs_are_those_whose_smallest_p_survives(comparisons, pairs):
    """2^(1-n) m <= 0.05: 1/32, 2/64, 10/256, 100/2048 = .0488, 960/32768 = .029."""
    assert fewest_pairs(comparisons) == pairs
    assert smallest_p(pairs) * comparisons <= 0.05 < smallest_p(pairs - 1) * comparisons


def test_holm_steps_down():
    """Four p values: .01 x 4, .02 x 3, .03 x 2, .5 x 1, never decreasing, at most 1."""
    assert holm([0.03, 0.01, 0.5, 0.02]) == pytest.approx([0.06, 0.04, 0.5, 0.06])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


def test_holm_of_published_examples():
    """Wikipedia's four hypotheses; the example of pingouin's documentation."""
    assert np.array(holm([0.01, 0.04, 0.03, 0.005])) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    expected = [0.64, 0.012, 0.64, 0.162, 0.0015]
    assert holm([0.50, 0.003, 0.32, 0.054, 0.0003]) == pytest.approx(expected)


def test_holm_is_that_of_statsmodels():
    multitest = pytest.importorskip("statsmodels.stats.multitest", reason="needs statsmodels")
    rng = np.random.default_rng(0)
    for number in (1, 2, 7, 40, 300):
        p = np.round(rng.beta(0.3, 3, number), 3)  # with ties
        assert holm(p.tolist()) == pytest.approx(multitest.multipletests(p, method="holm")[1])


def test_holm_keeps_the_error_of_the_family():
    """Of 2000 families of 6 true null hypotheses at most 5 % (+ 2 sd, 1 %) have a rejection."""
    p = np.random.default_rng(0).random((2000, 6))
    rejected = sum(min(holm(family.tolist())) <= 0.05 for family in p)
    assert rejected / 2000 <= 0.06


def test_the_best_corrected_p_is_what_holm_gives_to_the_smallest_possible_one():
    p, unequal = [0.0001, 0.3, 0.04, 0.9], [20, 6, 9, 5]
    best = best_corrected_p(p, unequal)
    for number, pairs in enumerate(unequal):
        tried = [*p[:number], smallest_p(pairs), *p[number + 1 :]]
        assert best[number] == pytest.approx(holm(tried)[number])
    assert best_corrected_p([], []) == []
