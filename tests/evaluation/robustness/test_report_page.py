"""The robustness report: what it says of the planted study, complete, escaped, small enough."""

import re
import time
from collections import Counter
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from large_robustness import large_content
from page_elements import PageElements
from planted_robustness import LEVELS, NETWORKS, TRANSFORMS, planted_content

from spinforge.evaluation.report.content import CaseImages
from spinforge.evaluation.robustness.long_table import CLEAN, RETRAINED, TRAINED_CLEAN
from spinforge.evaluation.robustness.report.page import write_robustness_report
from spinforge.evaluation.robustness.report.results import robustness_results
from spinforge.evaluation.robustness.report.verdict import verdict
from spinforge.simulation.errors import SpinforgeError


def written(content, tmp_path, results=None) -> str:
    path = tmp_path / "new" / "report.html"
    write_robustness_report(content, path, results)
    return path.read_text(encoding="utf-8")


def words(text: str) -> str:
    """What a reader reads, on one line."""
    return " ".join(" ".join(PageElements(text).text).split())


@pytest.fixture(scope="module")
def results(planted):
    return robustness_results(planted)


@pytest.fixture(scope="module")
def page(planted, results, tmp_path_factory) -> str:
    return written(planted, tmp_path_factory.mktemp("report"), results)


@pytest.fixture(scope="module")
def parsed(page) -> PageElements:
    return PageElements(page)


def of_subjects(table, count):
    return table[table["subject"].isin(sorted(table["subject"].unique())[:count])]


def test_the_verdict_names_what_was_planted(planted, results):
    ((protocol, sentences),) = verdict(results, planted.strengths)
    least, hurts, difference, regression = sentences
    assert protocol == ""
    assert least.startswith("steady degrades least")
    assert "fading degrades most" in least
    assert hurts.startswith("noise hurts most")
    assert "next, broken, is shown by 12 subjects" in difference
    assert regression.startswith("Regression: broken under motion at level 3")
    assert regression.count("under") == 1  # no other


def test_too_few_subjects_show_nothing_and_the_page_says_how_few(planted):
    content = replace(planted, table=of_subjects(planted.table, 3))
    ((_, sentences),) = verdict(robustness_results(content), content.strengths)
    assert "cannot be shown: they differ in 3 of 3 subjects, too few" in sentences[2]
    assert "for 3 comparisons it takes 7" in sentences[2]  # 2 / 2^7 * 3 < 0.05 < 2 / 2^6 * 3
    assert "Nothing can be shown about regressions" in sentences[3]
    assert "broken under motion at level 3" in sentences[3]  # where to look, all the same


def test_page_shows_the_regression_in_curve_table_and_test(page, planted_rows):
    rows = planted_rows[
        (planted_rows["metric"] == "dice")
        & (planted_rows["class"] == "all")
        & (planted_rows["model"] == "broken")
        & (planted_rows["transform"] == "motion")
        & (planted_rows["severity"] == 3)
        & (planted_rows["slice"] >= 0)
    ]
    mean = rows["value"].mean()
    assert f"<strong>▼ {mean:.3f}</strong>" in page
    assert page.count("<strong>▼ ") == 2  # by severity, and among the steps
    assert "<strong>▼ regression</strong>" in page
    assert "broken under motion at level 3" in page


def test_tables_hold_what_direct_computation_gives(page, planted_rows):
    rows = planted_rows[(planted_rows["metric"] == "dice") & (planted_rows["class"] == "all")]
    rows = rows[(rows["model"] == "fading") & (rows["slice"] >= 0)]
    mean = rows.groupby(["transform", "severity"])["value"].mean()
    weight = np.array([(2 / 3) ** level for level in LEVELS])
    clean = mean[CLEAN, 0]
    degradation = [
        sum(w * (clean - mean[name, level]) for w, level in zip(weight, LEVELS, strict=True))
        / weight.sum()
        for name in TRANSFORMS
    ]
    text = words(page)
    scores = text[text.index("over all corruptions") :]
    scores = scores[scores.index("fading") : scores.index("broken")]
    found = re.findall(r"(-?\d+\.\d+) \[", scores)
    overall = [
        (clean + sum(w * mean[name, level] for w, level in zip(weight, LEVELS, strict=True)))
        / (1 + weight.sum())
        for name in TRANSFORMS
    ]
    assert found[:3] == [f"{v:.3f}" for v in (clean, np.mean(overall), np.mean(degradation))]


