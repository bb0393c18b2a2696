"""Tasks and workers: all subjects done, what fails fails once, only our own processes ended."""

import logging
import multiprocessing
import os
import threading
import time

import dask.array as da
import pytest
from prefect import flow
from worker_deeds import die_the_first_time, end_oneself, note, refuse, take_too_long, times

from spinforge.flows import retries, subject_tasks
from spinforge.flows.cluster import _same_environment, quiet_dask, started_cluster
from spinforge.flows.config import Study
from spinforge.flows.dask_settings import DaskSettings
from spinforge.flows.subject_tasks import for_each_subject
from spinforge.simulation.errors import SpinforgeError, TemporaryError

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
LIMIT_S = 2.0
STUDY = Study(workers=2, dask=DaskSettings(subject_minutes=LIMIT_S / 60))
BEFORE = {name: os.environ.get(name) for name in THREADS}


@flow(name="subjects", validate_parameters=False)
def in_a_flow(subjects, work, cluster):
    for_each_subject(subjects, work, cluster=cluster, name="one", title="working")


@pytest.fixture(scope="module")
def cluster(prefect_server):
    """Two workers; a failure within stops those of `fresh` only."""
    with started_cluster(STUDY, pieces=2) as workers:
        yield workers


@pytest.fixture
def kept(cluster, monkeypatch):
    """The same, not stopped by the failure a test wants."""
    monkeypatch.setattr(cluster, "stop", lambda: None)
    return cluster


def working(cluster, function, folder):
    def work(subject, advance):
        cluster.wait(cluster.submit(function, folder, subject), f"subject {subject}")
        advance(1)

    return work


def test_workers_have_one_thread_and_we_keep_ours(cluster):
    """Training in this process would otherwise have one thread too, and other last bits."""
    ours = {name: os.environ.get(name) for name in THREADS}
    assert ours == BEFORE
    for name in THREADS:
        assert set(cluster.client.run(os.getenv, name).values()) == {"1"}


def test_nothing_else_of_our_environment_changes(monkeypatch):
    logger = logging.getLogger("distributed")
    monkeypatch.setenv("PYTHONHASHSEED", "7")
    monkeypatch.setattr(logger, "level", logging.INFO)
    with _same_environment(), quiet_dask():
        os.environ["PYTHONHASHSEED"] = "6640"  # as Dask does
        monkeypatch.setenv("SET_BY_ANOTHER_THREAD", "1")
    assert os.environ["PYTHONHASHSEED"] == "7"
    assert os.environ["SET_BY_ANOTHER_THREAD"] == "1"
    assert logger.level == logging.INFO


def test_comparing_ends_with_its_time_and_with_a_stop(cluster, monkeypatch):
    slow = da.zeros(2, chunks=1).map_blocks(lambda block: time.sleep(5) or block, dtype=float)
    monkeypatch.setattr(cluster, "_limit_s", 0.5)
    with pytest.raises(SpinforgeError, match=r"comparing took longer.*subject_minutes=0.0167"):
        cluster.compute([slow], "comparing")
    monkeypatch.setattr(cluster, "_limit_s", 60)
    monkeypatch.setattr(cluster, "_stop", lambda: None)
    monkeypatch.setattr(cluster, "_stopped", threading.Event())
    clock = threading.Timer(1, cluster.stop)
    clock.start()
    before = time.monotonic()
    with pytest.raises(SpinforgeError, match="comparing: stopped"):
        cluster.compute([slow + 1], "comparing")
    assert time.monotonic() - before < 4
    assert cluster._waiting == {}


def test_every_subject_is_worked_on_once(cluster, tmp_path):
    in_a_flow(["a", "b", "c"], working(cluster, note, tmp_path), cluster)
    assert [times(tmp_path, name) for name in "abc"] == [1, 1, 1]


def test_a_killed_worker_costs_its_unit_only(cluster, tmp_path):
    """`b` kills its worker; the others are done once."""

    def work(subject, advance):
        function = die_the_first_time if subject == "b" else note
        cluster.wait(cluster.submit(function, tmp_path, subject), f"subject {subject}")

    in_a_flow(["a", "b", "c", "d"], work, cluster)
    assert [times(tmp_path, name) for name in "abcd"] == [1, 2, 1, 1]


def test_bad_input_found_in_a_worker_arrives_as_itself_and_once(kept, tmp_path):
    with pytest.raises(SpinforgeError, match=r"^a is no subject of ours$"):
        in_a_flow(["a"], working(kept, refuse, tmp_path), kept)
    assert times(tmp_path, "a") == 1


def test_what_takes_too_long_is_ended_and_its_worker_is_free_again(kept, tmp_path):
    before = time.monotonic()
    with pytest.raises(SpinforgeError, match=r"^subject a took longer than 0.0\d+ minutes \(dask"):
        in_a_flow(["a"], working(kept, take_too_long, tmp_path), kept)
    in_a_flow(["b", "c"], working(kept, note, tmp_path), kept)
    assert time.monotonic() - before < 30
    assert [times(tmp_path, name) for name in "abc"] == [1, 1, 1]


def test_what_kills_every_worker_is_tried_later_and_then_reported(kept, tmp_path, monkeypatch):
    once = retries.RETRIES | {"retries": 1, "retry_delay_seconds": 0.1}
    monkeypatch.setattr(subject_tasks, "RETRIES", once)
    with pytest.raises(TemporaryError, match=r"subject a: a worker process was ended.*workers="):
        in_a_flow(["a"], working(kept, end_oneself, tmp_path), kept)
    assert times(tmp_path, "a") == 2 * 2


def test_stopping_ends_our_processes_at_once_and_nobody_elses(tmp_path):
    other = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(60,))
    other.start()
    try:
        before = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            stop_within_the_block(tmp_path)
        assert time.monotonic() - before < 20
        (process,) = {int(path.name.split("-")[1]) for path in tmp_path.iterdir()}
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)
        assert other.is_alive()
    finally:
        other.kill()
        other.join()


def stop_within_the_block(folder):
    with started_cluster(STUDY, pieces=1) as cluster:
        cluster.submit(take_too_long, folder, "a")
        while not times(folder, "a"):
            time.sleep(0.02)
        raise KeyboardInterrupt
