"""The verdict of studies of a few numbers: no sentence says more, or less, than they show."""

import re

import pytest
from made_robustness import alike, made_study

from spinforge.evaluation.robustness.report.page import write_robustness_report
from spinforge.evaluation.robustness.report.page_tables import (
    comparison_table,
    level_tables,
    step_table,
)
from spinforge.evaluation.robustness.report.results import robustness_results
from spinforge.evaluation.robustness.report.verdict import verdict

FADING = [0.97, 0.96, 0.95, 0.94]
DIPPED = [0.976, 0.975, 0.876, 0.877, 0.877, 0.976]
"""A regression of three severities; Dice at the second is the least by a hair."""


def sentences(content):
    ((_, found),) = verdict(robustness_results(content), content.strengths)
    return found


def regression(curves, **options):
    return sentences(made_study(curves, **options))[-1]


def test_too_few_are_the_subjects_that_differ_not_all():
    """Twelve subjects would do, but only four are not equal."""
    worse = alike(FADING) | alike([0.97, 0.95, 0.94, 0.93], 4)
    content = made_study({"one": {"noise": alike(FADING)}, "other": {"noise": worse}})
    (said,) = [text for text in sentences(content) if "cannot be shown" in text]
    assert "they differ in 4 of 12 subjects" in said
    assert said.endswith("for one comparison it takes 6 that differ.")
    table = comparison_table(robustness_results(content), "trained clean")
    assert "Holm over 1 pair." in table.caption
    cell = table.rows[0][1][1]
    assert cell.text == "too few unequal pairs"
    assert cell.spread.endswith("4 of 12 unequal")


def test_steps_of_too_few_unequal_pairs_count_those():
    some = alike([0.9, 0.9, 0.9]) | alike([0.9, 0.8, 0.9], 3)
    said = regression({"net": {"noise": some}})
    assert said.startswith("Nothing can be shown about regressions: for 2 steps of severity it")
    assert "takes 7 subjects that differ at a step, and at none do more than 3 of 12" in said
    assert "largest dip, which may be chance, is that of net under noise at level 1" in said


def test_a_step_that_is_equal_in_two_subjects_shows_nothing():
    said = regression({"net": {"noise": alike([0.9, 0.9, 0.8, 0.9], 2)}})
    assert said.startswith("Nothing can be shown about regressions")
    assert "at none do more than 2 of 2" in said


def test_equal_at_all_severities_in_all_subjects():
    said = regression({"net": {"noise": alike([0.9, 0.9, 0.9])}})
    assert said == "No network has another Dice at any severity, in any subject: no regression."


def test_steps_that_could_not_be_shown_are_counted_where_others_could():
    some = alike([0.9, 0.8, 0.7]) | alike([0.9, 0.8, 0.75], 10)
    assert regression({"net": {"noise": some}}).endswith("as far as shown.")
    some = alike([0.9, 0.8, 0.8]) | alike([0.9, 0.8, 0.75], 3)
    assert regression({"net": {"noise": some}}).endswith(
        "as far as shown: at 1 of 2 steps of severity too few subjects differ to show anything."
    )


def test_a_regression_of_several_severities_is_one_in_sentence_and_tables():
    content = made_study({"net": {"noise": alike(DIPPED, spread=2e-4)}})
    assert sentences(content)[-1] == (
        "Regression: net under noise from level 2 to level 4 (Dice 0.876, 0.877, 0.877, but 0.975 "
        "before the fall and 0.976 after the rise)."
    )
    results = robustness_results(content)
    (levels,) = level_tables(results, {})
    marked = [cell.text.startswith("▼") for cell in levels.rows[0][1]]
    assert marked == [False, False, True, True, True, False]
    steps = [[cell.text for cell in cells] for _, cells in step_table(results, {}).rows]
    assert [row[1] for row in steps] == ["level 2", "level 3", "level 4", "level 1"]
    assert [row[-1] for row in steps] == ["▼ regression"] * 3 + ["not shown"]


def test_two_regressions_are_two():
    found = regression({"net": {"noise": alike([0.9, 0.8, 0.9, 0.7, 0.7, 0.9])}})
    assert re.findall(r"(?:at|from) level \d(?: to level \d)?", found) == [
        "at level 1",
        "from level 3 to level 4",
    ]


def test_what_hurts_most_is_quoted_where_it_is_worst():
    hurts = sentences(made_study({"net": {"noise": alike([0.976, 0.976, 0.976, 0.876, 0.975])}}))[1]
    assert hurts.endswith("from 0.976 clean to 0.876 where it is worst (level 3).")
    hurts = sentences(made_study({"net": {"noise": alike(FADING)}}))[1]
    assert hurts.endswith("to 0.940 where it is worst (level 3, its strongest).")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_robustness_report(made_study({"net": {"noise": alike(DIPPED, spread=2e-4)}}), path)
    return path.read_text(encoding="utf-8")


def test_the_page_says_what_its_mark_means(page):
    assert "▼: part of a regression, from a fall that is shown up to" in page
    assert "worse than at the milder and at the stronger" not in page


def test_networks_that_are_equal_are_not_ranked():
    curves = {name: {"noise": alike([0.9, 0.8, 0.7])} for name in ("first", "second")}
    assert sentences(made_study(curves))[0].startswith(
        "No network degrades more than another: degradation score"
    )


def test_what_hurts_nothing_is_not_said_to_hurt_most():
    curves = {name: {"noise": alike([0.9, 0.8999, 0.8998])} for name in ("first", "second")}
    assert sentences(made_study(curves))[1] == (
        "No corruption lowers Dice, to three decimals, in the mean of the networks."
    )
