r"""Studentised cluster bootstrap of many means at once: the arithmetic behind `intervals.py`.

Whole clusters (subjects) are drawn with replacement; with two ways of clustering (subjects and
training seeds, every network of a seed having seen every subject) both are, independently, and a
case counts as often as the product says: the pigeonhole bootstrap. Each resample's mean is divided
by its own standard error, so that few clusters and skewed scores, such as Dice near 1, are made up
for; `docs/statistics.md` has the coverage of this and of what was not chosen.

Sources:
    Owen, Ann. Appl. Stat. 1(2):386 (2007); Owen and Eckles, Ann. Appl. Stat. 6(3):895 (2012);
    Davison and Hinkley, Bootstrap Methods and their Application (1997), section 5.2;
    Cameron, Gelbach and Miller, Rev. Econ. Stat. 90(3):414 (2008), clustered percentile-t.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64
from numpy.typing import NDArray
from scipy import stats

from spinforge.simulation.rng import SampleRng

RESAMPLES = 3999
"""So that 2.5 % of one more than these is a whole number."""

_AT_ONCE = 64
"""Resamples whose sums over one way of clustering are held in memory together."""

_NO_SPREAD = 1e-12
"""Variance, relative to that of the whole sample, that is only rounding."""

Weights = Int64[np.ndarray, "resample cluster"]
OtherWeights = Int64[np.ndarray, "resample other"]
Cells = Float64[np.ndarray, "group cluster other"]
PerGroup = Float64[np.ndarray, " group"]
PerResample = Float64[np.ndarray, "resample group"]


@dataclass(frozen=True)
class BootstrapIntervals:
    """One interval a group.

    Attributes:
        mean: Of all cases; NaN without any.
        standard_error: Of the mean, clustered; NaN with fewer than two clusters in a way.
        low: Lower end; NaN with fewer than two clusters.
        high: Upper end, likewise.
        is_student: Whether Student's t stands in: more resamples than the tail holds had no spread.
    """

    mean: PerGroup
    standard_error: PerGroup
    low: PerGroup
    high: PerGroup
    is_student: Bool[np.ndarray, " group"]


def resampled_weights(
    clusters: int, *, seed: int, resamples: int = RESAMPLES, way: str = "subject"
) -> Weights:
    """How often each cluster is drawn in every resample.

    Args:
        clusters: Number of clusters, drawn so many times with replacement.
        seed: Seed; the same for all groups that are to be compared.
        resamples: Number of resamples.
        way: What is drawn; two ways of clustering are drawn independently.
    """
    uniforms = SampleRng(seed, "bootstrap", way, clusters).uniforms(resamples, clusters)
    drawn = (uniforms * clusters).astype(np.int64)
    drawn += np.arange(resamples)[:, None] * clusters
    counts = np.bincount(drawn.ravel(), minlength=resamples * clusters)
    return counts.reshape(resamples, clusters).astype(np.int64, copy=False)


def bootstrap_intervals(
    sums: Cells, counts: Cells, *, seed: int = 0, level: float = 0.95, resamples: int = RESAMPLES
) -> BootstrapIntervals:
    """Means of groups and their studentised bootstrap intervals.

    Groups with values in the same clusters share their resamples, and all of them are two or three
    matrix products. A group draws from the clusters in which it has values only.

    Args:
        sums: Sum of the values of each group's cases, by cluster and by the other way of clustering
            (length 1 if there is one way only).
        counts: Number of these cases.
        seed: Seed of the resamples.
        level: Of the intervals.
        resamples: Number of resamples.
    """
    groups = len(sums)
    mean, error, low, high = np.full((4, groups), np.nan)
    result = BootstrapIntervals(mean, error, low, high, np.zeros(groups, dtype=bool))
    present = np.concatenate([(counts > 0).any(2), (counts > 0).any(1)], axis=1)
    patterns, which = np.unique(present, axis=0, return_inverse=True)
    for number, pattern in enumerate(patterns):
        members = np.flatnonzero(which.ravel() == number)
        rows, columns = pattern[: sums.shape[1]], pattern[sums.shape[1] :]
        part = (members[:, None, None], np.flatnonzero(rows)[:, None], np.flatnonzero(columns))
        if rows.any():
            _fill(result, members, sums[part], counts[part], seed, level, resamples)
    return result


def _fill(
    result: BootstrapIntervals,
    members: NDArray[np.intp],
    sums: Cells,
    counts: Cells,
    seed: int,
    level: float,
    resamples: int,
) -> None:
    """The intervals of groups that have values in every cluster."""
    total = counts.sum((1, 2))
    mean = sums.sum((1, 2)) / total
    result.mean[members] = mean
    clusters, others = sums.shape[1:]
    if clusters < 2:
        return
    # About the mean, lest the variance be the small difference of two large numbers.
    excess = sums - mean[:, None, None] * counts
    variance, freedom = _variance(excess, total)
    error = np.sqrt(variance)
    first = resampled_weights(clusters, seed=seed, resamples=resamples)
    if others == 1:
        deviations, spreads = _one_way(excess[..., 0], counts[..., 0], first)
    else:
        second = resampled_weights(others, seed=seed, resamples=resamples, way="other")
        deviations, spreads = _two_ways(excess, counts, first, second)
    low, high = _tails_of_ratios(deviations, spreads, variance, level)
    student = ~np.isfinite(low) | ~np.isfinite(high)
    by_student = stats.t.ppf((1 + level) / 2, freedom)
    low, high = np.where(student, -by_student, low), np.where(student, by_student, high)
    result.standard_error[members] = error
    # A large ratio means that the mean is far too large: it is taken off the lower end.
    result.low[members], result.high[members] = mean - high * error, mean - low * error
    result.is_student[members] = student


def _variance(excess: Cells, total: PerGroup) -> tuple[PerGroup, PerGroup]:
    """Variance of the mean, clustered both ways, and Satterthwaite's degrees of freedom.

    The variances of both ways are added. What no way explains is then counted twice, so that the
    sum is never too small: that of what both explain is not taken off (it can exceed the rest).
    """
    ways = [2, 1] if excess.shape[2] > 1 else [2]
    parts, freedoms = [], []
    for other in ways:
        sums = excess.sum(other)
        clusters = sums.shape[1]
        parts.append((sums**2).sum(1) / total**2 * clusters / (clusters - 1))
        freedoms.append(clusters - 1)
    variance = np.add.reduce(parts)
    denominator = sum(part**2 / free for part, free in zip(parts, freedoms, strict=True))
    fewest = np.full(len(variance), float(min(freedoms)))
    return variance, np.divide(variance**2, denominator, out=fewest, where=denominator > 0)


def _one_way(
    excess: Float64[np.ndarray, "group cluster"],
    counts: Float64[np.ndarray, "group cluster"],
    weights: Weights,
) -> tuple[PerResample, PerResample]:
    """Of each resample: its mean less that of the sample, and the variance of its mean."""
    clusters = excess.shape[1]
    drawn = weights.astype(np.float64)
    total = drawn @ counts.T
    deviation = (drawn @ excess.T) / total
    squares = drawn @ (excess**2).T
    squares -= 2 * deviation * (drawn @ (excess * counts).T)
    squares += deviation**2 * (drawn @ (counts**2).T)
    return deviation, squares / total**2 * clusters / (clusters - 1)


def _two_ways(
    excess: Cells, counts: Cells, first: Weights, second: OtherWeights
) -> tuple[PerResample, PerResample]:
    """The same with both ways drawn; resamples that hold no case deviate by NaN."""
    deviations, spreads = np.empty((2, len(first), len(excess)))
    for start in range(0, len(first), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        rows = np.ascontiguousarray(first[part].T, dtype=np.float64)
        columns = np.ascontiguousarray(second[part].T, dtype=np.float64)
        by_row = (excess @ columns, counts @ columns)
        total = np.einsum("gkr,kr->gr", by_row[1], rows)
        with np.errstate(invalid="ignore"):
            deviation = np.einsum("gkr,kr->gr", by_row[0], rows) / total
        spread = _spread(*by_row, rows, deviation)
        by_column = (excess.swapaxes(1, 2) @ rows, counts.swapaxes(1, 2) @ rows)
        spread += _spread(*by_column, columns, deviation)
        with np.errstate(invalid="ignore"):
            spread /= total**2
        deviations[part], spreads[part] = deviation.T, spread.T
    return deviations, spreads


def _spread(
    sums: Float64[np.ndarray, "group cluster resample"],
    counts: Float64[np.ndarray, "group cluster resample"],
    weights: Float64[np.ndarray, "cluster resample"],
    deviation: Float64[np.ndarray, "group resample"],
) -> Float64[np.ndarray, "group resample"]:
    """Squares of what each cluster's cases exceed the resample's mean by, summed."""
    clusters = len(weights)
    left = sums
    left -= deviation[:, None] * counts
    left *= left
    return np.einsum("gkr,kr->gr", left, weights) * clusters / (clusters - 1)


def _tails_of_ratios(
    deviations: PerResample, spreads: PerResample, variance: PerGroup, level: float
) -> tuple[PerGroup, PerGroup]:
    """Order statistics of deviation over standard error; infinite where there is no spread."""
    same = (spreads <= _NO_SPREAD * variance) | np.isnan(deviations)
    moved = np.abs(deviations) > np.sqrt(_NO_SPREAD * variance)
    ratios = deviations / np.sqrt(np.where(same, 1.0, spreads))
    ratios[same] = 0.0
    ratios[same & moved] = np.copysign(np.inf, deviations[same & moved])
    resamples = len(ratios)
    # 1e-9: (1 - 0.95) / 2 times 4000 is 100, but not in floating point.
    rank = max(1, int((resamples + 1) * (1 - level) / 2 + 1e-9))
    ordered = np.partition(np.ascontiguousarray(ratios.T), [rank - 1, resamples - rank], axis=1)
    return ordered[:, rank - 1].copy(), ordered[:, resamples - rank].copy()
