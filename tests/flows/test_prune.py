"""`spinforge prune`: what it names, what it deletes, and that it leaves the rest alone."""

import importlib
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from filelock import FileLock
from finished_study import changed_recipe
from mlflow.tracking import MlflowClient
from prefect import Flow, flow
from prefect.artifacts import create_markdown_artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    FlowRunFilter,
    FlowRunFilterId,
)
from typer.testing import CliRunner

from spinforge.datasets.storage.verify import verify_store
from spinforge.flows import prune_records
from spinforge.flows.cli import app
from spinforge.flows.config import study_yaml
from spinforge.flows.flow_options import FLOW_OPTIONS
from spinforge.flows.killed_runs import NOTE
from spinforge.flows.prune import prune
from spinforge.flows.run_folder import RunFolder
from spinforge.flows.slices import network_folder
from spinforge.flows.tracking import default_uri
from spinforge.simulation.errors import SpinforgeError

prune_module = importlib.import_module("spinforge.flows.prune")


@pytest.fixture
def gone() -> int:
    """Number of a process that is over."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.fixture
def runs(copy, gone):
    """A finished study's folder with everything that can be left in one."""
    folder = RunFolder.of(copy).path
    (folder / f".report.html.tmp-{gone}").write_text("half")
    (folder / f".x.tmp-{gone}").mkdir()
    (folder / f".x.tmp-{gone}" / "part").write_text("half")
    (folder / f"dataset.zarr/kspace/.head-000.tmp-{gone}").mkdir()  # of the set
    (folder / ".alive.tmp-1").write_text("")  # of a process that lives
    (folder / NOTE).write_text(json.dumps({"flow_run_id": None, "flow_run": "owl", "pid": gone}))
    unused = folder / "networks" / "unet-00000000"
    unused.mkdir()
    (unused / "network.pt").write_bytes(bytes(2_000_000))
    (folder / ".lock").touch()
    return copy.out


def files_of(folder):
    return {path for path in folder.rglob("*")}


def test_without_yes_it_only_says_what_would_go(prefect_server, runs):
    before = files_of(runs)
    found = prune(runs)
    assert files_of(runs) == before
    assert [line.rpartition("/")[2][:6] for line in found["leftovers"]] == [".repor", ".x.tmp"]
    assert found["killed"] == [f"{runs / 'tiny'}: owl"]
    assert found["weights"] == [f"{runs / 'tiny/networks/unet-00000000'} (2.0 MB)"]


def test_deleting_leaves_sets_results_and_networks(prefect_server, runs, finished, gone):
    before = files_of(runs)
    prune(runs, delete=True)
    tiny = runs / "tiny"
    left = {tiny / f".report.html.tmp-{gone}", tiny / f".x.tmp-{gone}", tiny / NOTE}
    assert before - files_of(runs) == left | {tiny / f".x.tmp-{gone}" / "part"}


def test_weights_go_only_if_asked_for_and_not_those_in_use(prefect_server, runs, copy):
    prune(runs, delete=True, weights=True)
    names = {path.name for path in (runs / "tiny/networks").iterdir()}
    assert names == {network_folder(copy, network).name for network in copy.networks}
    assert verify_store(runs / "tiny/dataset.zarr") == []


def test_what_study_yaml_asks_for_now_decides(prefect_server, runs, copy):
    (runs / "tiny/study.yaml").write_text(study_yaml(changed_recipe(copy)))
    unused = {line.rpartition("/")[2][:4] for line in prune(runs)["weights"]}
    assert unused == {"unet", "crdn"}
    (runs / "tiny/study.yaml").write_text("name: [")
    assert prune(runs)["weights"] == []  # it cannot be told


def test_a_folder_in_which_a_run_works_is_left_alone(prefect_server, runs):
    with FileLock(runs / "tiny/.lock"):
        found = prune(runs, delete=True)
    assert (found["leftovers"], found["killed"]) == ([], [])


