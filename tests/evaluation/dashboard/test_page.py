"""The page of the planted study: what its tabs show, and what filters do to them."""

import json
import os

import pandas as pd
import pytest
from planted_robustness import NETWORKS, REGRESSION, planted_content

from spinforge.evaluation.dashboard.choices import counted
from spinforge.evaluation.dashboard.page import TABS
from spinforge.evaluation.report.colours import network_colour
from spinforge.evaluation.robustness.long_table import RETRAINED, TRAINED_CLEAN, read_long_table
from spinforge.evaluation.robustness.report.results import robustness_results
from spinforge.evaluation.robustness.report.verdict import verdict

CHARTS = {"Overview": 0, "Curves": 3, "Compare": 2, "Samples": 0, "Runs": 1}
STUDY = "planted"


def write(table, folder):
    table.to_parquet(folder / "robustness.parquet", index=False)


def texts(page) -> str:
    """All that can be read but tables."""
    kinds = (page.markdown, page.caption, page.info, page.warning, page.error, page.text)
    return "\n".join(str(element.value) for kind in kinds for element in kind)


def html_of(page) -> str:
    return "\n".join(element.proto.body for element in page.get("html"))


def charts(page) -> int:
    return len(page.get("vega_lite_chart"))


def figures(page) -> pd.DataFrame:
    """The table below the curves."""
    return page.dataframe[0].value


def filtered(page, *, networks=None, corruptions=None, seeds=None):
    for name, wanted in (("networks", networks), ("corruptions", corruptions), ("seeds", seeds)):
        if wanted is not None:
            page.multiselect(f"{name} of {STUDY}").set_value(wanted)
    return page.run()


@pytest.mark.parametrize("tab", TABS)
def test_every_tab_shows_its_figures(page_of, tab):
    page = page_of(tab)
    assert not page.exception
    assert not page.error
    assert not page.warning
    assert charts(page) == CHARTS[tab]
    assert len(page.dataframe) >= 1


def test_overview_has_the_headline_of_every_network(page_of):
    scores = page_of("Overview").dataframe[0].value.set_index("network")
    assert list(scores.index) == ["steady", "fading", "broken"]
    assert scores.loc["steady", "mCE"] == "100 %"
    falls = scores["degradation"].str.replace("\N{MINUS SIGN}", "-").astype(float)
    assert falls["fading"] > 0.02 > falls["broken"] > 0.002 > falls["steady"]
    assert " to " in scores.loc["fading", "95 % interval"]


@pytest.fixture(scope="module")
def many_heads(planted, tmp_path_factory):
    """The study with twice the heads, of which enough is shown; trained clean only."""
    table = read_long_table(planted)
    table = table[table["protocol"] == TRAINED_CLEAN]
    folder = tmp_path_factory.mktemp("many")
    write(pd.concat([table, table.assign(subject="other " + table["subject"])]), folder)
    return folder / "robustness.parquet"


def test_overview_names_the_planted_regression(page_of, many_heads):
    said = html_of(page_of("Overview", many_heads))
    assert "<li>steady degrades least: " in said or "<li>broken degrades least: " in said
    assert "fading degrades most" in said
    assert "<li>noise hurts most: " in said
    assert said.count("Regression: broken under motion at level 3 (Dice") == 1
    assert "; " not in said.split("Regression: ")[1].split("</li>")[0]  # and no other


def test_overview_says_the_verdict_of_the_report(page_of, planted):
    page = page_of("Overview")
    content = planted_content(table=read_long_table(planted))
    said = html_of(page)
    paragraphs = verdict(robustness_results(content), content.strengths)
    assert [name for name, _ in paragraphs] == [TRAINED_CLEAN, RETRAINED]
    for name, sentences in paragraphs:
        assert f"<b>{name}</b>" in said
        assert len(sentences) == 4
        for sentence in sentences:
            assert f"<li>{sentence}</li>" in said
    # Six heads show nothing of a regression, but where to look.
    assert said.count("the largest dip, which may be chance, is that of broken under motion") == 2


def test_a_table_of_which_nothing_can_be_said_is_a_message(page_of, planted, tmp_path):
    table = read_long_table(planted)
    write(table[table["metric"] == "hd95_mm"], tmp_path)
    page = page_of("Overview", tmp_path / "robustness.parquet")
    assert not page.exception
    assert "no row of the metric 'dice'" in page.warning[0].value


