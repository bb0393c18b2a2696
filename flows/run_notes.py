"""Which MLflow run belongs to a folder, noted in it."""

import json
from pathlib import Path
from typing import Any

from spinforge.datasets.storage.files import replacing


def read_note(folder: Path) -> dict[str, Any]:
    """What is noted in `folder` about its MLflow run; empty if nothing or if it is damaged."""
    try:
        note = json.loads((folder / "mlflow.json").read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return note if isinstance(note, dict) and "run_id" in note else {}


def write_note(folder: Path, note: dict[str, Any]) -> None:
    """Note a run, completely or not at all."""
    with replacing(folder / "mlflow.json") as temporary:
        temporary.write_text(json.dumps(note, indent=2) + "\n")
