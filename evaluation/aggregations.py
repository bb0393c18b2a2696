"""One figure from many cases, as each of the four papers makes it, by name.

"Dice" means four things in four papers: whether pixels are pooled first, over what is averaged,
whether the background counts, and what an empty mask is worth. Each function takes the table of
`score_slices` and says what it left out.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from spinforge.evaluation.empty_masks import ALL
from spinforge.evaluation.score import VOLUME

BACKGROUND = "background"

COLUMNS = ["network", "tissue", "metric", "value", "cases", "left_out"]
"""`cases` were averaged (pooled: summed); `left_out` had no value, or an infinite one."""

PARTS = ["network", "subject", "slice", "tissue", "metric", "above", "below"]
"""A figure of a class is the sum of `above` over that of `below`."""

AggregationName = Literal["crdn", "fcslstm", "seranet", "hlenet", "volumes"]


class Aggregation(NamedTuple):
    """How many cases become one figure.

    Attributes:
        title: In a few words.
        empty: What becomes of a class that is in one map or none.
        parts: From rows of `score_slices` to rows with the columns `PARTS`.
    """

    title: str
    empty: str
    parts: Callable[[pd.DataFrame], pd.DataFrame]


def aggregate(scores: pd.DataFrame, name: AggregationName) -> pd.DataFrame:
    """Aggregate the cases of each network as a paper does.

    Args:
        scores: Rows of `score_slices`.
        name: Which of `AGGREGATIONS`.

    Returns:
        Columns network, tissue, metric, value, cases, left_out; tissue "all" is the figure of all
        classes that the paper averages.
    """
    groups = parts(scores, name).groupby(["network", "tissue", "metric"], sort=False)
    table = groups[["above", "below"]].sum()
    table["cases"], size = groups["above"].count(), groups.size()
    table["value"] = table["above"] / table["below"].where(table["below"] > 0)
    table["left_out"] = (size - table["cases"]).where(table["value"].notna(), size)
    table = table.reset_index()
    means = _means_of_classes(table[table["tissue"] != ALL])
    return pd.concat([table, means], ignore_index=True)[COLUMNS]


def aggregate_all(scores: pd.DataFrame) -> pd.DataFrame:
    """Every aggregation, with its name in the column `aggregation`, the first."""
    tables = [aggregate(scores, name).assign(aggregation=name) for name in AGGREGATIONS]
    return pd.concat(tables, ignore_index=True)[["aggregation", *COLUMNS]]


def parts(scores: pd.DataFrame, name: AggregationName) -> pd.DataFrame:
    """What every case adds to the figures of its classes.

    Args:
        scores: Rows of `score_slices`.
        name: Which of `AGGREGATIONS`.

    Returns:
        Columns `PARTS`; `above` is NaN and `below` 0 of a case that is left out.
    """
    return AGGREGATIONS[name].parts(scores)[PARTS]


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


def _crdn(scores: pd.DataFrame) -> pd.DataFrame:
    counts = class_counts(scores)
    sizes = counts["true"] + counts["found"]
    per_class = _rows(
        counts,
        {
            "dice": (2 * counts["shared"], sizes),
            "jaccard": (counts["shared"], sizes - counts["shared"]),
        },
    )
    slices = counts.groupby(["network", "subject", "slice"], sort=False)[["shared", "true"]]
    whole = slices.sum().reset_index().assign(tissue=ALL)
    accuracy = _rows(whole, {"pixel_accuracy": (whole["shared"], whole["true"])})
    return pd.concat([per_class, accuracy])


def _fcslstm(scores: pd.DataFrame) -> pd.DataFrame:
    counts = class_counts(scores)
    return _rows(counts, {"recall": (counts["shared"], counts["true"])})


def _seranet(scores: pd.DataFrame) -> pd.DataFrame:
    metrics = ["dice", "hd_rows", "hausdorff_mm", "hd95_mm", "assd_mm"]
    return _values(scores[scores["slice"] != VOLUME], metrics)


def _volumes(scores: pd.DataFrame) -> pd.DataFrame:
    metrics = ["dice", "jaccard", "volume_difference", "hausdorff_mm", "hd95_mm", "assd_mm"]
    return _values(scores[scores["slice"] == VOLUME], metrics)


def _hlenet(scores: pd.DataFrame) -> pd.DataFrame:
    counts = class_counts(scores)
    total = counts.groupby(["network", "subject", "slice"])["true"].transform("sum")
    true, found, shared = counts["true"], counts["found"], counts["shared"]
    values = {
        "dice": (2 * shared + 1) / (true + found + 1),
        "jaccard": (shared + 1) / (true + found - shared + 1),
        "pixel_accuracy": 1 - (true + found - 2 * shared) / total,
    }
    one = pd.Series(1.0, counts.index)
    rows = _rows(counts, {metric: (value, one) for metric, value in values.items()})
    return rows[rows["tissue"] != BACKGROUND]


def _values(rows: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    """Each finite value as a fraction of one case."""
    wanted = rows[rows["metric"].isin(metrics) & (rows["tissue"] != ALL)]
    finite = np.isfinite(wanted["value"])
    return wanted.assign(above=wanted["value"].where(finite), below=finite.astype(float))


def _rows(
    cases: pd.DataFrame, ratios: "Mapping[str, tuple[pd.Series[float], pd.Series[float]]]"
) -> pd.DataFrame:
    return pd.concat(
        [cases.assign(metric=m, above=above, below=below) for m, (above, below) in ratios.items()]
    )


def _means_of_classes(table: pd.DataFrame) -> pd.DataFrame:
    """Mean of the classes that have a value, each counting once; of recalls, FCSLSTM's name."""
    groups = table.groupby(["network", "metric"], sort=False)
    means = groups.agg(
        value=("value", "mean"), cases=("cases", "max"), left_out=("left_out", "sum")
    )
    named = means.reset_index().assign(tissue=ALL)
    return named.replace({"metric": {"recall": "mean_pixel_accuracy"}})


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
