"""The table of a robustness study: one row a network, corruption, severity, case, class and metric.

`COLUMNS` say what a row is. Clean images are the rows of transform "clean" and severity 0, once for
all transforms; the whole volume is slice -1. Equal tables give equal files, whatever the order of
their rows was. NaN (class in neither label map) and infinity (in one only) are kept apart.
"""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from spinforge.datasets.corruption.settings import CLEAN as CLEAN  # transform of severity 0
from spinforge.datasets.storage.files import replacing
from spinforge.evaluation.score import VOLUME
from spinforge.simulation.errors import SpinforgeError

TRAINED_CLEAN, RETRAINED = "trained clean", "retrained per level"
"""In the protocol column: one network for all severities, or one trained at each of them."""

KEYS = [
    "model", "task", "protocol", "seed", "transform", "severity", "subject", "slice", "class",
    "metric",
]  # fmt: skip
"""Together they name one value; in the order in which the rows are sorted."""

COLUMNS = [*KEYS, "value"]

_NUMBERS = ("seed", "severity", "slice")
_TYPES = {name: "int64" if name in _NUMBERS else "str" for name in KEYS} | {"value": "float64"}


def long_table_of_scores(
    scores: pd.DataFrame,
    *,
    task: str,
    transform: str,
    severity: int,
    seed: int = 0,
    protocol: str = TRAINED_CLEAN,
) -> pd.DataFrame:
    """Rows of `score_slices` for one corruption, as rows of the long table.

    Args:
        scores: Columns network, subject, slice, tissue, metric, value.
        task: What is segmented, such as the name of the data set.
        transform: Name of the corruption, or `CLEAN`.
        severity: Its level, from 1; 0 for `CLEAN`.
        seed: Seed of the training.
        protocol: `TRAINED_CLEAN` or `RETRAINED`.

    Raises:
        SpinforgeError: If that is no valid long table.
    """
    named = scores.rename(columns={"network": "model", "tissue": "class"})
    rows = named.assign(
        task=task, protocol=protocol, seed=seed, transform=transform, severity=severity
    )
    return checked(rows)


def checked(table: pd.DataFrame, source: str = "the long table") -> pd.DataFrame:
    """The table with its columns, types and rows in order.

    Args:
        table: With the columns `COLUMNS`, in any order.
        source: Name of the table, for messages.

    Raises:
        SpinforgeError: If a column lacks, is unknown or of the wrong type, a name is missing, a row
            is there twice, or a row is clean with a severity or the other way round.
    """
    _check_columns(table, source)
    typed = pd.DataFrame({name: _typed(table[name], name, source) for name in COLUMNS})
    _check_rows(typed, source)
    ordered = typed.sort_values(KEYS, kind="stable", ignore_index=True)
    if (twice := ordered.duplicated(KEYS)).any():
        raise SpinforgeError(
            f"{source}: {int(twice.sum())} rows are there twice, such as {_row(ordered, twice)}. "
            f"Keep one of each"
        )
    return ordered


def _check_columns(table: pd.DataFrame, source: str) -> None:
    missing = [name for name in COLUMNS if name not in table.columns]
    unknown = [str(name) for name in table.columns if name not in COLUMNS]
    if missing or unknown:
        found = [f"lacks {', '.join(missing)}"] if missing else []
        found += [f"has the unknown {', '.join(unknown)}"] if unknown else []
        raise SpinforgeError(
            f"{source} {' and '.join(found)}: its columns shall be {', '.join(COLUMNS)}"
        )


def _typed(column: pd.Series, name: str, source: str) -> pd.Series:
    """The column in its type; numbers are not rounded and no text is guessed."""
    if name != "value" and column.isna().any():
        row = int(column.isna().to_numpy().argmax())
        raise SpinforgeError(
            f"{source}: column {name} has no value in row {row}. Give every row one"
        )
    try:
        typed: pd.Series = column.astype(pd.api.types.pandas_dtype(_TYPES[name]))
        if name in _NUMBERS and not (typed == column.astype("float64")).all():
            raise ValueError("not whole")
    except (ValueError, TypeError) as error:
        kind = "whole numbers" if name in _NUMBERS else "numbers"
        raise SpinforgeError(f"{source}: column {name} shall hold {kind} ({error})") from error
    return typed


