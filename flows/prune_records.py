"""Old records: flow runs in Prefect, and runs that were deleted in MLflow's page."""

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterEndTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import TERMINAL_STATES, FlowRun
from prefect.exceptions import ObjectNotFound

from spinforge.flows.flow_options import VERSION_PREFIX
from spinforge.flows.tracking_errors import readable_errors
from spinforge.simulation.errors import SpinforgeError

FLOWS = (
    "corrupt",
    "download",
    "evaluate",
    "generate",
    "prune",
    "regenerate",
    "report",
    "robustness",
    "robustness-report",
    "study",
    "suite",
    "train",
    "verify",
)
"""Our flows; the server may keep runs of others, also under these names."""

_PAGE = 200


def prune_flow_runs(before: datetime, delete: bool) -> list[str]:
    """Runs of our flows that ended before a time, with their tasks, logs and artifacts.

    Args:
        before: When they must have ended.
        delete: Whether to delete them.

    Returns:
        Their names.
    """
    with get_client(sync_client=True) as client:
        ours = list(_ended_before(client, before))
        for run in ours if delete else ():
            _delete(client, run.id)
    return [f"{run.name} ({run.state_name}, {run.end_time:%Y-%m-%d})" for run in ours]


def _ended_before(client: SyncPrefectClient, before: datetime) -> Iterator[FlowRun]:
    """Runs of our flows: other projects' flows may have the same names."""
    offset = 0
    while page := client.read_flow_runs(
        flow_filter=FlowFilter(name=FlowFilterName(any_=list(FLOWS))),
        flow_run_filter=FlowRunFilter(
            end_time=FlowRunFilterEndTime(before_=before),
            state=FlowRunFilterState(type=FlowRunFilterStateType(any_=sorted(TERMINAL_STATES))),
        ),
        limit=_PAGE,
        offset=offset,
    ):
        offset += len(page)
        yield from (run for run in page if _is_ours(client, run))


def _is_ours(client: SyncPrefectClient, run: FlowRun) -> bool:
    """Whether a run is one of our code; one that was cancelled before it began has no version."""
    if run.flow_version or run.deployment_id is None:
        return (run.flow_version or "").startswith(VERSION_PREFIX)
    try:
        entrypoint = client.read_deployment(run.deployment_id).entrypoint
    except ObjectNotFound:
        return False
    return (entrypoint or "").startswith("spinforge.")


def _delete(client: SyncPrefectClient, run: UUID) -> None:
    """One flow run; its tasks go with it, and its logs a little later."""
    of_it = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run]))
    for artifact in client.read_artifacts(artifact_filter=of_it):
        client.delete_artifact(artifact.id)
    try:
        client.delete_flow_run(run)
    except ObjectNotFound:  # somebody else was faster
        return


def prune_mlflow_runs(out: Path, days: int, delete: bool) -> list[str]:
    """Runs of the folder's own MLflow record that were deleted some time ago in its page.

    MLflow only hides them; their files stay until `mlflow gc`, which this calls.

    Args:
        out: Folder that holds the folders of all runs.
        days: For how long they must have been deleted.
        delete: Whether to delete them for good.

    Returns:
        Their ids.

    Raises:
        SpinforgeError: If MLflow fails, or the record is of another version or locked.
    """
    database = (out / "mlflow.db").resolve()
    if not database.is_file():
        return []
    uri = f"sqlite:///{database}"
    with readable_errors(uri, own_record=True):
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

        store = SqlAlchemyStore(uri, (out / "mlartifacts").resolve().as_uri())
        runs = list(store._get_deleted_runs(older_than=days * 24 * 3600 * 1000))
    if runs and delete:
        gc = [sys.executable, "-m", "mlflow", "gc", "--backend-store-uri", uri]
        done = subprocess.run(
            [*gc, "--older-than", f"{days}d"],
            env=os.environ | {"MLFLOW_TRACKING_URI": uri},
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise SpinforgeError(f"mlflow gc of {uri} failed: {reason}")
    return runs
