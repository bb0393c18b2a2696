"""Runs and machines with something wrong, for the tests of `spinforge doctor`."""

import json
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np

from spinforge.datasets.storage.arrays import StoredArray
from spinforge.datasets.storage.store import DatasetStore
from spinforge.flows.doctor.record import _revisions

LONG_GONE = 2**22 - 1
"""A process number that nobody has: Linux gives out smaller ones."""


def add_set(run: Path) -> Path:
    """A whole set of one subject."""
    store = DatasetStore(run / "dataset.zarr")
    store.create({"made": "for a test"})
    store.write_subject(
        "head-000",
        {"target": StoredArray(np.ones((2, 4, 4), np.uint8), ("slice", "ky", "kx"))},
        {},
    )
    store.write_manifest()
    return run / "dataset.zarr"


def add_run(runs: Path, name: str, study: str = "") -> Path:
    """A run's folder with the study that it notes."""
    folder = runs / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "study.yaml").write_text(study or f"name: {name}\n")
    return folder


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def date_in_the_future(path: Path) -> None:
    tomorrow = time.time() + 86_400
    os.utime(path, (tomorrow, tomorrow))


def leave_behind(run: Path) -> Path:
    """A temporary folder of a killed process."""
    folder = run / f".network.pt.tmp-{LONG_GONE}"
    folder.mkdir()
    return folder


def fake_package(folder: Path, name: str, version: str) -> None:
    """The metadata of an installed package, for whoever has `folder` in PYTHONPATH."""
    metadata = folder / f"{name}-{version}.dist-info" / "METADATA"
    metadata.parent.mkdir(parents=True)
    metadata.write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


def mlflow_record(path: Path, revision: str | None = None) -> Path:
    """An SQLite file that says it is of this schema of MLflow, by default the installed one's."""
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE alembic_version (version_num TEXT)")
        newest = revision or next(iter(_revisions()[1]))
        database.execute("INSERT INTO alembic_version VALUES (?)", [newest])
    return path


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of an SQLite file, as a process that hangs would."""
    with closing(sqlite3.connect(path)) as database:
        database.execute("BEGIN EXCLUSIVE")
        yield


def newer_schema(dataset: Path) -> None:
    path = dataset / "zarr.json"
    content = json.loads(path.read_text())
    content["attributes"]["schema_version"] = 99
    path.write_text(json.dumps(content))