def _check_rows(table: pd.DataFrame, source: str) -> None:
    clean = table["transform"] == CLEAN
    wrong = clean != (table["severity"] == 0)
    if wrong.any():
        raise SpinforgeError(
            f"{source}: transform {CLEAN!r} has severity 0 and all others a larger one, but there "
            f"is {_row(table, wrong)}. Name uncorrupted rows {CLEAN!r}, once for all transforms"
        )
    below = (table["severity"] < 0) | (table["slice"] < VOLUME) | (table["seed"] < 0)
    if below.any():
        raise SpinforgeError(
            f"{source}: severity and seed are at least 0 and slice at least {VOLUME} (the volume), "
            f"but there is {_row(table, below)}"
        )
    empty = (table[[name for name in KEYS if name not in _NUMBERS]] == "").any(axis=1)
    if empty.any():
        raise SpinforgeError(f"{source}: a name is empty in {_row(table, empty)}")


def _row(table: pd.DataFrame, which: pd.Series) -> str:
    """The first of some rows, in words."""
    first = table[which].iloc[0]
    return ", ".join(f"{name} {first[name]}" for name in KEYS)


def of_unit(table: pd.DataFrame, unit: str) -> pd.DataFrame:
    """Rows of whole volumes, or of slices; statistics never mix them.

    Args:
        table: A long table.
        unit: "volume" or "slice".

    Raises:
        ValueError: If it is neither.
        SpinforgeError: If there is no such row.
    """
    if unit not in ("volume", "slice"):
        raise ValueError(f"need the unit 'volume' or 'slice', got {unit!r}")
    rows = table[(table["slice"] == VOLUME) == (unit == "volume")]
    if rows.empty:
        raise SpinforgeError(f"the long table has no row of a {unit}. Choose the other unit")
    return rows


def clean_in_every_transform(table: pd.DataFrame) -> pd.DataFrame:
    """The clean rows as severity 0 of every transform, instead of once for all.

    For curves, and for comparing severities with `compare_pairs`; not a long table any more.
    """
    clean = table["transform"] == CLEAN
    transforms = table.loc[~clean, "transform"].unique()
    copies = [table[clean].assign(transform=name) for name in transforms]
    return pd.concat([*copies, table[~clean]], ignore_index=True)


def joined(tables: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Several long tables as one.

    Raises:
        SpinforgeError: If two have the same row, or there is none.
    """
    parts = list(tables)
    if not parts:
        raise SpinforgeError("there is no table to join: nothing was scored")
    return checked(pd.concat(parts, ignore_index=True))


def write_long_table(table: pd.DataFrame, folder: Path, name: str = "robustness") -> None:
    """Write the table as Parquet and CSV, each completely or not at all.

    Args:
        table: Of `COLUMNS`; rows in any order.
        folder: Where to write; created if missing. Existing files are replaced.
        name: Of both files, without their endings.

    Raises:
        SpinforgeError: If the table is not valid or cannot be written.
    """
    ordered = checked(table)
    with replacing(folder / f"{name}.parquet") as path:
        ordered.to_parquet(path, index=False)
    with replacing(folder / f"{name}.csv") as path:
        ordered.to_csv(path, index=False, na_rep="NaN", lineterminator="\n")


def read_long_table(path: Path) -> pd.DataFrame:
    """Read a Parquet or CSV file back, equal to what was written.

    Raises:
        SpinforgeError: If it does not exist, is damaged or is no valid long table.
    """
    if not path.is_file():
        raise SpinforgeError(f"{path} does not exist. Run the robustness study, or name its table")
    try:
        # Of a CSV everything is text at first: subject "04" keeps its zero, a model may be "NA".
        read = (
            pd.read_parquet(path)
            if path.suffix == ".parquet"
            else pd.read_csv(path, dtype="str", keep_default_na=False)
        )
    except (OSError, ValueError, LookupError, TypeError, NotImplementedError) as error:
        raise SpinforgeError(f"{path} cannot be read ({str(error).strip()})") from error
    return checked(read, str(path))
