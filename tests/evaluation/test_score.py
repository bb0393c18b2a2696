"""The table of scores: planted cases, counts, and the round trip through files."""

import itertools

import numpy as np
import pandas as pd
import pytest

from spinforge.evaluation.empty_masks import EMPTY_VALUES
from spinforge.evaluation.score import (
    COLUMNS,
    VOLUME,
    average_dice,
    read_scores,
    score_slices,
    summarise,
    tissues_of,
    write_scores,
)
from spinforge.simulation.errors import SpinforgeError

SHAPE = (12, 20)
TISSUES = ("CSF", "GM", "WM")


def three_squares() -> np.ndarray:
    """A slice with a 4 x 4 square of each tissue."""
    labels = np.zeros((1, *SHAPE), dtype=np.uint8)
    for code in (1, 2, 3):
        labels[0, 4:8, 6 * code - 4 : 6 * code] = code
    return labels


def score(predicted, target, **options) -> pd.DataFrame:
    arguments = {
        "spacing_mm": (1.0, 1.0),
        "subject": "04",
        "network": "unet",
        "slices": list(range(7, 7 + len(target))),
    }
    return score_slices(predicted, target, **(arguments | options))


def value(scores: pd.DataFrame, slice_: int, tissue: str, metric: str) -> float:
    found = scores.query("slice == @slice_ and tissue == @tissue and metric == @metric")
    return found["value"].item()


def without(labels: np.ndarray, code: int) -> np.ndarray:
    return np.where(labels == code, 0, labels).astype(np.uint8)


def test_every_row_is_there_once():
    target = np.concatenate([three_squares()] * 2)
    scores = score(target, target)
    distances = ["hausdorff_mm", "hd95_mm", "assd_mm", "surface_dice_1mm"]
    overlaps = [metric for metric in EMPTY_VALUES if metric not in (*distances, "hd_rows")]
    per_slice = [*itertools.product(TISSUES, [*overlaps, *distances, "hd_rows"])]
    summary = ["dice", "pixel_accuracy", "mean_pixel_accuracy", "true_pixels", "shared_pixels"]
    per_slice += [("all", metric) for metric in summary]
    volume = [*itertools.product(TISSUES, overlaps)]
    volume += [("all", metric) for metric in (*summary, "jaccard")]
    expected = {(s, *key) for s in (7, 8) for key in per_slice} | {(VOLUME, *k) for k in volume}
    rows = list(scores[["slice", "tissue", "metric"]].itertuples(index=False, name=None))
    assert len(rows) == len(set(rows))
    assert set(rows) == expected
    assert list(scores.columns) == COLUMNS
    assert set(scores["network"]) == {"unet"}
    assert set(scores["subject"]) == {"04"}


def test_perfect_prediction_scores_one_and_zero_distance():
    scores = score(three_squares(), three_squares())
    distances = ["hausdorff_mm", "hd95_mm", "assd_mm", "hd_rows", "volume_difference"]
    distance = scores["metric"].isin(distances)
    size = scores["metric"].str.endswith("_pixels")
    assert set(scores.loc[distance, "value"]) == {0.0}
    assert set(scores.loc[~distance & ~size, "value"]) == {1.0}
    assert set(scores.loc[size & (scores["tissue"] != "all"), "value"]) == {16.0}


def test_shift_is_measured_along_the_right_axis():
    predicted = np.roll(three_squares(), 1, axis=2)
    scores = score(predicted, three_squares(), spacing_mm=(5.0, 0.5))
    assert value(scores, 7, "GM", "hausdorff_mm") == 0.5
    assert value(scores, 7, "GM", "dice") == 2 * 12 / 32
    assert value(scores, 7, "GM", "jaccard") == 12 / 20
    assert value(scores, 7, "GM", "pixel_accuracy") == 1 - 8 / 240
    assert value(scores, 7, "all", "pixel_accuracy") == 1 - 24 / 240


