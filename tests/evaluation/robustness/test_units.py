"""Where the baseline does not get worse, there is no relative error, and the page says why."""

from dataclasses import replace

import numpy as np
import pytest
from made_robustness import alike, made_study
from page_elements import PageElements

from spinforge.evaluation.robustness.degradation import ALL_TRANSFORMS
from spinforge.evaluation.robustness.report.page import write_robustness_report
from spinforge.evaluation.robustness.report.results import robustness_results

FADING = [0.9, 0.8, 0.7]


def study(hardly, subjects):
    """`base` fades with noise, and gets worse by so much with motion; `net` fades with both."""
    return made_study(
        {
            "base": {
                "noise": alike(FADING, subjects),
                "motion": alike([0.9, 0.9 - hardly, 0.9 - hardly], subjects),
            },
            "net": {"noise": alike(FADING, subjects), "motion": alike(FADING, subjects)},
        }
    )


def relative(results):
    rows = results.scores[(results.scores["score"] == "relative_ce")]
    return rows[rows["model"] == "net"].set_index("transform")["mean"]


def text_of(content, results, tmp_path):
    write_robustness_report(content, tmp_path / "report.html", results)
    parsed = PageElements((tmp_path / "report.html").read_text(encoding="utf-8"))
    return " ".join(" ".join(parsed.text).split())


def some_worse_some_better(content):
    """Under motion, `base` is 0.001 k better or worse, by subject: now and then it improves."""
    table = content.table
    number = table["subject"].str[-2:].astype(int)
    where = (table["model"] == "base") & (table["transform"] == "motion")
    off = 0.001 * (number + 1) * (-1.0) ** number
    return replace(content, table=table.assign(value=table["value"] + off.where(where, 0.0)))


def test_a_ratio_to_chance_is_a_dash_with_its_reason(tmp_path):
    content = some_worse_some_better(study(0.0013, 12))
    results = robustness_results(content)
    found = relative(results)
    assert found["noise"] == pytest.approx(100)
    assert found[["motion", ALL_TRANSFORMS]].isna().all()
    ce = results.scores[results.scores["score"] == "ce"]
    assert ce["mean"].notna().all()
    text = text_of(content, results, tmp_path)
    said = text[text.index("No relative corruption errors of Dice under motion (") :]
    assert "noise" not in said[: said.index("nor over all corruptions")]
    # 0.0013 and, of the offsets 0.001, -0.002 ... -0.012 of Dice, 0.0005.
    assert said.startswith("No relative corruption errors of Dice under motion (0.002 [-0.00")
    assert "does not grow by more than chance" in said


@pytest.mark.parametrize(("hardly", "told"), [(0.009, False), (0.011, True)])
def test_without_intervals_the_growth_itself_decides(tmp_path, hardly, told):
    content = study(hardly, 3)
    results = robustness_results(content)
    assert relative(results).notna().tolist() == [told, told, True]
    text = text_of(content, results, tmp_path)
    said = (
        "under motion (0.009), nor over all corruptions: the error of base grows by less than 0.01"
    )
    assert (said in text) != told


def test_a_small_growth_that_is_shown_is_a_unit():
    found = relative(robustness_results(study(0.002, 12)))
    np.testing.assert_allclose(found[["noise", "motion"]], [100, 100 * 0.15 / 0.002])


def test_a_baseline_without_any_row_has_no_relative_errors_either():
    content = study(0.1, 6)
    results = robustness_results(
        replace(content, table=content.table[content.table["model"] == "net"])
    )
    assert set(results.scores["score"]) == {"clean", "overall", "degradation"}
    assert "the baseline base was not scored in it" in results.notes[0]
