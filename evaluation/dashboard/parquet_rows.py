"""Parts of a long table, read from Parquet without the rest.

A table has a row for every network, corruption, level, slice, class and metric: millions. A view
needs one metric, of slices or of volumes, and mostly one class, which is a hundredth of it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from spinforge.evaluation.robustness.long_table import COLUMNS
from spinforge.evaluation.score import VOLUME
from spinforge.simulation.errors import SpinforgeError

Unit = Literal["slice", "volume"]

_SINGLE = ["model", "task", "protocol", "seed", "transform", "subject"]
_NAMES = ["model", "task", "protocol", "transform", "subject", "class", "metric"]


@dataclass(frozen=True)
class TableFacts:
    """What may be chosen from a long table; names in the order of the alphabet.

    Attributes:
        rows: Of the table.
        tasks: Values of that column; models to subjects likewise.
        levels: Of every transform.
        classes: Of every metric; not every metric has an "all".
        units: Whether there are rows of slices, of volumes, or of both.
    """

    rows: int
    tasks: tuple[str, ...]
    models: tuple[str, ...]
    protocols: tuple[str, ...]
    seeds: tuple[int, ...]
    transforms: tuple[str, ...]
    levels: tuple[tuple[str, tuple[int, ...]], ...]
    subjects: tuple[str, ...]
    classes: tuple[tuple[str, tuple[str, ...]], ...]
    units: tuple[Unit, ...]

    def levels_of(self, transform: str) -> tuple[int, ...]:
        """Severities of a transform."""
        return dict(self.levels).get(transform, ())

    def classes_of(self, metric: str) -> tuple[str, ...]:
        """Classes that have a metric."""
        return dict(self.classes).get(metric, ())

    @property
    def metrics(self) -> tuple[str, ...]:
        """All metrics."""
        return tuple(dict(self.classes))


def table_facts(path: Path) -> TableFacts:
    """Read what a long table has rows of; not its values.

    Raises:
        SpinforgeError: If it cannot be read or is no long table.
    """
    try:
        there = pq.read_schema(path).names
        if missing := [name for name in COLUMNS if name not in there]:
            raise SpinforgeError(
                f"{path} is no table of a robustness study: it lacks {', '.join(missing)}. Run the "
                f"study again"
            )
        file = pq.ParquetFile(path, read_dictionary=_NAMES)
        one = {name: _unique(file, name) for name in _SINGLE}
        levels = _pairs(file, "transform", "severity")
        classes = _pairs(file, "metric", "class")
        slices = _unique(file, "slice")
    except (OSError, pa.ArrowException) as error:
        raise SpinforgeError(f"{path} cannot be read ({error}). Run the study again") from error
    units: list[Unit] = []
    if any(number != VOLUME for number in slices):
        units.append("slice")
    if VOLUME in slices:
        units.append("volume")
    return TableFacts(
        rows=file.metadata.num_rows,
        tasks=one["task"],
        models=one["model"],
        protocols=one["protocol"],
        seeds=one["seed"],
        transforms=one["transform"],
        levels=levels,
        subjects=one["subject"],
        classes=classes,
        units=tuple(units),
    )


def _unique(file: pq.ParquetFile, column: str) -> tuple[Any, ...]:
    """Values of one column, read group by group."""
    found: set[Any] = set()
    for number in range(file.num_row_groups):
        for chunk in file.read_row_group(number, columns=[column]).column(0).chunks:
            values = chunk.dictionary if isinstance(chunk, pa.DictionaryArray) else pc.unique(chunk)
            found |= set(values.to_pylist())
    return tuple(sorted(found))


def _pairs(
    file: pq.ParquetFile, first: str, second: str
) -> tuple[tuple[str, tuple[Any, ...]], ...]:
    """Every value of the first column with those of the second that stand beside it."""
    found: dict[str, set[Any]] = {}
    for number in range(file.num_row_groups):
        pairs = file.read_row_group(number, columns=[first, second])
        for row in pairs.group_by([first, second]).aggregate([]).to_pylist():
            found.setdefault(row[first], set()).add(row[second])
    return tuple((name, tuple(sorted(found[name]))) for name in sorted(found))


def read_rows(path: Path, unit: Unit, metric: str) -> pd.DataFrame:
    """Rows of one metric, with all columns of a long table.

    Args:
        path: Parquet file.
        unit: Rows of slices, or of volumes.
        metric: Its name.

    Raises:
        SpinforgeError: If it cannot be read.
    """
    volumes = ds.field("slice") == VOLUME
    condition = (volumes if unit == "volume" else ~volumes) & (ds.field("metric") == metric)
    try:
        # Names as numbers while millions are compared, four times as fast; text again at the end.
        form = ds.ParquetFileFormat(dictionary_columns=_NAMES)
        rows = ds.dataset(path, format=form).to_table(COLUMNS, filter=condition)
    except (OSError, pa.ArrowException) as error:
        raise SpinforgeError(f"{path} cannot be read ({error}). Run the study again") from error
    plain = [
        pa.field(column.name, pa.string()) if column.name in _NAMES else column
        for column in rows.schema
    ]
    return rows.cast(pa.schema(plain)).to_pandas()
