"""The prune flow: remove what nobody needs any more; data sets are never touched.

leftovers    temporary files and folders of processes that are gone
killed       runs that were killed: Prefect is told (killed_runs.py)
flow_runs    finished runs of our flows in Prefect, with their logs, tasks and artifacts
mlflow_runs  runs that were deleted in MLflow's page, with their files
weights      networks that no study.yaml of the folder asks for; only listed unless wanted
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

from filelock import FileLock, Timeout
from prefect import flow
from prefect.artifacts import create_table_artifact
from pydantic import Field

from spinforge.datasets.storage.files import is_abandoned
from spinforge.datasets.storage.locations import METADATA
from spinforge.flows.flow_options import FLOW_OPTIONS
from spinforge.flows.killed_runs import end_killed_run, read_note
from spinforge.flows.limits import PRUNE_S
from spinforge.flows.progress import say
from spinforge.flows.prune_records import prune_flow_runs, prune_mlflow_runs
from spinforge.flows.prune_weights import unused_networks
from spinforge.simulation.errors import SpinforgeError


@flow(name="prune", timeout_seconds=PRUNE_S, **FLOW_OPTIONS)
def prune(
    out: Path = Path("runs"),
    older_than_days: Annotated[int, Field(ge=1)] = 30,
    delete: bool = False,
    weights: bool = False,
) -> dict[str, list[str]]:
    """Remove what killed and old runs have left; data sets are never touched.

    Args:
        out: Folder that holds the folders of all runs.
        older_than_days: Of records in Prefect and MLflow.
        delete: Remove it; otherwise only say what would go.
        weights: With `delete`, also trained networks that no study.yaml in the folder asks for.

    Returns:
        Kind -> what went, or would go.

    Raises:
        SpinforgeError: If there is no such folder, or something cannot be deleted.
    """
    if not out.is_dir():
        raise SpinforgeError(f"out: {out} is no folder. Name the folder that holds the runs")
    if not (out / "mlflow.db").is_file() and not any(out.glob("*/.lock")):
        raise SpinforgeError(
            f"out: no study has run in {out}. Name the folder that holds the folders of the runs, "
            f"such as runs"
        )
    before = datetime.now(UTC) - timedelta(days=older_than_days)
    prune_mlflow_runs(out, older_than_days, delete=False)  # can be read: before anything goes
    found: dict[str, list[str]] = {"leftovers": [], "killed": [], "weights": []}
    for folder in sorted(path.parent for path in out.glob("*/.lock")):
        with _free(folder) as free:
            if not free:
                continue
            found["killed"] += _killed(folder, delete)
            found["leftovers"] += _remove(_leftovers(folder), delete)
            found["weights"] += _remove(unused_networks(folder), delete and weights)
    found["flow_runs"] = prune_flow_runs(before, delete)
    found["mlflow_runs"] = prune_mlflow_runs(out, older_than_days, delete)
    _tell(found, delete, weights)
    return found


@contextmanager
def _free(folder: Path) -> Iterator[bool]:
    """Hold the lock of a run's folder, if nobody does and we may; say so if not."""
    lock = FileLock(folder / ".lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        say(f"skipped   {folder}: a run works there")
        yield False
        return
    except OSError as error:
        say(f"skipped   {folder}: its lock cannot be taken: {error.strerror or error}")
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def _killed(folder: Path, delete: bool) -> list[str]:
    """The run that left its note, if one did."""
    note = read_note(folder)
    if note is None:
        return []
    if delete:
        end_killed_run(folder)
    return [f"{folder}: {note.get('flow_run') or 'process ' + str(note.get('pid'))}"]


def _leftovers(folder: Path) -> list[Path]:
    """Temporary files and folders of processes that are gone, but for those within a set.

    A set is cleaned by the run that writes it next, which has the set's own lock.
    """
    found = []
    for place, folders, files in os.walk(folder):
        gone = [name for name in (*folders, *files) if is_abandoned(Path(place, name))]
        found += [Path(place, name) for name in gone]
        folders[:] = [
            name
            for name in folders
            if name not in gone and not Path(place, name, METADATA).exists()
        ]
    return sorted(found)


def _remove(paths: list[Path], delete: bool) -> list[str]:
    """Name them with their size; delete them if that is wanted."""
    named = [f"{path} ({_megabytes(path):.1f} MB)" for path in paths]
    for path in paths if delete else ():
        remove: Callable[[Path], None] = shutil.rmtree if path.is_dir() else Path.unlink
        try:
            remove(path)
        except OSError as error:
            raise SpinforgeError(f"cannot delete {path}: {error.strerror}") from error
    return named


def _megabytes(path: Path) -> float:
    files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
    return sum(file.stat().st_size for file in files) / 1e6


def _tell(found: dict[str, list[str]], delete: bool, weights: bool) -> None:
    """A line each for the person who waits, a table for Prefect's page."""
    rows = []
    for kind, things in found.items():
        deleted = delete and (weights or kind != "weights")
        rows.append({"kind": kind, "deleted" if deleted else "would go": len(things)})
        for thing in things:
            say(f"{'deleted' if deleted else 'would go':<9} {kind}: {thing}")
    create_table_artifact(rows, key="pruned", description="What was removed, or would be")
