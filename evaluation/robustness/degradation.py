r"""How far scores fall with severity: ROOD-MRI's overall and degradation scores.

With $M_s$ the mean over cases at severity $s$ and $M_0$ that of clean images,

$$O = \frac{M_0 + \sum_s \alpha^s M_s}{1 + \sum_s \alpha^s}, \qquad
  D = \pm\frac{\sum_s \alpha^s (M_0 - M_s)}{\sum_s \alpha^s},$$

with the sign that makes a positive $D$ worse, and $\alpha = 2/3$: mild corruptions, which are the
frequent ones, count most. Both are means over transforms in the end.

Not as there: a severity at which no case has a value makes both NaN (there it counts as 0), and
networks with different severities of a transform are refused rather than compared.

Source:
    Boone et al., ROOD-MRI (arXiv 2203.06060, 2022), and its `calculate_metrics`, whose defaults
    these are.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from spinforge.evaluation.intervals import require_finite
from spinforge.evaluation.metric_direction import LARGER_IS_BETTER, larger_is_better
from spinforge.evaluation.robustness.long_table import CLEAN
from spinforge.simulation.errors import SpinforgeError

ALPHA = 2 / 3

GROUPS = ("model", "task", "protocol", "class", "metric")
"""What scores are told apart by; cases of all seeds and subjects are averaged."""

ALL_TRANSFORMS = "all transforms"
"""In the transform column of `mean_over_transforms`."""


def degradation_scores(
    table: pd.DataFrame,
    *,
    by: Sequence[str] = GROUPS,
    alpha: float = ALPHA,
    larger: Mapping[str, bool] = LARGER_IS_BETTER,
) -> pd.DataFrame:
    """Overall score and degradation of every group and transform.

    Args:
        table: Rows of a long table, of volumes or of slices but not both (`of_unit`), finite or NaN
            (`intervals.replace_infinite`). NaN is not averaged, but counted.
        by: Columns that tell groups apart, the metric among them; with "subject" there is one score
            a subject, which `mean_intervals` and `compare_pairs` take (`as_values`).
        alpha: Weight of severity s is alpha to the power s.
        larger: Of which metrics larger values are better.

    Returns:
        One row a group and transform: `by`, transform; overall; degradation, positive where worse;
        overall_sd and degradation_sd: the same sums of the sample standard deviations (that of
        degradation is by how much the spread grows); clean: mean of clean images; severities:
        the levels, as text; cases and undefined: values that were averaged, and that were NaN,
        at all severities and clean.

    Raises:
        ValueError: If a value is infinite, or slices and volumes are mixed.
        SpinforgeError: If clean rows lack, severities differ between groups, or the direction of a
            metric is not known.
    """
    groups, keys = list(by), [*by, "transform"]
    clean, corrupted = _split(severity_means(table, groups), groups)
    severities = _same_severities(corrupted, keys)
    weight = alpha ** corrupted["severity"].astype(float)
    of = [corrupted[key] for key in keys]
    total = weight.groupby(of, observed=True).sum()
    # A severity without a value has no score; pandas would count it as 0.
    holes = corrupted[["mean", "sd"]].isna().groupby(of, observed=True).any()
    sums = corrupted[["mean", "sd"]].mul(weight, axis=0).groupby(of, observed=True).sum()
    sums = sums.mask(holes)
    start = clean.reindex(pd.MultiIndex.from_frame(sums.index.to_frame()[groups]))
    start = start.set_axis(sums.index)
    overall = (sums + start[["mean", "sd"]]).div(1 + total, axis=0)
    change = sums.div(total, axis=0) - start[["mean", "sd"]]
    metrics = sums.index.get_level_values("metric")
    sign = np.array([-1.0 if larger_is_better(name, larger) else 1.0 for name in metrics])
    counts = corrupted.groupby(keys, observed=True)[["cases", "undefined"]].sum()
    columns = {
        "overall": overall["mean"],
        "degradation": sign * change["mean"],
        "overall_sd": overall["sd"],
        "degradation_sd": change["sd"],
        "clean": start["mean"],
        "severities": [severities[name] for name in sums.index.get_level_values("transform")],
        "cases": counts["cases"] + start["cases"],
        "undefined": counts["undefined"] + start["undefined"],
    }
    return pd.DataFrame(columns).reset_index()


def severity_means(table: pd.DataFrame, by: Sequence[str] = GROUPS) -> pd.DataFrame:
    """Mean of the cases of every group, transform and severity: the points of the curves.

    Returns:
        Columns `by`, transform, severity, mean, sd (of the sample; NaN for one case), cases,
        undefined.

    Raises:
        ValueError: If a value is infinite, or slices and volumes are mixed.
    """
    require_finite(table)
    if (table["slice"] < 0).nunique() > 1:
        raise ValueError("slices and whole volumes are mixed: choose one by of_unit")
    grouped = table.groupby([*by, "transform", "severity"], observed=True)["value"]
    cells = grouped.agg(mean="mean", sd="std", cases="count", size="size").reset_index()
    return cells.assign(undefined=cells["size"] - cells["cases"]).drop(columns="size")


def _split(cells: pd.DataFrame, groups: list[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Clean means by group, and those of the corruptions."""
    is_clean = cells["transform"] == CLEAN
    clean = cells[is_clean].set_index(pd.MultiIndex.from_frame(cells.loc[is_clean, groups]))
    corrupted = cells[~is_clean]
    if corrupted.empty:
        raise SpinforgeError("the table has clean rows only: there is no corruption to judge")
    needed = pd.MultiIndex.from_frame(corrupted[groups].drop_duplicates())
    lacking = needed[~needed.isin(clean.index)]
    if len(lacking):
        what = ", ".join(f"{key} {value}" for key, value in zip(groups, lacking[0], strict=True))
        raise SpinforgeError(
            f"no clean row (transform {CLEAN!r}, severity 0) of {what}, nor of "
            f"{len(lacking) - 1} other groups. Score the clean images too"
        )
    return clean, corrupted


