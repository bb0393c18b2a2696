"""Dask's processes: workers and the scheduler."""

import os
import signal
from contextlib import suppress

import psutil
import pytest
from dask_elsewhere import end, start_scheduler, start_workers, wait_for_workers
from planted_server import free_port

pytestmark = pytest.mark.faults


def worker_processes(run):
    """The processes that simulate for a run."""
    found = []
    for child in psutil.Process(run.pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # a zombie is none
            if "--multiprocessing-fork" in child.cmdline():
                found.append(child)
    return found


def test_worker_killed(bench):
    """A Dask worker is killed (SIGKILL) while it simulates."""
    run = bench.start("--set", "workers=2")
    bench.wait_for(lambda: bench.subjects() >= 1, run)
    for process in worker_processes(run)[:1]:
        process.kill()
    before = bench.units()
    code, said = bench.end(run)
    assert code == 0, said
    after = bench.units()
    assert {name: after[name] for name in before} == before
    bench.row.said = "(nothing: another worker made its subject)"
    bench.mend()


def test_all_workers_killed_again_and_again(bench):
    """Every Dask worker is killed as soon as it works, for ever."""
    run = bench.start("--set", "workers=1")
    bench.wait_for(lambda: bench.subjects() >= 1, run)
    while run.poll() is None:
        for process in worker_processes(run):
            try:
                if process.cpu_times().user > 0.5:
                    process.kill()
            except psutil.NoSuchProcess:
                continue
    bench.failed(run, "ended from outside")
    bench.mend()


def test_scheduler_killed(bench, tmp_path):
    """The Dask scheduler of a cluster is killed while the run simulates."""
    folder, port = tmp_path / "cluster", free_port()
    folder.mkdir()
    address = f"tcp://127.0.0.1:{port}"
    scheduler = start_scheduler(port, folder)
    workers = start_workers(address, folder, "--nworkers", "1")
    try:
        wait_for_workers(address, 1)
        run = bench.start("--set", f"dask.address={address}")
        bench.wait_for(lambda: bench.subjects() >= 1, run)
        os.killpg(scheduler.pid, signal.SIGKILL)
        bench.failed(run, f"scheduler at {address} is gone")
    finally:
        end(workers)
        end(scheduler)
    bench.mend()
