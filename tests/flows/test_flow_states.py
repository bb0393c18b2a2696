"""What Prefect is told: cached tasks, runs that were killed, time-outs, parameters of its page."""

import json
import os
import signal
import subprocess
import sys
import time

import httpx
import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.flow_engine import FlowRunTimeoutError
from prefect.runtime import flow_run
from prefect.states import Crashed
from prefect.utilities.callables import parameter_schema

from spinforge.flows.config import load_study
from spinforge.flows.corrupt import corrupt
from spinforge.flows.evaluate import evaluate
from spinforge.flows.flow_runs import WITHOUT_SERVICES, own_flow_run
from spinforge.flows.generate import generate
from spinforge.flows.killed_runs import NOTE, read_note
from spinforge.flows.report import report
from spinforge.flows.robustness import robustness
from spinforge.flows.run_folder import RunFolder
from spinforge.flows.study import study as study_flow
from spinforge.flows.train import train
from spinforge.flows.verify import verify
from spinforge.simulation.errors import SpinforgeError

ABOUT_A_STUDY = (generate, corrupt, train, evaluate, robustness, study_flow, report)


def runs_of(flow_run_id):
    """States of the tasks of a flow run: name -> (name of the state, its message)."""
    with get_client(sync_client=True) as client:
        within = FlowRunFilter(id=FlowRunFilterId(any_=[flow_run_id]))
        deadline = time.monotonic() + 10  # the server hears of tasks a little later
        while time.monotonic() < deadline:
            runs = client.read_task_runs(flow_run_filter=within)
            if runs and all(run.state and run.state.is_final() for run in runs):
                break
            time.sleep(0.2)
        return {run.name: (run.state.name, run.state.message) for run in runs}


@pytest.mark.parametrize("tasks_of", [train, evaluate])
def test_a_task_with_nothing_to_do_is_cached_and_names_the_hash(copy, tasks_of):
    tasks_of(copy)  # elsewhere, so MLflow is told anew
    state = tasks_of(copy, return_state=True)
    tasks = runs_of(state.state_details.flow_run_id)
    assert {name: kind for name, (kind, _) in tasks.items()} == {"unet": "Cached", "crdn": "Cached"}
    for name, (_, message) in tasks.items():
        assert message.startswith(f"{name}-")


@pytest.mark.parametrize("about", ABOUT_A_STUDY, ids=lambda f: f.name)
def test_prefects_form_of_a_study_is_a_file_and_changes(about):
    schema = parameter_schema(about.fn).model_dump_for_openapi()
    study = schema["properties"]["study"]
    assert set(study["properties"]) == {"file", "set"}
    assert len(json.dumps(schema)) < 5000


def test_a_file_and_changes_are_the_study(tiny_file):
    parameters = {"study": {"file": str(tiny_file), "set": ["seed=3"]}}
    assert generate.validate_parameters(parameters)["study"] == load_study(tiny_file, ["seed=3"])


def test_a_whole_study_is_taken_too(tiny):
    told = {"study": tiny.model_dump(mode="json")}
    assert generate.validate_parameters(told)["study"] == tiny
    assert generate.validate_parameters({"study": tiny})["study"] is tiny


@pytest.mark.parametrize(
    ("parameter", "message"),
    [
        ({"file": "nowhere.yaml"}, "nowhere.yaml does not exist"),
        ({"set": ["seed=x"], "file": "FILE"}, "seed"),
        ({"file": "FILE", "sets": []}, "sets"),
    ],
)
def test_a_wrong_parameter_is_said_as_on_the_command_line(tiny_file, parameter, message):
    parameter = {k: str(tiny_file) if v == "FILE" else v for k, v in parameter.items()}
    with pytest.raises(SpinforgeError, match=message):
        generate.validate_parameters({"study": parameter})


def test_a_flow_that_hangs_ends_as_timed_out_and_frees_its_folder(prefect_server, tiny):
    @flow(name="hangs", timeout_seconds=1)
    def hangs():
        with RunFolder.of(tiny).opened(tiny):
            time.sleep(60)

    state = hangs(return_state=True)
    assert state.name == "TimedOut"
    with pytest.raises(FlowRunTimeoutError):
        state.result()
    with RunFolder.of(tiny).opened(tiny):
        pass


KILLED = """
import os, signal, sys
from pathlib import Path
from prefect import flow, task
from spinforge.flows.config import load_study
from spinforge.flows.run_folder import RunFolder

study = load_study(Path(sys.argv[1]), [f"out={sys.argv[2]}"])

@task
def working():
    os.kill(os.getpid(), signal.SIGKILL)

@flow
def part():
    working()

@flow
def victim():
    with RunFolder.of(study).opened(study):
        part()

victim()
"""


