"""Checks of what runs have left: their data sets, temporary files, times in the future."""

import os
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from spinforge.flows.doctor.finding import Finding, Place, addresses, study_content
from spinforge.simulation.errors import SpinforgeError

_LIMIT_S = 4.0
_SLACK_S = 300  # clocks of file servers differ a little


@dataclass
class _Seen:
    """What lies below a folder.

    Attributes:
        files: How many were looked at.
        left: Temporary files and folders of processes that have ended.
        future: Files that say they were written later than now.
        complete: Whether there was time to look at all of them.
    """

    files: int = 0
    left: list[Path] = field(default_factory=list)
    future: list[Path] = field(default_factory=list)
    complete: bool = True


def _folders(place: Place) -> list[Path]:
    """Folders of the runs that are examined."""
    if place.study is None:
        return sorted(path for path in place.runs.glob("*") if path.is_dir())
    name = study_content(place.study).get("name", place.study.stem)
    return sorted({*place.runs.glob(f"{name}/"), *place.runs.glob(f"{name}-*/")})


def leftovers(place: Place) -> Iterator[Finding]:
    """No temporary files of killed runs; no file is dated in the future."""
    seen = _Seen()
    ends = time.monotonic() + _LIMIT_S
    for folder in _folders(place):
        _look(folder, seen, ends)
    if seen.left:
        what = f"{len(seen.left)} of killed runs, such as {seen.left[0]}"
        remedy = f"spinforge prune {place.runs} --yes; the next run in that folder removes them too"
        yield Finding("temporary files", "warning", what, remedy)
    if seen.future:
        what = (
            f"{len(seen.future)} files are dated in the future, such as {seen.future[0]}: the "
            f"clock was or is wrong"
        )
        remedy = "set the clock (timedatectl), then: find RUNS -newermt now -exec touch {} +"
        yield Finding("file times", "warning", what, remedy)
    if not (seen.left or seen.future):
        yield Finding("run folders", "ok", f"{seen.files} files, none left behind")
    if not seen.complete:
        what = f"only the first {seen.files} files were looked at, for want of time"
        yield Finding("run folders", "note", what)


def _look(folder: Path, seen: _Seen, ends: float) -> None:
    """Look at the names and times of a folder's files, not at their content."""
    from spinforge.datasets.storage.files import is_abandoned

    future = time.time() + _SLACK_S
    for where, folders, files in os.walk(folder):
        if time.monotonic() > ends:
            seen.complete = False
            return
        for name in (*folders, *files):
            path = Path(where, name)
            if name.startswith(".") and ".tmp-" in name and is_abandoned(path):
                seen.left.append(path)
        # An array's chunks lie in c/: their number is large and their times are the array's.
        folders[:] = [name for name in folders if name != "c" and ".tmp-" not in name]
        for name in files:
            seen.files += 1
            path = Path(where, name)
            try:
                if path.lstat().st_mtime > future:
                    seen.future.append(path)
            except FileNotFoundError:
                continue  # a run is at work here


def killed_runs(place: Place) -> Iterator[Finding]:
    """Runs that note themselves in their folder are still alive."""
    import psutil

    from spinforge.flows.killed_runs import read_note

    for folder in _folders(place):
        note = read_note(folder) or {}
        pid, host = note.get("pid"), note.get("host")
        if isinstance(pid, int) and host == socket.gethostname() and not psutil.pid_exists(pid):
            name = note.get("flow_run") or "the run"
            what = f"{folder}: {name} (process {pid}, since {note.get('since')}) was killed"
            remedy = (
                f"run the same command again: it goes on, and Prefect is told; "
                f"spinforge prune {place.runs} --yes only tells Prefect"
            )
            yield Finding("killed runs", "warning", what, remedy)


def data_sets(place: Place) -> Iterator[Finding]:
    """Data sets are whole, by their manifests; with --deep by every digest."""
    named = {Path(path) for path in addresses(place, "dataset") if "://" not in path}
    sets = {path for folder in _folders(place) for path in folder.glob("*.zarr")}
    found = sorted(path for path in sets | named if path.is_dir())
    for path in found:
        yield from _data_set(path, deep=place.deep)


def _data_set(path: Path, *, deep: bool) -> Iterator[Finding]:
    from spinforge.datasets.storage.verify import take_inventory, verify_store

    check = "data sets"
    if newer := _newer_schema(path):
        what = f"{path} has schema version {newer}, newer than this Spinforge reads"
        yield Finding(check, "problem", what, "update Spinforge, or name another folder")
        return
    try:
        problems = verify_store(path) if deep else take_inventory(path).problems
    except SpinforgeError as error:
        yield Finding(check, "problem", str(error), f"spinforge verify {path}")
        return
    except FileNotFoundError:
        yield Finding(check, "note", f"{path} is being written")
        return
    lasting = [problem for problem in problems if "was left behind" not in problem.what]
    if lasting:
        more = f" and {len(lasting) - 1} more" if len(lasting) > 1 else ""
        what = f"{lasting[0]}{more}"
        yield Finding(check, "problem", what, f"spinforge verify {path} lists all")
    else:
        level = "every digest" if deep else "by its manifest"
        yield Finding(check, "ok", f"{path} is whole, {level}")


def _newer_schema(path: Path) -> int:
    """Version of a set that is too new for us; 0 otherwise."""
    from spinforge.datasets.storage.locations import METADATA, LocalFolder
    from spinforge.datasets.storage.metadata import parsed_attributes
    from spinforge.datasets.storage.store import SCHEMA_VERSION

    attributes = parsed_attributes(LocalFolder(path).read(METADATA)) or {}
    version = attributes.get("schema_version")
    return version if isinstance(version, int) and version > SCHEMA_VERSION else 0
