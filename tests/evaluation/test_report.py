"""The page: complete, self-contained, well-formed and escaped."""

import itertools
import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from markupsafe import Markup
from page_elements import PageElements

from spinforge.evaluation.report import plots
from spinforge.evaluation.report.page import write_report
from spinforge.evaluation.report.plots import metric_boxes


@pytest.fixture(scope="module")
def parsed(page) -> PageElements:
    return PageElements(page)


def test_tags_nest_and_ids_are_unique(parsed):
    ids = Counter(attributes["id"] for _, attributes in parsed.elements if "id" in attributes)
    assert ids
    assert ids.most_common(1)[0][1] == 1


def test_sections_stand_in_order(page, parsed):
    sections = [attributes["id"] for attributes in parsed.find("section")]
    assert sections == [
        *("results", "data", "training", "distributions"),
        *("cases", "definitions", "configuration", "provenance"),
    ]
    links = [link["href"] for link in parsed.find("a")]
    assert links[: len(sections)] == [f"#{section}" for section in sections]
    assert page.index("<h1>") < page.index('id="results"')


def test_headings_skip_no_level(parsed):
    levels = [int(tag[1]) for tag, _ in parsed.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_nothing_is_fetched_and_nothing_is_run(page, parsed):
    for tag, attributes in parsed.elements:
        assert tag not in {"script", "link", "iframe", "object", "embed", "base"}
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href", "xlink:href", "srcset", "poster", "data", "action"):
            target = attributes.get(name) or "#"
            local = (
                target.startswith(("#", "data:image/png;base64,")) or target == "cases%20%231.csv"
            )
            assert local, target
    assert not re.search(r"https?:|@import|url\((?!#)", page)


def test_every_picture_has_a_text(parsed):
    pictures = parsed.find("img")
    assert len(pictures) == 4 + 2 * 3  # one example of four panels; errors of two networks' cases
    assert all(picture["alt"] for picture in pictures)
    drawings = parsed.find("svg")
    described = [svg for svg in drawings if svg.get("role") == "img"]
    assert len(described) == (2 + 3 + 3) + 3 * 2 * 3  # plots; image, truth and prediction
    assert all(svg["aria-label"] for svg in described)
    assert all(svg["aria-hidden"] == "true" for svg in drawings if svg not in described)


def test_every_reference_within_the_page_has_a_target(parsed):
    ids = {attributes.get("id") for _, attributes in parsed.elements}
    references = [a.get("href") or a.get("xlink:href") or "" for _, a in parsed.elements]
    assert {reference[1:] for reference in references if reference.startswith("#")} <= ids


def test_best_of_every_column_is_bold(make_content, tmp_path):
    content = make_content()
    bad, good = (network.name for network in content.networks)
    value = {bad: 0.25, good: 0.75}
    scores = content.scores.assign(value=content.scores["network"].map(value))
    write_report(make_content(scores=scores), tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    # Dice, Jaccard, accuracy, Dice of volumes; precision, recall, surface Dice.
    assert page.count("<strong>0.750</strong>") == 4 + 3 + 1 + 3 + 3 * 3
    assert page.count("<strong>0.25</strong>") == 3 + 3  # the smaller HD95 and ASSD is the better
    assert page.count("<strong>") == 26


def test_calibration_and_images_stand_in_the_page_where_they_were_scored(make_content, tmp_path):
    content = make_content()
    first, second = (network.name for network in content.networks)
    keys = {"subject": "38", "slice": 1, "tissue": "all"}
    rows = [
        {"network": first, "metric": "ece", "value": 0.0123, **keys},
        {"network": second, "metric": "ece", "value": 0.0456, **keys},
        {"network": second, "metric": "psnr_db", "value": 31.25, **keys},
    ]
    scores = pd.concat([content.scores, pd.DataFrame(rows)])
    write_report(make_content(scores=scores), tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    PageElements(page)
    assert "<strong>0.0123</strong>" in page
    assert "<td>0.0456</td>" in page
    assert "<strong>31.25</strong>" in page
    assert "<dt>ECE</dt>" in page
    # Nothing had these, so there is no column of dashes.
    assert not {"ECE, volumes", "SSIM", "NRMSE"} & set(re.findall(r'"col">([^<]*)<', page))


def test_nothing_is_said_of_calibration_that_was_not_scored(page):
    assert "ECE" not in page
    assert "PSNR" not in page


def test_one_failed_slice_does_not_squeeze_the_boxes(make_content):
    name = make_content().networks[0].name
    values = [*np.linspace(0.8, 0.9, 50), 0.0]
    columns = {"network": name, "subject": "1", "tissue": "GM", "metric": "dice", "value": values}
    scores = pd.DataFrame({"slice": range(51), **columns})
    (plot,) = metric_boxes(scores, [name], ["GM"], "dice")
    assert "(+1 below 0.60)" in plot  # quartiles 0.825 and 0.875; 0.825 - 4 * 0.05 is 0.625


@pytest.mark.parametrize(("metric", "outside"), [("dice", [0.0] * 8), ("hd95_mm", [np.inf] * 8)])
def test_box_is_that_of_all_finite_values(metric, outside, monkeypatch):
    """Also of those that lie below the scale: a fifth of the slices, with a Dice of 0."""
    values = np.array([*outside, np.nan, *np.linspace(0.9, 0.95, 32)])
    columns = {"network": "n", "subject": "1", "tissue": "GM", "metric": metric, "value": values}
    scores = pd.DataFrame({"slice": range(len(values)), **columns})
    drawn = []
    monkeypatch.setattr(
        plots, "_svg", lambda figure, *_: drawn.append(figure.axes[0]) or Markup("")
    )
    metric_boxes(scores, ["n"], ["GM"], metric)
    (axes,) = drawn
    assert "(+8 " in axes.texts[0].get_text()  # counted,
    assert min(x for line in axes.lines for x in line.get_xdata()) >= 0.9  # not drawn
    q25, median, q75 = np.percentile(values[np.isfinite(values)], [25, 50, 75])
    (box,) = axes.patches
    assert (box.get_path().get_extents().x0, box.get_path().get_extents().x1) == (q25, q75)
    assert [median, median] in [list(line.get_xdata()) for line in axes.lines]


def test_box_plots_name_all_networks_in_their_text(parsed, make_content):
    names = ", ".join(network.name for network in make_content().networks)
    texts = [svg["aria-label"] for svg in parsed.find("svg") if svg.get("role") == "img"]
    assert sum(str(text).endswith(names) for text in texts) == 3 + 3


def test_tables_have_captions_and_scoped_headings(page, parsed):
    assert page.count("<table") == page.count("<caption>") > 0
    assert all(heading.get("scope") for heading in parsed.find("th"))


def test_names_are_shown_but_never_become_markup(parsed, make_content):
    content = make_content()
    shown = "".join(parsed.text)
    names = [network.name for network in content.networks]
    hostile = [content.title, *names, "<b>05</b>", "Source <s>", "Anatomy <k>", "BrainWeb <v>"]
    hostile += ["Subject <i>05</i>, slice 2", "First <desc>", "kind: <study>"]
    hostile += ["commit <c>", "abc <d>", "Cases <f>"]
    for text in hostile:
        assert text in shown, text
    tags = {tag for tag, _ in parsed.elements}
    assert not tags & {"one", "script", "b", "s", "k", "v", "i", "desc", "study", "c", "d", "f"}


def test_configuration_is_not_folded_away_in_print(page, parsed):
    assert not parsed.find("details")
    print_style = page[page.index("@media print") : page.index("</style>")]
    assert re.search(r"pre \{[^}]*max-height: none", print_style)


def test_same_content_gives_the_same_page(page, make_content, tmp_path):
    write_report(make_content(), tmp_path / "again.html")
    assert (tmp_path / "again.html").read_text(encoding="utf-8") == page


def test_pooled_and_per_slice_dice_are_told_apart(page, parsed):
    shown = "".join(parsed.text)
    assert shown.count("Validation Dice, pooled") == 2  # the curve and its definition
    assert "Its pooled Dice" in shown
    # Of the epoch kept, not of the best one: 1 - 0.6 / 4.
    assert re.search(r"<td[^>]*>4</td>\s*<td[^>]*>0.850</td>", page)


def test_headline_shows_mean_and_spread_over_slices(page, make_content):
    scores = make_content().scores
    dice = scores[(scores["slice"] >= 0) & (scores["metric"] == "dice")]
    for _, values in dice.groupby(["network", "tissue"])["value"]:
        spread = rf'<span class="spread">± {values.std():.3f}</span>'
        assert re.search(rf"{values.mean():.3f}(</strong>)? {spread}", page)


def test_infinite_distances_are_counted_beside_the_box(page):
    # The first network invents two slices and misses one, in each of three tissues.
    assert page.count("(+3 infinite)") == 3


@pytest.mark.parametrize(
    "target",
    ["http://a.example/x.csv", "//a.example/x", "javascript:alert(1)", "/etc/passwd"],
)
def test_link_out_of_the_folder_is_refused(target, make_content, tmp_path):
    with pytest.raises(ValueError, match="need paths relative to the report"):
        write_report(make_content(files={"x": target}), tmp_path / "report.html")


def test_network_without_scores_is_refused_and_nothing_is_written(make_content, tmp_path):
    content = make_content(networks=make_content().networks[:1])
    with pytest.raises(ValueError, match="need scores of exactly the networks"):
        write_report(content, tmp_path / "report.html")
    assert not list(tmp_path.iterdir())


def test_history_without_a_column_is_refused(make_content, tmp_path):
    networks = [
        replace(network, history=network.history.drop(columns="seconds"))
        for network in make_content().networks
    ]
    with pytest.raises(ValueError, match=r"lacks the columns \['seconds'\]"):
        write_report(make_content(networks=networks), tmp_path / "report.html")


def test_report_of_empty_slices_alone_is_still_a_page(make_content, tmp_path):
    content = make_content()
    empty = content.scores.query("slice == 0").assign(value=float("nan"))
    write_report(make_content(scores=empty), tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    PageElements(page)
    assert "No slice has any tissue in its ground truth." in page


def test_report_of_one_network_after_one_epoch_without_validation(make_content, tmp_path):
    network = make_content().networks[0]
    history = network.history.head(1).assign(validation_loss=np.nan, validation_dice_pooled=np.nan)
    scores = make_content().scores.query("network == @network.name")
    networks = [replace(network, history=history)]
    write_report(make_content(networks=networks, scores=scores), tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    PageElements(page)
    assert "<strong>" not in page  # nothing is best when there is nothing to compare with
