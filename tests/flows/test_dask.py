"""A Dask scheduler that runs already: what is checked first, same bytes, what a lost one costs."""

import os
import signal
import time

import pytest
from dask_elsewhere import end, start_scheduler, start_workers, wait_for_workers
from distributed import Client
from planted_server import free_port
from worker_deeds import note, take_too_long, times

from spinforge.flows import external_scheduler
from spinforge.flows.cluster import started_cluster
from spinforge.flows.config import Study, load_study
from spinforge.flows.dask_settings import DaskSettings
from spinforge.flows.external_scheduler import check_workers, connected
from spinforge.flows.generate import generate
from spinforge.flows.run_folder import RunFolder
from spinforge.simulation.errors import SpinforgeError


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """A scheduler and two workers that are not our children; its address."""
    folder, port = tmp_path_factory.mktemp("elsewhere"), free_port()
    address = f"tcp://127.0.0.1:{port}"
    scheduler = start_scheduler(port, folder)
    workers = start_workers(address, folder, "--nworkers", "2")
    try:
        wait_for_workers(address, 2)
        yield address
    finally:
        end(workers)
        end(scheduler)


def at(address, **changes):
    return Study(dask=DaskSettings(address=address), **changes)


def test_nobody_answers_is_one_error_within_seconds(tmp_path):
    address = f"tcp://127.0.0.1:{free_port()}"
    before = time.monotonic()
    with pytest.raises(SpinforgeError, match=f"no Dask scheduler answers at {address} within"):
        with started_cluster(at(address, out=tmp_path), pieces=1):
            pytest.fail("nobody is there")
    assert time.monotonic() - before < 20


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("dask.address=localhost:8786", "dask.address = 'localhost:8786': "),
        ("dask.address=http://x:1", "dask.address = 'http://x:1': "),
        ("dask.adress=tcp://x:1", "dask.adress: unknown key. Did you mean `address`"),
        ("dask.subject_minutes=0", "dask.subject_minutes = 0: .*> 0"),
        ("dask.memory_gib=0.1", "dask.memory_gib = 0.1: .*>= 0.5"),
        ("workers=0", "workers = 0: .*>= 1"),
    ],
)
def test_bad_settings_are_named_where_they_stand(tiny_file, setting, message):
    with pytest.raises(SpinforgeError, match=message):
        load_study(tiny_file, [setting])


def test_another_version_is_refused_by_name(elsewhere, tmp_path, monkeypatch):
    ask = external_scheduler._ask

    def older(client, question, *given):
        return {
            worker: facts | {"torch": "2.0.1"} for worker, facts in ask(client, question).items()
        }

    monkeypatch.setattr(external_scheduler, "_ask", older)
    with pytest.raises(SpinforgeError, match=r"worker tcp://.*: torch 2.1.* here, 2.0.1 there"):
        with connected(at(elsewhere, out=tmp_path)):
            pytest.fail("torch differs")


def test_a_worker_that_comes_later_is_checked_too(elsewhere, tmp_path):
    with started_cluster(at(elsewhere, out=tmp_path), pieces=1) as cluster:
        cluster._wanted = cluster._wanted | {"zarr": "2.18"}
        with pytest.raises(SpinforgeError, match=r"zarr 2.18 here, 3.*requirements.lock"):
            cluster.wait(cluster.submit(note, tmp_path, "a"), "a")
    assert times(tmp_path, "a") == 0


def test_a_folder_that_only_we_see_is_named(elsewhere, tmp_path, monkeypatch):
    """The workers look where nothing is, as in a container that does not have the folder."""
    ask = external_scheduler._ask

    def hidden(client, question, *given):
        given = ("/nowhere/dataset.zarr", *given[1:]) if len(given) == 2 else given
        return ask(client, question, *given)

    monkeypatch.setattr(external_scheduler, "_ask", hidden)
    study = at(elsewhere, out=tmp_path)
    with pytest.raises(SpinforgeError, match=r"cannot write into .*share.*--set dataset=s3://"):
        with connected(study):
            pytest.fail("it is not shared")
    assert list(RunFolder.of(study).store.path.iterdir()) == []


