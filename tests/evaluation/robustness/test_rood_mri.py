"""Our scores are ROOD-MRI's, which its own code made of the same planted values."""

import itertools
from pathlib import Path

import pandas as pd
import pytest

from spinforge.evaluation.robustness.degradation import degradation_scores, mean_over_transforms
from spinforge.evaluation.robustness.long_table import CLEAN, COLUMNS, TRAINED_CLEAN, checked

GOLDEN = Path(__file__).parents[2] / "golden" / "rood_mri_scores.csv"


def planted_value(case: int, model: str, severity: int, subject: int, metric: str) -> float:
    """Some number for each case; `case` counts pairs of model and transform, clean first."""
    number = 7 * case + 3 * severity + 5 * subject + severity * subject
    if metric == "dice":
        return 1 - (number * 37) % 101 / 250 - severity / 20 * (1 + (model == "fcn"))
    return 1 + (number * 53) % 97 / 40 + severity


def planted_table() -> pd.DataFrame:
    cases = itertools.product(("fcn", "unet"), (CLEAN, "noise", "motion"))
    rows = [
        (model, "heads", TRAINED_CLEAN, 0, transform, severity, f"s{subject}", -1, "gm", metric,
         planted_value(case, model, severity, subject, metric))
        for case, (model, transform) in enumerate(cases)
        for severity in ((0,) if transform == CLEAN else range(1, 6))
        for subject in range(4)
        for metric in ("dice", "hd95_mm")
    ]  # fmt: skip
    return checked(pd.DataFrame(rows, columns=COLUMNS))


def test_scores_are_those_that_rood_mri_itself_computes():
    scores = degradation_scores(planted_table())
    ours = pd.concat([scores, mean_over_transforms(scores)])
    expected = pd.read_csv(GOLDEN, comment="#").set_index(["model", "transform", "metric"])
    assert len(ours) == len(expected) == 12
    for row in ours.itertuples():
        golden = expected.loc[(row.model, row.transform, row.metric)]
        for name in expected.columns:
            assert getattr(row, name) == pytest.approx(golden[name], rel=1e-12, abs=1e-12)
