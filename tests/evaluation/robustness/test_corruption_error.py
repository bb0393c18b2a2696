"""mCE and relative mCE of hand-computed cases."""

import numpy as np
import pandas as pd
import pytest

from spinforge.evaluation.robustness.corruption_error import corruption_errors
from spinforge.evaluation.robustness.degradation import ALL_TRANSFORMS
from spinforge.evaluation.robustness.long_table import CLEAN, COLUMNS, TRAINED_CLEAN, checked
from spinforge.simulation.errors import SpinforgeError


def table(metric="dice", **curves):
    """{model: {transform: [clean, severity 1, ...]}} as one volume each."""
    rows = [
        (model, "heads", TRAINED_CLEAN, 0, transform if severity else CLEAN, severity, "s", -1,
         "gm", metric, value)
        for model, transforms in curves.items()
        for transform, curve in transforms.items()
        for severity, value in enumerate(curve)
    ]  # fmt: skip
    return checked(pd.DataFrame(rows, columns=COLUMNS).drop_duplicates(COLUMNS[:-1]))


TWO = {
    "base": {"noise": [0.9, 0.8, 0.6], "motion": [0.9, 0.7, 0.7]},
    "net": {"noise": [0.95, 0.9, 0.8], "motion": [0.95, 0.9, 0.8]},
}


def errors(*args, **options):
    found = corruption_errors(*args, **options)
    return found.set_index(["model", "transform"])[["ce", "relative_ce"]]


def test_errors_of_a_hand_computed_case():
    """Six figures, no two alike.

    Noise: errors .1 + .3 of .2 + .4, increases .05 + .25 of .1 + .3. Motion: errors .2 + .5 of
    .3 + .2, increases .15 + .45 of .2 + .1.
    """
    curves = {
        "base": {"noise": [0.9, 0.8, 0.6], "motion": [0.9, 0.7, 0.8]},
        "net": {"noise": [0.95, 0.9, 0.7], "motion": [0.95, 0.8, 0.5]},
    }
    found = errors(table(**curves), baseline="base")
    assert found.loc["net", "noise"].tolist() == pytest.approx([200 / 3, 75.0])
    assert found.loc["net", "motion"].tolist() == pytest.approx([140.0, 200.0])
    assert found.loc["net", ALL_TRANSFORMS].tolist() == pytest.approx([310 / 3, 137.5])


def test_the_mean_is_of_ratios_not_the_ratio_of_means():
    curves = TWO | {"net": {"noise": [0.95, 0.9, 0.8], "motion": [0.95, 0.4, 0.4]}}
    found = errors(table(**curves), baseline="base")
    assert found.loc["net", "motion"].tolist() == pytest.approx([200.0, 275.0])
    assert found.loc["net", ALL_TRANSFORMS].tolist() == pytest.approx([125.0, 162.5])


def test_the_baseline_has_100_percent():
    found = errors(table(**TWO), baseline="base").loc["base"]
    np.testing.assert_allclose(found.to_numpy(), 100.0)


def test_a_distance_is_its_own_error():
    curves = {"base": {"noise": [1.0, 2.0, 4.0]}, "net": {"noise": [1.0, 1.0, 2.0]}}
    found = errors(table("hd95_mm", **curves), baseline="base")
    assert found.loc["net", "noise"].tolist() == pytest.approx([50.0, 25.0])


def test_where_the_baseline_does_not_get_worse_there_is_no_relative_error():
    curves = {
        "base": {"noise": [0.9, 0.9], "motion": [0.9, 0.8]},
        "net": {"noise": [0.9, 0.8], "motion": [0.9, 0.8]},
    }
    found = errors(table(**curves), baseline="base")
    assert found.loc["net", "noise"].tolist() == pytest.approx([200.0, np.nan], nan_ok=True)
    assert np.isnan(found.loc["net", ALL_TRANSFORMS]["relative_ce"])
    perfect = {"base": {"noise": [1.0, 1.0]}, "net": {"noise": [1.0, 0.9]}}
    assert np.isnan(errors(table(**perfect), baseline="base").loc["net", "noise"]["ce"])


def test_what_has_no_error_or_no_baseline_is_refused():
    with pytest.raises(SpinforgeError, match=r"baseline 'none' is not in the table: .* base, net"):
        corruption_errors(table(**TWO), baseline="none")
    with pytest.raises(SpinforgeError, match="metric 'psnr_db' has no largest value"):
        corruption_errors(table(**TWO).assign(metric="psnr_db"), baseline="base")
    less = TWO | {"base": {"noise": [0.9, 0.8, 0.6]}}
    with pytest.raises(SpinforgeError, match=r"'base' was not scored on .*motion"):
        corruption_errors(table(**less), baseline="base")