def test_missed_tissue_is_zero_overlap_and_infinite_distance():
    scores = score(without(three_squares(), 2), three_squares())
    assert value(scores, 7, "GM", "dice") == 0.0
    assert value(scores, 7, "GM", "jaccard") == 0.0
    assert value(scores, 7, "GM", "hausdorff_mm") == np.inf
    assert value(scores, 7, "GM", "hd95_mm") == np.inf
    assert value(scores, 7, "all", "dice") == 2 / 3  # (1 + 0 + 1) / 3, rounded once


def test_invented_tissue_is_zero_overlap_and_infinite_distance():
    scores = score(three_squares(), without(three_squares(), 3))
    assert value(scores, 7, "WM", "dice") == 0.0
    assert value(scores, 7, "WM", "hd95_mm") == np.inf
    assert value(scores, 7, "WM", "pixel_accuracy") == 1 - 16 / 240


def test_tissue_in_neither_map_is_undefined_and_left_out_of_the_mean():
    labels = without(three_squares(), 1)
    scores = score(labels, labels)
    for metric in ("dice", "jaccard", "hausdorff_mm", "hd95_mm"):
        assert np.isnan(value(scores, 7, "CSF", metric))
    assert value(scores, 7, "CSF", "pixel_accuracy") == 1.0
    assert value(scores, 7, "all", "dice") == 1.0


def test_all_empty_is_undefined_everywhere_but_in_pixel_accuracy():
    empty = np.zeros((2, *SHAPE), dtype=np.uint8)
    scores = score(empty, empty)
    accuracy = scores["metric"].isin(["pixel_accuracy", "mean_pixel_accuracy"])
    size = scores["metric"].str.endswith("_pixels")
    assert scores.loc[~accuracy & ~size, "value"].isna().all()
    assert set(scores.loc[accuracy, "value"]) == {1.0}
    assert set(scores.loc[size & (scores["tissue"] != "all"), "value"]) == {0.0}


def test_volume_counts_pixels_not_slices():
    target = np.concatenate([three_squares(), three_squares()])
    predicted = target.copy()
    predicted[1] = without(target[1:], 1)[0]
    scores = score(predicted, target)
    assert value(scores, VOLUME, "CSF", "dice") == 2 * 16 / (32 + 16)
    assert value(scores, VOLUME, "CSF", "jaccard") == 0.5
    assert value(scores, VOLUME, "all", "pixel_accuracy") == 1 - 16 / 480


@pytest.mark.parametrize(
    ("slices", "message"),
    [
        ([1, 2], "need one index per slice, got 2 for 1 slices"),
        ([-1], "need different slice indices of 0 or above"),
    ],
)
def test_wrong_slice_indices_are_refused(slices, message):
    with pytest.raises(ValueError, match=message):
        score(three_squares(), three_squares(), slices=slices)


def test_repeated_slice_indices_are_refused():
    labels = np.concatenate([three_squares()] * 2)
    with pytest.raises(ValueError, match="need different slice indices"):
        score(labels, labels, slices=[3, 3])


def test_volume_has_distances_in_three_dimensions_if_the_slices_lie_beside_each_other():
    empty = np.zeros_like(three_squares())
    target = np.concatenate([empty, three_squares(), three_squares(), empty, empty])
    predicted = np.roll(target, 1, axis=0)
    spacing = {"slice_mm": 3.0, "spacing_mm": (1.0, 1.0)}
    scores = score(predicted, target, **spacing)
    assert value(scores, VOLUME, "GM", "hausdorff_mm") == 3.0
    # All 16 pixels of the one slice that is in one map only are 3 mm away, both ways.
    assert value(scores, VOLUME, "GM", "assd_mm") == pytest.approx(3 * 16 / 32)
    assert value(scores, VOLUME, "GM", "surface_dice_1mm") == pytest.approx(16 / 32)
    shuffled = [3, 0, 4, 1, 2]
    again = score(
        predicted[shuffled], target[shuffled], slices=[7 + n for n in shuffled], **spacing
    )
    volume = scores[scores["slice"] == VOLUME]
    pd.testing.assert_frame_equal(again[again["slice"] == VOLUME], volume)
    gaps = score(predicted, target, slices=[0, 1, 2, 3, 5], **spacing)
    assert not ((gaps["slice"] == VOLUME) & gaps["metric"].str.endswith("_mm")).any()


