"""One figure of ours as a paper would print it, with an interval over subjects.

The figure is that of `aggregations.py`. Each is the mean over classes of a ratio of sums (pooled
pixels, or values and how many they are), so that every subject's share in it is known.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float

from spinforge.evaluation.aggregations import AggregationName, aggregate, class_counts
from spinforge.evaluation.bootstrap import bootstrap_intervals
from spinforge.evaluation.empty_masks import ALL
from spinforge.evaluation.intervals import FEWEST_CLUSTERS
from spinforge.evaluation.score import VOLUME

PerClass = Float[np.ndarray, "cluster classes"]


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
    scores: list[pd.DataFrame],
    aggregation: AggregationName,
    metric: str,
    tissue: str = ALL,
    *,
    slices_are_objects: bool = False,
) -> Figure:
    """Compute one figure.

    Args:
        scores: For each seed the rows of `score_slices` of one network.
        aggregation: The paper's.
        metric: Of that aggregation.
        tissue: One, or "all" for the mean over classes.
        slices_are_objects: Slices are independent, such as photographs, not their subjects.
    """
    values = [_value(table, aggregation, metric, tissue) for table in scores]
    value = float(np.mean(values))
    if np.isnan(value):
        return Figure(value, np.nan, np.nan, 0)
    shares = [
        _pseudo_values(*_sums(table, aggregation, metric, tissue, slices_are_objects))
        for table in scores
    ]
    subjects = len(shares[0])
    if subjects < FEWEST_CLUSTERS or any(len(share) != subjects for share in shares):
        return Figure(value, np.nan, np.nan, subjects)
    sums = np.mean(shares, axis=0)[None, :, None]
    found = bootstrap_intervals(sums, np.ones_like(sums))
    return Figure(value, float(found.low[0]), float(found.high[0]), subjects)


def _value(table: pd.DataFrame, aggregation: AggregationName, metric: str, tissue: str) -> float:
    rows = aggregate(table, aggregation)
    found = rows.loc[(rows["metric"] == metric) & (rows["tissue"] == tissue), "value"]
    return float(found.iloc[0]) if len(found) else np.nan


def _pseudo_values(numerators: PerClass, denominators: PerClass) -> Float[np.ndarray, " cluster"]:
    """Of each subject; their mean is the figure, their spread that of the figure.

    Source:
        The infinitesimal jackknife: Efron, The Jackknife, the Bootstrap and Other Resampling Plans
        (1982), ch. 6.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        ratios = numerators.sum(0) / denominators.sum(0)
        shares = (numerators - ratios * denominators) / denominators.sum(0)
    return float(np.nanmean(ratios)) + len(numerators) * np.nanmean(shares, axis=1)


def _sums(
    table: pd.DataFrame,
    aggregation: AggregationName,
    metric: str,
    tissue: str,
    slices_are_objects: bool,
) -> tuple[PerClass, PerClass]:
    """Numerators and denominators of the classes' ratios, by subject."""
    cells = _cells(table, aggregation, metric)
    if metric == "pixel_accuracy" and aggregation == "crdn":
        cells = cells.assign(tissue=ALL)  # one ratio of all classes together
    elif tissue != ALL:
        cells = cells[cells["tissue"] == tissue]
    # A subject in several views or at several ages is one subject.
    subject = cells["subject"].str.split("/").str[0]
    cluster = cells["subject"] + " " + cells["slice"].astype(str) if slices_are_objects else subject
    sums = cells.groupby([cluster.rename("cluster"), "tissue"])[["above", "below"]].sum().unstack()
    wide = sums.fillna(0.0)
    return wide["above"].to_numpy(np.float64), wide["below"].to_numpy(np.float64)


def _cells(table: pd.DataFrame, aggregation: AggregationName, metric: str) -> pd.DataFrame:
    """Columns subject, slice, tissue, above, below."""
    if aggregation in ("seranet", "volumes"):
        wanted = (table["metric"] == metric) & (table["tissue"] != ALL)
        rows = table[wanted & ((table["slice"] == VOLUME) == (aggregation == "volumes"))]
        rows = rows[np.isfinite(rows["value"])]
        return rows.assign(above=rows["value"], below=1.0)
    counts = class_counts(table)
    true, found, shared = counts["true"], counts["found"], counts["shared"]
    if aggregation == "hlenet":
        total = counts.groupby(["subject", "slice"])["true"].transform("sum")
        values = {
            "dice": (2 * shared + 1) / (true + found + 1),
            "jaccard": (shared + 1) / (true + found - shared + 1),
            "pixel_accuracy": 1 - (true + found - 2 * shared) / total,
        }
        cells = counts.assign(above=values[metric], below=1.0)
        return cells[cells["tissue"] != "background"]
    ratios = {
        "dice": (2 * shared, true + found),
        "jaccard": (shared, true + found - shared),
        "pixel_accuracy": (shared, true),
        "mean_pixel_accuracy": (shared, true),
    }
    above, below = ratios[metric]
    return counts.assign(above=above, below=below)
