"""The papers' published numbers, and the data sets they are of: read from this folder and checked.

Numbers stay as the papers print them, since 0.8930 says more than 0.893. What is doubtful about one
is in the notes of its row, of more in those of its table.
"""

import re
from functools import cache
from importlib import resources
from typing import Any, Literal

import yaml
from pydantic import Field, model_validator

from spinforge.evaluation.aggregations import AggregationName
from spinforge.evaluation.empty_masks import ALL
from spinforge.models.catalogue import CATALOGUE, FCSLSTM_CLAIMS
from spinforge.simulation.config import Config

Paper = Literal["CRDN", "FCSLSTM", "SERANet", "HLE-Net"]

TABLES: dict[Paper, tuple[str, ...]] = {
    "CRDN": (
        "crdn-table-1",
        "crdn-table-2",
        "crdn-figure-7-noise",
        "crdn-figure-7-inu",
        "crdn-text-decay",
        "crdn-poster",
    ),
    "FCSLSTM": ("fcslstm-text-mpa", "fcslstm-text-size"),
    "SERANet": ("seranet-table-1", "seranet-table-2"),
    "HLE-Net": ("hlenet-table-1",),
}
"""Files of this folder, in the papers' order."""

ABSENT = "-"
"""In a row's values: the paper has no number there."""

Metric = Literal[
    "dice",
    "jaccard",
    "pixel_accuracy",
    "mean_pixel_accuracy",
    "hd_rows",
    "parameters",
    "times_smaller",
]

Grade = Literal["the paper's data", "simulated here", "stand-in"]
"""How near to a paper's data a study's are; the paper-like first."""

_NUMBER = re.compile(r"\d+(\.\d+)?(M|e6)?")


class Condition(Config):
    """What was done to the images that a number is of; nothing by default."""

    noise_percent: float = Field(0, ge=0, description="noise [% of BrainWeb's reference]")
    inu_percent: float = Field(0, ge=0, description="range of the intensity non-uniformity [%]")


class Column(Condition):
    """What the numbers of a column are.

    Attributes:
        metric: Unless the rows say it.
        tissue: One tissue, or "all" for the figure of all classes.
        data: Which of `datasets.yaml`; None for what is counted of networks.
        counted: Of columns without data: "parameters", or how many times smaller than this network.
        until: The number is the loss from the column's own condition to this one.
        not_ours: Why no result of ours can stand beside it.
    """

    name: str
    data: str | None = None
    aggregation: AggregationName | None = None
    metric: Metric | None = None
    tissue: str = ALL
    unit: Literal["none", "percent", "points"] = "none"
    counted: str | None = None
    until: Condition | None = None
    not_ours: str | None = None

    @model_validator(mode="after")
    def _is_scored_or_counted(self) -> "Column":
        if (self.data is None) == (self.counted is None):
            raise ValueError("a column is either of data or counted")
        if self.data is not None and (self.data not in datasets() or self.aggregation is None):
            raise ValueError(
                f"data {self.data!r} is not in datasets.yaml, or no aggregation is said"
            )
        if self.counted not in (None, "parameters", *FCSLSTM_CLAIMS):
            raise ValueError(f"nothing is known of {self.counted!r}")
        return self

    @property
    def factor(self) -> float:
        """By which a score of ours, a fraction, is multiplied to have the column's unit."""
        return 1.0 if self.unit == "none" else 100.0

    @property
    def condition(self) -> Condition:
        """The column's own."""
        return Condition(noise_percent=self.noise_percent, inu_percent=self.inu_percent)


class Row(Config):
    """One method and its numbers.

    Attributes:
        networks: Ours that it is, by their names in the catalogue; the likeliest first.
        networks_on: Instead of them on some data sets.
        others: Whose method it is, if nobody's of the four papers.
        metric: If rows differ in it.
        values: As printed, one for each column, with spaces between.
        notes: Column -> what is to be known of its number.
    """

    name: str
    networks: tuple[str, ...] = ()
    networks_on: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    others: str | None = None
    metric: Metric | None = None
    values: str
    notes: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _names_networks(self) -> "Row":
        if bool(self.networks) == bool(self.others):
            raise ValueError("a row names either networks or whose method it is")
        known = {entry.name for entry in CATALOGUE}
        named = {*self.networks, *(name for names in self.networks_on.values() for name in names)}
        if unknown := sorted(named - known):
            raise ValueError(f"not in the catalogue: {', '.join(unknown)}")
        return self