def test_tags_nest_ids_are_unique_and_links_have_targets(parsed):
    ids = Counter(attributes["id"] for _, attributes in parsed.elements if "id" in attributes)
    assert ids.most_common(1)[0][1] == 1
    targets = [a.get("href") or "" for _, a in parsed.elements]
    assert {target[1:] for target in targets if target.startswith("#")} <= set(ids)


def test_nothing_is_fetched_and_nothing_is_run(page, parsed):
    for tag, attributes in parsed.elements:
        assert tag not in {"script", "link", "iframe", "object", "embed", "base"}
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "xlink:href", "srcset", "poster", "data", "action"):
            assert (attributes.get(name) or "#").startswith(("#", "data:image/png;base64,"))
        if tag != "a" and (target := attributes.get("href")):
            assert target.startswith(("#", "data:image/png;base64,"))
    assert not re.search(r"@import|url\((?!#)", page)


def test_every_picture_has_a_text(parsed):
    assert all(picture["alt"] for picture in parsed.find("img"))
    drawings = parsed.find("svg")
    assert all(svg.get("aria-label") for svg in drawings if svg.get("role") == "img")
    assert all(svg["aria-hidden"] == "true" for svg in drawings if svg.get("role") != "img")
    plots = [svg for svg in drawings if svg.get("class") == "plot"]
    views, corruptions, tissues, metrics = 8, 3, 3, 2
    assert len(plots) == views * corruptions + metrics * tissues + (1 + tissues) * corruptions


def test_tables_scroll_by_keyboard(parsed):
    scrolling = [a for _, a in parsed.elements if a.get("class") == "scroll"]
    assert scrolling
    assert all(a["tabindex"] == "0" and a["role"] == "region" for a in scrolling)


def test_the_same_content_gives_the_same_bytes(planted, page, tmp_path):
    shuffled = planted.table.sample(frac=1, random_state=0)
    assert written(replace(planted, table=shuffled), tmp_path) == page


def test_names_are_escaped(planted_rows, tmp_path):
    evil = {name: f"<b>{name}</b> & $x$" for name in (*NETWORKS, *TRANSFORMS)}
    table = of_subjects(planted_rows, 2).replace({"model": evil, "transform": evil})

    def load_case(condition, subject, number):
        image = np.ones((8, 8), dtype=np.float32)
        labels = np.ones((8, 8), dtype=np.uint8)
        return CaseImages(image, labels, {condition.model: labels})

    content = planted_content(
        table=table,
        networks={evil[name]: "<script>alert(1)</script>" for name in NETWORKS},
        transforms={evil[name]: "<i>" for name in TRANSFORMS},
        strengths={(evil[t], level): f"<u>{level}" for t in TRANSFORMS for level in LEVELS},
        baseline=evil["steady"],
        load_case=load_case,
        runs={(evil["steady"], 0): "javascript:alert(1)"},
        name="<h1>",
    )
    text = written(content, tmp_path)
    parsed = PageElements(text)
    assert not {"b", "script", "i", "u"} & {tag for tag, _ in parsed.elements}
    assert len(parsed.find("h1")) == 1
    assert all(not (a.get("href") or "").startswith("javascript") for a in parsed.find("a"))
    assert evil["steady"] in words(text)


def test_a_large_study_stays_below_2_mb_within_seconds(tmp_path):
    content = large_content()
    start = time.process_time()
    text = written(content, tmp_path)
    seconds = time.process_time() - start
    assert 1_000_000 < len(text.encode()) < 2_000_000
    assert "Left out for the size of the page: " in text
    assert seconds < 20  # 8 on one core of 2020, where nothing else runs; shape checks included
    parsed = PageElements(text)
    assert len(parsed.find("h3")) > 8
    assert "network 7" in words(text)