@pytest.mark.parametrize("its_worker_told", [False, True])
def test_a_killed_run_is_called_crashed_by_the_next_one(
    prefect_server, tiny_file, tiny, its_worker_told
):
    """A worker that lives ends the run itself, but not what ran within it."""
    run = subprocess.run(
        [sys.executable, "-c", KILLED, str(tiny_file), str(tiny.out)],
        env=os.environ | {"PREFECT_API_URL": prefect_server},
        timeout=120,
    )
    assert run.returncode == -signal.SIGKILL
    folder = RunFolder.of(tiny)
    killed = read_note(folder.path)["flow_run_id"]

    @flow(name="successor", flow_run_name="the-next")
    def successor():
        with RunFolder.of(tiny).opened(tiny):
            assert read_note(folder.path)["flow_run"] == "the-next"

    message = "Was killed. Run the-next goes on from there."
    with get_client(sync_client=True) as client:
        assert client.read_flow_run(killed).state.is_running()
        if its_worker_told:
            message = "Process exited with status code: -9."
            client.set_flow_run_state(killed, Crashed(message=message), force=True)
        successor()
        state = client.read_flow_run(killed).state
    assert (state.name, state.message) == ("Crashed", message)
    assert {name for name, _ in runs_of(killed).values()} == {"Crashed"}  # the flow within it
    assert not (folder.path / NOTE).exists()


def test_a_killed_run_is_succeeded_without_any_server(tiny, capsys):
    folder = RunFolder.of(tiny)
    folder.path.mkdir(parents=True)
    (folder.path / NOTE).write_text('{"flow_run_id": null, "pid": 1, "host": "there"}')
    with folder.opened(tiny):
        assert read_note(folder.path)["pid"] == os.getpid()
    assert "process 1 on there" in capsys.readouterr().err
    assert not (folder.path / NOTE).exists()


def test_a_killed_run_that_is_retried_under_its_id_is_not_called_crashed(prefect_server, tiny):
    folder = RunFolder.of(tiny)
    folder.path.mkdir(parents=True)

    @flow
    def within():
        with folder.opened(tiny):
            return read_note(folder.path)["flow_run_id"]

    @flow
    def retried():
        own = str(flow_run.id)
        (folder.path / NOTE).write_text(json.dumps({"flow_run_id": own}))
        noted = within()
        with get_client(sync_client=True) as client:
            return own, noted, client.read_flow_run(own).state.name

    own, noted, state = retried()
    assert (noted, state) == (own, "Running")


def test_without_services_prefect_is_asked_nothing(tiny, monkeypatch, capsys):
    monkeypatch.setenv(WITHOUT_SERVICES, "1")
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:1/api")
    monkeypatch.setattr("prefect.client.orchestration.get_client", None)
    folder = RunFolder.of(tiny)
    folder.path.mkdir(parents=True)
    (folder.path / NOTE).write_text(json.dumps({"flow_run_id": "owl"}))
    with folder.opened(tiny):
        assert read_note(folder.path)["flow_run_id"] is None
    assert "Prefect could not be told" not in capsys.readouterr().err
    assert not (folder.path / NOTE).exists()


def test_a_run_is_noted_also_if_the_server_cannot_be_asked_for_its_root(
    prefect_server, monkeypatch
):
    async def unreachable(_):
        raise httpx.ConnectError("away")

    @flow
    def inner():
        return own_flow_run()

    @flow
    def outer():
        monkeypatch.setattr("prefect.runtime.flow_run._get_flow_run", unreachable)
        return inner()

    own = outer()
    assert own.id == own.root_id


def test_of_two_runs_at_once_the_second_fails_at_once(prefect_server, tiny, tmp_path):
    code = (
        "import sys; from pathlib import Path; from filelock import FileLock\n"
        "with FileLock(sys.argv[1]): print('held', flush=True); sys.stdin.read()"
    )
    lock = RunFolder.of(tiny).path / ".lock"
    lock.parent.mkdir(parents=True)
    with subprocess.Popen(
        [sys.executable, "-c", code, str(lock)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        state = generate(tiny, return_state=True)
        holder.communicate("")
    assert state.is_failed()
    assert "another run works in" in state.message


def test_verify_takes_one_line(prefect_server):
    path = parameter_schema(verify.fn).model_dump_for_openapi()["properties"]["path"]
    assert path["type"] == "string"
