"""What every tab is given."""

from dataclasses import dataclass

from spinforge.evaluation.dashboard.choices import Choice
from spinforge.evaluation.dashboard.parquet_rows import TableFacts
from spinforge.evaluation.dashboard.reading import Stamp
from spinforge.evaluation.dashboard.source import StudySource
from spinforge.evaluation.robustness.content import RobustnessContent


@dataclass(frozen=True)
class Shown:
    """One study and what of it is looked at.

    Attributes:
        source: Whence it comes.
        name: Of the study.
        stamp: State of its table.
        facts: What the table has rows of.
        content: The study; its table is not read.
        choice: The filters.
        order: All networks; the place decides colour, dash and marker.
    """

    source: StudySource
    name: str
    stamp: Stamp
    facts: TableFacts
    content: RobustnessContent
    choice: Choice
    order: tuple[str, ...]
