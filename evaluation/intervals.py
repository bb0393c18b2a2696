"""How far to trust a mean score: intervals by the bootstrap over subjects, never over slices.

The slices of a subject are much alike, so that treating them as independent makes intervals far
too narrow. Whole subjects (or seeds) are drawn with replacement, with all their cases.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float64, Int64
from scipy import stats

from spinforge.simulation.rng import SampleRng

FEWEST_CLUSTERS = 5
"""With fewer, the resamples are so few different ones that an interval would mean nothing."""

RESAMPLES = 4000

_AT_ONCE = 500

Weights = Int64[np.ndarray, "resample cluster"]


@dataclass(frozen=True)
class Interval:
    """A mean and where it may well lie.

    Attributes:
        mean: Of all cases that have a value; NaN if none has.
        low: Lower end; NaN with fewer than `FEWEST_CLUSTERS` clusters.
        high: Upper end, likewise.
        clusters: Subjects (or seeds) with at least one value.
        cases: Values that were averaged.
        undefined: Cases without a value, such as a tissue that is in neither label map.
    """

    mean: float
    low: float
    high: float
    clusters: int
    cases: int
    undefined: int


def resampled_weights(clusters: int, *, seed: int, resamples: int = RESAMPLES) -> Weights:
    """How often each cluster is drawn in every resample.

    Args:
        clusters: Number of clusters, drawn so many times with replacement.
        seed: Seed; the same for all groups that are to be compared.
        resamples: Number of resamples.
    """
    uniforms = SampleRng(seed, "bootstrap", clusters).uniforms(resamples, clusters)
    drawn = (uniforms * clusters).astype(np.int64)
    drawn += np.arange(resamples)[:, None] * clusters
    counts = np.bincount(drawn.ravel(), minlength=resamples * clusters)
    return counts.reshape(resamples, clusters).astype(np.int64, copy=False)


def resampled_means(
    sums: Float64[np.ndarray, "group cluster"],
    counts: Float64[np.ndarray, "group cluster"],
    weights: Weights,
) -> Float64[np.ndarray, "resample group"]:
    """Mean of every group in every resample.

    Args:
        sums: Sum of the values of each group's cases in each cluster.
        counts: Number of these cases.
        weights: Of `resampled_weights`.

    Returns:
        NaN where a resample holds no case of a group.
    """
    means = np.full((len(weights), len(sums)), np.nan)
    for first in range(0, len(weights), _AT_ONCE):
        drawn = weights[first : first + _AT_ONCE].astype(np.float64)
        total = drawn @ counts.T
        np.divide(drawn @ sums.T, total, out=means[first : first + _AT_ONCE], where=total > 0)
    return means


def expanded_tails(clusters: int, level: float) -> tuple[float, float]:
    r"""Which percentiles of the resampled means make an interval.

    Plain percentiles are too narrow for few clusters, by the factor $\sqrt{(n-1)/n}$ of a
    standard deviation and by the normal instead of Student's distribution. The tail
    $\Phi(-\sqrt{n/(n-1)}\,t_{n-1})$ makes up for both.

    Source:
        Hesterberg, The American Statistician 69:371 (2015), the expanded percentile interval.
    """
    quantile = stats.t.ppf((1 - level) / 2, clusters - 1)
    tail = float(stats.norm.cdf(quantile * np.sqrt(clusters / (clusters - 1))))
    return tail, 1 - tail


def mean_intervals(
    scores: pd.DataFrame,
    by: list[str],
    *,
    cluster: str = "subject",
    seed: int = 0,
    level: float = 0.95,
) -> pd.DataFrame:
    """Mean and interval of every group of a table of scores.

    Args:
        scores: With the columns `by`, `cluster` and `value`; infinite values are refused, since
            they have no mean.
        by: Columns that tell the groups apart, such as network, tissue and metric.
        cluster: Column of what is independent of each other.
        seed: Seed of the resamples, which all groups share.
        level: Of the intervals.

    Returns:
        One row a group: the columns `by` and those of `Interval`.

    Raises:
        ValueError: If a value is infinite or `level` is not between 0 and 1.
    """
    if not 0 < level < 1:
        raise ValueError(f"need a level between 0 and 1, got {level}")
    require_finite(scores)
    cells = scores.groupby([*by, cluster], observed=True)["value"].agg(["sum", "count", "size"])
    sums, counts, sizes = (cells[what].unstack(cluster, fill_value=0) for what in cells)
    values, numbers = sums.to_numpy(np.float64), counts.to_numpy(np.float64)
    weights = resampled_weights(values.shape[1], seed=seed)
    means = resampled_means(values, numbers, weights)
    rows = [
        _interval(values[g], numbers[g], int(sizes.to_numpy()[g].sum()), means[:, g], level)
        for g in range(len(values))
    ]
    table = pd.DataFrame([row.__dict__ for row in rows], index=sums.index)
    return table.reset_index()


def require_finite(scores: pd.DataFrame) -> None:
    """Refuse the infinite distances of a tissue that is in one label map only.

    Raises:
        ValueError: If there is one.
    """
    if np.isinf(scores["value"]).any():
        raise ValueError("infinite values have no mean: leave them out and count them apart")


def _interval(
    sums: Float64[np.ndarray, " cluster"],
    counts: Float64[np.ndarray, " cluster"],
    size: int,
    means: Float64[np.ndarray, " resample"],
    level: float,
) -> Interval:
    cases, clusters = int(counts.sum()), int((counts > 0).sum())
    mean = float(sums.sum() / cases) if cases else np.nan
    low = high = np.nan
    if clusters >= FEWEST_CLUSTERS:
        low, high = np.nanquantile(means, expanded_tails(clusters, level))
    return Interval(mean, float(low), float(high), clusters, cases, size - cases)
