"""Where the baseline's increase of error is no unit: a ratio to chance says nothing.

A relative corruption error divides by how much worse the baseline gets. Where that is not told from
0 the ratio may be anything: of either sign, and thousands of percent.
"""

import math
from typing import Any

import pandas as pd

from spinforge.evaluation.intervals import mean_intervals
from spinforge.evaluation.robustness.report.cases import METRICS

LEAST_INCREASE = {"dice": 0.01, "hd95_mm": 0.1}
"""Of the mean error, in the metric's unit, where too few subjects have an interval: chosen by hand,
as what is read off a curve at a glance."""

_KEYS = ["protocol", "metric", "transform"]


def baseline_increases(
    subjects: pd.DataFrame, baseline: str, cluster: str | tuple[str, str]
) -> pd.DataFrame:
    """How much worse the baseline gets under each corruption, and whether that is told from 0.

    Args:
        subjects: Of every model, subject and seed, with the column increase: of the mean error over
            the severities, from clean images.
        baseline: Name in the column model.
        cluster: Of the intervals.

    Returns:
        One row a protocol, metric and transform: the columns of `mean_intervals`, and told: whether
        the interval is above 0, or without one, the mean at least `LEAST_INCREASE`.
    """
    rows = subjects[subjects["model"] == baseline].rename(columns={"increase": "value"})
    found = mean_intervals(rows, _KEYS, cluster=cluster)
    enough = found["mean"] >= found["metric"].map(LEAST_INCREASE).astype("float64")
    return found.assign(told=(found["low"] > 0) | (found["low"].isna() & enough))


def mask_chance(subjects: pd.DataFrame, increases: pd.DataFrame) -> pd.DataFrame:
    """Subjects without the increases, of any model, that would be divided by chance."""
    told = pd.MultiIndex.from_frame(increases.loc[increases["told"], _KEYS])
    kept = pd.MultiIndex.from_frame(subjects[_KEYS]).isin(told)
    return subjects.assign(increase=subjects["increase"].where(kept))


def reasons(increases: pd.DataFrame, baseline: str) -> list[str]:
    """Why relative corruption errors are not there, a sentence a metric and protocol."""
    several = increases["protocol"].nunique() > 1
    chance = increases[~increases["told"] & increases["mean"].notna()]
    sentences = []
    for (protocol, metric), rows in chance.groupby(["protocol", "metric"], sort=False):
        where = ", ".join(
            f"{row['transform']} ({_change(row, str(metric))})" for row in rows.to_dict("records")
        )
        sentences.append(
            f"No relative corruption errors of {METRICS[str(metric)]}"
            f"{f' ({protocol})' if several else ''} under {where}, nor over all corruptions: there "
            f"the error of {baseline} does not grow by more than chance; in brackets, its mean "
            f"growth."
        )
    return sentences


def _change(row: Any, metric: str) -> str:
    mean = f"{row['mean']:.3f}".replace("-0.000", "0.000")
    if math.isfinite(row["low"]):
        return f"{mean} [{row['low']:.3f}, {row['high']:.3f}]"
    return f"{mean}, less than {LEAST_INCREASE[metric]:g}, of too few subjects to test"
