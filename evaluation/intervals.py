"""How far to trust a mean score: intervals by the bootstrap over subjects, never over slices.

The slices of a subject are much alike, so that treating them as independent makes intervals far
too narrow. Whole subjects are drawn with replacement, with all their cases; where networks were
trained with several seeds, subjects and seeds. Intervals over subjects alone are of the networks
that were trained; those over subjects and seeds are of networks trained anew.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from spinforge.evaluation.bootstrap import bootstrap_intervals

FEWEST_CLUSTERS = 5
"""With fewer, intervals cover too little however they are made, and none is given."""


@dataclass(frozen=True)
class Interval:
    """A mean and where it may well lie.

    Attributes:
        mean: Of all cases that have a value; NaN if none has.
        low: Lower end; NaN with fewer than `FEWEST_CLUSTERS` clusters of either kind.
        high: Upper end, likewise.
        standard_error: Of the mean, from the differences between clusters; NaN likewise.
        clusters: Subjects (or whatever the clusters are) with at least one value.
        other_clusters: Seeds (the second kind of cluster) likewise; 0 if there is one kind.
        cases: Values that were averaged.
        undefined: Cases without a value, such as a tissue that is in neither label map.
        method: "studentised bootstrap"; "Student's t" where too many resamples hold equal values
            only; "none".
    """

    mean: float
    low: float
    high: float
    standard_error: float
    clusters: int
    other_clusters: int
    cases: int
    undefined: int
    method: str


def mean_intervals(
    scores: pd.DataFrame,
    by: list[str],
    *,
    cluster: str | tuple[str, str] = "subject",
    seed: int = 0,
    level: float = 0.95,
) -> pd.DataFrame:
    """Mean and interval of every group of a table of scores.

    The ends are not cut at the limits of a metric: that of a Dice near 1 may lie above 1.

    Args:
        scores: With the columns `by`, `cluster` and `value`; infinite values are refused, since
            they have no mean (`replace_infinite`).
        by: Columns that tell the groups apart, such as network, tissue and metric.
        cluster: Column of what is independent of each other; two columns, such as subject and
            seed, where every pair of both was measured.
        seed: Seed of the resamples, which all groups share.
        level: Of the intervals.

    Returns:
        One row a group: the columns `by` and those of `Interval`.

    Raises:
        ValueError: If a value is infinite, `level` is not between 0 and 1, or a name of a group or
            of a cluster is missing.
    """
    if not 0 < level < 1:
        raise ValueError(f"need a level between 0 and 1, got {level}")
    require_finite(scores)
    ways = [cluster] if isinstance(cluster, str) else list(cluster)
    require_names(scores, [*by, *ways])
    cells = scores.groupby([*by, *ways], observed=True)["value"].agg(["sum", "count", "size"])
    index, sums, counts = _dense(cells, by, ways)
    sizes = cells["size"].groupby(level=by, observed=True).sum().to_numpy()
    found = bootstrap_intervals(sums, counts, seed=seed, level=level)
    clusters = (counts > 0).any(2).sum(1)
    others = (counts > 0).any(1).sum(1) if len(ways) > 1 else np.zeros_like(clusters)
    fewest = clusters if len(ways) == 1 else np.minimum(clusters, others)
    enough = fewest >= FEWEST_CLUSTERS
    cases = counts.sum((1, 2)).astype(np.int64)
    made = np.where(found.is_student, "Student's t", "studentised bootstrap")
    columns = {
        "mean": found.mean,
        "low": np.where(enough, found.low, np.nan),
        "high": np.where(enough, found.high, np.nan),
        "standard_error": np.where(enough, found.standard_error, np.nan),
        "clusters": clusters,
        "other_clusters": others,
        "cases": cases,
        "undefined": sizes - cases,
        "method": np.where(enough, made, "none"),
    }
    return pd.DataFrame(columns, index=index).reset_index()


def _dense(
    cells: pd.DataFrame, by: list[str], ways: list[str]
) -> tuple[pd.Index, np.ndarray, np.ndarray]:
    """Groups, and the sums and counts of their cells (group, cluster, other)."""
    flat = cells.reset_index()
    grouped = flat.groupby(by, observed=True)
    index = grouped.size().index
    codes = [pd.factorize(flat[way], sort=True)[0] for way in ways]
    codes += [np.zeros(len(flat), dtype=np.intp)] * (2 - len(ways))
    shape = (len(index), *(int(code.max(initial=-1)) + 1 for code in codes))
    sums, counts = np.zeros(shape), np.zeros(shape)
    place = (grouped.ngroup().to_numpy(), *codes)
    sums[place] = flat["sum"].to_numpy(np.float64)
    counts[place] = flat["count"].to_numpy(np.float64)
    return index, sums, counts


def require_finite(scores: pd.DataFrame) -> None:
    """Refuse the infinite distances of a tissue that is in one label map only.

    Raises:
        ValueError: If there is one.
    """
    if infinite := int(np.isinf(scores["value"]).sum()):
        raise ValueError(
            f"{infinite} infinite values have no mean: give replace_infinite the distance that a "
            f"missed tissue shall count, or None to leave them out and count them apart"
        )


def require_names(scores: pd.DataFrame, columns: list[str]) -> None:
    """Refuse rows that would silently be in no group.

    Raises:
        ValueError: If a value of the columns is missing.
    """
    if missing := [name for name in columns if scores[name].isna().any()]:
        raise ValueError(f"every row needs a value in the columns {', '.join(missing)}")


def replace_infinite(scores: pd.DataFrame, by: float | None) -> pd.DataFrame:
    """Give the distances of a missed or invented tissue, which are infinite, a finite value.

    Leaving them out favours a network that misses a tissue over one that finds it badly. A usual
    value is the diagonal of the image, which no distance can exceed.

    Args:
        scores: With the column `value`.
        by: Distance, in the unit of the values; None makes them NaN, which is not averaged but
            counted as undefined.

    Raises:
        ValueError: If `by` is not finite.
    """
    if by is not None and not np.isfinite(by):
        raise ValueError(f"need a finite distance instead of an infinite one, got {by}")
    value = scores["value"]
    return scores.assign(value=value.mask(np.isinf(value), np.nan if by is None else by))
