"""The best, the median and the worst slice of each network."""

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from spinforge.evaluation.report.content import CaseImages
from spinforge.evaluation.score import ALL, VOLUME, tissues_of


@dataclass(frozen=True)
class RankedCase:
    """One slice, picked by its mean Dice.

    Attributes:
        rank: "best", "median" or "worst".
        subject: Name of the subject.
        slice: Index of the slice.
        dice: Dice of each tissue and of "all"; NaN where undefined.
    """

    rank: str
    subject: str
    slice: int
    dice: dict[str, float]


def ranked_cases(
    scores: pd.DataFrame, network: str, load_case: Callable[[str, int], CaseImages]
) -> list[RankedCase]:
    """Pick the slices with the highest, median and lowest mean Dice of one network.

    Candidates are the slices whose ground truth has at least one tissue. The scores alone do
    not tell a missed slice from an invented one (both have Dice 0), so slices of Dice 0 are
    looked at. Equal values are ordered by subject and slice; of an even number of candidates
    the lower median is taken.

    Args:
        scores: Rows of `score_slices`.
        network: Name of the network.
        load_case: Loads a (subject, slice).

    Returns:
        Best, median and worst, or nothing if no slice has any tissue.
    """
    rows = scores[
        (scores["network"] == network) & (scores["slice"] != VOLUME) & (scores["metric"] == "dice")
    ]
    dice = rows.pivot_table(
        index=["subject", "slice"], columns="tissue", values="value", dropna=False
    )
    dice = dice.reindex(columns=[*tissues_of(scores), ALL])
    dice = dice[dice[ALL].notna()].sort_index().sort_values(ALL, kind="stable")
    has_tissue = [
        value > 0 or bool(load_case(str(subject), int(slice_)).target.any())
        for (subject, slice_), value in zip(dice.index.tolist(), dice[ALL], strict=True)
    ]
    dice = dice[has_tissue]
    positions = {"best": -1, "median": (len(dice) - 1) // 2, "worst": 0}
    if dice.empty:
        return []
    return [_case(dice, rank, position) for rank, position in positions.items()]


def _case(dice: pd.DataFrame, rank: str, position: int) -> RankedCase:
    """Read one row of the (subject, slice) x tissue table."""
    subject, slice_ = dice.index[position]
    values = {str(tissue): float(value) for tissue, value in dice.iloc[position].items()}
    return RankedCase(rank, str(subject), int(slice_), values)
