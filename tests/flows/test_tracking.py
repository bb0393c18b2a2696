"""What may come between a study and MLflow: Ctrl-C, a kill, a failure, a folder that is moved."""

import os
import shutil
import signal
import subprocess
import sys

import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import PERMISSION_DENIED, TEMPORARILY_UNAVAILABLE
from mlflow.tracking import MlflowClient
from postgres_server import free_port

from spinforge.flows import tracking, whole_calls
from spinforge.flows.config import Tracking, study_yaml
from spinforge.flows.tracking import Tracker
from spinforge.simulation.errors import SpinforgeError, TemporaryError


def press_ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_waits_for_what_was_begun():
    handler = signal.getsignal(signal.SIGINT)
    steps = []

    def log() -> None:
        with whole_calls.ctrl_c_waits():
            press_ctrl_c()
            steps.append("rest of the transaction")
        steps.append("after it")

    with pytest.raises(KeyboardInterrupt):
        log()
    assert steps == ["rest of the transaction"]
    assert signal.getsignal(signal.SIGINT) is handler


def test_a_second_ctrl_c_does_not_wait():
    steps = []

    @whole_calls.ctrl_c_waits()
    def log() -> None:
        press_ctrl_c()
        steps.append("a server that does not answer")
        press_ctrl_c()
        steps.append("its answer")

    with pytest.raises(KeyboardInterrupt):
        log()
    assert steps == ["a server that does not answer"]


def test_an_error_is_not_hidden_by_a_ctrl_c():
    @whole_calls.ctrl_c_waits()
    def log() -> None:
        press_ctrl_c()
        raise ValueError("disk")

    with pytest.raises(ValueError, match="disk"):
        log()


def test_a_stopped_run_is_killed_in_the_record(tiny):
    tracker = Tracker(tiny)
    with pytest.raises(KeyboardInterrupt), tracker.study_run() as run:
        raise KeyboardInterrupt
    assert MlflowClient(tracker.uri).get_run(run).info.status == "KILLED"


def test_a_record_that_fails_does_not_hide_ctrl_c(tiny, monkeypatch):
    tracker = Tracker(tiny)

    def locked(*_, **__):
        raise MlflowException("database is locked")

    monkeypatch.setattr(tracker._client, "set_terminated", locked)
    with pytest.raises(KeyboardInterrupt), tracker.study_run():
        raise KeyboardInterrupt


