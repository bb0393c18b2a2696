"""The figures of one view of a study: small tables from many rows."""

import numpy as np
import pandas as pd

from spinforge.evaluation.comparison import compare_pairs
from spinforge.evaluation.dashboard.choices import Choice, with_order
from spinforge.evaluation.intervals import mean_intervals, replace_infinite
from spinforge.evaluation.metric_direction import has_error
from spinforge.evaluation.robustness.corruption_error import corruption_errors
from spinforge.evaluation.robustness.degradation import (
    ALL_TRANSFORMS,
    GROUPS,
    as_values,
    degradation_scores,
    mean_over_transforms,
)
from spinforge.evaluation.robustness.long_table import clean_in_every_transform


def finite(rows: pd.DataFrame) -> pd.DataFrame:
    """Infinite distances left out of means, but counted with what has no value."""
    return replace_infinite(rows, None)


def curve_points(rows: pd.DataFrame, choice: Choice) -> pd.DataFrame:
    """Means over cases with 95 % intervals over subjects, clean images as severity 0.

    Args:
        rows: Of the choice (`chosen_rows`).
        choice: For the order.

    Returns:
        Columns model, transform, severity and those of `Interval`.
    """
    every = clean_in_every_transform(finite(rows))
    points = mean_intervals(every, by=["model", "transform", "severity"])
    return with_order(points, choice)


def network_scores(rows: pd.DataFrame, choice: Choice, baseline: str) -> pd.DataFrame:
    """One row a network: ROOD-MRI's scores over all chosen corruptions, and mCE.

    Returns:
        Columns model; clean, overall: means of all cases; degradation, positive where worse, with
        low and high of its 95 % interval over subjects; mce and relative_mce in percent of the
        baseline (NaN if the metric has no error or the baseline is not among the networks); cases
        and undefined.
    """
    usable = finite(rows)
    scores = mean_over_transforms(degradation_scores(usable)).set_index("model")
    ends = mean_intervals(_of_subjects(usable), by=["model"]).set_index("model")
    table = scores[["clean", "overall", "degradation", "cases", "undefined"]].copy()
    # Of the mean of the subjects' scores; the same as that of the cases where all have as many.
    table["low"], table["high"] = ends["low"], ends["high"]
    table["mce"] = table["relative_mce"] = np.nan
    if has_error(choice.metric) and baseline in choice.networks:
        errors = corruption_errors(usable, baseline=baseline)
        means = errors[errors["transform"] == ALL_TRANSFORMS].set_index("model")
        table["mce"], table["relative_mce"] = means["ce"], means["relative_ce"]
    return with_order(table.reset_index(), choice)


def degradation_by_transform(rows: pd.DataFrame, choice: Choice) -> pd.DataFrame:
    """One row a network and corruption: clean, overall, degradation, severities, cases."""
    return with_order(degradation_scores(finite(rows)), choice)


def comparisons(rows: pd.DataFrame) -> pd.DataFrame:
    """Every pair of networks by the subjects' degradation; one family of tests."""
    return compare_pairs(_of_subjects(finite(rows)), between="model")


def _of_subjects(rows: pd.DataFrame) -> pd.DataFrame:
    """Degradation of every subject, as values."""
    scores = degradation_scores(rows, by=[*GROUPS, "subject"])
    return as_values(mean_over_transforms(scores))


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
