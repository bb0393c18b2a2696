"""One writer a set on a local disk: the second is told who it is, a killed one is succeeded."""

import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
from small_sets import CONFIG, small_arrays, small_set, write_one

from spinforge.datasets.storage.lock import Writer
from spinforge.datasets.storage.store import DatasetStore
from spinforge.datasets.storage.verify import verify_store
from spinforge.simulation.errors import SpinforgeError

HOLD = (
    "import sys\nfrom pathlib import Path\n"
    "from spinforge.datasets.storage.lock import local_writer\n"
    "with local_writer(Path(sys.argv[1])): print('in', flush=True); sys.stdin.read()"
)


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "new" / "set.zarr"


@pytest.fixture
def other(path):
    """Another process that writes the set."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "in\n"
        yield process
        process.kill()


def test_a_second_writer_is_told_who_where_and_since_when(path, other):
    message = rf"{path} is being written by process {other.pid} of .* on .*, since 2.*Wait until"
    with pytest.raises(SpinforgeError, match=message), DatasetStore(path).writing():
        pass


def test_another_group_of_the_set_is_refused_too(path, other):
    with (
        pytest.raises(SpinforgeError, match=f"process {other.pid}"),
        DatasetStore(path, "images").writing(),
    ):
        pass


def test_another_set_beside_it_may_be_written(path, other):
    with DatasetStore(path.with_name("b.zarr")).writing():
        assert other.poll() is None


def test_a_killed_writer_is_succeeded_at_once(path, other):
    other.kill()
    other.wait()
    assert path.with_name(".set.zarr.writer").is_file()  # it had no time to tidy up
    with DatasetStore(path).writing():
        note = path.with_name(".set.zarr.writer").read_bytes()
        assert Writer.from_note(note).pid == os.getpid()
    assert not path.with_name(".set.zarr.writer").exists()


def test_a_process_may_enter_again(path):
    store = DatasetStore(path)
    with store.writing():
        with store.within("images").writing():
            pass
        assert path.with_name(".set.zarr.writer").is_file()


def test_whoever_failed_has_left(path):
    def fail():
        with DatasetStore(path).writing():
            raise KeyboardInterrupt

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            fail()


def test_reading_and_verifying_need_no_lock(path, other):
    store = DatasetStore(path)
    store.create(CONFIG)
    store.write_subject("a", small_arrays(), {})
    store.write_manifest()
    assert store.read("a", "te").shape == (14,)
    assert verify_store(path) == []
    assert other.poll() is None


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_write_under_the_lock_of_their_parent(tmp_path, workers):
    alone = DatasetStore(tmp_path / "alone.zarr")
    alone.create(CONFIG)
    digests = [write_one(str(alone.path), seed) for seed in range(4)]
    store = DatasetStore(tmp_path / "set.zarr")
    with store.writing(), ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        store.create(CONFIG)
        found = list(pool.map(write_one, [str(store.path)] * 4, [3, 1, 0, 2]))
        store.write_manifest()
    assert sorted(found) == sorted(digests)
    everyone = store.complete_subjects()
    assert store.digest(everyone) == alone.digest(everyone)
    assert verify_store(store.path) == []


def test_deleting_and_making_again_happen_under_one_lock(tmp_path):
    store = small_set(tmp_path / "set.zarr")
    with store.writing():
        store.delete()
        store.create(CONFIG)
        with pytest.raises(SpinforgeError, match="being written by process"):
            _enter_elsewhere(store.path)
    assert store.complete_subjects() == []


def _enter_elsewhere(path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", HOLD, str(path)], input="", capture_output=True, text=True
    )
    if done.returncode:
        raise SpinforgeError(done.stderr)


@pytest.mark.slow
def test_twenty_kills_lose_nothing_and_make_nothing_twice(repository, tmp_path):
    """Kills while a subject is computed, while it is written, and between two subjects."""
    script = repository / "tests" / "killed_generation.py"
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path)], capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("20 kills, ")
