"""The rows of the long table that a report shows, each with one meaning."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from spinforge.evaluation.intervals import replace_infinite
from spinforge.evaluation.robustness.content import RobustnessContent
from spinforge.evaluation.robustness.long_table import CLEAN, RETRAINED, TRAINED_CLEAN
from spinforge.evaluation.score import ALL
from spinforge.simulation.errors import SpinforgeError

METRICS = {"dice": "Dice", "hd95_mm": "HD95 [mm]"}
"""What is shown, and how it is called; the first is what the verdict is of."""

SIZES = ("true_pixels", "predicted_pixels")

_CASE = ["model", "task", "protocol", "seed", "transform", "severity", "subject", "slice"]


@dataclass(frozen=True)
class StudyCases:
    """The scores of a study, as a report shows them.

    Attributes:
        rows: A long table of `METRICS`, finite or NaN, with class "all" in every metric (mean of
            the tissues of a case that have a finite value), and the column infinite: whether the
            value was. Names are categories in the order in which they are shown.
        sizes: A long table of true and predicted pixels of the tissues; empty if there is none.
        unit: "slice", or "volume" where there is no row of a slice.
        left_out: Conditions that not all networks have, in words; no row here is of them.
    """

    rows: pd.DataFrame
    sizes: pd.DataFrame
    unit: str
    left_out: tuple[str, ...]

    def present(self, column: str) -> list[str]:
        """Names in a column of the rows, in the order in which they are shown."""
        found = set(self.rows[column].unique())
        return [name for name in self.rows[column].cat.categories if name in found]

    @property
    def seeds(self) -> int:
        """Largest number of trainings of a network."""
        return int(self.rows.groupby("model", observed=True)["seed"].nunique().max())

    @property
    def subjects(self) -> list[str]:
        """Names of the subjects."""
        return self.present("subject")


def study_cases(content: RobustnessContent) -> StudyCases:
    """Pick, name and complete what is shown of the long table.

    Raises:
        SpinforgeError: If the table has no Dice, nothing but clean rows, or a network, transform
            or class that the content does not name.
    """
    table = content.table[content.table["metric"].isin([*METRICS, *SIZES])]
    slices = table["slice"] >= 0
    unit = "slice" if slices.any() else "volume"
    rows = _named(table[slices] if slices.any() else table, content)
    rows, left_out = _common(rows)
    of_metrics = rows["metric"].isin(METRICS)
    sizes = rows[~of_metrics & (rows["class"] != ALL)]
    shown = rows[of_metrics].assign(infinite=np.isinf(rows.loc[of_metrics, "value"]))
    shown = _with_mean_of_tissues(replace_infinite(shown, None))
    if not (shown["metric"] == next(iter(METRICS))).any():
        raise SpinforgeError(
            f"the long table has no row of the metric {next(iter(METRICS))!r} of any condition "
            f"that all networks have: score it, and the same conditions for every network"
        )
    if (shown["transform"] == CLEAN).all():
        raise SpinforgeError("the table has clean rows only: there is no corruption to judge")
    return StudyCases(shown, sizes, unit, left_out)


def _named(rows: pd.DataFrame, content: RobustnessContent) -> pd.DataFrame:
    """Names as categories, in the order of the content; refuses those it does not have."""
    orders: dict[str, Sequence[str]] = {
        "model": list(content.networks),
        "transform": [CLEAN, *content.transforms],
        "class": [ALL, *content.classes[1:]],
        "protocol": (TRAINED_CLEAN, RETRAINED),
        "metric": [*METRICS, *SIZES],
    }
    named = {}
    for column in ("task", "subject", *orders):
        found = rows[column].unique()
        names = orders.get(column) or sorted(found)
        if lost := sorted(set(found) - set(names)):
            raise SpinforgeError(
                f"the long table has the {column} {lost[0]!r}, which the report's content does not "
                f"name: it has {', '.join(names)}"
            )
        codes = pd.Categorical(rows[column], categories=pd.Index(list(names), dtype="str"))
        named[column] = codes
    return rows.assign(**named)


def _common(rows: pd.DataFrame) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Rows of the conditions that every network of a protocol has: others cannot be compared."""
    keys = ["protocol", "transform", "severity"]
    networks = rows.groupby(keys, observed=True)["model"].nunique()
    of_protocol = rows.groupby("protocol", observed=True)["model"].nunique()
    needed = of_protocol.reindex(networks.index.get_level_values("protocol")).to_numpy()
    lacking = networks.index[networks.to_numpy() < needed]
    if not len(lacking):
        return rows, ()
    kept = ~pd.MultiIndex.from_frame(rows[keys]).isin(lacking)
    words = tuple(f"{transform} {level} ({protocol})" for protocol, transform, level in lacking)
    return rows[kept], words


def _with_mean_of_tissues(rows: pd.DataFrame) -> pd.DataFrame:
    """Add the rows of class "all" to the metrics that have none."""
    has = set(rows.loc[rows["class"] == ALL, "metric"])
    lacking = rows[~rows["metric"].isin(has)]
    if lacking.empty:
        return rows
    grouped = lacking.groupby([*_CASE, "metric"], observed=True)
    means = grouped.agg(value=("value", "mean"), infinite=("infinite", "any")).reset_index()
    means["class"] = pd.Series(ALL, index=means.index).astype(rows["class"].dtype)
    return pd.concat([rows, means[rows.columns]], ignore_index=True)
