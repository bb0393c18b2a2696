"""Which slice is for what, written beside the subjects of a set.

slices/index.parquet    one row a slice: subject, view, index, foreground_px, split
slices/settings.json    of the study that chose them: its `data.slices` and subjects
splits/<rule>.json      the same by group, for every rule the set knows, with its counts
"""

import io
import json
from typing import Any

import pandas as pd

from spinforge.datasets.slice_table import COLUMNS, GROUPS, counts
from spinforge.datasets.splits import Split
from spinforge.datasets.storage.metadata import differences
from spinforge.datasets.storage.store import DatasetStore
from spinforge.simulation.errors import SpinforgeError

INDEX = "slices/index.parquet"
SETTINGS = "slices/settings.json"


def check_slice_settings(store: DatasetStore, settings: dict[str, Any], split: Split) -> None:
    """Check that a set has no slice table of another study, which a new one would replace.

    The same settings with further subjects are no other study: the set grows.

    Args:
        store: The set; needs not be there yet.
        settings: What the study says of slices.
        split: Its subjects.

    Raises:
        SpinforgeError: If there is one; says what differs and what to do.
    """
    try:
        found = json.loads(store.location.read(SETTINGS) or b"")
        there, known = Split.model_validate(found["subjects"], strict=False), dict(found["slices"])
    except (ValueError, LookupError, TypeError):
        return  # none yet, or damaged: it is written again
    # With more subjects a group may hold others than before.
    grows = set(there.everyone) < set(split.everyone)
    if known == settings and (grows or there == split):
        return
    changed = differences({"slices": known}, {"slices": settings})
    raise SpinforgeError(
        f"{store.location.at(INDEX)} is the slice table of another study.\n"
        f"  its subjects: {_counts_of(there)}\n"
        f"  this study:   {_counts_of(split)}\n"
        f"  different:    {changed or 'which subjects train, validate and test'}\n"
        f"Use another place for this study's set (--set name=... or --set dataset=...), or replace "
        f"the table with: spinforge generate STUDY.yaml --overwrite"
    )


def _counts_of(split: Split) -> str:
    return ", ".join(f"{len(getattr(split, group))} {group}" for group in GROUPS)


def note_slice_settings(store: DatasetStore, settings: dict[str, Any], split: Split) -> None:
    """Note which study chose the slices, for `check_slice_settings`.

    Args:
        store: The set, with its slice table.
        settings: What the study says of slices.
        split: Its subjects.
    """
    noted = {"slices": settings, "subjects": split.model_dump(mode="json")}
    store.location.write(SETTINGS, json.dumps(noted, indent=1).encode() + b"\n")


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
