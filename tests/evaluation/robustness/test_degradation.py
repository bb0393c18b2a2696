"""ROOD-MRI's scores against figures computed by hand and written out as sums."""

import numpy as np
import pandas as pd
import pytest

from spinforge.evaluation.comparison import compare_pairs
from spinforge.evaluation.intervals import mean_intervals, replace_infinite
from spinforge.evaluation.robustness.degradation import (
    ALL_TRANSFORMS,
    GROUPS,
    as_values,
    degradation_scores,
    mean_over_transforms,
    severity_means,
)
from spinforge.evaluation.robustness.long_table import (
    CLEAN,
    COLUMNS,
    TRAINED_CLEAN,
    checked,
    clean_in_every_transform,
)
from spinforge.simulation.errors import SpinforgeError


def table(curves, *, model="unet", metric="dice", spread=0.0, subjects=2):
    """Volumes whose mean at each severity is as said; {transform: [clean, severity 1, ...]}.

    Half of the subjects are `spread` above, half below.
    """
    clean = next(iter(curves.values()))[0]
    means = {(CLEAN, 0): clean} | {
        (transform, severity): mean
        for transform, curve in curves.items()
        for severity, mean in enumerate(curve[1:], start=1)
    }
    rows = [
        (model, "heads", TRAINED_CLEAN, 0, *key, f"s{number}", -1, "gm", metric,
         mean + spread * (-1) ** number)
        for key, mean in means.items()
        for number in range(subjects)
    ]  # fmt: skip
    return checked(pd.DataFrame(rows, columns=COLUMNS))


def test_scores_of_a_hand_computed_case():
    """Weights 2/3, 4/9, 8/27 are 18 : 12 : 8, and clean weighs 27.

    Degradation (18 x .1 + 12 x .3 + 8 x .5) / 38; overall
    (27 x .9 + 18 x .8 + 12 x .6 + 8 x .4) / 65.
    """
    (row,) = degradation_scores(table({"noise": [0.9, 0.8, 0.6, 0.4]})).itertuples()
    assert row.degradation == pytest.approx(9.4 / 38)
    assert row.overall == pytest.approx(49.1 / 65)
    assert (row.clean, row.severities) == (pytest.approx(0.9), "1 2 3")
    assert (row.cases, row.undefined) == (8, 0)


def test_a_growing_distance_is_a_positive_degradation():
    (row,) = degradation_scores(table({"noise": [1.0, 2.0, 4.0]}, metric="hd95_mm")).itertuples()
    assert row.degradation == pytest.approx((3 * 1 + 2 * 3) / 5)
    assert row.overall == pytest.approx((9 * 1 + 6 * 2 + 4 * 4) / 19)


def test_spread_is_weighted_like_the_mean():
    """The sample deviation of +-d is d sqrt(2), at all severities."""
    (row,) = degradation_scores(table({"noise": [0.9, 0.8, 0.7]}, spread=0.1)).itertuples()
    assert row.overall_sd == pytest.approx(0.1 * np.sqrt(2))
    assert row.degradation_sd == pytest.approx(0.0)


def test_transforms_weigh_alike_in_the_mean():
    curves = {"noise": [0.9, 0.8, 0.8, 0.8], "motion": [0.9, 0.6]}
    scores = degradation_scores(table(curves))
    assert scores.set_index("transform")["degradation"].to_dict() == {
        "noise": pytest.approx(0.1), "motion": pytest.approx(0.3),
    }  # fmt: skip
    (mean,) = mean_over_transforms(scores).itertuples()
    assert (mean.transform, mean.degradation) == (ALL_TRANSFORMS, pytest.approx(0.2))


def test_weights_follow_the_level_not_its_place():
    """Levels 2 and 4 weigh alpha^2 and alpha^4; alpha 1 weighs all alike."""
    some = table({"noise": [0.9, 0.8, 0.7, 0.6, 0.1]})
    some = some[some["severity"].isin([0, 2, 4])]
    (row,) = degradation_scores(some, alpha=0.5).itertuples()
    assert row.degradation == pytest.approx((0.25 * 0.2 + 0.0625 * 0.8) / 0.3125)
    (alike,) = degradation_scores(some, alpha=1.0).itertuples()
    assert alike.degradation == pytest.approx(0.5)


