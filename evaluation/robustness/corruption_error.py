r"""Errors under corruption, relative to those of a baseline network: mCE and relative mCE.

With $E_{s,c}$ the mean error at severity $s$ of corruption $c$ (one less a Dice; a distance itself)
and $E_0$ that of clean images,

$$\mathrm{CE}_c = 100\,\frac{\sum_s E_{s,c}}{\sum_s E^\mathrm{base}_{s,c}}, \qquad
  \mathrm{relative\ CE}_c = 100\,\frac{\sum_s (E_{s,c} - E_0)}
  {\sum_s (E^\mathrm{base}_{s,c} - E^\mathrm{base}_0)};$$

their means over the corruptions are mCE and relative mCE: 100 for the baseline itself, less for a
better network.

Source:
    Hendrycks and Dietterich, ICLR 2019 (arXiv 1903.12261), section 4.1, where the baseline is
    AlexNet; Kamann and Rother, CVPR 2020, use both for segmentation with one less the IoU.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from spinforge.evaluation.metric_direction import (
    LARGER_IS_BETTER,
    has_error,
    larger_is_better,
)
from spinforge.evaluation.robustness.degradation import (
    ALL_TRANSFORMS,
    GROUPS,
    degradation_scores,
    mean_if_all,
)
from spinforge.simulation.errors import SpinforgeError

NO_ERROR = 1e-9
"""Of the baseline: less is rounding, and no unit."""


def corruption_errors(
    table: pd.DataFrame,
    *,
    baseline: str,
    by: Sequence[str] = GROUPS,
    larger: Mapping[str, bool] = LARGER_IS_BETTER,
) -> pd.DataFrame:
    """Corruption error and relative corruption error of every network.

    Args:
        table: As for `degradation_scores`. Severity 0, the clean rows, is in the relative error
            only. Severities weigh alike.
        baseline: Name in the column model; its errors are the unit.
        by: Columns that tell groups apart, model and metric among them.
        larger: Of which metrics larger values are better.

    Returns:
        One row a group and transform: `by`, transform, ce and relative_ce in percent; then those of
        transform "all transforms", which are mCE and relative mCE. NaN where the baseline makes no
        error or, for the relative one, does not get worse, and in the mean over such.

    Raises:
        ValueError: As `degradation_scores`.
        SpinforgeError: As there, or if the baseline is not in every group or transform, or a metric
            has no error.
    """
    for metric in table["metric"].unique():
        if not has_error(str(metric), larger):
            raise SpinforgeError(
                f"metric {metric!r} has no largest value that an error could be counted from. "
                f"Leave its rows out of the table"
            )
    errors = _beside_baseline(mean_errors(table, by, larger), baseline, list(by))
    mean = mean_if_all(errors, by, ["ce", "relative_ce"]).reset_index()
    return pd.concat([errors, mean.assign(transform=ALL_TRANSFORMS)], ignore_index=True)


def mean_errors(
    table: pd.DataFrame,
    by: Sequence[str] = GROUPS,
    larger: Mapping[str, bool] = LARGER_IS_BETTER,
) -> pd.DataFrame:
    """Mean error over the severities of every group and transform, and its increase from clean.

    Args:
        table: As for `corruption_errors`, as are the others.
        by: Columns that tell groups apart, the metric among them.
        larger: Of which metrics larger values are better.

    Returns:
        `degradation_scores` with weight 1, and the columns error, NaN where the metric has none,
        and increase.
    """
    # With weight 1, degradation is the mean of the errors' increase over the severities.
    scores = degradation_scores(table, by=by, alpha=1.0, larger=larger)
    best = np.array([_best(name, larger) for name in scores["metric"]])
    error = np.abs(best - scores["clean"]) + scores["degradation"]
    return scores.assign(error=error, increase=scores["degradation"])


def _best(metric: str, larger: Mapping[str, bool]) -> float:
    if not has_error(metric, larger):
        return np.nan
    return 1.0 if larger_is_better(metric, larger) else 0.0


def _beside_baseline(scores: pd.DataFrame, baseline: str, by: list[str]) -> pd.DataFrame:
    keys = [*(name for name in by if name != "model"), "transform"]
    figures = ["error", "increase"]
    unit = scores[scores["model"] == baseline].set_index(keys)[figures]
    if unit.empty:
        raise SpinforgeError(
            f"the baseline {baseline!r} is not in the table: choose one of "
            f"{', '.join(map(str, scores['model'].unique()))}"
        )
    beside = scores.join(unit.add_suffix("_of_baseline"), on=keys)
    own = pd.MultiIndex.from_frame(scores[keys])
    if len(lacking := own[~own.isin(pd.MultiIndex.from_frame(unit.reset_index()[keys]))]):
        raise SpinforgeError(
            f"the baseline {baseline!r} was not scored on {lacking[0]}. Score it too"
        )
    for name, figure in (("ce", "error"), ("relative_ce", "increase")):
        of_baseline = beside[f"{figure}_of_baseline"]
        beside[name] = 100 * beside[figure] / of_baseline.where(of_baseline > NO_ERROR)
    return beside[[*by, "transform", "ce", "relative_ce"]]