class Cell(Config):
    """One published number.

    Attributes:
        printed: As in the paper; None if it has none there.
        metric: Of the column, or of the row.
        networks: Names in the catalogue.
    """

    row: Row
    column: Column
    printed: str | None
    metric: Metric
    networks: tuple[str, ...]

    @property
    def published(self) -> float | None:
        """As a number; parameters in ones."""
        return None if self.printed is None else as_number(self.printed)

    @property
    def note(self) -> str | None:
        """What is to be known of it."""
        return self.row.notes.get(self.column.name)


class PublishedTable(Config):
    """A table, figure or sentence of a paper.

    Attributes:
        id: Name of its file.
        number: Such as "Table 2".
        source: Where in the paper it is, and how its numbers were read.
    """

    id: str
    paper: Paper
    number: str
    title: str
    source: str
    notes: tuple[str, ...] = ()
    columns: tuple[Column, ...] = Field(min_length=1)
    rows: tuple[Row, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _is_a_table(self) -> "PublishedTable":
        columns = [column.name for column in self.columns]
        names = [row.name for row in self.rows]
        if len(set(columns)) < len(columns) or len(set(names)) < len(names):
            raise ValueError("two rows or two columns have the same name")
        for row in self.rows:
            values = row.values.split()
            wrong = [text for text in values if text != ABSENT and not _NUMBER.fullmatch(text)]
            if len(values) != len(columns) or wrong:
                raise ValueError(f"{row.name}: need {len(columns)} numbers, got {row.values}")
            if unknown := set(row.notes) - set(columns):
                raise ValueError(f"{row.name}: a note is of {unknown}, which is no column")
            if any((row.metric is None) == (column.metric is None) for column in self.columns):
                raise ValueError(f"{row.name}: the metric is said twice, or not at all")
        return self

    @property
    def short(self) -> str:
        """The name of its file without the paper, such as "table-2"."""
        return self.id.split("-", 1)[1]

    def cells(self, row: Row) -> list[Cell]:
        """One for each column."""
        return [
            Cell(
                row=row,
                column=column,
                printed=None if text == ABSENT else text,
                metric=_metric(row, column),
                networks=row.networks_on.get(column.data or "", row.networks),
            )
            for column, text in zip(self.columns, row.values.split(), strict=True)
        ]


class Source(Config):
    """Where images come from, if the settings are these."""

    when: dict[str, Any] = Field(default_factory=dict)
    grade: Grade
    text: str


class PublishedData(Config):
    """A data set of a paper, as a study makes it.

    Attributes:
        must: Dotted key -> value, without which a study is of another set.
        usual: Dotted key -> the paper's value.
        recipe: The paper's training.
        command: Makes, trains and scores it with our stand-ins; with `real` behind it, with the
            paper's data or the nearest to it.
        corrupted: Instead, also tests its networks under the corruptions of the paper.
    """

    title: str
    product: str
    recipe: str
    must: dict[str, Any] = Field(default_factory=dict)
    usual: dict[str, Any] = Field(default_factory=dict)
    sources: tuple[Source, ...] = Field(min_length=1)
    command: str
    real: str | None = None
    corrupted: str | None = None


@cache
def published_tables() -> tuple[PublishedTable, ...]:
    """All of them, paper by paper."""
    ids = [name for names in TABLES.values() for name in names]
    return tuple(PublishedTable.model_validate({"id": name} | _content(name)) for name in ids)


@cache
def datasets() -> dict[str, PublishedData]:
    """The papers' data sets by their short names."""
    content = _content("datasets")
    return {name: PublishedData.model_validate(entry) for name, entry in content.items()}


def as_number(printed: str) -> float:
    """A number as it is printed, such as "0.9927", "14.87M" or "5.9e6"."""
    number = printed.removesuffix("M").removesuffix("e6")
    # Parsed as one decimal number: 14.87 * 1e6 is not 14870000.
    return float(number) if number == printed else float(f"{number}e6")


def decimals(printed: str) -> int:
    """Digits behind the point."""
    return len(re.sub(r"(M|e6)$", "", printed).partition(".")[2])


def _metric(row: Row, column: Column) -> Metric:
    metric = row.metric or column.metric
    assert metric is not None  # the table is checked
    return metric


def _content(name: str) -> dict[str, Any]:
    text = resources.files(__package__).joinpath(f"{name}.yaml").read_text(encoding="utf-8")
    content = yaml.safe_load(text)
    assert isinstance(content, dict)
    return content