def test_a_worker_with_two_threads_is_refused(elsewhere, tmp_path):
    class Two:
        def nthreads(self):
            return {"tcp://10.0.0.1:1": 2}

    with pytest.raises(SpinforgeError, match="--nthreads 1 --nworkers 2"):
        check_workers(Two(), at(elsewhere, out=tmp_path))


def test_an_address_that_others_reach_is_warned_about(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(external_scheduler, "_TIMEOUT_S", 0.2)
    with pytest.raises(SpinforgeError, match="no Dask scheduler answers"):
        with connected(at("tcp://192.0.2.1:8786", out=tmp_path)):
            pytest.fail("nobody is there")
    assert "not encrypted" in capsys.readouterr().err


def test_a_lost_scheduler_is_one_error(tmp_path):
    folder, port = tmp_path / "elsewhere", free_port()
    folder.mkdir()
    address = f"tcp://127.0.0.1:{port}"
    scheduler = start_scheduler(port, folder)
    workers = start_workers(address, folder)
    try:
        wait_for_workers(address, 1)
        with started_cluster(at(address, out=tmp_path), pieces=1) as cluster:
            job = cluster.submit(take_too_long, tmp_path, "a")
            while not times(tmp_path, "a"):
                time.sleep(0.05)
            os.killpg(scheduler.pid, signal.SIGKILL)
            with pytest.raises(SpinforgeError, match=f"at {address} is gone.*same command"):
                cluster.wait(job, "subject a")
    finally:
        end(workers)
        scheduler.kill()
        scheduler.wait()


def lives(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def begun(folder, name):
    """The process that works on something."""
    deadline = time.monotonic() + 60
    while not times(folder, name):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    (note,) = folder.glob(f"{name}-*")
    return int(note.name.split("-")[1])


def test_ctrl_c_ends_what_workers_elsewhere_do_for_us_only(elsewhere, tmp_path):
    """Otherwise a subject would be written after the set's lock was given up."""
    study = at(elsewhere, out=tmp_path)
    clusters = []

    def interrupted():
        with started_cluster(study, pieces=1) as cluster:
            clusters.append(cluster)
            cluster.submit(take_too_long, tmp_path, "ours")
            begun(tmp_path, "ours")
            raise KeyboardInterrupt

    with Client(elsewhere, set_as_default=False) as other:
        theirs = other.submit(take_too_long, tmp_path, "theirs")
        their_process = begun(tmp_path, "theirs")
        with pytest.raises(KeyboardInterrupt):
            interrupted()
        assert not lives(begun(tmp_path, "ours"))
        assert lives(their_process)
        with pytest.raises(SpinforgeError, match="stopped"):
            clusters[0].submit(note, tmp_path, "late")
        other.cancel([theirs], force=True)
        other.restart_workers(list(other.nthreads()), timeout=30)
    assert times(tmp_path, "ours") == 1


def test_a_worker_without_a_nanny_is_refused(elsewhere, tmp_path):
    class Bare:
        def nthreads(self):
            return {"tcp://10.0.0.1:1": 1}

        def scheduler_info(self, n_workers):
            return {"workers": {"tcp://10.0.0.1:1": {"nanny": None}}}

    with pytest.raises(SpinforgeError, match=r"tcp://10.0.0.1:1 has no nanny.*--no-nanny"):
        check_workers(Bare(), at(elsewhere, out=tmp_path))


def test_tls_without_certificates_names_the_settings(tmp_path):
    with pytest.raises(SpinforgeError, match=r"needs certificates.*TLS__CLIENT__CERT"):
        with connected(at("tls://127.0.0.1:1", out=tmp_path)):
            pytest.fail("there are no certificates")


@pytest.mark.slow
def test_workers_elsewhere_make_the_same_bytes(finished, elsewhere, tiny):
    _, answer = finished
    dask = DaskSettings(address=elsewhere)
    assert generate(tiny.model_copy(update={"dask": dask})) == answer["dataset_digest"]