def _same_severities(corrupted: pd.DataFrame, keys: list[str]) -> dict[str, str]:
    """Severities of each transform as text; refuses those that differ between groups."""
    found: dict[str, tuple[str, str]] = {}
    for key, levels in corrupted.groupby(keys, observed=True)["severity"]:
        names = [str(name) for name in key]
        text = " ".join(str(level) for level in sorted(levels))
        other, others = found.setdefault(names[-1], (", ".join(names[:-1]), text))
        if text != others:
            raise SpinforgeError(
                f"transform {names[-1]}: {other} has severities {others}, but "
                f"{', '.join(names[:-1])} has {text}: their scores cannot be compared. Score all "
                f"severities, or leave those out that some lack"
            )
    return {transform: text for transform, (_, text) in found.items()}


def mean_over_transforms(scores: pd.DataFrame) -> pd.DataFrame:
    """Mean of `degradation_scores` over the transforms: what ROOD-MRI compares networks by.

    A transform whose score is NaN makes the mean NaN.

    Raises:
        SpinforgeError: If groups have different transforms.
    """
    figures = ["overall", "degradation", "overall_sd", "degradation_sd", "clean"]
    counts = ["cases", "undefined"]
    keys = [name for name in scores.columns if name not in (*figures, *counts, "severities")]
    keys.remove("transform")
    grouped = scores.groupby(keys, observed=True)
    transforms = {", ".join(sorted(names)) for _, names in grouped["transform"]}
    if len(transforms) > 1:
        raise SpinforgeError(
            f"groups have different transforms ({'; '.join(sorted(transforms)[:2])}): their means "
            f"cannot be compared. Score all, or leave those out that some lack"
        )
    table = mean_if_all(scores, keys, figures).join(grouped[counts].sum()).reset_index()
    table.insert(len(keys), "transform", ALL_TRANSFORMS)
    return table


def mean_if_all(scores: pd.DataFrame, keys: Sequence[str], figures: list[str]) -> pd.DataFrame:
    """Mean of columns in every group; NaN, instead of fewer, where one has no value."""
    grouped = scores.groupby(list(keys), observed=True)[figures]
    return grouped.mean().mask(grouped.count().lt(grouped.size(), axis=0))


def as_values(scores: pd.DataFrame, column: str = "degradation") -> pd.DataFrame:
    """Scores of single subjects as a table that `mean_intervals` and `compare_pairs` take.

    Their mean over subjects is the score of all cases where every subject has as many.
    """
    return scores.rename(columns={column: "value"})