def test_numbers_and_words_agree(page_of, planted, tmp_path):
    assert [counted(n, "seed") for n in (0, 1, 2)] == ["0 seeds", "1 seed", "2 seeds"]
    table = read_long_table(planted)
    one = (table["model"] == "broken") & (table["transform"].isin(["clean", "motion"]))
    write(table[one & (table["seed"] == 0) & (table["subject"] == "head-0")], tmp_path)
    page = page_of("Overview", tmp_path / "robustness.parquet")
    assert not page.exception
    counts = " · 1 network · 1 corruption · 1 subject · 1 seed · "
    assert counts in page.caption[0].value
    assert " · 3 networks · 3 corruptions · 6 subjects · 2 seeds · " in texts(page_of("Overview"))


def spec(chart) -> dict:
    return json.loads(chart.proto.spec)


def test_the_regression_is_marked_in_curve_and_table_whatever_is_filtered(page_of, many_heads):
    model, transform, level = REGRESSION
    page = page_of("Curves", many_heads)
    marked = figures(page)[figures(page)["regression"] == "▼"]
    wanted = [transform, model, level]
    assert marked[["corruption", "network", "severity"]].to_numpy().tolist() == [wanted]
    layers = spec(page.get("vega_lite_chart")[0])["layer"]
    assert [one["mark"].get("text") for one in layers][-1] == "▼"
    assert layers[-1]["transform"] == [{"filter": "datum.regression"}]
    assert "▼: regression of Dice" in texts(page)
    page.selectbox(f"metric of {STUDY}").set_value("hd95_mm").run()
    again = figures(page)[figures(page)["regression"] == "▼"]
    assert again[["corruption", "network", "severity"]].to_numpy().tolist() == [wanted]
    page = filtered(page, networks=["steady"])
    assert not figures(page)["regression"].any()
    assert "▼" not in texts(page)


def test_only_broken_and_motion_leave_one_line_with_the_planted_regression(page_of):
    model, transform, level = REGRESSION
    page = filtered(page_of("Curves"), networks=[model], corruptions=[transform])
    assert charts(page) == 1
    table = figures(page)
    assert set(table["network"]) == {model}
    assert set(table["corruption"]) == {transform}
    means = table.set_index("severity")["mean"]
    assert list(means.index) == [0, 1, 2, 3, 4, 5]
    others = means.drop(level)
    assert others.max() - others.min() < 0.01
    assert others.min() - means[level] > 0.05
    # Nor does the band of the regression reach the other levels.
    assert table.set_index("severity")["to"][level] < others.min()
    assert html_of(page).count("<span title=") == 1


def test_colours_stay_with_their_networks_whatever_is_filtered(page_of):
    page = page_of("Curves")
    before = {part.split(">")[2]: part for part in html_of(page).split("<span")[1:]}
    page = filtered(page, networks=["broken"])
    after = [part for part in html_of(page).split("<span")[1:] if "broken" in part]
    assert [part.split("</span>")[0] for part in after] == [
        part.split("</span>")[0] for part in before.values() if "broken" in part
    ]


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ({"networks": []}, "Choose a network"),
        ({"corruptions": []}, "Choose a corruption"),
        ({"seeds": []}, "Choose a seed"),
    ],
)
@pytest.mark.parametrize("tab", ["Curves", "Compare", "Samples"])
def test_an_empty_filter_says_what_to_choose(page_of, tab, choice, said):
    page = filtered(page_of(tab), **choice)
    assert not page.exception
    assert said in page.info[0].value
    assert charts(page) == 0


def test_metric_tissue_unit_protocol_and_seed_change_the_figures(page_of):
    page = page_of("Curves")
    seen = [figures(page)]
    for change in (
        lambda: page.selectbox(f"metric of {STUDY}").set_value("hd95_mm"),
        lambda: page.selectbox(f"tissue of {STUDY}").set_value("GM"),
        lambda: page.radio(f"unit of {STUDY}").set_value("volume"),
        lambda: page.radio(f"protocol of {STUDY}").set_value("retrained per level"),
        lambda: page.multiselect(f"seeds of {STUDY}").set_value([1]),
    ):
        change().run()
        assert not page.exception
        seen.append(figures(page))
        assert not seen[-1].equals(seen[-2])
    assert "HD95 [mm] of GM in volumes; networks retrained per level, seed 1" in texts(page)
    assert set(seen[-1]["cases"]) == {6}  # one volume of each head


