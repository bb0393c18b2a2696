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

_NAMES = ["model", "task", "protocol", "transform", "subject", "class", "metric"]


@dataclass(frozen=True)
class TableFacts:
    """What may be chosen from a long table; names in the order of the alphabet.

    Attributes:
        rows: Of the table.
        tasks: Values of that column; the others likewise.
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
    classes: tuple[str, ...]
    metrics: tuple[str, ...]
    units: tuple[Unit, ...]

    def levels_of(self, transform: str) -> tuple[int, ...]:
        """Severities of a transform."""
        return dict(self.levels).get(transform, ())


def table_facts(path: Path) -> TableFacts:
    """Read what a long table has rows of; not its values.

    Raises:
        SpinforgeError: If it cannot be read or is no long table.
    """
    try:
        file = pq.ParquetFile(path, read_dictionary=_NAMES)
        if missing := [name for name in COLUMNS if name not in file.schema_arrow.names]:
            raise SpinforgeError(
                f"{path} is no table of a robustness study: it lacks {', '.join(missing)}. Run the "
                f"study again"
            )
        one = {name: _unique(file, name) for name in (*_NAMES, "seed")}
        levels = _levels(file)
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
        classes=one["class"],
        metrics=one["metric"],
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


def _levels(file: pq.ParquetFile) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Severities of every transform."""
    found: dict[str, set[int]] = {}
    for number in range(file.num_row_groups):
        pairs = file.read_row_group(number, columns=["transform", "severity"])
        for row in pairs.group_by(["transform", "severity"]).aggregate([]).to_pylist():
            found.setdefault(row["transform"], set()).add(row["severity"])
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
