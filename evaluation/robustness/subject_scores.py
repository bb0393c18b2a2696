"""Scores of every subject and seed, their means and intervals: what report and dashboard agree on.

Every subject counts once, however many slices it has: scores are of each subject and seed first,
and are averaged then. Corruption errors are ratios of such means.
"""

import pandas as pd

from spinforge.evaluation.intervals import FEWEST_CLUSTERS, mean_intervals
from spinforge.evaluation.robustness.corruption_error import NO_ERROR, mean_errors
from spinforge.evaluation.robustness.degradation import (
    ALL_TRANSFORMS,
    degradation_scores,
    mean_if_all,
)

SCORES = ("clean", "overall", "degradation", "ce", "relative_ce")
"""In the column score: means of clean images, ROOD-MRI's two, corruption errors in percent."""

Cluster = str | tuple[str, str]
"""What is drawn anew for an interval: "subject", or subject and seed."""

_GROUPS = ["model", "task", "protocol", "class", "metric", "subject", "seed"]

_SCORED = ["protocol", "model", "metric", "transform"]

_UNITS = ["protocol", "metric", "transform"]


def plain_names(rows: pd.DataFrame) -> pd.DataFrame:
    """Names as text: joins of categories with others are slow or wrong."""
    names = [name for name in rows if isinstance(rows[name].dtype, pd.CategoricalDtype)]
    return rows.astype(dict.fromkeys(names, "str"))


def interval_clusters(rows: pd.DataFrame) -> Cluster:
    """Subjects; subjects and seeds where a network was trained often enough."""
    seeds = rows.groupby("model", observed=True)["seed"].nunique().max()
    return ("subject", "seed") if seeds >= FEWEST_CLUSTERS else "subject"


def subject_scores(rows: pd.DataFrame) -> pd.DataFrame:
    """Scores of every subject and seed under every transform.

    Args:
        rows: As for `degradation_scores`, of one class; names as text.

    Returns:
        One row a model, protocol, metric, transform, subject and seed: clean, overall, degradation
        (ROOD-MRI's); error and increase: mean error over the severities, and by how much it
        exceeds that of clean images, severities weighing alike. Error is NaN where the metric has
        none.

    Raises:
        SpinforgeError: As `degradation_scores`.
    """
    found = []
    for protocol, group in rows.groupby("protocol"):
        rood = degradation_scores(group, by=_GROUPS)
        rood[["error", "increase"]] = mean_errors(group, _GROUPS)[["error", "increase"]]
        found.append(rood.assign(protocol=protocol))
    kept = [*_GROUPS, "transform", "clean", "overall", "degradation", "error", "increase"]
    return pd.concat(found, ignore_index=True)[kept]


def over_transforms(subjects: pd.DataFrame, score: str) -> pd.DataFrame:
    """Mean of a score over the transforms, of every subject and seed; NaN where one lacks.

    Args:
        subjects: Of `subject_scores`.
        score: One of its columns.

    Returns:
        The columns that tell subjects and seeds apart, and value.
    """
    means = mean_if_all(subjects, _GROUPS, [score])
    return means[score].rename("value").reset_index()


def score_intervals(
    subjects: pd.DataFrame, baseline: str, cluster: Cluster
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Every score of every transform and of all together, with intervals.

    Args:
        subjects: Of `subject_scores`.
        baseline: Network whose errors are the unit of the corruption errors.
        cluster: Of the intervals.

    Returns:
        protocol, model, metric, transform (or "all transforms"), score (of `SCORES`) and the
        columns of `mean_intervals`; and what could not be said, in sentences. Relative errors are
        NaN where `baseline_increases` does not tell the baseline's from 0: a ratio to chance may
        be anything, of either sign.
    """
    parts = []
    for score in ("clean", "overall", "degradation"):
        each = subjects.rename(columns={score: "value"})[[*_GROUPS, "transform", "value"]]
        together = over_transforms(subjects, score).assign(transform=ALL_TRANSFORMS)
        parts.append(pd.concat([each, together]).assign(score=score))
    notes = []
    judged = _without_chance(subjects, baseline_increases(subjects, baseline, cluster))
    for protocol, group in judged.groupby("protocol"):
        if not (group["model"] == baseline).any():
            notes.append(
                f"No corruption errors of the protocol “{protocol}”: the baseline {baseline} was "
                f"not scored in it."
            )
            continue
        for score, figure in (("ce", "error"), ("relative_ce", "increase")):
            parts.append(_ratios(group, figure, baseline).assign(score=score))
    table = pd.concat(parts, ignore_index=True)
    return mean_intervals(table, [*_SCORED, "score"], cluster=cluster), tuple(notes)


def baseline_increases(subjects: pd.DataFrame, baseline: str, cluster: Cluster) -> pd.DataFrame:
    """How much worse the baseline gets under each corruption, and whether that is told from 0.

    Args:
        subjects: Of `subject_scores`.
        baseline: Name in the column model.
        cluster: Of the intervals.

    Returns:
        One row a protocol, metric and transform: the columns of `mean_intervals`, and told: whether
        the interval is above 0, or without one, the mean at least `least_increase`.
    """
    rows = subjects[subjects["model"] == baseline].rename(columns={"increase": "value"})
    found = mean_intervals(rows, _UNITS, cluster=cluster)
    enough = found["mean"] >= found["metric"].map(least_increase).astype("float64")
    return found.assign(told=(found["low"] > 0) | (found["low"].isna() & enough))


def least_increase(metric: str) -> float:
    """Growth of a mean error that is a unit where there is no interval, in the metric's own unit.

    Chosen by hand: what is read off a curve at a glance.
    """
    return 0.1 if metric.endswith("_mm") or metric == "hd_rows" else 0.01


def _without_chance(subjects: pd.DataFrame, increases: pd.DataFrame) -> pd.DataFrame:
    """Subjects without the increases, of any model, that would be divided by chance."""
    told = pd.MultiIndex.from_frame(increases.loc[increases["told"], _UNITS])
    kept = pd.MultiIndex.from_frame(subjects[_UNITS]).isin(told)
    return subjects.assign(increase=subjects["increase"].where(kept))


def _ratios(subjects: pd.DataFrame, figure: str, baseline: str) -> pd.DataFrame:
    """The ratio to the baseline in percent, linearised: one value a subject and seed.

    Their mean is the ratio of the means, y / x; each is r + (y_i - r x_i) / x, what it adds to the
    ratio to first order.
    """
    of_baseline = subjects[subjects["model"] == baseline]
    unit = of_baseline.groupby(["metric", "transform", "subject"])[figure].mean().rename("unit")
    beside = subjects.join(unit, on=["metric", "transform", "subject"])
    beside = beside[["model", "protocol", "metric", "transform", "subject", "seed", figure, "unit"]]
    beside[[figure, "unit"]] = beside[[figure, "unit"]].mask(
        beside[[figure, "unit"]].isna().any(axis=1)
    )
    means = beside.groupby(["model", "metric", "transform"])[[figure, "unit"]].transform("mean")
    x = means["unit"].where(means["unit"] > NO_ERROR)
    r = means[figure] / x
    beside["value"] = 100 * (r + (beside[figure] - r * beside["unit"]) / x)
    keys = ["model", "protocol", "metric", "subject", "seed"]
    each = beside[[*keys, "transform", "value"]]
    together = mean_if_all(each, keys, ["value"]).reset_index()
    return pd.concat([each, together.assign(transform=ALL_TRANSFORMS)], ignore_index=True)