def test_one_network_is_not_compared_and_has_no_unit_of_errors(page_of):
    page = filtered(page_of("Compare"), networks=["broken"])
    assert not page.exception
    assert charts(page) == 1
    assert "Choose two networks or more" in texts(page)
    assert "its baseline steady is not among the chosen" in texts(page)
    assert page.dataframe[0].value["mCE"].tolist() == ["-"]


def test_fewer_than_five_subjects_have_means_but_no_interval(page_of, planted, tmp_path):
    table = read_long_table(planted)
    write(table[table["subject"].isin(["head-0", "head-1"])], tmp_path)
    page = page_of("Curves", tmp_path / "robustness.parquet")
    assert not page.exception
    assert figures(page)["mean"].notna().all()
    assert figures(page)["to"].isna().all()
    page = page_of("Overview", tmp_path / "robustness.parquet")
    assert set(page.dataframe[0].value["95 % interval"]) == {"none"}


def test_infinite_distances_are_counted_and_leave_no_hole(page_of, planted, tmp_path):
    table = read_long_table(planted)
    lost = (table["metric"] == "hd95_mm") & (table["subject"] == "head-0")
    table.loc[lost, "value"] = float("inf")
    write(table, tmp_path)
    page = page_of("Curves", tmp_path / "robustness.parquet")
    page.selectbox(f"metric of {STUDY}").set_value("hd95_mm").run()
    assert not page.exception
    assert page.selectbox(f"tissue of {STUDY}").options == ["CSF", "GM", "WM"]  # it has no mean
    assert set(figures(page)["without a value"]) == {10}  # 5 slices, 2 seeds
    page.query_params["tab"] = "Samples"
    page.run()
    assert not page.exception
    assert "1. head-0" in page.selectbox("sample rank").options[0]
    assert "inf" in page.selectbox("sample rank").options[0]


def chosen_sample(page, model, transform, level):
    page.selectbox("sample network").set_value(model)
    page.selectbox("sample corruption").set_value(transform).run()
    return page.select_slider(f"sample severity of {transform}").set_value(level).run()


def test_the_sample_browser_shows_the_planted_regression_beside_the_clean_image(page_of):
    page = chosen_sample(page_of("Samples"), *REGRESSION)
    assert not page.exception
    # Two rows of four pictures, two of which have a second layer.
    assert html_of(page).count("<figure>") == 8
    assert html_of(page).count("<img src=") == 12
    values = page.dataframe[0].value.set_index("image").astype(float)
    assert list(values.index) == ["motion, level 3", "clean image"]
    # A ring loses more by a shift than the disc inside of it.
    assert (values.loc["clean image"] - values.loc["motion, level 3"]).min() > 0.03
    other = chosen_sample(page, "broken", "motion", 2).dataframe[0].value.set_index("image")
    assert (
        abs(other.loc["clean image"].astype(float) - other.loc["motion, level 2"].astype(float))
        .max()
        < 0.05
    )  # fmt: skip


def test_worst_first_is_in_order_and_any_slice_can_be_chosen(page_of):
    page = chosen_sample(page_of("Samples"), *REGRESSION)
    listed = [float(text.rsplit(" ", 1)[1]) for text in page.selectbox("sample rank").options]
    assert len(listed) == 6 * 5
    assert listed == sorted(listed)
    page.radio("sample order").set_value("any slice").run()
    page.selectbox("sample subject").set_value("head-4").run()
    page.select_slider("sample slice of head-4").set_value(1).run()
    assert not page.exception
    assert "head-4, slice 1" in texts(page)


def test_pictures_that_cannot_be_loaded_are_said_and_the_values_stay(page_of):
    page = page_of("Samples", lost_pictures=True)
    assert not page.exception
    assert len(page.warning) == 1  # of both images, as it is the same
    assert "cannot be loaded for steady" in page.warning[0].value
    assert len(page.dataframe[0].value) == 2


