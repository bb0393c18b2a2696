"""The runs of a study as MLflow has them; nothing is written, no database is made."""

import logging
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from sqlalchemy import make_url

from spinforge.evaluation.dashboard.source import TrackedRun, TrackedRuns
from spinforge.flows.config import Study
from spinforge.flows.run_folder import RunFolder
from spinforge.flows.run_notes import read_note
from spinforge.flows.tracking import default_uri
from spinforge.simulation.errors import SpinforgeError

_PARENT = "mlflow.parentRunId"
_MOST = 1000

# A server that is down is asked for a minute or more otherwise; a page cannot wait so long.
_PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "5"}


def tracked_runs(study: Study) -> TrackedRuns:
    """The study's own run, its children, and the runs of its networks made for another study.

    Args:
        study: Whose folder notes the runs.
    """
    uri = study.tracking.uri or default_uri(study)
    folder = RunFolder.of(study)
    noted = read_note(folder.path).get("run_id")
    others = [read_note(path.parent) for path in sorted(folder.networks.glob("*/mlflow.json"))]
    ids = [str(note["run_id"]) for note in others if note.get("uri") == uri]
    if noted is None and not ids:
        return TrackedRuns(
            uri, message=f"{folder.path} notes no run of MLflow: run the study, or collect it."
        )
    try:
        with _client(uri) as client:
            found = _runs(client, noted, ids)
    except SpinforgeError as error:
        return TrackedRuns(uri, message=str(error))
    if not found:
        return TrackedRuns(
            uri, message=f"{uri} has none of the runs that {folder.path} notes; were they deleted?"
        )
    return TrackedRuns(uri, tuple(_plain(run) for run in found))


def metric_curve(study: Study, run_id: str, metric: str) -> pd.DataFrame:
    """All values of a metric: columns step, value.

    Raises:
        SpinforgeError: If MLflow does not answer.
    """
    with _client(study.tracking.uri or default_uri(study)) as client:
        history = client.get_metric_history(run_id, metric)
    return pd.DataFrame(
        [(point.step, point.value) for point in history], columns=["step", "value"]
    ).sort_values("step", ignore_index=True)


def _runs(client: MlflowClient, noted: str | None, ids: list[str]) -> list[Run]:
    """The study's first, every run once."""
    found: dict[str, Run] = {}
    wanted = [] if noted is None else [noted]
    for run_id in [*wanted, *ids]:
        run = _run(client, run_id)
        if run is None:
            continue
        found[run_id] = run
        if run_id == noted:
            children = client.search_runs(
                [run.info.experiment_id],
                filter_string=f"tags.`{_PARENT}` = '{run_id}'",
                max_results=_MOST,
            )
            found |= {child.info.run_id: child for child in children}
    return list(found.values())


def _run(client: MlflowClient, run_id: str) -> Run | None:
    """A run, if it is there still."""
    try:
        run = client.get_run(run_id)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None
    return run if run.info.lifecycle_stage == "active" else None


def _plain(run: Run) -> TrackedRun:
    started = datetime.fromtimestamp(run.info.start_time / 1000, UTC)
    return TrackedRun(
        run_id=run.info.run_id,
        name=run.info.run_name or "",
        parent=run.data.tags.get(_PARENT, ""),
        status=run.info.status,
        started=started.strftime("%Y-%m-%d %H:%M UTC"),
        parameters=dict(run.data.params),
        metrics=dict(run.data.metrics),
    )


@contextmanager
def _client(uri: str) -> Iterator[MlflowClient]:
    """MLflow, if there is one already.

    Raises:
        SpinforgeError: If there is none, or it fails in the block.
    """
    os.environ.update(_PATIENCE)
    if uri.startswith("sqlite:"):
        _check_database(Path(make_url(uri).database or ""), uri)
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    try:
        yield MlflowClient(tracking_uri=uri)
    except MlflowException as error:
        reason = re.search(r"OperationalError\) (.*)", str(error))
        text = reason[1] if reason else " ".join(str(error).split())[:200]
        raise SpinforgeError(
            f"MLflow at {uri} does not answer ({text}). Start its server and reload the page; the "
            f"other tabs do not need it."
        ) from error


def _check_database(path: Path, uri: str) -> None:
    """Find what MLflow would make a new database of."""
    if not path.is_file():
        raise SpinforgeError(
            f"{uri} does not exist. It is made when the study runs; if it lies elsewhere now, say "
            f"so by tracking.uri in the study file."
        )
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            database.execute("SELECT 1 FROM runs LIMIT 1").fetchall()
    except sqlite3.Error as error:
        raise SpinforgeError(f"{uri} is no record of MLflow ({error}).") from error
