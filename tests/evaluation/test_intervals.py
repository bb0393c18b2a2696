"""Intervals that cover what they promise, on data whose truth is known."""

import numpy as np
import pandas as pd
import pytest

from spinforge.evaluation.bootstrap import bootstrap_intervals
from spinforge.evaluation.intervals import FEWEST_CLUSTERS, mean_intervals, replace_infinite

STUDIES = 1000
"""Of each coverage test: 2 sd of a covered share of 95 % are 1.4 %."""


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


def covered(sums, counts, truth):
    """Share of studies (groups) whose interval holds the truth; 10 draws of resamples."""
    found = [bootstrap_intervals(sums[i::10], counts[i::10], seed=i) for i in range(10)]
    return np.mean([((part.low <= truth) & (truth <= part.high)).mean() for part in found])


@pytest.mark.parametrize("subjects", [5, 8, 20])
def test_nominal_95_percent_cover_92_to_97_percent_of_clustered_means(subjects):
    """Subjects have 3 to 12 slices that are alike; the true mean is 0."""
    rng = np.random.default_rng(subjects)
    counts = rng.integers(3, 13, (STUDIES, subjects, 1)).astype(float)
    subject, slices = rng.normal(size=(2, *counts.shape))
    sums = counts * subject + np.sqrt(counts) * slices
    assert 0.92 <= covered(sums, counts, 0.0) <= 0.97


def test_nominal_95_percent_cover_92_to_97_percent_of_skewed_dice():
    """Ten subjects' Dice, a beta distribution with mean 8 / 9 and a tail towards 0."""
    values = np.random.default_rng(1).beta(8, 1, (STUDIES, 10, 1))
    assert 0.92 <= covered(values, np.ones_like(values), 8 / 9) <= 0.97


def test_nominal_95_percent_cover_92_to_97_percent_over_subjects_and_seeds():
    """Ten subjects, five seeds, and what only the pair of both explains."""
    rng = np.random.default_rng(2)
    values = rng.normal(size=(STUDIES, 10, 1)) + 0.5 * rng.normal(size=(STUDIES, 1, 5))
    values = values + 0.5 * rng.normal(size=(STUDIES, 10, 5))
    assert 0.92 <= covered(values, np.ones_like(values), 0.0) <= 0.97
    over_subjects = values.mean(2, keepdims=True)
    # Why both: those of the trained networks are not those of networks trained anew.
    assert covered(over_subjects, np.ones_like(over_subjects), 0.0) < 0.92


def test_slices_taken_for_subjects_cover_far_too_little():
    """Why clusters: ten subjects with twelve slices, each slice its own cluster."""
    rng = np.random.default_rng(3)
    values = rng.normal(size=(STUDIES, 10, 1)) + 0.5 * rng.normal(size=(STUDIES, 10, 12))
    slices = values.reshape(STUDIES, 120, 1)
    assert covered(slices, np.ones_like(slices), 0.0) < 0.6


def test_the_table_gives_what_its_cells_give():
    rng = np.random.default_rng(0)
    values = rng.random((8, 3))
    (row,) = mean_intervals(table(values, network="x"), ["network"], seed=3).itertuples()
    found = bootstrap_intervals(values.sum(1)[None, :, None], np.full((1, 8, 1), 3.0), seed=3)
    assert (row.low, row.high) == pytest.approx((found.low[0], found.high[0]))
    assert (row.standard_error, row.method) == (found.standard_error[0], "studentised bootstrap")


def test_two_ways_of_clustering_are_subjects_and_seeds():
    rng = np.random.default_rng(0)
    values = rng.random((8, 5))
    scores = pd.concat(
        [table(values[:, [k]], network="x", seed=k) for k in range(5)], ignore_index=True
    )
    (row,) = mean_intervals(scores, ["network"], cluster=("subject", "seed")).itertuples()
    found = bootstrap_intervals(values[None], np.ones((1, 8, 5)))
    assert (row.low, row.high) == pytest.approx((found.low[0], found.high[0]))
    assert (row.clusters, row.other_clusters, row.cases) == (8, 5, 40)


def test_few_clusters_get_a_mean_but_no_interval():
    values = np.random.default_rng(0).random((FEWEST_CLUSTERS - 1, 3))
    (row,) = mean_intervals(table(values, network="x"), ["network"]).itertuples()
    assert (row.clusters, row.cases, row.method) == (FEWEST_CLUSTERS - 1, 12, "none")
    assert row.mean == pytest.approx(values.mean())
    assert np.isnan([row.low, row.high, row.standard_error]).all()


def test_few_seeds_allow_no_interval_over_seeds():
    scores = pd.concat(
        [table(np.random.default_rng(k).random((9, 1)), network="x", seed=k) for k in range(4)]
    )
    (both,) = mean_intervals(scores, ["network"], cluster=("subject", "seed")).itertuples()
    (subjects,) = mean_intervals(scores, ["network"]).itertuples()
    assert np.isnan(both.low)
    assert subjects.low < subjects.mean < subjects.high


def test_undefined_cases_are_counted_not_averaged():
    values = np.ones((6, 4))
    values[2] = np.nan
    values[3, 0] = np.nan
    (row,) = mean_intervals(table(values, network="x"), ["network"]).itertuples()
    assert (row.mean, row.clusters, row.cases, row.undefined) == (1.0, 5, 19, 5)
    assert row.low == row.high == 1.0


def test_infinite_values_wrong_levels_and_missing_names_are_refused():
    scores = table(np.ones((6, 2)), network="x")
    with pytest.raises(ValueError, match="level between 0 and 1"):
        mean_intervals(scores, ["network"], level=95.0)
    with pytest.raises(ValueError, match="a value in the columns subject"):
        mean_intervals(
            scores.assign(subject=scores["subject"].mask(scores.index == 3)), ["network"]
        )
    scores.loc[0, "value"] = np.inf
    with pytest.raises(ValueError, match="1 infinite values have no mean"):
        mean_intervals(scores, ["network"])


def test_infinite_distances_become_what_is_asked_for():
    scores = pd.DataFrame({"value": [1.0, np.inf, np.nan, -np.inf]})
    assert replace_infinite(scores, 9.0)["value"].tolist()[:2] == [1.0, 9.0]
    left_out = replace_infinite(scores, None)["value"]
    assert left_out.isna().tolist() == [False, True, True, True]
    with pytest.raises(ValueError, match="need a finite distance"):
        replace_infinite(scores, np.inf)


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


def test_the_order_of_rows_does_not_matter():
    values = np.random.default_rng(0).random((8, 3))
    scores = pd.concat([table(values, network=name) for name in "ba"], ignore_index=True)
    shuffled = scores.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(
        mean_intervals(scores, ["network"]), mean_intervals(shuffled, ["network"])
    )
