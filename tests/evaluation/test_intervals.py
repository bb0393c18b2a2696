"""Intervals that cover what they promise, on data whose truth is known."""

import numpy as np
import pandas as pd
import pytest

from spinforge.evaluation.intervals import (
    FEWEST_CLUSTERS,
    expanded_tails,
    mean_intervals,
    resampled_means,
    resampled_weights,
)


def table(values, **columns):
    """Scores (subject, slice) as a long table."""
    subjects, slices = values.shape
    return pd.DataFrame(
        {
            "subject": np.repeat([f"s{i:02d}" for i in range(subjects)], slices),
            "value": values.ravel(),
            **columns,
        }
    )


def test_every_resample_draws_as_many_clusters_as_there_are():
    weights = resampled_weights(7, seed=0)
    assert (weights.sum(1) == 7).all()
    assert weights.mean(0) == pytest.approx(np.ones(7), abs=0.06)  # 4 sd of 4000 draws
    assert np.array_equal(weights, resampled_weights(7, seed=0))
    assert not np.array_equal(weights, resampled_weights(7, seed=1))


def test_resampled_means_weigh_cases_not_clusters():
    """Two clusters, of one case 0 and of three cases 1: drawn once each, the mean is 3 / 4."""
    means = resampled_means(
        np.array([[0.0, 3.0]]), np.array([[1.0, 3.0]]), np.array([[1, 1], [2, 0], [0, 2]])
    )
    np.testing.assert_allclose(means[:, 0], [0.75, 0.0, 1.0])


def test_a_resample_without_cases_has_no_mean():
    means = resampled_means(np.array([[0.0, 3.0]]), np.array([[0.0, 3.0]]), np.array([[2, 0]]))
    assert np.isnan(means[0, 0])


@pytest.mark.parametrize(("clusters", "subject_sd", "slice_sd"), [(10, 1.0, 1.0), (20, 1.0, 3.0)])
def test_nominal_95_percent_cover_92_to_97_percent_of_clustered_means(
    clusters, subject_sd, slice_sd
):
    """600 studies whose true mean is 0; 2 sd of the count of covered ones are 1.8 %."""
    rng = np.random.default_rng(1)
    covered = 0
    for study in range(600):
        values = subject_sd * rng.normal(size=(clusters, 1)) + slice_sd * rng.normal(
            size=(clusters, 12)
        )
        (row,) = mean_intervals(table(values, network="x"), ["network"], seed=study).itertuples()
        covered += row.low <= 0 <= row.high
    assert 0.92 <= covered / 600 <= 0.97


def test_slices_taken_for_subjects_cover_far_too_little():
    """Why clusters: the same studies, each slice its own cluster."""
    rng = np.random.default_rng(2)
    covered = 0
    for study in range(200):
        values = rng.normal(size=(10, 1)) + 0.5 * rng.normal(size=(10, 12))
        scores = table(values, network="x").assign(subject=range(120))
        (row,) = mean_intervals(scores, ["network"], seed=study).itertuples()
        covered += row.low <= 0 <= row.high
    assert covered / 200 < 0.6


def test_tails_are_wider_than_the_nominal_ones_and_tend_to_them():
    """For 5 clusters Student's 2.776 times sqrt(5 / 4) is 3.104, whose normal tail is .00096."""
    low, high = expanded_tails(5, 0.95)
    assert low == pytest.approx(0.00096, abs=1e-5)
    assert high == pytest.approx(1 - low)
    assert expanded_tails(10_000, 0.95)[0] == pytest.approx(0.025, abs=1e-4)


def test_few_clusters_get_a_mean_but_no_interval():
    values = np.ones((FEWEST_CLUSTERS - 1, 3))
    (row,) = mean_intervals(table(values, network="x"), ["network"]).itertuples()
    assert (row.mean, row.clusters, row.cases) == (1.0, FEWEST_CLUSTERS - 1, 12)
    assert np.isnan(row.low)
    assert np.isnan(row.high)


def test_undefined_cases_are_counted_not_averaged():
    values = np.ones((6, 4))
    values[2] = np.nan
    values[3, 0] = np.nan
    (row,) = mean_intervals(table(values, network="x"), ["network"]).itertuples()
    assert (row.mean, row.clusters, row.cases, row.undefined) == (1.0, 5, 19, 5)
    assert row.low == row.high == 1.0


def test_infinite_values_and_wrong_levels_are_refused():
    values = np.ones((6, 2))
    with pytest.raises(ValueError, match="level between 0 and 1"):
        mean_intervals(table(values, network="x"), ["network"], level=95.0)
    values[0, 0] = np.inf
    with pytest.raises(ValueError, match="infinite values have no mean"):
        mean_intervals(table(values, network="x"), ["network"])


def test_groups_are_told_apart_and_share_their_resamples():
    values = np.random.default_rng(0).random((8, 3))
    scores = pd.concat(
        [table(values, network="a"), table(values + 1, network="b"), table(values, network="c")]
    )
    rows = mean_intervals(scores, ["network"]).set_index("network")
    assert rows.loc["a"].equals(rows.loc["c"])
    np.testing.assert_allclose(
        rows.loc["b", ["mean", "low", "high"]].to_numpy(float),
        rows.loc["a", ["mean", "low", "high"]].to_numpy(float) + 1,
    )


def test_resamples_are_independent_of_how_many_are_computed_at_a_time():
    values = np.random.default_rng(0).random((9, 20))
    counts, weights = np.ones_like(values), resampled_weights(20, seed=0)
    together = resampled_means(values, counts, weights)
    alone = np.stack([resampled_means(values, counts, row[None])[0] for row in weights[:600]])
    np.testing.assert_allclose(together[:600], alone)