def test_calibration_is_scored_where_confidences_are_given():
    target = np.concatenate([three_squares()] * 2)
    predicted = target.copy()
    predicted[1] = 0  # 48 of 240 pixels are wrong
    confidence = np.full(target.shape, 0.9, dtype=np.float32)
    scores = score(predicted, target, confidence=confidence)
    # All right at 0.9, then 80 % right at 0.9, then 90 % right at 0.9; 0.9 in float32.
    assert value(scores, 7, "all", "ece") == pytest.approx(0.1, abs=1e-6)
    assert value(scores, 8, "all", "ece") == pytest.approx(0.1, abs=1e-6)
    assert value(scores, VOLUME, "all", "ece") == pytest.approx(0.0, abs=1e-6)


def test_calibration_of_what_is_no_number_is_undefined_and_stops_nothing():
    target = np.concatenate([three_squares()] * 2)
    confidence = np.full(target.shape, 0.9, dtype=np.float32)
    confidence[1, 0, 0] = np.nan
    scores = score(target, target, confidence=confidence)
    assert value(scores, 7, "all", "ece") == pytest.approx(0.1, abs=1e-6)
    assert np.isnan(value(scores, 8, "all", "ece"))
    assert np.isnan(value(scores, VOLUME, "all", "ece"))
    scored = np.ones(target.shape, dtype=bool)
    scored[1, 0, 0] = False  # a pixel that does not count
    scores = score(target, target, confidence=confidence, scored=scored)
    assert value(scores, 8, "all", "ece") == pytest.approx(0.1, abs=1e-6)


def table(values: list[float], **constant) -> pd.DataFrame:
    """Slice rows of one metric."""
    defaults = {"network": "unet", "subject": "04", "tissue": "GM", "metric": "hd95_mm"}
    rows = pd.DataFrame({"slice": range(len(values)), "value": values})
    return rows.assign(**(defaults | constant))[COLUMNS]


def test_summary_counts_what_it_leaves_out():
    summary = summarise(table([1.0, 2.0, 6.0, np.nan, np.inf, np.inf])).iloc[0]
    assert summary[["n", "n_undefined", "n_infinite"]].tolist() == [3, 1, 2]
    assert summary[["mean", "median", "q25", "q75"]].tolist() == [3.0, 2.0, 1.5, 4.0]
    assert summary["sd"] == np.sqrt((4 + 1 + 9) / 2)


def test_summary_of_nothing_finite_is_undefined_not_an_error():
    summary = summarise(table([np.nan, np.inf])).iloc[0]
    assert summary["n"] == 0
    assert summary[["mean", "sd", "median", "q25", "q75"]].isna().all()


def test_summary_keeps_volumes_apart_from_slices():
    scores = pd.concat([table([0.5, 0.7]), table([0.9]).assign(slice=VOLUME)])
    summary = summarise(scores).set_index("level")
    assert summary.loc["slice", "n"] == 2
    assert summary.loc["volume", "mean"] == 0.9


def test_summary_has_one_row_per_network_level_tissue_and_metric():
    labels = three_squares()
    scores = pd.concat([score(labels, labels, network=name) for name in ("b", "a")])
    summary = summarise(scores)
    # Three tissues and all of them: 9 and 6 metrics of the volume, 14 and 5 of the slices.
    assert len(summary) == 2 * (3 * 9 + 6 + 3 * 14 + 5)
    assert list(summary["network"].unique()) == ["b", "a"]


