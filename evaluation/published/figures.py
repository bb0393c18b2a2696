"""One figure of ours as a paper would print it, with an interval over subjects.

The figures are those of `aggregations.py`: means over classes of ratios of sums (pooled pixels, or
values and how many they are), so that every subject's share is known.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float

from spinforge.evaluation.aggregations import AggregationName, parts
from spinforge.evaluation.bootstrap import bootstrap_intervals
from spinforge.evaluation.empty_masks import ALL
from spinforge.evaluation.intervals import FEWEST_CLUSTERS

PerClass = Float[np.ndarray, "cluster classes"]


class CaseScores:
    """Rows of `score_slices` of one network, of which many figures are wanted."""

    def __init__(self, rows: pd.DataFrame) -> None:
        self._rows = rows
        self._parts: dict[AggregationName, pd.DataFrame] = {}

    def parts(self, aggregation: AggregationName, metric: str) -> pd.DataFrame:
        """What every case adds to the figures of its classes; those left out are left out."""
        if aggregation not in self._parts:
            self._parts[aggregation] = parts(self._rows, aggregation).dropna(subset=["above"])
        table = self._parts[aggregation]
        # The mean of recalls is FCSLSTM's mean pixel accuracy.
        return table[table["metric"] == metric.replace("mean_pixel_accuracy", "recall")]


class Figure(NamedTuple):
    """A figure of one network, or of several that differ in their seed only.

    Attributes:
        value: Mean over the seeds; NaN if the scores do not have it.
        low: Lower end of the 95 % interval over subjects, of these very networks; NaN with fewer
            than `FEWEST_CLUSTERS` subjects.
        high: Upper end.
        subjects: Subjects, or photographs where each is an object of its own.
    """

    value: float
    low: float
    high: float
    subjects: int


def figure(
    scores: list[CaseScores],
    aggregation: AggregationName,
    metric: str,
    tissue: str = ALL,
    *,
    slices_are_objects: bool = False,
) -> Figure:
    """Compute one figure.

    Args:
        scores: One for each seed.
        aggregation: The paper's.
        metric: Of that aggregation.
        tissue: One, or "all" for the mean over classes.
        slices_are_objects: Slices are independent, such as photographs, not their subjects.
    """
    sums = [_sums(one, aggregation, metric, tissue, slices_are_objects) for one in scores]
    if not all(above.size for above, _ in sums):
        return Figure(np.nan, np.nan, np.nan, 0)
    value = float(np.mean([np.nanmean(_ratios(*one)) for one in sums]))
    shares = [_pseudo_values(*one) for one in sums]
    subjects = len(shares[0])
    if subjects < FEWEST_CLUSTERS or any(len(share) != subjects for share in shares):
        return Figure(value, np.nan, np.nan, subjects)
    together = np.mean(shares, axis=0)[None, :, None]
    found = bootstrap_intervals(together, np.ones_like(together))
    return Figure(value, float(found.low[0]), float(found.high[0]), subjects)


def _ratios(above: PerClass, below: PerClass) -> Float[np.ndarray, " classes"]:
    """Of each class; NaN for one that is in no case."""
    total = below.sum(0)
    return np.divide(above.sum(0), total, out=np.full(len(total), np.nan), where=total > 0)


def _pseudo_values(above: PerClass, below: PerClass) -> Float[np.ndarray, " cluster"]:
    """Of each subject; their mean is the figure, their spread that of the figure.

    Source:
        The infinitesimal jackknife: Efron, The Jackknife, the Bootstrap and Other Resampling Plans
        (1982), ch. 6.
    """
    ratios = _ratios(above, below)
    there = np.isfinite(ratios)
    excess = above[:, there] - ratios[there] * below[:, there]
    shares = (excess / below[:, there].sum(0)).mean(axis=1)
    return float(ratios[there].mean()) + len(above) * shares


def _sums(
    scores: CaseScores,
    aggregation: AggregationName,
    metric: str,
    tissue: str,
    slices_are_objects: bool,
) -> tuple[PerClass, PerClass]:
    """Numerators and denominators of the classes' ratios, by subject."""
    cells = scores.parts(aggregation, metric)
    if tissue != ALL:
        cells = cells[cells["tissue"] == tissue]
    if cells.empty:
        return np.empty((0, 0)), np.empty((0, 0))
    # A subject in several views or at several ages is one subject.
    cluster = cells["subject"].str.split("/").str[0]
    if slices_are_objects:
        cluster = cells["subject"] + " " + cells["slice"].astype(str)
    sums = cells.groupby([cluster.rename("cluster"), "tissue"])[["above", "below"]].sum().unstack()
    wide = sums.fillna(0.0)
    return wide["above"].to_numpy(np.float64), wide["below"].to_numpy(np.float64)
