"""Where the baseline's increase of error is no unit: a ratio to chance says nothing.

A relative corruption error divides by how much worse the baseline gets. Where that is not told from
0 the ratio may be anything: of either sign, and thousands of percent.
"""

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
    keys = [chance["protocol"], chance["metric"], chance["low"].notna()]
    for key, rows in chance.groupby(keys, sort=False):
        protocol, metric, known = str(key[0]), str(key[1]), bool(key[2])
        where = ", ".join(
            f"{row['transform']} ({_growth(row, known)})" for row in rows.to_dict("records")
        )
        why = (
            "does not grow by more than chance"
            if known
            else f"grows by less than {LEAST_INCREASE[metric]:g}, and subjects are too few to "
            f"tell that from chance"
        )
        sentences.append(
            f"No relative corruption errors of {METRICS[metric]}"
            f"{f' ({protocol})' if several else ''} under {where}, nor over all corruptions: the "
            f"error of {baseline} {why} (in brackets, its mean growth)."
        )
    return sentences


def _growth(row: Any, known: bool) -> str:
    mean = f"{row['mean']:.3f}".replace("-0.000", "0.000")
    return f"{mean} [{row['low']:.3f}, {row['high']:.3f}]" if known else mean