def test_average_dice_is_the_mean_of_tissues_not_of_slices():
    rows = [
        table([1.0], tissue="CSF", metric="dice"),
        table([0.5, 0.25, np.nan, 0.75], tissue="GM", metric="dice"),
        table([0.0, 0.25], tissue="WM", metric="dice"),
        table([0.3], tissue="all", metric="dice"),
        table([0.4], tissue="GM", metric="jaccard"),
        table([0.9], tissue="GM", metric="dice").assign(slice=VOLUME),
    ]
    # Sums of eighths, exact, then divided once; over all slices it would be 2.75 / 6.
    assert average_dice(pd.concat(rows)) == {"unet": (1.0 + 0.5 + 0.125) / 3}


@pytest.mark.parametrize("kept", [0, 0.5, 0.99], ids=str)
@pytest.mark.parametrize("file", ["cases.parquet", "cases.csv"])
def test_truncated_scores_are_named_with_the_remedy(file, kept, tmp_path):
    write_scores(score(three_squares(), three_squares()), tmp_path)
    content = (tmp_path / file).read_bytes()
    (tmp_path / file).write_bytes(content[: int(kept * len(content))])
    with pytest.raises(SpinforgeError, match=rf"{file} cannot be read.*Run: spinforge evaluate"):
        read_scores(tmp_path / file)


@pytest.mark.parametrize("file", ["cases.parquet", "cases.csv"])
def test_bytes_that_are_no_table_are_named_with_the_remedy(file, tmp_path):
    (tmp_path / file).write_bytes(bytes(range(256)))
    with pytest.raises(SpinforgeError, match=rf"{file} cannot be read.*Run: spinforge evaluate"):
        read_scores(tmp_path / file)


def test_table_of_something_else_is_refused(tmp_path):
    pd.DataFrame({"epoch": [1]}).to_parquet(tmp_path / "cases.parquet")
    with pytest.raises(SpinforgeError, match=r"is not a table of scores.*Run: spinforge evaluate"):
        read_scores(tmp_path / "cases.parquet")


@pytest.mark.parametrize("file", ["cases.parquet", "cases.csv"])
def test_scores_survive_the_round_trip_through_files(file, tmp_path):
    target = np.concatenate([three_squares(), without(three_squares(), 1)])
    predicted = np.roll(without(target, 3), 1, axis=1)
    scores = score(predicted, target, network='NA, "the" <net>', spacing_mm=(0.1, 1 / 3))
    assert np.isinf(scores["value"]).any()
    assert np.isnan(scores["value"]).any()
    write_scores(scores, tmp_path / "new")
    pd.testing.assert_frame_equal(read_scores(tmp_path / "new" / file), scores, check_exact=True)


def test_failed_write_leaves_the_old_file_and_no_litter(tmp_path, monkeypatch):
    scores = score(three_squares(), three_squares())
    write_scores(scores, tmp_path)
    before = (tmp_path / "cases.csv").read_bytes()

    def write_half_then_fail(self, path, **_options):
        path.write_text("network,sub")
        raise OSError("disk full")

    monkeypatch.setattr(pd.DataFrame, "to_csv", write_half_then_fail)
    with pytest.raises(OSError, match="disk full"):
        write_scores(scores, tmp_path)
    assert (tmp_path / "cases.csv").read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"cases.csv", "cases.parquet"}


def test_classes_have_the_names_that_are_given():
    target = np.minimum(three_squares(), 1)
    scores = score(target, target, classes=("background", "spleen"))
    assert tissues_of(scores) == ("spleen",)
    assert average_dice(scores) == {"unet": 1.0}


def test_pixels_that_do_not_count_change_nothing():
    """Whatever stands in a margin: the scores are those of the slice without it."""
    target = three_squares()
    predicted = np.roll(target, 1, axis=2)
    scored = np.ones_like(target, dtype=bool)
    scored[:, :, -3:] = False
    inside = target[:, :, :-3].copy(), predicted[:, :, :-3].copy()
    target[~scored], predicted[~scored] = 255, 3
    masked = score(predicted, target, scored=scored)
    pd.testing.assert_frame_equal(masked, score(inside[1], inside[0]))
