"""Checks of MLflow's record: its SQLite file or its server."""

import importlib.metadata
import importlib.util
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from spinforge.datasets.storage.addresses import redacted
from spinforge.flows.doctor.finding import Finding, Place, addresses
from spinforge.flows.doctor.network import get, why_not_reached

_CHECK = "MLflow record"
_LIMIT_S = 3.0


def mlflow_files(place: Place) -> Iterator[Finding]:
    """SQLite files can be read and written, are whole, and of the schema of this MLflow."""
    named = addresses(place, "tracking", "uri")
    files = [Path(uri.removeprefix("sqlite:///")) for uri in named if uri.startswith("sqlite:///")]
    for path in dict.fromkeys([place.runs / "mlflow.db", *files]):
        yield _file(path) if path.is_file() else Finding(_CHECK, "ok", f"{path}: none yet")


def _file(path: Path) -> Finding:
    copy = f"put {path} back from a copy, or move it away: a new one is begun, results stay"
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=rw", uri=True)) as database:
            database.execute("PRAGMA busy_timeout = 1500")
            database.execute("BEGIN IMMEDIATE")  # as every writer begins; nothing is written
            database.rollback()
            database.isolation_level = None
            ends = time.monotonic() + _LIMIT_S
            database.set_progress_handler(lambda: time.monotonic() > ends, 100_000)
            damage = _damage(database)
            revision = _revision(database)
    except sqlite3.OperationalError as error:
        if "locked" in str(error) or "busy" in str(error):
            what = f"{path} is locked by another process"
            remedy = f"find it with `fuser {path}`; end it if it hangs, or wait"
            return Finding(_CHECK, "problem", what, remedy)
        remedy = f"chown or chmod {path} and its folder"
        return Finding(_CHECK, "problem", f"{path} cannot be used: {error}", remedy)
    except sqlite3.DatabaseError as error:
        return Finding(_CHECK, "problem", f"{path} is damaged: {error}", copy)
    if damage:
        return Finding(_CHECK, "problem", f"{path} is damaged: {damage}", copy)
    return _schema(path, revision)


def _damage(database: sqlite3.Connection) -> str:
    """First thing that is wrong with the file, if found in the time there is."""
    try:
        (said,) = database.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.OperationalError as error:
        if "interrupt" in str(error):
            return ""  # large; what was looked at is whole
        raise
    return "" if said == "ok" else str(said)


def _revision(database: sqlite3.Connection) -> str:
    tables = database.execute("SELECT name FROM sqlite_master WHERE name = 'alembic_version'")
    if tables.fetchone() is None:
        return ""
    found = database.execute("SELECT version_num FROM alembic_version").fetchone()
    return str(found[0]) if found else ""


def _schema(path: Path, revision: str) -> Finding:
    known, newest = _revisions()
    installed = importlib.metadata.version("mlflow")
    if revision in newest:
        return Finding(_CHECK, "ok", f"{path}, schema of MLflow {installed}")
    if not revision:
        what = f"{path} is no record of MLflow"
        return Finding(_CHECK, "problem", what, "move it away, or name another as tracking.uri")
    if revision in known:
        what = f"{path} is of an older MLflow than {installed}"
        remedy = f"copy it, then: mlflow db upgrade sqlite:///{path.resolve()}"
        return Finding(_CHECK, "problem", what, remedy)
    what = f"{path} is of a newer MLflow than {installed} (schema {revision})"
    return Finding(_CHECK, "problem", what, "install that MLflow again: pip install -U mlflow")


def _revisions() -> tuple[set[str], set[str]]:
    """Schemas that the installed MLflow knows, and those that nothing follows.

    Read from the files: importing MLflow takes seconds.
    """
    package = importlib.util.find_spec("mlflow")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("mlflow is not installed")
    folder = Path(package.origin).parent / "store" / "db_migrations" / "versions"
    texts = [path.read_text(encoding="utf-8") for path in folder.glob("*.py")]
    known = {name for text in texts for name in re.findall(r'^revision = "(\w+)"', text, re.M)}
    before = {
        name for text in texts for name in re.findall(r'^down_revision = "(\w+)"', text, re.M)
    }
    return known, known - before


def mlflow_servers(place: Place) -> Iterator[Finding]:
    """Tracking servers that studies name answer, in a version that fits."""
    for uri, path in addresses(place, "tracking", "uri").items():
        shown = redacted(uri)
        remedy = f"start the server, or correct tracking.uri in {path}"
        if uri.startswith(("http://", "https://")):
            yield _server(uri.rstrip("/"), shown, remedy)
        elif uri.startswith("postgresql"):
            reason = why_not_reached(uri, 5432)
            if reason:
                yield Finding(_CHECK, "problem", f"{shown} cannot be reached ({reason})", remedy)
            else:
                yield Finding(_CHECK, "ok", f"{shown} answers")


def _server(uri: str, shown: str, remedy: str) -> Finding:
    try:
        found = get(f"{uri}/version").strip()
    except OSError as error:
        return Finding(_CHECK, "problem", f"{shown} does not answer ({error})", remedy)
    installed = importlib.metadata.version("mlflow")
    if found.partition(".")[0] != installed.partition(".")[0]:
        what = f"{shown} is MLflow {found[:20]}, installed is {installed}"
        return Finding(_CHECK, "problem", what, "install the same major version on both sides")
    return Finding(_CHECK, "ok", f"{shown} answers, MLflow {found}")
