"""Ranks of networks whose order is certain, open, or decided by the seed."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from spinforge.evaluation.rank_stability import _kendall_tau, rank_stability


def scores(**networks):
    """Long table; values are (subject) or (seed, subject)."""
    return pd.concat(
        pd.DataFrame({"network": name, "seed": seed, "subject": range(len(row)), "value": row})
        for name, values in networks.items()
        for seed, row in enumerate(np.atleast_2d(np.asarray(values, dtype=float)))
    )


def test_ranks_of_clearly_different_networks_are_certain():
    base = np.random.default_rng(0).random(10)
    found = rank_stability(scores(a=base, b=base + 1, c=base - 1))
    shares = found.shares
    assert shares.loc["b", 1] == shares.loc["a", 2] == shares.loc["c", 3] == 1
    assert found.mean_rank.to_dict() == {"a": 2, "b": 1, "c": 3}
    assert (found.kendall_tau, found.kendall_tau_low, found.subjects) == (1.0, 1.0, 10)
    distances = rank_stability(scores(a=base, b=base + 1), larger_is_better=False)
    assert distances.shares.loc["a", 1] == 1


def test_equal_networks_share_their_ranks():
    base = np.random.default_rng(0).random(10)
    found = rank_stability(scores(a=base, b=base))
    np.testing.assert_allclose(found.shares.to_numpy(), 0.5)
    assert found.mean_rank.tolist() == [1.5, 1.5]


def test_networks_that_differ_by_noise_take_either_rank():
    """The share is the probability that a resampled mean difference keeps its sign."""
    a, b = np.random.default_rng(3).normal(size=(2, 20))
    found = rank_stability(scores(a=a, b=b))
    np.testing.assert_allclose(found.shares.sum(axis=1), 1)
    np.testing.assert_allclose(found.shares.sum(axis=0), 1)
    z = (a - b).mean() / ((a - b).std() / np.sqrt(20))
    # Normal approximation; .03 is 4 sd of 3999 draws.
    assert found.shares.loc["a", 1] == pytest.approx(stats.norm.cdf(z), abs=0.03)
    kept = max(found.shares.loc["a", 1], found.shares.loc["b", 1])
    assert found.kendall_tau == pytest.approx(2 * kept - 1)


def test_a_rank_that_hangs_on_the_seed_is_uncertain_only_if_seeds_are_drawn():
    """All subjects agree; one of the seeds of `a` failed."""
    base = np.random.default_rng(0).random(10)
    table = scores(a=[base + 1, base + 1, base + 1, base - 8], b=[base - 2] * 4)
    assert rank_stability(table).shares.loc["a", 1] == 1
    found = rank_stability(table, seed_column="seed")
    # a's mean is below b's if 2 or more of 4 draws are of the failed seed... at 9 less each.
    expected = 1 - stats.binom.cdf(1, 4, 0.25)
    assert found.shares.loc["b", 1] == pytest.approx(expected, abs=0.03)
    assert found.seeds.to_dict() == {"a": 4, "b": 4}


def test_kendalls_tau_is_that_of_scipy():
    means = np.round(np.random.default_rng(0).random((30, 5)), 1)  # with ties
    taus = _kendall_tau(means, means[0])
    expected = [stats.kendalltau(row, means[0]).statistic for row in means]
    np.testing.assert_allclose(taus, expected)


def test_with_few_subjects_no_rank_is_claimed():
    base = np.arange(4.0)
    found = rank_stability(scores(a=base, b=base + 1))
    assert found.shares.isna().all().all()
    assert np.isnan(found.kendall_tau)
    assert found.subjects == 4


def test_without_common_subjects_there_is_no_rank():
    found = rank_stability(scores(a=[1.0], b=[np.nan]))
    assert found.shares.empty
    assert found.subjects == 0


def test_infinite_distances_are_refused():
    with pytest.raises(ValueError, match="infinite values have no mean"):
        rank_stability(scores(a=[1.0, np.inf]))