@pytest.mark.parametrize("networks", [1, 2])
def test_one_network_one_subject_one_seed(planted, tmp_path, networks):
    names = NETWORKS[:networks]
    table = of_subjects(planted.table, 1)
    content = replace(
        planted,
        table=table[table["model"].isin(names)],
        networks={name: "" for name in names},
    )
    text = words(written(content, tmp_path))
    assert ("The only network to judge is steady" in text) == (networks == 1)
    assert "1 test subject;" in text
    assert not re.search(r"\bnan\b", text.lower())


def test_without_any_finite_value_there_is_a_page_that_says_so(planted, tmp_path):
    table = of_subjects(planted.table, 6)
    judged = table["metric"].isin(["dice", "hd95_mm"])
    table = table.assign(value=table["value"].mask(judged))
    text = words(written(replace(planted, table=table), tmp_path))
    assert "nothing can be said of its degradation" in text
    assert not re.search(r"\bnan\b", text.lower())


def test_infinite_distances_are_left_out_and_counted(planted, tmp_path):
    table = of_subjects(planted.table, 2)
    one = table[
        (table["metric"] == "hd95_mm") & (table["class"] == "GM") & (table["slice"] == 2)
    ].index[0]
    table = table.assign(value=table["value"].where(table.index != one, np.inf))
    levels = robustness_results(replace(planted, table=table)).levels
    assert levels.loc[levels["class"] == "GM", "infinite"].sum() == 1
    assert np.isfinite(levels["mean"]).all()
    assert "1 slice has an infinite" in words(written(replace(planted, table=table), tmp_path))


def test_missed_tissues_are_counted_by_severity(planted):
    table = planted.table
    where = (
        (table["metric"] == "predicted_pixels")
        & (table["class"] == "WM")
        & (table["model"] == "fading")
        & (table["severity"] == 4)
        & (table["slice"] == 1)
    )
    counts = robustness_results(
        replace(planted, table=table.assign(value=table["value"].mask(where, 0.0)))
    ).empty_masks
    missed = counts[counts["missed"] > 0]
    assert len(missed) == 1
    row = missed.iloc[0]
    assert (row["model"], row["severity"], row["class"]) == ("fading", 4, "WM")
    assert row["missed"] == 12 * len(TRANSFORMS)
    assert row["both"] == 12 * len(TRANSFORMS) * 4


def test_both_protocols_are_judged_apart(planted, tmp_path):
    table = of_subjects(planted.table, 6)
    content = replace(
        planted, table=pd.concat([table, table.assign(protocol=RETRAINED)], ignore_index=True)
    )
    results = robustness_results(content)
    assert [name for name, _ in verdict(results, content.strengths)] == [TRAINED_CLEAN, RETRAINED]
    text = written(content, tmp_path, results)
    assert "Solid: trained clean; dashed: retrained per level" in text
    assert len(re.findall(r'class="n1 p1"', text)) == len(TRANSFORMS) * 8


def test_what_one_network_lacks_is_left_out_and_named(planted, tmp_path):
    table = of_subjects(planted.table, 2)
    lacks = (table["model"] == "fading") & (table["transform"] == "inu") & (table["severity"] == 5)
    text = words(written(replace(planted, table=table[~lacks]), tmp_path))
    assert "Left out, since not every network was scored there: inu 5 (trained clean)" in text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"baseline": "other"}, "baseline 'other'"),
        ({"networks": {"steady": "", "fading": ""}}, "model 'broken'"),
        ({"transforms": {"noise": "", "inu": ""}}, "transform 'motion'"),
    ],
)
def test_what_does_not_fit_together_is_refused(planted, tmp_path, changes, message):
    with pytest.raises(SpinforgeError, match=message):
        write_robustness_report(replace(planted, **changes), tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_only_clean_rows_are_refused(planted, tmp_path):
    clean = planted.table[planted.table["transform"] == CLEAN]
    with pytest.raises(SpinforgeError, match="clean rows only"):
        write_robustness_report(replace(planted, table=clean), tmp_path / "report.html")
