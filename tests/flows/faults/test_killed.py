"""Processes that end without a word."""

import os
import signal

import pytest

pytestmark = pytest.mark.faults


def test_run_killed_while_simulating(bench):
    """The run is killed (SIGKILL) while it simulates."""
    run = bench.start("--set", "workers=1")
    bench.wait_for(lambda: bench.subjects() >= 1, run)
    bench.killed(run)
    bench.mend()


def test_run_killed_while_training(bench):
    """The run is killed (SIGKILL) while it trains."""
    run = bench.start()
    bench.wait_for(lambda: list(bench.folder.glob("networks/*/last.ckpt")), run)
    bench.killed(run)
    bench.mend()


def test_run_told_to_end(bench):
    """The run is told to end (SIGTERM) while it trains, as at a shutdown."""
    run = bench.start()
    bench.wait_for(lambda: list(bench.folder.glob("networks/*/last.ckpt")), run)
    os.kill(run.pid, signal.SIGTERM)
    code, said = bench.end(run)
    assert code != 0, said
    bench.row.said = said.strip().splitlines()[-1]
    bench.expected = ("Crashed", "Failed", "Cancelled")
    bench.mend()


def test_stopped_by_ctrl_c(bench):
    """Ctrl-C while it scores."""
    run = bench.start()
    bench.wait_for(lambda: list(bench.folder.glob("networks/crdn-*/network.pt")), run)
    os.killpg(run.pid, signal.SIGINT)
    code, said = bench.end(run)
    assert code == 130, said
    bench.row.said = said.strip().splitlines()[-1]
    bench.expected = ("Crashed", "Failed", "Cancelled")
    bench.mend()


def test_two_runs_at_once(bench):
    """A second run starts in the same folder."""
    first = bench.start()
    bench.wait_for(bench.folder.exists, first)
    second = bench.start()
    bench.failed(second, "another run works in")
    code, said = bench.end(first)
    assert code == 0, said
    bench.mend()
