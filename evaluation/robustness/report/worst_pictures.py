"""Pictures of the worst slices: clean above, corrupted below."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from spinforge.evaluation.report.content import CaseImages
from spinforge.evaluation.report.panels import Row, compared_panels
from spinforge.evaluation.robustness.content import Condition, RobustnessContent


@dataclass(frozen=True)
class WorstCase:
    """One slice of one network.

    Attributes:
        network: Its name.
        heading: Which slice, corruption and severity.
        detail: Dice, clean and corrupted.
        rows: Clean and corrupted pictures.
    """

    network: str
    heading: str
    detail: str
    rows: list[Row]

    @property
    def size(self) -> int:
        """Bytes of its pictures."""
        return sum(len(panel.picture) for row in self.rows for panel in row.panels)


def worst_case(content: RobustnessContent, row: Any, name: str, several: bool) -> WorstCase:
    """Load one row of `worst_cases` and draw it.

    Args:
        content: Of the study.
        row: Of the table.
        name: Start of the ids of its pictures.
        several: Whether there is more than one protocol, which is then named.

    Raises:
        ValueError: If the network's own labels were not loaded.
    """
    network, where = row["model"], f"{row['subject']}, slice {row['slice']}"
    strength = content.strengths.get(
        (row["transform"], row["severity"]), f"level {row['severity']}"
    )
    corrupted = Condition(network, row["transform"], row["severity"], row["seed"], row["protocol"])
    clean = Condition(network, seed=row["seed"], protocol=row["protocol"])
    rows = [
        _pictures(content, condition, words, row, f"{name}-{number}")
        for number, (condition, words) in enumerate(
            [(clean, "clean"), (corrupted, f"{row['transform']}, {strength}")]
        )
    ]
    heading = f"{row['transform']}, {strength}: {where}"
    detail = f"Dice {row['clean']:.3f} clean, {row['corrupted']:.3f} corrupted; seed {row['seed']}"
    return WorstCase(network, heading, detail + (f", {row['protocol']}" if several else ""), rows)


def _pictures(
    content: RobustnessContent, condition: Condition, words: str, row: Any, name: str
) -> Row:
    images: CaseImages = content.load_case(condition, row["subject"], int(row["slice"]))
    where = f"{row['subject']}, slice {row['slice']}, {words}"
    panels = compared_panels(
        images, condition.model, where, seen=content.seen, classes=content.classes, name=name
    )
    return Row(words, "", images.image.shape, panels)


def fitting_cases(
    content: RobustnessContent, worst: pd.DataFrame, space: int
) -> tuple[list[WorstCase], int]:
    """The worst case of every network, then the second worst, as long as there is space.

    Args:
        content: Of the study.
        worst: Of `worst_cases`.
        space: For their pictures [bytes].

    Returns:
        The cases in the order of the networks, and how many did not fit.
    """
    several = worst["protocol"].nunique() > 1
    order = {name: position for position, name in enumerate(content.networks)}
    shown: list[tuple[int, int, WorstCase]] = []
    rows = sorted(
        enumerate(worst.to_dict("records")),
        key=lambda item: (item[1]["rank"], order[item[1]["model"]], item[0]),
    )
    for taken, (number, row) in enumerate(rows):
        case = worst_case(content, row, f"worst-{number}", several)
        space -= case.size
        if space < 0:
            return [case for *_, case in sorted(shown, key=lambda item: item[:2])], len(
                rows
            ) - taken
        shown.append((order[row["model"]], number, case))
    return [case for *_, case in sorted(shown, key=lambda item: item[:2])], 0