def test_runs_are_filtered_by_their_words(page_of):
    page = page_of("Runs")
    assert len(page.dataframe[0].value) == 7
    page.text_input("run filter").set_value("kind=broken seed=1").run()
    assert page.dataframe[0].value["id"].tolist() == ["broken1"]
    page.text_input("run filter").set_value("nothing").run()
    assert not page.exception
    assert "No run has 'nothing'" in texts(page)


def test_learning_curves_start_with_a_metric_that_is_a_curve(page_of):
    page = page_of("Runs")
    options = ["best_validation_dice_pooled", "train_loss", "validation_dice_pooled"]
    assert page.selectbox("run metric").options == options
    assert page.selectbox("run metric").value == "validation_dice_pooled"
    page = page_of("Runs", recorded=["train_loss"])
    assert page.selectbox("run metric").value == "train_loss"
    page = page_of("Runs", recorded=[])
    assert not page.exception
    assert page.selectbox("run metric").value == "best_validation_dice_pooled"


def test_networks_have_the_same_colours_in_learning_curves_as_elsewhere(page_of):
    page = page_of("Runs")
    chart = spec(page.get("vega_lite_chart")[0])
    scale = chart["encoding"]["color"]["scale"]
    assert scale["domain"] == list(NETWORKS)
    assert scale["range"] == [network_colour(place) for place in range(3)]
    assert chart["encoding"]["color"]["field"] == "network"
    assert chart["encoding"]["detail"]["field"] == "run"  # a line a run
    assert "<span" in html_of(page)
    swatches = html_of(page).split("<span")[1:]
    page.text_input("run filter").set_value("kind=broken").run()
    alone = html_of(page).split("<span")[1:]
    assert len(alone) == 1
    assert alone[0].split("<img")[1] == swatches[2].split("<img")[1]


def test_what_keeps_runs_from_being_read_is_on_the_page(page_of):
    page = page_of("Runs", runs_message="MLflow at http://127.0.0.1:1 does not answer.")
    assert not page.exception
    assert "does not answer" in page.warning[0].value
    page = page_of("Runs", lost_curves=True)
    assert not page.exception
    assert "is not there any more" in page.warning[0].value


def test_a_new_table_is_read_at_the_next_look(page_of, planted, tmp_path):
    table = read_long_table(planted)
    write(table, tmp_path)
    page = page_of("Curves", tmp_path / "robustness.parquet")
    before = figures(page)
    write(table.assign(value=table["value"] / 2), tmp_path)
    page.run()
    assert figures(page)["mean"].mean() == pytest.approx(before["mean"].mean() / 2, rel=1e-3)


def test_several_studies_are_listed_and_each_has_its_own_filters(page_of, planted, tmp_path):
    table = read_long_table(planted)
    write(table[table["model"] != "broken"], tmp_path)
    page = page_of("Overview", planted, tmp_path / "robustness.parquet")
    assert page.dataframe[3].value["study"].tolist() == ["planted", "planted1"]
    page.selectbox("study").set_value("planted1").run()
    assert not page.exception
    assert page.multiselect("networks of planted1").value == ["steady", "fading"]


def test_without_a_study_the_page_says_what_to_run(page_of):
    page = page_of("Overview", no_study=True)
    assert not page.exception
    assert "spinforge robustness" in page.info[0].value


@pytest.mark.parametrize("content", [b"", b"no table", None])
def test_a_damaged_or_missing_table_is_one_message(page_of, tmp_path, content):
    path = tmp_path / "robustness.parquet"
    if content is not None:
        path.write_bytes(content)
    page = page_of("Curves", path)
    assert not page.exception
    assert str(path) in page.error[0].value
    assert "Run the study" in page.error[0].value


def test_another_parquet_file_is_no_study(page_of, tmp_path):
    path = tmp_path / "robustness.parquet"
    pd.DataFrame({"model": ["a"]}).to_parquet(path)
    page = page_of("Curves", path)
    assert not page.exception
    assert "it lacks task, protocol" in page.error[0].value


def test_a_damaged_study_does_not_hide_the_others(page_of, planted, tmp_path):
    path = tmp_path / "robustness.parquet"
    path.write_bytes(b"no table")
    os.utime(path, (0, 0))
    page = page_of("Overview", planted, path)
    assert not page.exception
    assert not page.error
    assert str(path) in page.dataframe[3].value["table written"][1]
