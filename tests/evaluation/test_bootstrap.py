"""The studentised bootstrap against loops over resamples, one group at a time."""

import numpy as np
import pytest
from scipy import stats

from spinforge.evaluation.bootstrap import RESAMPLES, bootstrap_intervals, resampled_weights

RNG = np.random.default_rng(0)


def clustered_error(sums, counts, first, second):
    """Mean and its standard error from the cases of one resample, written out plainly."""
    drawn = first[:, None] * second[None]
    total = (drawn * counts).sum()
    mean = (drawn * sums).sum() / total
    left = sums - mean * counts
    variance = 0.0
    if len(first) > 1:
        n = len(first)
        variance += sum(first[i] * (second @ left[i]) ** 2 for i in range(n)) * n / (n - 1)
    if len(second) > 1:
        m = len(second)
        variance += sum(second[j] * (first @ left[:, j]) ** 2 for j in range(m)) * m / (m - 1)
    return mean, np.sqrt(variance) / total


def looped_interval(sums, counts, *, seed, resamples, level):
    """Percentile-t interval of one group, by a loop."""
    n, m = sums.shape
    first = resampled_weights(n, seed=seed, resamples=resamples)
    second = (
        resampled_weights(m, seed=seed, resamples=resamples, way="other")
        if m > 1
        else np.ones((resamples, 1))
    )
    mean, error = clustered_error(sums, counts, np.ones(n), np.ones(m))
    ratios = []
    for row, column in zip(first, second, strict=True):
        drawn_mean, drawn_error = clustered_error(sums, counts, row, column)
        ratios.append((drawn_mean - mean) / drawn_error)
    rank = round((resamples + 1) * (1 - level) / 2)
    ordered = np.sort(ratios)
    return mean, error, mean - ordered[resamples - rank] * error, mean - ordered[rank - 1] * error


@pytest.mark.parametrize("shape", [(9, 1), (12, 1), (8, 6)], ids=str)
def test_all_groups_at_once_are_what_a_loop_over_each_finds(shape):
    """Unequal numbers of cases; means far from 0, so that a sloppy variance would show."""
    counts = RNG.integers(1, 6, (3, *shape)).astype(float)
    sums = counts * (100 + RNG.normal(size=(3, *shape)))
    found = bootstrap_intervals(sums, counts, seed=4, level=0.9, resamples=199)
    for group in range(3):
        expected = looped_interval(sums[group], counts[group], seed=4, resamples=199, level=0.9)
        got = (found.mean, found.standard_error, found.low, found.high)
        np.testing.assert_allclose([part[group] for part in got], expected, rtol=1e-9)
    assert not found.is_student.any()


def test_a_group_without_values_in_some_clusters_is_as_if_they_were_not_there():
    values = RNG.normal(size=(1, 7, 1))
    some = np.zeros((2, 11, 1))
    counts = np.zeros_like(some)
    some[0, [0, 2, 3, 5, 8, 9, 10]], counts[0, [0, 2, 3, 5, 8, 9, 10]] = values[0], 1
    some[1], counts[1] = RNG.normal(size=(11, 1)), 1
    found, alone = (
        bootstrap_intervals(some, counts),
        bootstrap_intervals(values, np.ones((1, 7, 1))),
    )
    assert (found.low[0], found.high[0]) == pytest.approx((alone.low[0], alone.high[0]))


def test_the_interval_moves_and_stretches_with_the_values():
    values = RNG.gamma(2.0, size=(1, 10, 1))
    one = np.ones_like(values)
    plain, changed = bootstrap_intervals(values, one), bootstrap_intervals(7 - 3 * values, one)
    assert changed.low[0] == pytest.approx(7 - 3 * plain.high[0])
    assert changed.high[0] == pytest.approx(7 - 3 * plain.low[0])


def test_of_many_clusters_it_is_the_normal_interval():
    """Of 400 normal values; the 100th of 4000 order statistics has a relative sd of 4 %."""
    values = RNG.normal(size=(1, 400, 1))
    found = bootstrap_intervals(values, np.ones_like(values))
    half = stats.norm.ppf(0.975) * values.std() / 20
    assert found.high[0] - found.low[0] == pytest.approx(2 * half, rel=0.08)


def test_skewed_values_have_a_longer_end_where_their_tail_is():
    """Where percentiles of the mean would point the other way of what is needed."""
    values = RNG.exponential(size=(1, 12, 1))
    found = bootstrap_intervals(values, np.ones_like(values))
    assert found.high[0] - found.mean[0] > found.mean[0] - found.low[0]


def test_too_many_resamples_without_spread_leave_students_interval():
    """One of five differs: a third of the resamples, (4/5)^5, hold equal values only."""
    values = np.array([1.0, 1.0, 1.0, 1.0, 0.9]).reshape(1, 5, 1)
    found = bootstrap_intervals(values, np.ones_like(values))
    assert found.is_student[0]
    half = stats.t.ppf(0.975, 4) * 0.02
    assert (found.low[0], found.high[0]) == pytest.approx((0.98 - half, 0.98 + half))


def test_equal_values_have_an_interval_of_no_width():
    values = np.full((1, 6, 1), 0.7)
    found = bootstrap_intervals(3 * values, np.full_like(values, 3))
    assert (found.low[0], found.high[0]) == pytest.approx((0.7, 0.7), abs=1e-12)


def test_groups_without_cases_or_with_one_cluster_have_no_interval():
    sums, counts = np.zeros((2, 4, 1)), np.zeros((2, 4, 1))
    sums[1, 2], counts[1, 2] = 6.0, 3.0
    found = bootstrap_intervals(sums, counts)
    assert np.isnan(found.mean[0])
    assert found.mean[1] == 2.0
    assert np.isnan([*found.low, *found.high]).all()


def test_every_resample_draws_as_many_clusters_as_there_are():
    weights = resampled_weights(7, seed=0)
    assert (weights.sum(1) == 7).all()
    assert weights.mean(0) == pytest.approx(np.ones(7), abs=0.06)  # 4 sd of 3999 draws
    assert np.array_equal(weights, resampled_weights(7, seed=0))
    assert not np.array_equal(weights, resampled_weights(7, seed=1))
    assert not np.array_equal(weights, resampled_weights(7, seed=0, way="other"))
    assert len(weights) == RESAMPLES
