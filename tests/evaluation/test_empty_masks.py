"""What metrics say of empty masks: the table, the code and the page must say the same."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from spinforge.evaluation.case_metrics import METRICS
from spinforge.evaluation.empty_masks import (
    EMPTY_VALUES,
    MaskCase,
    count_mask_cases,
    mask_cases,
    settled,
)
from spinforge.evaluation.score import VOLUME, score_slices

TISSUES = ("CSF", "GM", "WM")


def square(code: int, *, size: int = 4) -> np.ndarray:
    labels = np.zeros((1, 9, 11), dtype=np.uint8)
    labels[0, 2 : 2 + size, 3 : 3 + size] = code
    return labels


EMPTY, REGION = square(0), square(2)
PLANTED = {
    MaskCase.MISSED: (EMPTY, REGION),
    MaskCase.FALSE_POSITIVE: (REGION, EMPTY),
    MaskCase.NEITHER: (EMPTY, EMPTY),
}
BY_FORMULA = {
    ("pixel_accuracy", MaskCase.MISSED): 1 - 16 / 99,
    ("pixel_accuracy", MaskCase.FALSE_POSITIVE): 1 - 16 / 99,
    ("pixel_accuracy", MaskCase.NEITHER): 1.0,
    ("hd_rows", MaskCase.MISSED): 2.0,  # root of the 4 pixels of a row
    ("hd_rows", MaskCase.FALSE_POSITIVE): 2.0,
    ("true_pixels", MaskCase.MISSED): 16.0,
    ("predicted_pixels", MaskCase.FALSE_POSITIVE): 16.0,
}


def score(predicted, target, network="unet") -> pd.DataFrame:
    return score_slices(
        predicted,
        target,
        spacing_mm=(1.0, 1.0),
        slice_mm=2.0,
        subject="04",
        network=network,
        slices=range(len(target)),
    )


@pytest.mark.parametrize("case", PLANTED, ids=str)
@pytest.mark.parametrize("metric", EMPTY_VALUES)
def test_planted_masks_have_the_values_of_the_table(metric, case):
    scores = score(*PLANTED[case])
    rows = scores[(scores["tissue"] == "GM") & (scores["metric"] == metric)]
    instead = dict(zip(tuple(MaskCase)[1:], EMPTY_VALUES[metric], strict=True))[case]
    expected = BY_FORMULA.get((metric, case), 0.0) if instead is None else instead
    assert len(rows) == (1 if metric == "hd_rows" else 2)  # the slice, and its volume
    np.testing.assert_array_equal(rows["value"], expected)


def cell(value: float | None) -> str:
    return "formula" if value is None else "NaN" if math.isnan(value) else f"{value:g}"


def test_the_page_shows_the_table_of_the_code(repository):
    page = (repository / "docs" / "metrics.md").read_text(encoding="utf-8")
    section = page.split("## Empty masks")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    expected = [
        f"| `{metric}` | {' | '.join(map(cell, values))} |"
        for metric, values in EMPTY_VALUES.items()
    ]
    assert rows == expected
    assert "| metric | missed | false positive | neither |" in section


def test_the_page_names_every_metric(repository: Path):
    page = (repository / "docs" / "metrics.md").read_text(encoding="utf-8")
    formulas = page.split("## Empty masks")[0]
    assert [metric for metric in METRICS if f"`{metric}`" not in formulas] == []


def test_every_pair_of_maps_is_one_case():
    cases = mask_cases(np.array([3, 3, 0, 0]), np.array([2, 0, 2, 0]))
    assert cases.tolist() == ["both", "missed", "false positive", "neither"]


def test_a_value_of_both_masks_is_left_as_it_is():
    values = settled("dice", np.array([0.25, 0.5]), np.array(["both", "missed"]))
    assert values.tolist() == [0.25, 0.0]


def test_cases_are_counted_for_slices_and_volumes():
    predicted = np.concatenate([EMPTY, REGION, EMPTY, REGION, REGION])
    target = np.concatenate([REGION, EMPTY, EMPTY, REGION, square(2, size=3)])
    scores = pd.concat([score(predicted, target), score(target, target, network="perfect")])
    counts = count_mask_cases(scores).set_index(["network", "level", "tissue"])
    assert counts.loc[("unet", "slice", "GM")].tolist() == [2, 1, 1, 1]
    assert counts.loc[("unet", "volume", "GM")].tolist() == [1, 0, 0, 0]
    assert counts.loc[("unet", "slice", "WM")].tolist() == [0, 0, 0, 5]
    assert counts.loc[("perfect", "slice", "GM")].tolist() == [3, 0, 0, 2]
    assert len(counts) == 2 * 2 * 3


def test_a_table_without_sizes_is_refused():
    scores = score(REGION, REGION)
    with pytest.raises(ValueError, match=r"need rows of the metrics \['true_pixels', "):
        count_mask_cases(scores[scores["metric"] == "dice"])


def test_no_case_is_dropped():
    """Each slice of each tissue is in the mean, or counted among the infinite or undefined ones."""
    target = np.concatenate([EMPTY, REGION, EMPTY, REGION])
    scores = score(np.concatenate([REGION, EMPTY, EMPTY, REGION]), target)
    slices = scores[(scores["slice"] != VOLUME) & (scores["tissue"].isin(TISSUES))]
    sizes = slices.groupby(["tissue", "metric"]).size()
    assert set(sizes) == {4}
    assert len(sizes) == 3 * len(EMPTY_VALUES)
