"""The same set in a folder, in memory and in an object store: same digests, same rules."""

import contextlib
import json
import os
import pickle
import platform
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import fsspec
import numpy as np
import pytest
from s3_server import environment, s3_server
from small_sets import CONFIG, small_arrays, small_set, write_one

from spinforge.datasets.storage.locations import location_of
from spinforge.datasets.storage.lock import WRITER_NOTE, Writer
from spinforge.datasets.storage.store import DatasetStore
from spinforge.datasets.storage.verify import verify_store
from spinforge.simulation.errors import SpinforgeError, TemporaryError

GONE = 4194305  # above the kernel's largest process id


@pytest.fixture(scope="module")
def endpoint():
    pytest.importorskip("s3fs")
    pytest.importorskip("moto")
    with s3_server("bucket") as endpoint:
        yield endpoint


@pytest.fixture(params=["memory", "s3"])
def url(request, tmp_path, monkeypatch) -> str:
    """Where a new set may lie; another place for every test."""
    if request.param == "s3":
        for name, value in environment(request.getfixturevalue("endpoint")).items():
            monkeypatch.setenv(name, value)
    bucket = "bucket" if request.param == "s3" else "somewhere"
    return f"{request.param}://{bucket}/{tmp_path.name}/set.zarr"


def test_a_remote_set_equals_a_local_one(url, tmp_path):
    near, far = small_set(tmp_path / "set.zarr"), small_set(url)
    assert far.path == url
    assert far.complete_subjects() == near.complete_subjects() == ["a", "b"]
    assert far.digest(["a", "b"]) == near.digest(["a", "b"])
    for name, array in small_arrays(1).items():
        np.testing.assert_array_equal(far.read("b", name), array.values)
        assert far.read("b", name).dtype == array.values.dtype
    near_files = {p.relative_to(near.path).as_posix() for p in near.path.rglob("*") if p.is_file()}
    assert far.location.files("").keys() == near_files
    same = [n for n in near_files if n != "manifest.json" and not n.endswith("a/zarr.json")]
    for name in same:
        assert far.location.read(name) == near.location.read(name), name


def test_what_was_uploaded_verifies_and_damage_is_found(url):
    store = small_set(url)
    assert verify_store(url) == []
    name = "kspace/b/full/c/0/0/0/0"
    content = bytearray(store.location.read(name))
    content[30] ^= 1
    store.location.write(name, bytes(content))
    (problem,) = verify_store(url)
    assert problem.where == f"{url}/{name}"
    with pytest.raises(SpinforgeError, match="array 'full' is missing or damaged"):
        store.read("b", "full")


def test_the_metadata_comes_last_and_what_lacks_it_is_removed(url, monkeypatch):
    store = small_set(url)
    location = store.location
    pipe = location._files.pipe_file

    def fail(path, *rest, **options):
        if path.endswith("kspace/c/zarr.json"):
            raise KeyboardInterrupt  # the last moment in which a run can be stopped
        return pipe(path, *rest, **options)

    with monkeypatch.context() as patch:
        patch.setattr(location._files, "pipe_file", fail)
        with pytest.raises(KeyboardInterrupt):
            store.write_subject("c", small_arrays(3), {})
    assert "full/c/0/0/0/0" in location.files("kspace/c")
    assert store.complete_subjects() == ["a", "b"]
    with pytest.raises(SpinforgeError, match="no complete subject 'c'"):
        store.read("c", "full")
    assert store.remove_leftovers() == ["c"]
    assert location.files("kspace/c") == {}
    assert verify_store(url) == []


def test_a_subject_is_replaced_whole(url):
    store = small_set(url)
    arrays = small_arrays(7)
    del arrays["t1"]
    digest = store.write_subject("a", arrays, {"subject": "a"})
    assert store.subject_attributes("a")["content_sha256"] == digest
    assert not [name for name in store.location.files("kspace/a") if name.startswith("t1")]


def test_a_deleted_set_leaves_nothing_but_the_note_of_who_deletes_it(url):
    store = small_set(url)
    with store.writing():
        store.delete()
        assert store.location.files("").keys() == {WRITER_NOTE}
        assert not store.exists()
        store.create(CONFIG)
    assert store.location.files("").keys() == {"zarr.json", "kspace/zarr.json"}


