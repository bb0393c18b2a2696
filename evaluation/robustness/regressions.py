"""At which severities does a network fail, where it should only fade?

A stronger corruption does not do a network good: its scores fall with severity, or stay. A score
that falls at one severity and rises again at a later one is a regression: something is wrong with
that network, or with how it was run, at these severities.

Every step from a severity to the next, the first from clean images, is a paired test over subjects;
all steps of all networks and transforms are one family (Holm). A **fall** is a step down that was
shown. A **regression** is a fall with a rise that was shown after it, and no fall between the two:
it holds the severities from that fall up to the rise. Since both are of one family, the probability
of naming any regression where there is none is at most that of the family.

The strongest severity has no later one: a network that fails there only has a fall.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from spinforge.evaluation.comparison import compare_pairs
from spinforge.evaluation.metric_direction import LARGER_IS_BETTER, larger_is_better
from spinforge.evaluation.robustness.long_table import clean_in_every_transform

STEP_GROUPS = ("protocol", "model", "transform")

FALL, RISE, LEVEL, EQUAL, TOO_FEW = "fall", "rise", "not shown", "equal", "too few"
"""What is shown of a step, in the column `step`; equal: in every subject."""

COLUMNS = [
    *STEP_GROUPS, "severity", "before", "here", "after", "drop", "low", "high", "dip", "pairs",
    "unequal", "rank_biserial", "p_holm", "step", "regression",
]  # fmt: skip

_MILDER, _STRONGER = "milder", "stronger"


def severity_steps(
    table: pd.DataFrame,
    *,
    alpha: float = 0.05,
    seed: int = 0,
    larger: Mapping[str, bool] = LARGER_IS_BETTER,
) -> pd.DataFrame:
    """Test every step of severity, and name the regressions.

    Args:
        table: Rows of one metric of one class of a long table, of volumes or of slices, finite or
            NaN. Severities need not follow each other; a step is to the next that is there.
        alpha: Probability of claiming any step where there is none.
        seed: Seed of the resamples of the intervals.
        larger: Of which metrics larger values are better.

    Returns:
        One row a protocol, model, transform and severity but clean: before, here, after: means
        over subjects at the next milder severity, at this one and at the next stronger one (NaN at
        the strongest); drop: how much worse it is than before, with its interval (low, high; NaN
        with few subjects); dip: by how much it is worse than both neighbours, negative where it is
        not, NaN at the strongest; pairs, unequal, rank_biserial (positive: worse) and p_holm of the
        step; step: "fall", "rise", "not shown", "equal" or "too few" (unequal pairs to show any);
        regression: whether it is part of one.

    Raises:
        ValueError: If a value is infinite, or there is more than one metric or class.
    """
    if table["metric"].nunique() > 1 or table["class"].nunique() > 1:
        raise ValueError("need rows of one metric of one class")
    keys = [*STEP_GROUPS, "severity"]
    subjects = (
        clean_in_every_transform(table)
        .groupby([*keys, "subject"], observed=True)["value"]
        .mean()
        .reset_index()
    )
    if not (subjects["severity"] > 0).any():
        return pd.DataFrame(columns=COLUMNS)
    sign = 1.0 if larger_is_better(str(table["metric"].iloc[0]), larger) else -1.0
    tests = compare_pairs(_sides(subjects), between="side", by=keys, alpha=alpha, seed=seed)
    steps = _with_neighbours(subjects, keys).merge(tests, on=keys, how="left")
    steps["drop"] = sign * steps["mean_difference"]
    ends = sign * steps[["low", "high"]].to_numpy(dtype=np.float64)
    steps["low"], steps["high"] = np.sort(ends, axis=1).T
    steps["rank_biserial"] *= sign
    neighbours = steps[["before", "after"]].mul(sign).min(axis=1, skipna=False)
    steps["dip"] = neighbours - sign * steps["here"]
    worse, better = ("first larger", "second larger")[:: int(sign)]
    names = {worse: FALL, better: RISE, "not shown": LEVEL, "equal": EQUAL, "too few": TOO_FEW}
    steps["step"] = steps["verdict"].fillna("too few").map(names)
    steps["regression"] = False
    for _, group in steps.groupby(list(STEP_GROUPS), observed=True):
        steps.loc[group.index, "regression"] = _regressed(list(group["step"]))
    counts = ["pairs", "unequal"]
    steps[counts] = steps[counts].fillna(0).astype("int64")
    return steps[COLUMNS]


def regression_runs(steps: pd.DataFrame) -> list[pd.DataFrame]:
    """The rows of each regression, from its fall to the last severity before its rise.

    Args:
        steps: Of `severity_steps`.
    """
    # Between two regressions of a network lies at least the row of the rise, which is in neither.
    number = (~steps["regression"]).cumsum()
    found = steps[steps["regression"]]
    runs = found.groupby([*STEP_GROUPS, number.loc[found.index]], sort=False, observed=True)
    return [run for _, run in runs]


def _sides(subjects: pd.DataFrame) -> pd.DataFrame:
    """Rows of every severity, and beside them, under the same severity, those of the milder one."""
    next_one = subjects.assign(severity=_neighbour(subjects, -1)).dropna(subset="severity")
    next_one["severity"] = next_one["severity"].astype("int64")
    here = subjects[subjects["severity"] > 0]
    return pd.concat([next_one.assign(side=_MILDER), here.assign(side=_STRONGER)])


def _neighbour(rows: pd.DataFrame, shift: int) -> pd.Series:
    """The next stronger (-1) or milder (1) severity of each row's group; NaN at the ends."""
    levels = rows[[*STEP_GROUPS, "severity"]].drop_duplicates().sort_values("severity")
    levels["next"] = levels.groupby(list(STEP_GROUPS), observed=True)["severity"].shift(shift)
    merged = rows[[*STEP_GROUPS, "severity"]].merge(levels, how="left")
    return merged["next"].set_axis(rows.index)


def _with_neighbours(subjects: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    means = subjects.groupby(keys, observed=True)["value"].mean().rename("here").reset_index()
    means = means.sort_values(keys, ignore_index=True)
    grouped = means.groupby(list(STEP_GROUPS), observed=True)["here"]
    means["before"], means["after"] = grouped.shift(1), grouped.shift(-1)
    return means[means["severity"] > 0].reset_index(drop=True)


def _regressed(steps: list[str]) -> list[bool]:
    """Of steps in the order of severity: which lie from a fall up to, not including, a rise."""
    regressed = [False] * len(steps)
    fallen: int | None = None
    for position, step in enumerate(steps):
        if step == FALL:
            fallen = position
        elif step == RISE and fallen is not None:
            regressed[fallen:position] = [True] * (position - fallen)
            fallen = None
    return regressed
