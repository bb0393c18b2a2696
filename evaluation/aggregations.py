"""One figure from many cases, as each of the four papers makes it, by name.

"Dice" means four things in four papers: whether pixels are pooled first, over what is averaged,
whether the background counts, and what an empty mask is worth. Each function takes the table of
`score_slices` and says what it left out.
"""

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from spinforge.evaluation.empty_masks import ALL
from spinforge.evaluation.score import VOLUME

BACKGROUND = "background"

COLUMNS = ["network", "tissue", "metric", "value", "cases", "left_out"]
"""`cases` were averaged (pooled: summed); `left_out` had no value, or an infinite one."""

AggregationName = Literal["crdn", "fcslstm", "seranet", "hlenet", "volumes"]


class Aggregation(NamedTuple):
    """How many cases become one figure.

    Attributes:
        title: In a few words.
        empty: What becomes of a class that is in one map or none.
        compute: From rows of `score_slices` to rows with the columns `COLUMNS`.
    """

    title: str
    empty: str
    compute: Callable[[pd.DataFrame], pd.DataFrame]


def aggregate(scores: pd.DataFrame, name: AggregationName) -> pd.DataFrame:
    """Aggregate the cases of each network as a paper does.

    Args:
        scores: Rows of `score_slices`.
        name: Which of `AGGREGATIONS`.

    Returns:
        Columns network, tissue, metric, value, cases, left_out; tissue "all" is the figure of all
        classes that the paper averages.
    """
    return AGGREGATIONS[name].compute(scores).reset_index(drop=True)[COLUMNS]


def class_counts(scores: pd.DataFrame) -> pd.DataFrame:
    """True, predicted and shared pixels of every class of every slice, the background's too.

    Args:
        scores: Rows of `score_slices`.

    Returns:
        Columns network, subject, slice, tissue, true, found, shared.
    """
    keys = ["network", "subject", "slice", "tissue"]
    names = {"true_pixels": "true", "predicted_pixels": "found", "shared_pixels": "shared"}
    rows = scores[scores["metric"].isin(names) & (scores["slice"] != VOLUME)]
    wide = rows.pivot(index=keys, columns="metric", values="value").rename(columns=names)
    is_all = wide.index.get_level_values("tissue") == ALL
    whole, tissues = wide[is_all].droplevel("tissue"), wide[~is_all]
    rest = whole.assign(found=whole["true"]) - tissues.groupby(level=keys[:-1]).sum()
    background = rest.assign(tissue=BACKGROUND).set_index("tissue", append=True)
    return pd.concat([background, tissues]).reset_index()[[*keys, "true", "found", "shared"]]


def _pooled(scores: pd.DataFrame) -> pd.DataFrame:
    """Pixels of each class of all slices together, and how many slices that are."""
    counts = class_counts(scores)
    groups = counts.groupby(["network", "tissue"], sort=False)
    return groups[["true", "found", "shared"]].sum().assign(cases=groups.size()).reset_index()


def _crdn(scores: pd.DataFrame) -> pd.DataFrame:
    pooled = _pooled(scores)
    sizes = pooled["true"] + pooled["found"]
    per_class = [
        _rows(pooled, "dice", _ratio(2 * pooled["shared"], sizes)),
        _rows(pooled, "jaccard", _ratio(pooled["shared"], sizes - pooled["shared"])),
    ]
    sums = pooled.groupby("network", sort=False)[["shared", "true"]].sum()
    whole = pooled.drop_duplicates("network").assign(tissue=ALL)
    accuracy = _ratio(sums["shared"], sums["true"]).to_numpy()
    means = _means_of_classes(pd.concat(per_class))
    return pd.concat([*per_class, means, _rows(whole, "pixel_accuracy", accuracy)])


def _fcslstm(scores: pd.DataFrame) -> pd.DataFrame:
    pooled = _pooled(scores)
    recalls = _rows(pooled, "recall", _ratio(pooled["shared"], pooled["true"]))
    means = _means_of_classes(recalls).replace({"metric": {"recall": "mean_pixel_accuracy"}})
    return pd.concat([recalls, means])


