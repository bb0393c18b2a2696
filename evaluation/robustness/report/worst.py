"""The slices that a network loses most of, from clean to corrupted."""

import pandas as pd

from spinforge.evaluation.robustness.long_table import CLEAN

CASES = 3
"""Of each network and protocol."""

COLUMNS = [
    "protocol", "model", "seed", "transform", "severity", "subject", "slice", "clean", "corrupted",
    "drop", "rank",
]  # fmt: skip

_SAME = ["protocol", "model", "seed", "subject", "slice"]


def worst_cases(dice: pd.DataFrame, cases: int = CASES) -> pd.DataFrame:
    """Largest drops of a slice's Dice below that of the same slice, clean, by the same network.

    Of a network, each slice stands once, at the corruption and severity that cost it most, so that
    the pictures differ. Equal drops are ordered by transform, severity, subject, slice and seed.

    Args:
        dice: Rows of slices of a long table: Dice, class "all"; NaN (no tissue in either map) is
            left out.
        cases: At most so many of each network and protocol.

    Returns:
        `COLUMNS`; the ranks of each network and protocol start at 1. Nothing where nothing dropped.
    """
    known = dice.dropna(subset="value")
    clean = known[known["transform"] == CLEAN].set_index(_SAME)["value"].rename("clean")
    corrupted = known[known["transform"] != CLEAN].rename(columns={"value": "corrupted"})
    rows = corrupted.join(clean, on=_SAME, how="inner").reset_index(drop=True)
    rows["drop"] = rows["clean"] - rows["corrupted"]
    rows = rows[rows["drop"] > 0].sort_values(
        ["drop", "transform", "severity", "subject", "slice", "seed"],
        ascending=[False, True, True, True, True, True],
        kind="stable",
    )
    groups = ["protocol", "model"]
    rows = rows.drop_duplicates([*groups, "subject", "slice"])
    rows["rank"] = rows.groupby(groups).cumcount() + 1
    kept = rows[rows["rank"] <= cases]
    return kept.sort_values([*groups, "rank"], ignore_index=True)[COLUMNS]
