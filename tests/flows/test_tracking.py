"""Ctrl-C and MLflow: what is begun is finished, and stopping is never turned into an error."""

import os
import signal

import pytest
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from spinforge.flows import whole_calls
from spinforge.flows.tracking import Tracker


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
