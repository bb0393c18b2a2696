"""Tasks and processes: all subjects done, only our own processes ended, and what is advised."""

import multiprocessing
import os
import signal
import time

import pytest
from prefect import flow

from spinforge.flows.subject_tasks import for_each_subject
from spinforge.flows.workers import worker_processes
from spinforge.simulation.errors import SpinforgeError


@flow(name="subjects", validate_parameters=False)
def in_a_flow(subjects, work, workers):
    for_each_subject(subjects, work, name="one", title="working", workers=workers)


def end_oneself():
    os.kill(os.getpid(), signal.SIGKILL)


def stop_within_the_block():
    with worker_processes(1) as pool:
        pool.submit(time.sleep, 60)
        raise KeyboardInterrupt


def test_processes_of_the_caller_go_on():
    """Ours sleep for a minute and are ended at once."""
    other = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(60,))
    other.start()
    try:
        before = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            stop_within_the_block()
        while multiprocessing.active_children() != [other]:
            assert other.is_alive()
            assert time.monotonic() - before < 30, "ours still sleep"
            time.sleep(0.05)
    finally:
        other.kill()
        other.join()


@pytest.mark.parametrize(
    ("workers", "advice"),
    [(2, "Use fewer with --set workers=1 and run again"), (1, "Free some memory and run again")],
)
def test_a_killed_process_is_reported_with_what_helps(prefect_server, workers, advice):
    def work(subject, pool, advance):
        pool.submit(end_oneself).result()

    with pytest.raises(SpinforgeError, match=f"was ended from outside.*{advice}"):
        in_a_flow(["a", "b"], work, workers)


def test_every_subject_is_worked_on(prefect_server):
    done = []

    def work(subject, pool, advance):
        done.append((subject, pool.submit(abs, -1).result()))
        advance(1)

    in_a_flow(["a", "b", "c"], work, 1)
    assert sorted(done) == [("a", 1), ("b", 1), ("c", 1)]
