"""Tasks and processes: all subjects done, only our own processes ended, and what is advised."""

import multiprocessing
import os
import signal
import time

import pytest

from spinforge.flows.subject_tasks import for_each_subject
from spinforge.flows.workers import worker_processes
from spinforge.simulation.errors import SpinforgeError


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
        assert time.monotonic() - before < 30
        assert other.is_alive()
        assert multiprocessing.active_children() == [other]
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
        for_each_subject(["a", "b"], work, name="die", title="dying", workers=workers)


def test_every_subject_is_worked_on(prefect_server):
    done = []

    def work(subject, pool, advance):
        done.append((subject, pool.submit(abs, -1).result()))
        advance(1)

    for_each_subject(["a", "b", "c"], work, name="count", title="counting", workers=1)
    assert sorted(done) == [("a", 1), ("b", 1), ("c", 1)]
