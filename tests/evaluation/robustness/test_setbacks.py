"""A fault that a steep curve hides is found beside the other networks."""

import numpy as np
import pandas as pd
import pytest
from made_robustness import alike, made_study

from spinforge.evaluation.robustness.regressions import severity_steps
from spinforge.evaluation.robustness.report.page_tables import setback_table
from spinforge.evaluation.robustness.report.results import robustness_results
from spinforge.evaluation.robustness.report.verdict import verdict
from spinforge.evaluation.robustness.setbacks import beside_others, severity_setbacks

# Of real networks under INU; labels of the first were shifted by a pixel at level 3 (.803 else).
SHIFTED = [0.838, 0.834, 0.825, 0.727, 0.689, 0.668]
SOUND = [0.852, 0.849, 0.841, 0.825, 0.723, 0.694]


@pytest.fixture
def steep():
    curves = {"unet": alike(SHIFTED, spread=2e-4), "crdn": alike(SOUND, spread=1e-4)}
    return made_study({name: {"inu": curve} for name, curve in curves.items()})


def where(steps):
    found = steps[steps["regression"].astype(bool)]
    return [tuple(row) for row in found[["model", "transform", "severity"]].to_numpy()]


def test_a_shift_on_a_steep_curve_is_no_regression_but_a_setback(steep):
    assert where(severity_steps(steep.table)) == []
    assert where(severity_setbacks(steep.table)) == [("unet", "inu", 3)]


def test_networks_that_fall_alike_have_none():
    sound = [dice - 0.015 - 0.003 * level for level, dice in enumerate(SOUND)]
    curves = {"unet": alike(sound, spread=2e-4), "crdn": alike(SOUND, spread=1e-4)}
    study = made_study({name: {"inu": curve} for name, curve in curves.items()})
    assert where(severity_setbacks(study.table)) == []


def test_the_page_names_it_and_says_what_else_it_may_be(steep):
    results = robustness_results(steep)
    (_, sentences), *_ = verdict(results, {})
    assert "made up at a stronger level: unet under inu at level 3." in sentences[-1]
    assert "curves that cross" in sentences[-1]
    (name, cells), *_ = setback_table(results, {}).rows
    assert name == "unet"
    assert [cell.text for cell in cells][1:5] == ["level 3", "-0.016", "-0.098", "-0.034"]
    assert cells[-1].text == "▼ setback"


def test_the_difference_is_to_the_mean_of_all_others_and_needs_them_all():
    keys = {"metric": "dice", "class": "all", "protocol": "p", "transform": "noise", "slice": 0}
    table = pd.DataFrame(
        [(m, s, n, v) for m, s, n, v in [
            ("a", 1, "x", 0.9), ("b", 1, "x", 0.8), ("c", 1, "x", 0.6),
            ("a", 2, "x", 0.9), ("b", 2, "x", 0.8), ("c", 2, "x", np.nan),
        ]],
        columns=["model", "severity", "subject", "value"],
    ).assign(**keys)  # fmt: skip
    values = beside_others(table).set_index(["model", "severity"])["value"]
    assert values["a", 1] == pytest.approx(0.9 - 0.7)
    assert values["c", 1] == pytest.approx(0.6 - 0.85)
    assert values.xs(2, level="severity").isna().all()


def test_a_single_network_has_none(steep):
    alone = steep.table[steep.table["model"] == "unet"]
    assert severity_setbacks(alone).empty