def test_deleting_goes_on_where_it_was_stopped(url, monkeypatch):
    store = small_set(url)
    files = store.location._files
    delete, calls = files.rm, []

    def stop(paths, *rest, **options):
        calls.append(paths)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return delete(paths, *rest, **options)

    with monkeypatch.context() as patch:
        patch.setattr(files, "rm", stop)
        with pytest.raises(KeyboardInterrupt):
            store.delete()
    assert store.complete_subjects() == []
    assert store.exists()
    store.delete()
    assert store.location.files("") == {}


def test_a_store_travels_to_other_processes(url):
    store = pickle.loads(pickle.dumps(small_set(url)))  # noqa: S301 - ours
    assert store.complete_subjects() == ["a", "b"]


@pytest.mark.usefixtures("s3")
def test_worker_processes_upload_side_by_side(tmp_path):
    store = DatasetStore(f"s3://bucket/{tmp_path.name}/set.zarr")
    with store.writing(), ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        store.create(CONFIG)
        digests = list(pool.map(write_one, [store.path] * 4, [3, 1, 0, 2]))
        store.write_manifest()
    everyone = ["s3", "s1", "s0", "s2"]
    found = [store.subject_attributes(name)["content_sha256"] for name in everyone]
    assert found == digests
    assert verify_store(store.path) == []


def test_foreign_objects_are_neither_overwritten_nor_deleted(url):
    location_of(url).write("picture.png", b"x")
    store = DatasetStore(url)
    with pytest.raises(SpinforgeError, match=r"is there, but without the zarr\.json of a dataset"):
        store.create(CONFIG)
    with pytest.raises(SpinforgeError, match="is not a Spinforge dataset"):
        store.delete()
    assert store.location.files("") == {"picture.png": 1}


# ------------------------------------------------------------------ one writer


def test_a_second_writer_is_refused_and_told_who_writes(url):
    code = (
        "import sys\nfrom spinforge.datasets.storage.store import DatasetStore\n"
        "with DatasetStore(sys.argv[1]).writing(): print('in', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as first:
        assert first.stdout.readline() == "in\n"
        # Memory is not shared, so the note is not; the queue on this machine is.
        who = "another process" if "memory" in url else f"process {first.pid} of .* since 2"
        with (
            pytest.raises(SpinforgeError, match=rf"{url} is being written by {who}"),
            DatasetStore(url).writing(),
        ):
            pass
        first.kill()
    with DatasetStore(url).writing():  # the system has freed what the killed one held
        pass
    assert location_of(url).read(WRITER_NOTE) is None


def test_a_process_may_enter_again_and_leaves_no_note(url):
    store = small_set(url)
    with store.writing(), store.within("corrupt/noise/3").writing():
        assert Writer.from_note(store.location.read(WRITER_NOTE)).pid == os.getpid()
    assert store.location.read(WRITER_NOTE) is None


def test_a_writer_on_another_machine_is_never_pushed_aside(url):
    other = Writer(user="ada", host="elsewhere", pid=GONE, since="2026-01-01T00:00:00+00:00")
    location_of(url).write(WRITER_NOTE, other.note())
    message = (
        rf"process {GONE} of ada on elsewhere, since 2026-01-01T00:00:00\+00:00\. Wait .* killed "
        rf"on another machine, delete the object {url}/\.writer\.json"
    )
    with pytest.raises(SpinforgeError, match=message), DatasetStore(url).writing():
        pass
    assert location_of(url).read(WRITER_NOTE) == other.note()


@pytest.mark.parametrize("pid", [GONE, os.getppid()], ids=["gone", "alive"])
def test_only_a_process_that_is_gone_is_succeeded(url, pid):
    location_of(url).write(WRITER_NOTE, Writer(host=platform.node(), pid=pid).note())
    expected = (
        contextlib.nullcontext()
        if pid == GONE
        else pytest.raises(SpinforgeError, match=f"is being written by process {pid} of")
    )
    with expected, DatasetStore(url).writing():
        pass


def test_a_note_that_nobody_can_read_is_left_alone(url):
    location_of(url).write(WRITER_NOTE, b"{")
    with (
        pytest.raises(SpinforgeError, match="is being written by another process"),
        DatasetStore(url).writing(),
    ):
        pass


def test_whoever_wrote_the_note_last_writes(url, monkeypatch):
    """Where the store cannot create a note only where none is, two may believe they did."""
    location = location_of(url)
    pipe = location._files.pipe_file

    def overwritten_at_once(path, value, mode):
        pipe(path, value)
        pipe(path, Writer(host="elsewhere").note())

    monkeypatch.setattr(location._files, "pipe_file", overwritten_at_once)
    with pytest.raises(SpinforgeError, match="on elsewhere"), location.writer():
        pass


# ------------------------------------------------------------------ what can go wrong


def test_folders_that_killed_uploads_left_are_removed(url):
    store = small_set(url)
    with store.location.building("kspace/x") as folder:
        (folder / "zarr.json").write_text("{}")
        dead = folder.with_name(folder.name.rpartition("-")[0] + f"-{GONE}")
        dead.mkdir()
    assert store.remove_leftovers() == [dead.name, "x"]
    assert not dead.exists()


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("s3://", "names no place for a set"),
        ("nonsense://a/b", "nonsense:// is no protocol that fsspec knows"),
        ("s3://key:secret@bucket/set.zarr", "holds a password or a query"),
        ("https://bucket/set.zarr?X-Signature=secret", "holds a password or a query"),
    ],
)
def test_impossible_places_are_refused(place, message):
    with pytest.raises(SpinforgeError, match=message) as error:
        DatasetStore(place)
    assert "secret" not in str(error.value)


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, "s3", raising=False)
    with pytest.raises(SpinforgeError, match=r"s3:// needs a package .* 'spinforge\[s3\]'"):
        DatasetStore("s3://bucket/set.zarr")


