"""Regressions: the planted one is found, and what only fades is none."""

import numpy as np
import pandas as pd
import pytest
from planted_robustness import LEVELS, NETWORKS, REGRESSION, TRANSFORMS

from spinforge.evaluation.robustness.long_table import CLEAN
from spinforge.evaluation.robustness.regressions import FALL, RISE, severity_steps

WHERE = ["model", "transform", "severity"]


def rows(curve, *, metric="dice", subjects=12, wobble=0.001):
    """One network under one transform; each subject is a little off the curve, at random."""
    rng = np.random.default_rng(0)
    values = [
        (level, f"s{subject}", mean + wobble * rng.standard_normal())
        for level, mean in enumerate(curve)
        for subject in range(subjects)
    ]
    table = pd.DataFrame(values, columns=["severity", "subject", "value"])
    transform = np.where(table["severity"] > 0, "noise", CLEAN)
    keys = {"protocol": "p", "model": "unet", "slice": 3, "class": "all", "metric": metric}
    return table.assign(transform=transform, **keys)


def regressed(table):
    steps = severity_steps(table)
    return list(steps.loc[steps["regression"], "severity"])


def test_the_planted_regression_is_found_and_no_other(planted_rows):
    table = planted_rows
    dice = table[(table["metric"] == "dice") & (table["class"] == "all") & (table["slice"] >= 0)]
    steps = severity_steps(dice)
    assert len(steps) == len(NETWORKS) * len(TRANSFORMS) * len(LEVELS)
    found = [tuple(row) for row in steps.loc[steps["regression"], WHERE].to_numpy()]
    assert found == [REGRESSION]
    falls = {tuple(row) for row in steps.loc[steps["step"] == FALL, WHERE].to_numpy()}
    assert falls == {REGRESSION, *(("fading", "noise", level) for level in LEVELS)}


@pytest.mark.parametrize(
    ("curve", "severities"),
    [
        ([0.9, 0.9, 0.9, 0.8, 0.9, 0.9], [3]),
        ([0.9, 0.8, 0.9, 0.9, 0.9, 0.9], [1]),
        ([0.9, 0.9, 0.8, 0.8, 0.8, 0.9], [2, 3, 4]),
        ([0.9, 0.8, 0.9, 0.7, 0.9, 0.9], [1, 3]),
        ([0.9, 0.85, 0.8, 0.7, 0.75, 0.6], [3]),  # worse than what stronger corruption makes
        ([0.9, 0.8, 0.7, 0.6, 0.5, 0.4], []),
        ([0.9, 0.9, 0.9, 0.9, 0.9, 0.7], []),  # the strongest: as if it faded
        ([0.8, 0.85, 0.9, 0.9, 0.9, 0.9], []),  # never fell
    ],
)
def test_a_fall_that_is_made_up_for_is_a_regression(curve, severities):
    assert regressed(rows(curve)) == severities
    distances = rows([2 - value for value in curve], metric="hd95_mm")
    assert regressed(distances) == severities


def test_steps_say_how_far_and_how_sure():
    steps = severity_steps(rows([0.9, 0.9, 0.8, 0.9], wobble=1e-5)).set_index("severity")
    assert steps.loc[2, ["before", "here", "after"]].tolist() == pytest.approx(
        [0.9, 0.8, 0.9], abs=1e-4
    )
    assert steps.loc[2, "drop"] == pytest.approx(0.1, abs=1e-4)
    assert steps.loc[2, "dip"] == pytest.approx(0.1, abs=1e-4)
    assert steps.loc[2, "low"] < steps.loc[2, "drop"] < steps.loc[2, "high"]
    assert steps.loc[2, "rank_biserial"] == 1
    assert steps.loc[2, "p_holm"] == pytest.approx(3 * 2 / 2**12)  # the smallest there is, of three
    assert steps.loc[3, "step"] == RISE
    assert np.isnan(steps.loc[3, "dip"])


def test_few_subjects_show_nothing_but_where_to_look():
    steps = severity_steps(rows([0.9, 0.9, 0.8, 0.9], subjects=3)).set_index("severity")
    assert set(steps["step"]) == {"too few"}
    assert not steps["regression"].any()
    assert steps["dip"].idxmax() == 2


def test_only_clean_rows_have_no_steps():
    assert severity_steps(rows([0.9])).empty


def test_metrics_are_not_mixed():
    both = pd.concat([rows([0.9, 0.8]), rows([1, 2], metric="hd95_mm")])
    with pytest.raises(ValueError, match="one metric of one class"):
        severity_steps(both)
