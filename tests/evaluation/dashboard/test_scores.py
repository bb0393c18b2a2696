"""The dashboard's figures are those of the report, also with unequally many slices a subject."""

import pandas as pd
import pytest
from planted_robustness import NETWORKS, TRANSFORMS, planted_content, planted_table

from spinforge.evaluation.dashboard import scores
from spinforge.evaluation.dashboard.charts import curve_limits
from spinforge.evaluation.dashboard.choices import Choice, chosen_rows
from spinforge.evaluation.robustness.degradation import ALL_TRANSFORMS
from spinforge.evaluation.robustness.long_table import TRAINED_CLEAN
from spinforge.evaluation.robustness.report.results import level_means, robustness_results

FIGURES = ["mean", "low", "high"]


def uneven(table: pd.DataFrame) -> pd.DataFrame:
    """Each head has another number of slices, and one tissue is missed now and then."""
    heads = table["subject"].str[-1].astype(int)
    missed = (table["metric"] == "dice") & (heads == 1) & (table["slice"] == 2)
    kept = table[table["slice"].between(0, 5 - heads.clip(lower=1))]
    return kept.assign(value=table["value"].mask(missed))


def more_seeds(table: pd.DataFrame, count: int) -> pd.DataFrame:
    """As if trained again: values of the first seed, a little less with each further one."""
    first = table[table["seed"] == 0]
    heads = first["subject"].str[-1].astype(int)
    again = (first.assign(seed=k, value=first["value"] * (1 - 0.003 * k * (1 + heads % 3)))
             for k in range(count))  # fmt: skip
    return pd.concat(again, ignore_index=True)


@pytest.fixture(scope="module", params=[2, 5], ids=["two seeds", "five seeds"])
def study(request):
    """Rows of the dashboard's view, the view, and the report's results."""
    table = uneven(planted_table())
    table = table if request.param == 2 else more_seeds(table, request.param)
    table = table[table["metric"] == "dice"]
    seeds = tuple(range(request.param))
    choice = Choice(NETWORKS, TRANSFORMS, "all", "dice", "slice", TRAINED_CLEAN, seeds)
    results = robustness_results(planted_content(table=table))
    return chosen_rows(table, choice), choice, results


def of_report(results, *, together):
    """Scores of Dice, as one column each."""
    found = results.scores[results.scores["metric"] == "dice"]
    found = found[(found["transform"] == ALL_TRANSFORMS) == together]
    return found.set_index(["score", "transform", "model"])[FIGURES].sort_index()


def test_the_scores_are_those_of_the_report(study):
    rows, choice, results = study
    report = of_report(results, together=True)
    found = scores.network_scores(rows, choice, "steady").set_index("model")
    assert list(found.index) == list(NETWORKS)
    names = {"ce": "mce", "relative_ce": "relative_mce"}
    for score in ("clean", "overall", "degradation", "ce", "relative_ce"):
        wanted = report.loc[score, "mean"].droplevel("transform")
        pd.testing.assert_series_equal(
            found[names.get(score, score)].sort_index(), wanted.sort_index(), check_names=False
        )
    ends = report.loc["degradation", ["low", "high"]].droplevel("transform")
    assert ends.notna().all(axis=None)
    pd.testing.assert_frame_equal(
        found[["low", "high"]].sort_index(), ends.sort_index(), check_names=False
    )
    # Each case once: values that are averaged, and those without a number.
    assert (found["cases"] + found["undefined"]).tolist() == rows.groupby("model").size().tolist()
    assert (found["undefined"] > 0).all()


def test_the_heat_map_is_that_of_the_report(study):
    rows, choice, results = study
    report = of_report(results, together=False)
    found = scores.degradation_by_transform(rows, choice).set_index(["transform", "model"])
    assert list(dict.fromkeys(found.index.get_level_values("model"))) == list(NETWORKS)
    for score in ("clean", "overall", "degradation"):
        pd.testing.assert_series_equal(
            found[score].sort_index(), report.loc[score, "mean"].sort_index(), check_names=False
        )


def test_the_curves_and_their_bands_are_those_of_the_report(study):
    rows, choice, results = study
    keys = ["transform", "model", "severity"]
    report = level_means(results, TRAINED_CLEAN, "dice", "all").set_index(keys)[FIGURES]
    found = scores.curve_points(rows, choice).set_index(keys)[FIGURES]
    pd.testing.assert_frame_equal(found.sort_index(), report.sort_index())


def test_the_comparisons_are_those_of_the_report(study):
    rows, choice, results = study
    found = scores.comparisons(rows, choice)
    report = results.comparisons.drop(columns="protocol")
    assert found[["first", "second"]].iloc[0].tolist() == ["steady", "fading"]
    pd.testing.assert_frame_equal(found, report[found.columns])


def test_means_below_0_are_inside_the_scale_and_only_ends_of_intervals_are_cut():
    ends = {"low": [-0.4, -0.3], "high": [0.1, 0.2]}
    low, high = curve_limits(pd.DataFrame({"mean": [-0.2, 0.0], **ends}), "volume_difference")
    assert low < -0.4
    assert high > 0.2
    assert curve_limits(pd.DataFrame({"mean": [0.2, 0.1], **ends}), "hd95_mm")[0] == 0