def _seranet(scores: pd.DataFrame) -> pd.DataFrame:
    metrics = ["dice", "hd_rows", "hausdorff_mm", "hd95_mm", "assd_mm"]
    return _mean_of_cases(scores[scores["slice"] != VOLUME], metrics)


def _volumes(scores: pd.DataFrame) -> pd.DataFrame:
    metrics = ["dice", "jaccard", "volume_difference", "hausdorff_mm", "hd95_mm", "assd_mm"]
    return _mean_of_cases(scores[scores["slice"] == VOLUME], metrics)


def _hlenet(scores: pd.DataFrame) -> pd.DataFrame:
    counts = class_counts(scores)
    foreground = counts[counts["tissue"] != BACKGROUND]
    keys = ["network", "subject", "slice"]
    total = counts.groupby(keys)["true"].sum().rename("total").reset_index()
    cells = foreground.merge(total, on=keys)
    sizes = cells["true"] + cells["found"]
    values = {
        "dice": (2 * cells["shared"] + 1) / (sizes + 1),
        "jaccard": (cells["shared"] + 1) / (sizes - cells["shared"] + 1),
        "pixel_accuracy": 1 - (sizes - 2 * cells["shared"]) / cells["total"],
    }
    long = [cells[[*keys, "tissue"]].assign(metric=m, value=v) for m, v in values.items()]
    return _mean_of_cases(pd.concat(long), list(values))


def _mean_of_cases(rows: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    """Mean of the finite values of each tissue, and the mean of these means."""
    wanted = rows[rows["metric"].isin(metrics) & (rows["tissue"] != ALL)]
    finite = wanted["value"].where(np.isfinite(wanted["value"]))
    groups = wanted.assign(value=finite).groupby(["network", "tissue", "metric"], sort=False)
    means = groups["value"].agg(value="mean", cases="count", size="size").reset_index()
    table = means.assign(left_out=means["size"] - means["cases"]).drop(columns="size")
    return pd.concat([table, _means_of_classes(table)])


def _means_of_classes(table: pd.DataFrame) -> pd.DataFrame:
    """Mean of the classes that have a value, each counting once."""
    groups = table.groupby(["network", "metric"], sort=False)
    means = groups.agg(
        value=("value", "mean"), cases=("cases", "max"), left_out=("left_out", "sum")
    )
    return means.reset_index().assign(tissue=ALL)


def _rows(
    pooled: pd.DataFrame, metric: str, values: "pd.Series[float] | np.ndarray"
) -> pd.DataFrame:
    table = pooled[["network", "tissue", "cases"]].assign(metric=metric, value=values)
    return table.assign(left_out=table["value"].isna().astype(int) * table["cases"])


def _ratio(numerator: "pd.Series[float]", denominator: "pd.Series[float]") -> "pd.Series[float]":
    return numerator / denominator.where(denominator > 0)


AGGREGATIONS: dict[AggregationName, Aggregation] = {
    "crdn": Aggregation(
        "all test pixels pooled; mean of all classes, the background included",
        "a class in neither map of any slice is left out of the mean",
        _crdn,
    ),
    "fcslstm": Aggregation(
        "all test pixels pooled; mean recall of all classes, the background included",
        "a class without any true pixel is left out of the mean",
        _fcslstm,
    ),
    "seranet": Aggregation(
        "mean over slices of each tissue, then over the tissues; no background",
        "in neither map: left out; in one: Dice 0, distances left out (hd_rows: counted)",
        _seranet,
    ),
    "hlenet": Aggregation(
        "mean over images of the foreground; Dice and Jaccard with 1 added above and below",
        "in neither map: 1; in one: nearly 0",
        _hlenet,
    ),
    "volumes": Aggregation(
        "mean over volumes of each tissue, then over the tissues; no background",
        "in neither map: left out; missed: overlaps 0, volume difference -1; invented: overlaps 0; "
        "distances left out",
        _volumes,
    ),
}
