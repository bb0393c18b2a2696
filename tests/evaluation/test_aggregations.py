"""Each paper's figure from the table of scores, against the maps themselves and by hand."""

import numpy as np
import pandas as pd
import pytest
from label_slices import disturbed, random_labels

from spinforge.evaluation.aggregations import AGGREGATIONS, COLUMNS, aggregate, class_counts
from spinforge.evaluation.overlap import confusion_matrices, recall
from spinforge.evaluation.pooled import Pooled
from spinforge.evaluation.score import average_dice, score_slices

SUBJECTS = ("04", "05")


def maps() -> tuple[np.ndarray, np.ndarray]:
    """Two subjects of six slices."""
    target = random_labels(12, (19, 23), seed=3)
    return disturbed(target), target


def scores_of(predicted, target, classes=("background", "CSF", "GM", "WM")) -> pd.DataFrame:
    half = len(target) // 2
    return pd.concat(
        [
            score_slices(
                predicted[half * n : half * (n + 1)],
                target[half * n : half * (n + 1)],
                spacing_mm=(1.0, 1.0),
                slice_mm=2.0,
                subject=subject,
                network="unet",
                slices=range(half),
                classes=classes,
            )
            for n, subject in enumerate(SUBJECTS)
        ]
    )


def figure(table: pd.DataFrame, tissue: str, metric: str) -> float:
    return table.query("tissue == @tissue and metric == @metric")["value"].item()


@pytest.mark.parametrize("name", AGGREGATIONS)
def test_rows_have_one_form_and_stand_there_once(name):
    table = aggregate(scores_of(*maps()), name)
    assert list(table.columns) == COLUMNS
    assert not table.duplicated(["network", "tissue", "metric"]).any()
    assert table["value"].notna().all()
    assert (table["tissue"] == "all").any()


def test_counts_in_the_table_are_the_confusion_matrices():
    predicted, target = maps()
    counts = class_counts(scores_of(predicted, target)).set_index(["subject", "slice", "tissue"])
    confusion = confusion_matrices(predicted, target)
    for number, (code, tissue) in [
        (n, pair) for n in range(12) for pair in enumerate(("background", "CSF", "GM", "WM"))
    ]:
        row = counts.loc[(SUBJECTS[number // 6], number % 6, tissue)]
        assert row["true"] == confusion[number, code].sum()
        assert row["found"] == confusion[number, :, code].sum()
        assert row["shared"] == confusion[number, code, code]


def test_crdn_pools_all_pixels_and_counts_the_background():
    predicted, target = maps()
    pooled = Pooled.of(confusion_matrices(predicted, target).sum(axis=0))
    table = aggregate(scores_of(predicted, target), "crdn")
    assert figure(table, "all", "dice") == pytest.approx(pooled.dice, rel=1e-14)
    assert figure(table, "all", "jaccard") == pytest.approx(pooled.jaccard, rel=1e-14)
    assert figure(table, "all", "pixel_accuracy") == pytest.approx(pooled.accuracy, rel=1e-14)


def test_fcslstm_averages_the_pooled_recall_of_all_classes():
    predicted, target = maps()
    confusion = confusion_matrices(predicted, target).sum(axis=0)
    table = aggregate(scores_of(predicted, target), "fcslstm")
    expected = recall(confusion).mean()
    assert figure(table, "all", "mean_pixel_accuracy") == pytest.approx(expected, rel=1e-14)
    assert Pooled.of(confusion).mean_accuracy == pytest.approx(expected, rel=1e-14)


def test_seranet_averages_slices_then_tissues():
    scores = scores_of(*maps())
    table = aggregate(scores, "seranet")
    assert figure(table, "all", "dice") == pytest.approx(average_dice(scores)["unet"], rel=1e-14)
    tissues = [figure(table, tissue, "hd_rows") for tissue in ("CSF", "GM", "WM")]
    assert figure(table, "all", "hd_rows") == pytest.approx(np.mean(tissues), rel=1e-14)


def foreground(sizes: list[tuple[int, int, int]]) -> pd.DataFrame:
    """Images of 10 x 10 with so many true, predicted and shared pixels."""
    maps = np.zeros((2, len(sizes), 100), dtype=np.uint8)
    for number, (true, found, shared) in enumerate(sizes):
        maps[0, number, :true] = 1
        maps[1, number, true - shared : true - shared + found] = 1
    target, predicted = maps.reshape(2, -1, 10, 10)
    return scores_of(predicted, target, classes=("background", "lesion"))


def test_hlenet_averages_images_and_adds_one():
    table = aggregate(foreground([(10, 8, 6), (0, 0, 0), (0, 4, 0), (5, 0, 0)]), "hlenet")
    dice = [13 / 19, 1.0, 1 / 5, 1 / 6]
    jaccard = [7 / 13, 1.0, 1 / 5, 1 / 6]
    accuracy = [0.94, 1.0, 0.96, 0.95]
    for metric, values in (("dice", dice), ("jaccard", jaccard), ("pixel_accuracy", accuracy)):
        assert figure(table, "lesion", metric) == pytest.approx(np.mean(values), rel=1e-14)


def test_what_is_left_out_is_counted():
    scores = foreground([(10, 8, 6), (0, 0, 0), (0, 4, 0), (5, 0, 0)])
    table = aggregate(scores, "seranet").set_index(["tissue", "metric"])
    counted = table[["cases", "left_out"]]
    assert counted.loc[("lesion", "dice")].tolist() == [3, 1]  # in neither map
    assert counted.loc[("lesion", "hausdorff_mm")].tolist() == [1, 3]  # infinite, too
    assert counted.loc[("lesion", "hd_rows")].tolist() == [3, 1]
    volumes = aggregate(scores, "volumes").set_index(["tissue", "metric"])
    assert volumes.loc[("lesion", "dice"), "cases"] == 2


def test_pooling_and_averaging_differ_where_images_differ_in_size():
    scores = foreground([(50, 50, 50), (2, 2, 0), (50, 50, 50), (2, 2, 0)])
    pooled = aggregate(scores, "crdn")
    assert figure(pooled, "lesion", "dice") == 2 * 100 / 208
    assert figure(aggregate(scores, "volumes"), "lesion", "dice") == 100 / 104
    assert figure(aggregate(scores, "seranet"), "lesion", "dice") == 0.5


def test_the_page_says_what_each_name_means(repository):
    page = (repository / "docs" / "metrics.md").read_text(encoding="utf-8")
    rows = [f"| `{name}` | {a.title} | {a.empty} |" for name, a in AGGREGATIONS.items()]
    assert [row for row in rows if row not in page] == []
