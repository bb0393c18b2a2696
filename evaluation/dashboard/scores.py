"""The figures of one view of a study: small tables from many rows, by the report's convention."""

import numpy as np
import pandas as pd

from spinforge.evaluation.comparison import compare_pairs
from spinforge.evaluation.dashboard.choices import Choice, with_order
from spinforge.evaluation.intervals import mean_intervals, replace_infinite
from spinforge.evaluation.metric_direction import has_error
from spinforge.evaluation.robustness.degradation import ALL_TRANSFORMS
from spinforge.evaluation.robustness.long_table import CLEAN, clean_in_every_transform
from spinforge.evaluation.robustness.subject_scores import (
    interval_clusters,
    over_transforms,
    score_intervals,
    subject_scores,
)


def finite(rows: pd.DataFrame) -> pd.DataFrame:
    """Infinite distances left out of means, but counted with what has no value."""
    return replace_infinite(rows, None)


def curve_points(rows: pd.DataFrame, choice: Choice) -> pd.DataFrame:
    """Means over cases with 95 % intervals over subjects (and seeds), clean images as severity 0.

    Args:
        rows: Of the choice (`chosen_rows`).
        choice: For the order.

    Returns:
        Columns model, transform, severity and those of `Interval`.
    """
    every = clean_in_every_transform(finite(rows))
    by = ["model", "transform", "severity"]
    points = mean_intervals(every, by, cluster=interval_clusters(rows))
    return with_order(points, choice)


def network_scores(rows: pd.DataFrame, choice: Choice, baseline: str) -> pd.DataFrame:
    """One row a network: ROOD-MRI's scores over all chosen corruptions, and mCE.

    Returns:
        Columns model; clean, overall: means over subjects; degradation, positive where worse, with
        low and high of its 95 % interval; mce and relative_mce in percent of the baseline (NaN if
        the metric has no error or the baseline is not among the networks); cases and undefined:
        values with and without a number.
    """
    usable = finite(rows)
    scores = _scores(usable, baseline)
    table = _side_by_side(scores[scores["transform"] == ALL_TRANSFORMS], ["model"])
    if not has_error(choice.metric):
        table[["ce", "relative_ce"]] = np.nan
    counts = usable.groupby("model")["value"].agg(["count", "size"])
    table["cases"] = table["model"].map(counts["count"])
    table["undefined"] = table["model"].map(counts["size"]) - table["cases"]
    table = table.rename(columns={"ce": "mce", "relative_ce": "relative_mce"})
    return with_order(table, choice)


def degradation_by_transform(rows: pd.DataFrame, choice: Choice) -> pd.DataFrame:
    """One row a network and corruption: clean, overall, degradation (low, high), cases."""
    usable = finite(rows)
    scores = _scores(usable, choice.networks[0])
    keys = ["model", "transform"]
    table = _side_by_side(scores[scores["transform"] != ALL_TRANSFORMS], keys)
    counts = usable.groupby(keys)["value"].count()
    cases = [counts[*key] + counts[key[0], CLEAN] for key in table[keys].itertuples(index=False)]
    return with_order(table.assign(cases=cases), choice)


def _scores(usable: pd.DataFrame, baseline: str) -> pd.DataFrame:
    scores, _ = score_intervals(subject_scores(usable), baseline, interval_clusters(usable))
    return scores


def _side_by_side(scores: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Means of the scores as columns, and the ends of degradation's interval."""
    names = ["clean", "overall", "degradation", "ce", "relative_ce"]
    table = scores.pivot(index=keys, columns="score", values="mean").reindex(columns=names)
    table.columns.name = None
    ends = scores[scores["score"] == "degradation"].set_index(keys)
    return table.assign(low=ends["low"], high=ends["high"]).reset_index()


def comparisons(rows: pd.DataFrame, choice: Choice) -> pd.DataFrame:
    """Every pair of networks by the subjects' degradation; one family of tests."""
    values = over_transforms(subject_scores(finite(rows)), "degradation")
    ordered = pd.Categorical(values["model"], categories=list(choice.networks))
    return compare_pairs(values.assign(model=ordered), between="model")


def comparison_matrix(pairs: pd.DataFrame, networks: tuple[str, ...]) -> pd.DataFrame:
    """Both halves of the comparisons: by how much more the row degrades than the column.

    Returns:
        Columns row, column, difference, p_holm and verdict: "row degrades less", "row degrades
        more" or that of `compare_pairs`.
    """
    names = {"first": "row", "second": "column", "mean_difference": "difference"}
    upper = pairs.rename(columns=names)
    lower = upper.rename(columns={"row": "column", "column": "row"})
    more, less = "row degrades more", "row degrades less"
    upper = upper.replace({"verdict": {"first larger": more, "second larger": less}})
    lower = lower.replace({"verdict": {"first larger": less, "second larger": more}})
    both = pd.concat([upper, lower.assign(difference=-lower["difference"])])
    places = {name: number for number, name in enumerate(networks)}
    ordered = both.sort_values(["row", "column"], key=lambda column: column.map(places))
    return ordered[["row", "column", "difference", "p_holm", "verdict"]].reset_index(drop=True)


def worst_cases(rows: pd.DataFrame, larger_is_better: bool) -> pd.DataFrame:
    """Cases of one network under one corruption, the worst first; those without value left out.

    Infinite distances are the worst. Equal values are ordered by subject and slice.
    """
    known = rows[rows["value"].notna()].sort_values(["subject", "slice"])
    return known.sort_values("value", ascending=larger_is_better, kind="stable")