@pytest.fixture
def s3(endpoint, monkeypatch):
    for name, value in environment(endpoint).items():
        monkeypatch.setenv(name, value)
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    yield
    fsspec.get_filesystem_class("s3").clear_instance_cache()


@pytest.mark.usefixtures("s3")
def test_a_missing_bucket_is_named():
    store = DatasetStore("s3://no-such-bucket/set.zarr")
    for act in (store.exists, lambda: store.create(CONFIG), lambda: store.writing().__enter__()):
        with pytest.raises(
            SpinforgeError, match=r"s3://no-such-bucket/set.zarr: .*Make the bucket"
        ) as error:
            act()
        assert not isinstance(error.value, TemporaryError)


@pytest.mark.usefixtures("s3")
def test_missing_credentials_are_named(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with pytest.raises(SpinforgeError, match=r"cannot be reached.*rights in") as error:
        DatasetStore("s3://bucket/set.zarr").exists()
    assert not isinstance(error.value, TemporaryError)


@pytest.mark.usefixtures("s3")
def test_missing_rights_are_named_without_showing_any_key(monkeypatch):
    store = DatasetStore("s3://bucket/set.zarr")

    def refuse(*arguments, **options):
        raise PermissionError("Access Denied")

    monkeypatch.setattr(store.location._files, "cat_file", refuse)
    with pytest.raises(SpinforgeError, match=r"no permission for s3://bucket/set.zarr") as error:
        store.exists()
    assert "testing" not in str(error.value)


@pytest.mark.usefixtures("s3")
def test_a_server_that_does_not_answer_is_named(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(TemporaryError, match=r"s3://bucket/set.zarr cannot be reached"):
        DatasetStore("s3://bucket/set.zarr").exists()


def test_file_urls_and_plain_texts_are_folders(tmp_path):
    for place in (f"file://{tmp_path}/set.zarr", str(tmp_path / "set.zarr"), tmp_path / "set.zarr"):
        assert DatasetStore(place).path == Path(tmp_path / "set.zarr")


def test_attributes_hold_no_address(url):
    store = small_set(url)
    assert "somewhere" not in json.dumps(store.subject_attributes("a"))
    assert "bucket" not in json.dumps(store.attributes())
