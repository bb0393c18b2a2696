"""Which slice is for what, written beside the subjects of a set.

slices/index.parquet    one row a slice: subject, view, index, foreground_px, split
splits/<rule>.json      the same by group, for every rule the set knows, with its counts
"""

import io
import json
from typing import Any

import pandas as pd

from spinforge.datasets.slice_table import COLUMNS, GROUPS, counts
from spinforge.datasets.storage.store import DatasetStore
from spinforge.simulation.errors import SpinforgeError

INDEX = "slices/index.parquet"


def write_slice_index(
    store: DatasetStore, tables: dict[str, pd.DataFrame], subjects: list[str]
) -> None:
    """Write the table of the first rule, and every rule's split.

    Args:
        store: A set whose subjects are complete.
        tables: Name of the rule -> its table.
        subjects: Whose slices the tables hold.
    """
    content = store.digest(subjects)
    for rule, table in tables.items():
        text = json.dumps(_split(rule, table, content), indent=1)
        store.location.write(f"splits/{rule}.json", text.encode() + b"\n")
    chosen = next(iter(tables.values()))
    stream = io.BytesIO()
    chosen.to_parquet(stream, index=False)
    store.location.write(INDEX, stream.getvalue())


def read_slice_index(store: DatasetStore) -> pd.DataFrame:
    """The table of the rule that the study chose.

    Raises:
        SpinforgeError: If it is missing or damaged.
    """
    content = store.location.read(INDEX)
    try:
        return pd.read_parquet(io.BytesIO(content or b""))[list(COLUMNS)]
    except (OSError, ValueError, KeyError) as error:
        raise SpinforgeError(
            f"{store.location.at(INDEX)} is missing or damaged. Run: spinforge generate STUDY.yaml"
        ) from error


def _split(rule: str, table: pd.DataFrame, content: str) -> dict[str, Any]:
    groups = {}
    for group in GROUPS:
        rows = table[table["split"] == group]
        groups[group] = [
            [str(subject), str(view), int(index)]
            for subject, view, index in zip(
                rows["subject"], rows["view"], rows["index"], strict=True
            )
        ]
    return {"rule": rule, "content_sha256": content, "counts": dict(counts(table)), **groups}