def test_undefined_cases_are_counted_and_a_severity_without_cases_has_no_score():
    rows = table({"noise": [0.9, 0.8, 0.6], "motion": [0.9, 0.8, 0.6]}, spread=0.1)
    rows.loc[(rows["transform"] == "noise") & (rows["subject"] == "s1"), "value"] = np.nan
    rows.loc[(rows["transform"] == "motion") & (rows["severity"] == 2), "value"] = np.nan
    scores = degradation_scores(rows).set_index("transform")
    assert scores.loc["noise", "degradation"] == pytest.approx((3 * 0.0 + 2 * 0.2) / 5)
    assert scores.loc["noise", ["cases", "undefined"]].tolist() == [4, 2]
    assert scores.loc["motion", ["degradation", "overall"]].isna().all()
    assert scores.loc["motion", "undefined"] == 2
    assert mean_over_transforms(scores.reset_index())["degradation"].isna().all()


def test_infinite_distances_are_refused_until_it_is_said_what_they_count():
    rows = table({"noise": [1.0, 2.0]}, metric="hd95_mm")
    rows.loc[rows["severity"] == 1, "value"] = [np.inf, 3.0]
    with pytest.raises(ValueError, match="infinite values have no mean"):
        degradation_scores(rows)
    (diagonal,) = degradation_scores(replace_infinite(rows, 11.0)).itertuples()
    (left_out,) = degradation_scores(replace_infinite(rows, None)).itertuples()
    assert (diagonal.degradation, diagonal.undefined) == (pytest.approx(6.0), 0)
    assert (left_out.degradation, left_out.undefined) == (pytest.approx(2.0), 1)


def test_what_cannot_be_compared_is_refused():
    one, other = table({"noise": [0.9, 0.8, 0.7]}), table({"noise": [0.9, 0.8]}, model="fcn")
    with pytest.raises(SpinforgeError, match=r"noise: fcn, .* has severities 1, but unet, .* 1 2"):
        degradation_scores(pd.concat([one, other]))
    with pytest.raises(SpinforgeError, match=r"no clean row .* of model unet, task heads"):
        degradation_scores(one[one["severity"] > 0])
    with pytest.raises(SpinforgeError, match="clean rows only"):
        degradation_scores(one[one["severity"] == 0])
    with pytest.raises(ValueError, match="slices and whole volumes are mixed"):
        degradation_scores(pd.concat([one, one.assign(slice=3)]))
    with pytest.raises(SpinforgeError, match="not known of the metric 'volume_difference'"):
        degradation_scores(one.assign(metric="volume_difference"))
    unequal = pd.concat([one, table({"motion": [0.9, 0.8]}, model="fcn")])
    with pytest.raises(SpinforgeError, match="different transforms"):
        mean_over_transforms(degradation_scores(unequal))


def test_scores_of_subjects_average_to_the_score_and_have_intervals_and_tests():
    rng = np.random.default_rng(0)
    rows = pd.concat(
        [
            table({"noise": [0.9, 0.8, 0.6]}, subjects=10),
            table({"noise": [0.9, 0.85, 0.8]}, subjects=10, model="fcn"),
        ]
    )
    rows["value"] += 0.01 * rng.normal(size=len(rows))
    together = degradation_scores(rows).set_index("model")["degradation"]
    single = as_values(degradation_scores(rows, by=[*GROUPS, "subject"]))
    intervals = mean_intervals(single, ["model"]).set_index("model")
    for model in ("fcn", "unet"):
        assert intervals.loc[model, "mean"] == pytest.approx(together[model])
        assert intervals.loc[model, "low"] < together[model] < intervals.loc[model, "high"]
    (row,) = compare_pairs(single, between="model").itertuples()
    assert (row.first, row.second, row.verdict) == ("fcn", "unet", "second larger")


def test_a_planted_regression_at_one_severity_is_seen_in_curve_score_and_test():
    """One network loses .05 at severity 3 only, in each of ten subjects."""
    rng = np.random.default_rng(1)
    curve = [0.9, 0.88, 0.86, 0.84, 0.82, 0.8]
    good = table({"noise": curve}, subjects=10)
    poor = table({"noise": curve}, subjects=10, model="regressed")
    for rows in (good, poor):
        rows["value"] += 0.005 * rng.normal(size=len(rows))
    poor.loc[poor["severity"] == 3, "value"] -= 0.05
    both = clean_in_every_transform(pd.concat([good, poor]))
    curves = severity_means(both).pivot(index="severity", columns="model", values="mean")
    assert (curves["unet"] - curves["regressed"]).idxmax() == 3
    found = compare_pairs(both, between="model", by=["severity"]).set_index("severity")["verdict"]
    assert found[3] == "second larger"
    assert set(found.drop(3)) == {"not shown"}
    scores = degradation_scores(pd.concat([good, poor])).set_index("model")["degradation"]
    assert scores["regressed"] > scores["unet"]
