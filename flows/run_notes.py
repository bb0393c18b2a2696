"""Which MLflow run belongs to a folder, noted in it."""

import json
from pathlib import Path
from typing import Any

from spinforge.datasets.storage.files import replacing

_FILE = "mlflow.json"
_REQUEST = "requested"


def read_note(folder: Path) -> dict[str, Any]:
    """What is noted in `folder` about its MLflow run; empty if nothing or if it is damaged."""
    note = _read(folder)
    return note if "run_id" in note else {}


def read_request(folder: Path) -> dict[str, Any]:
    """What run was asked for and never noted, as we were stopped meanwhile; empty if none."""
    request = _read(folder).get(_REQUEST)
    return request if isinstance(request, dict) else {}


def write_note(folder: Path, note: dict[str, Any]) -> None:
    """Note a run, completely or not at all; whatever was asked for is there now."""
    with replacing(folder / _FILE) as temporary:
        temporary.write_text(json.dumps(note, indent=2) + "\n")


def write_request(folder: Path, request: dict[str, Any]) -> None:
    """Note that a run is about to be asked for, beside the one that there is."""
    write_note(folder, _read(folder) | {_REQUEST: request})


def _read(folder: Path) -> dict[str, Any]:
    try:
        note = json.loads((folder / _FILE).read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}