def test_a_run_is_found_again_after_a_kill_before_it_was_noted(tiny, monkeypatch):
    """Whether MLflow's answer never came or was not written down: nothing is made twice."""
    tracker = Tracker(tiny)
    create_run = tracker._client.create_run

    def killed(*_, **__):
        raise KeyboardInterrupt

    def create_and_be_killed(*arguments, **options):
        create_run(*arguments, **options)
        raise KeyboardInterrupt

    for where, name, deed in (
        (tracker._client, "create_run", create_and_be_killed),
        (tracking, "write_note", killed),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(where, name, deed)
            with pytest.raises(KeyboardInterrupt), tracker.network_run(tiny.out / "unet", "unet"):
                pass
    with tracker.network_run(tiny.out / "unet", "unet") as run:
        pass
    names = sorted(run.info.run_name for run in all_runs(tracker))
    assert names == ["tiny", "unet"]
    with tracker.network_run(tiny.out / "unet", "unet") as again:
        assert again == run


def all_runs(tracker):
    return tracker._client.search_runs([tracker._experiment])


def test_a_request_for_another_run_leaves_the_note_of_this_one(tiny, monkeypatch):
    tracker = Tracker(tiny)
    with tracker.study_run() as run:
        pass
    other = Tracker(tiny.model_copy(update={"seed": 1}))

    def killed(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(other._client, "create_run", killed)
    with pytest.raises(KeyboardInterrupt), other.study_run():
        pass
    with tracker.study_run() as again:
        assert again == run


@pytest.mark.slow
def test_processes_that_start_together_share_one_record(tiny, tmp_path):
    """MLflow makes its tables in many steps; two processes at it would stop each other."""
    log = """
import sys
from pathlib import Path
from spinforge.flows.config import load_study
from spinforge.flows.tracking import Tracker
tracker = Tracker(load_study(Path(sys.argv[1]), [f"name={sys.argv[2]}"]))
with tracker.study_run() as run:
    for step in range(20):
        tracker._client.log_metric(run, "value", step, step=step)
"""
    file = tmp_path / "study.yaml"
    file.write_text(study_yaml(tiny))
    running = [
        subprocess.Popen(
            [sys.executable, "-c", log, file, f"study-{number}"],
            stderr=subprocess.DEVNULL,
        )
        for number in range(3)
    ]
    codes = [process.wait() for process in running]
    assert codes == [0, 0, 0]
    tracker = Tracker(tiny)
    runs = all_runs(tracker)
    assert len(runs) == 3
    for run in runs:
        points = tracker._client.get_metric_history(run.info.run_id, "value")
        assert sorted(point.step for point in points) == list(range(20))


def test_files_of_a_copied_record_go_to_the_copy(tiny, tmp_path, capsys):
    with Tracker(tiny).study_run() as first:
        pass
    old, new = tiny.out / "mlartifacts", tmp_path / "copied"
    shutil.copytree(tiny.out, new, ignore=shutil.ignore_patterns("copied"))
    shutil.rmtree(old, ignore_errors=True)
    tracker = Tracker(tiny.model_copy(update={"out": new}))
    assert f"looked for in {old.as_uri()}" in " ".join(capsys.readouterr().err.split())
    with tracker.study_run() as run:
        tracker.log_file(run, new / tiny.name / "mlflow.json")
    assert run != first
    assert list(new.glob(f"mlartifacts/{run}/artifacts/mlflow.json"))
    assert not old.exists()
    with Tracker(tiny.model_copy(update={"out": new})).study_run() as again:
        assert again == run
    assert not capsys.readouterr().err  # said once
    with Tracker(tiny).study_run() as back:
        assert back == first


def test_a_server_that_does_not_answer_may_do_so_later(tiny, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    uri = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(TemporaryError) as caught:
        Tracker(tiny.model_copy(update={"tracking": Tracking(uri=uri)}))
    assert str(caught.value) == (
        f"tracking.uri: MLflow at {uri} cannot be used: Connection refused. Start the server and "
        f"run again, or leave tracking.uri out to use an SQLite file; what was finished is kept."
    )


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (MlflowException("(sqlite3.OperationalError) database is locked"), True),
        (MlflowException("(sqlite3.OperationalError) database or disk is full"), False),
        (MlflowException("(sqlite3.OperationalError) attempt to write a readonly database"), False),
    ],
)
def test_only_a_lock_of_the_own_record_may_pass(tiny, error, passes):
    with pytest.raises(SpinforgeError) as caught, Tracker(tiny).study_run():
        raise error
    assert isinstance(caught.value, TemporaryError) == passes


def test_what_a_server_refuses_is_not_tried_again(tiny):
    server = tiny.model_copy(update={"tracking": Tracking(uri=f"sqlite:///{tiny.out}/other.db")})
    for code, passes in ((PERMISSION_DENIED, False), (TEMPORARILY_UNAVAILABLE, True)):
        with pytest.raises(SpinforgeError) as caught, Tracker(server).study_run():
            raise MlflowException("no", error_code=code)
        assert isinstance(caught.value, TemporaryError) == passes


def test_a_failure_is_not_followed_by_a_long_wait(tiny, monkeypatch):
    """A server that is gone is asked once more to close the run, whatever patience is set."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "7")
    tracker, asked = Tracker(tiny), []
    monkeypatch.setattr(
        tracker._client,
        "set_terminated",
        lambda *_, **__: asked.append(os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"]),
    )
    with pytest.raises(ZeroDivisionError), tracker.study_run():
        raise ZeroDivisionError
    assert asked == ["0"]
    assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "7"


def test_a_password_in_the_address_is_refused():
    with pytest.raises(ValueError, match="PGPASSWORD") as caught:
        Tracking(uri="postgresql://me:secret@server/mlflow")
    assert "secret@" not in str(caught.value)