def test_a_folder_that_we_may_not_lock_is_left_alone(prefect_server, runs, monkeypatch, capsys):
    def refused(lock):
        raise PermissionError(13, "Permission denied", lock.lock_file)

    monkeypatch.setattr(prune_module.FileLock, "acquire", refused)
    assert prune(runs, delete=True)["leftovers"] == []
    said = capsys.readouterr().err
    assert f"skipped   {runs / 'tiny'}: its lock cannot be taken: Permission denied" in said


def test_an_unreadable_record_is_said_before_anything_goes(prefect_server, runs):
    (runs / "mlflow.db").write_text("no database" * 100)
    before = files_of(runs)
    with pytest.raises(SpinforgeError, match=r"MLflow's record .*mlflow.db cannot be"):
        prune(runs, delete=True)
    assert files_of(runs) == before


def test_old_finished_runs_of_our_flows_go_with_their_artifacts(prefect_server, monkeypatch):
    """Another project may have a flow of the same name on the same server."""
    monkeypatch.setattr(prune_records, "FLOWS", ("ours",))

    def leaves():
        create_markdown_artifact("text")

    ours = flow(name="ours", version=FLOW_OPTIONS["version"])(leaves)
    others = flow(name="ours", version="churn-model 3")(leaves)
    ids = [f(return_state=True).state_details.flow_run_id for f in (ours, others)]
    later = datetime.now(UTC) + timedelta(days=1)
    assert prune_records.prune_flow_runs(later - timedelta(days=2), delete=True) == []
    (name,) = prune_records.prune_flow_runs(later, delete=False)
    assert prune_records.prune_flow_runs(later, delete=True) == [name]
    with get_client(sync_client=True) as client:
        any_of = FlowRunFilter(id=FlowRunFilterId(any_=ids))
        assert [run.id for run in client.read_flow_runs(flow_run_filter=any_of)] == [ids[1]]
        filters = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=ids))
        found = client.read_artifacts(artifact_filter=filters)
    assert [artifact.flow_run_id for artifact in found] == [ids[1]]


def test_every_flow_is_pruned(repository):
    names = set()
    for path in (repository / "flows").glob("*.py"):
        if path.stem == "dashboard_page":  # importing it is showing it
            continue
        module = importlib.import_module(f"spinforge.flows.{path.stem}")
        names |= {value.name for value in vars(module).values() if isinstance(value, Flow)}
    assert names == set(prune_records.FLOWS)


@pytest.mark.parametrize("folder", [".", "runs/tiny"])
def test_a_folder_without_runs_is_refused(prefect_server, tmp_path, folder):
    (tmp_path / "runs/tiny").mkdir(parents=True)
    with pytest.raises(SpinforgeError, match="no study has run in"):
        prune.fn(out=tmp_path / folder)


@pytest.mark.slow
def test_runs_deleted_in_mlflows_page_go_for_good(tmp_path, tiny):
    uri = default_uri(tiny)
    client = MlflowClient(uri)
    experiment = client.create_experiment("e", (tmp_path / "mlartifacts").as_uri())
    kept, deleted = (client.create_run(experiment).info for _ in range(2))
    client.log_text(deleted.run_id, "text", "file.txt")
    client.delete_run(deleted.run_id)
    assert prune_records.prune_mlflow_runs(tmp_path, 1, delete=True) == []  # not old enough
    assert prune_records.prune_mlflow_runs(tmp_path, 0, delete=True) == [deleted.run_id]
    assert not list((tmp_path / "mlartifacts").rglob("file.txt"))
    assert client.get_run(kept.run_id)
    assert prune_records.prune_mlflow_runs(tmp_path, 0, delete=True) == []


@pytest.mark.parametrize("age", ["30", "0d", "month", "-1d"])
def test_an_age_is_a_number_of_days(tmp_path, age):
    result = CliRunner().invoke(app, ["prune", str(tmp_path), f"--older-than={age}"])
    assert result.exit_code == 2
    assert "such as 30d" in result.output


def test_the_command_answers(prefect_server, runs):
    result = CliRunner().invoke(app, ["prune", str(runs), "--older-than", "9000d", "--json"])
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert (answer["deleted"], len(answer["leftovers"])) == (False, 2)
    assert os.path.exists(runs / "tiny" / NOTE)
