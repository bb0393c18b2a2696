"""Tables and figures by name: what the page shows, for stores of artifacts."""

import io
import re
from dataclasses import replace

import numpy as np
import pytest
from planted_robustness import LEVELS, NETWORKS, TRANSFORMS

from spinforge.evaluation.robustness.corruption_error import corruption_errors
from spinforge.evaluation.robustness.report.artifacts import robustness_figures, robustness_tables
from spinforge.evaluation.robustness.report.results import robustness_results


@pytest.fixture(scope="module")
def results(planted):
    return robustness_results(planted)


def test_tables_have_their_names_and_rows(planted, results):
    tables = robustness_tables(planted, results)
    assert set(tables) == {
        *("scores", "levels", "comparisons", "ranks", "steps", "setbacks", "empty_masks"),
        "worst_cases",
    }
    assert len(tables["levels"]) == len(NETWORKS) * (1 + len(TRANSFORMS) * len(LEVELS)) * 2 * 4
    assert len(tables["ranks"]) == len(NETWORKS)
    ranks = tables["ranks"].set_index("model")
    assert ranks.loc["steady", "rank_1"] == 1


def test_corruption_errors_are_those_of_the_formula(planted, planted_rows):
    """`fading` gets worse with noise only: elsewhere there is no unit of relative errors."""
    results = robustness_results(replace(planted, baseline="fading"))
    rows = planted_rows[(planted_rows["metric"] == "dice") & (planted_rows["class"] == "all")]
    expected = corruption_errors(rows[rows["slice"] >= 0], baseline="fading")
    expected = expected.set_index(["model", "transform"])
    expected["relative_ce"] = expected["relative_ce"].where(
        expected.index.get_level_values("transform") == "noise"
    )
    scores = results.scores[results.scores["metric"] == "dice"]
    for score in ("ce", "relative_ce"):
        found = scores[scores["score"] == score].set_index(["model", "transform"])["mean"]
        assert len(found) == len(expected)
        np.testing.assert_allclose(found, expected[score].reindex(found.index), rtol=1e-9)


def test_worst_cases_are_the_largest_drops(planted_rows, results):
    rows = planted_rows[
        (planted_rows["metric"] == "dice")
        & (planted_rows["class"] == "all")
        & (planted_rows["slice"] >= 0)
        & (planted_rows["model"] == "fading")
    ]
    wide = rows.pivot(index=["subject", "slice"], columns=["transform", "severity"], values="value")
    drops = wide.rsub(wide["clean", 0], axis=0)
    worst = results.worst[results.worst["model"] == "fading"]
    assert worst["drop"].iloc[0] == pytest.approx(drops.max().max())
    assert set(worst["transform"]) == {"noise"}
    broken = results.worst[results.worst["model"] == "broken"]
    assert set(broken["transform"]) == {"motion"}
    assert set(broken["severity"]) == {3}


def test_figures_have_safe_names_and_are_drawn(planted, results):
    figures = robustness_figures(planted, results)
    assert {"curves_dice", "curves_hd95_mm_GM", "boxes_dice_WM", "degradation"} <= set(figures)
    assert all(re.fullmatch(r"[\w.-]+", name, re.ASCII) for name in figures)
    curves = figures["curves_dice"].axes[2]
    assert curves.get_title(loc="left") == "motion"
    broken = curves.lines[NETWORKS.index("broken")].get_ydata()
    assert int(np.argmin(broken)) == 3
    for name in ("curves_dice", "boxes_dice_WM", "degradation"):
        file = io.BytesIO()
        figures[name].savefig(file, format="png", dpi=50)
        assert file.getvalue().startswith(b"\x89PNG")
