import errno
import json
import os
import time
from pathlib import Path

import numpy as np
import pytest
import zarr

from spinforge.datasets.storage import files, locations
from spinforge.datasets.storage import store as store_module
from spinforge.datasets.storage.arrays import StoredArray, array_digest
from spinforge.datasets.storage.files import temporary_name
from spinforge.datasets.storage.store import DatasetStore
from spinforge.simulation.config import content_hash
from spinforge.simulation.errors import SpinforgeError

CONFIG = {"noise": {"percent": 10.0}, "seed": 0}


def fields(value=1.0):
    kspace = np.full((3, 1, 5, 6), value, dtype=np.complex64)
    kspace[0, 0, 0, 0] = 2 - 3j
    return {
        "full": StoredArray(kspace, ("slice", "coil", "ky", "kx")),
        "target": StoredArray(
            np.arange(90, dtype=np.uint8).reshape(3, 5, 6), ("slice", "ky", "kx")
        ),
        "te": StoredArray(np.full(3, 0.08, dtype=np.float32), ("slice",), per_slice=False),
        "masks/fixed": StoredArray(np.eye(3, 5, dtype=bool), ("slice", "ky"), per_slice=False),
    }


@pytest.fixture
def store(tmp_path) -> DatasetStore:
    store = DatasetStore(tmp_path / "set.zarr")
    store.create(CONFIG)
    return store


def test_what_is_written_is_read_back(store):
    store.write_subject("a", fields(), {"root_seed": 0})
    group = store.open_subject("a")
    for name, field in fields().items():
        np.testing.assert_array_equal(group[name][...], field.values)
        assert group[name].dtype == field.values.dtype
        assert group[name].metadata.dimension_names == field.dimensions
    assert store.subject_attributes("a")["root_seed"] == 0


def test_one_chunk_a_slice_and_one_shard_a_subject(store):
    store.write_subject("a", fields(), {})
    full = store.open_subject("a")["full"]
    assert full.chunks == (1, 1, 5, 6)
    assert full.shards == (3, 1, 5, 6)


def test_the_set_opens_as_plain_zarr_without_warnings(store):
    store.write_subject("a", fields(), {})
    group = zarr.open_group(store.path, mode="r")
    assert group.attrs["config_hash"] == content_hash(CONFIG)
    assert group["kspace/a/full"].shape == (3, 1, 5, 6)


def test_digest_depends_on_type_shape_and_every_value():
    base = np.arange(90, dtype=np.uint8).reshape(3, 5, 6)
    changed = base.copy()
    changed[2, 4, 5] += 1
    variants = [base, changed, base.reshape(3, 6, 5), base.astype(np.int8)]
    assert len({array_digest(v) for v in variants}) == len(variants)
    assert array_digest(np.asfortranarray(base)) == array_digest(base)


@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "flipped"])
def test_damaged_arrays_are_named_never_read_as_zeros(store, damage):
    store.write_subject("a", fields(), {})
    path = next(p for p in (store.subject_path("a") / "full" / "c").rglob("*") if p.is_file())
    content = bytearray(path.read_bytes())
    if damage == "missing":
        path.unlink()
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    else:
        content[20] ^= 0xFF
        path.write_bytes(content)
    with pytest.raises(SpinforgeError, match=r"array 'full' is missing or damaged. Delete this"):
        store.read("a", "full")
    store.read("a", "target")


@pytest.mark.parametrize("content", ["", "{", "{}", "[]", '{"zarr_format": 3}', "zeros"])
@pytest.mark.parametrize("name", ["full", "masks/fixed"])
def test_damaged_headers_are_named(store, name, content):
    store.write_subject("a", fields(), {})
    path = store.subject_path("a") / name / "zarr.json"
    path.write_bytes(bytes(len(path.read_bytes())) if content == "zeros" else content.encode())
    with pytest.raises(SpinforgeError, match=rf"array '{name}' is missing or damaged. Delete"):
        store.read("a", name)


def test_another_configuration_names_both_hashes_the_difference_and_the_way_out(store):
    wanted = {"noise": {"percent": 20.0}, "seed": 0}
    with pytest.raises(SpinforgeError) as error:
        store.require(wanted)
    message = str(error.value)
    assert content_hash(CONFIG) in message
    assert content_hash(wanted) in message
    assert "noise.percent 10.0 -> 20.0" in message
    assert "--overwrite" in message


def test_the_same_configuration_is_accepted(store):
    store.require({"seed": 0, "noise": {"percent": 10.0}})


def test_another_configuration_is_refused_before_anything_is_written(store):
    store.create(CONFIG)
    with pytest.raises(SpinforgeError, match="was made with another configuration"):
        store.create({"seed": 1})


def test_a_folder_in_the_way_is_named(store):
    (store.path / "zarr.json").unlink()
    with pytest.raises(SpinforgeError, match=r"is there, but without .* Delete the folder .*set"):
        store.create(CONFIG)


def test_a_set_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    store = DatasetStore(tmp_path / "set.zarr")
    synced = []

    def sync(folder):
        assert not store.exists()
        synced.append(sorted(p.name for p in folder.iterdir()))

    monkeypatch.setattr(locations, "sync_folder", sync)
    store.create(CONFIG)
    assert synced == [["zarr.json"]]


def failing_write(code):
    def write(*arguments):
        raise OSError(code, os.strerror(code))

    return write


def test_full_disk_is_named_and_leaves_nothing_half_written(store, monkeypatch):
    store.write_subject("a", fields(), {})
    whole = store_module.write_array

    def fill_up(group, name, *arguments):
        if name == "te":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        whole(group, name, *arguments)

    monkeypatch.setattr(store_module, "write_array", fill_up)
    with pytest.raises(SpinforgeError, match=r"the disk is full: .*kspace/b was not written"):
        store.write_subject("b", fields(), {})
    assert store.complete_subjects() == ["a"]
    assert sorted(os.listdir(store.path / "kspace")) == ["a", "zarr.json"]


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS], ids=["EACCES", "EROFS"])
def test_missing_rights_are_named(store, monkeypatch, code):
    monkeypatch.setattr(store_module, "write_array", failing_write(code))
    with pytest.raises(SpinforgeError, match=r"no permission to write .*kspace/a"):
        store.write_subject("a", fields(), {})


def test_other_failures_are_not_disguised(store, monkeypatch):
    monkeypatch.setattr(store_module, "write_array", failing_write(errno.EIO))
    with pytest.raises(SpinforgeError, match=f"a: {os.strerror(errno.EIO)}"):
        store.write_subject("a", fields(), {})


def test_a_subject_without_complete_does_not_count_and_is_removed(store):
    store.write_subject("a", fields(), {})
    metadata = store.subject_path("a") / "zarr.json"
    content = json.loads(metadata.read_text())
    del content["attributes"]["complete"]
    metadata.write_text(json.dumps(content))
    assert store.complete_subjects() == []
    with pytest.raises(SpinforgeError, match="no complete subject 'a'"):
        store.open_subject("a")
    assert store.remove_leftovers() == ["a"]


def test_leftovers_of_dead_processes_go_those_of_live_ones_stay(store):
    dead = store.path / "kspace" / ".a.tmp-4194305"  # above the kernel's largest process id
    alive = store.path / "kspace" / f".b.tmp-{os.getppid()}"
    dead.mkdir()
    alive.mkdir()
    assert store.remove_leftovers() == [dead.name]
    assert alive.is_dir()


def test_what_another_host_builds_is_left_alone_for_a_week(store, monkeypatch):
    """Its process number says nothing here: 4194305 is above the kernel's largest."""
    building = store.path / "kspace" / ".a.tmp-node7-4194305"
    building.mkdir()
    assert store.remove_leftovers() == []
    day = 24 * 3600
    os.utime(building, (time.time() - 6.9 * day,) * 2)
    assert store.remove_leftovers() == []
    os.utime(building, (time.time() - 7.1 * day,) * 2)
    assert store.remove_leftovers() == [building.name]


def test_the_same_process_number_on_two_hosts_is_two_names(monkeypatch):
    names = set()
    for host in ("node7.example.org", "node8.example.org"):
        monkeypatch.setattr(files.platform, "node", lambda host=host: host)
        names.add(temporary_name(Path("a")).name)
        assert files.is_abandoned(temporary_name(Path("a")))  # our own
    pid = os.getpid()
    assert names == {f".a.tmp-node7-example-org-{pid}", f".a.tmp-node8-example-org-{pid}"}


def test_a_set_that_was_being_deleted_is_no_set_and_goes(store, monkeypatch):
    store.write_subject("a", fields(), {})
    monkeypatch.setattr(locations.shutil, "rmtree", lambda path: None)  # killed at once
    store.delete()
    monkeypatch.undo()
    assert not store.exists()
    store.create(CONFIG)
    assert store.complete_subjects() == []
    store.remove_leftovers()
    assert list(store.path.parent.iterdir()) == [store.path]


def test_a_subject_is_replaced_whole_or_not_at_all(store, monkeypatch):
    """Killed while the old one is deleted, its name belongs to the new one already."""
    store.write_subject("a", fields(), {})
    monkeypatch.setattr(locations.shutil, "rmtree", lambda *path, **options: None)
    digest = store.write_subject("a", {"te": fields()["te"]}, {})
    monkeypatch.undo()
    assert store.subject_attributes("a")["content_sha256"] == digest
    assert sorted(p.name for p in store.subject_path("a").iterdir()) == ["te", "zarr.json"]
    assert store.remove_leftovers() == [temporary_name(Path("a.replaced")).name]


def test_digest_of_the_set_ignores_order_and_needs_every_subject(store):
    for name in ("a", "b"):
        store.write_subject(name, fields(ord(name)), {})
    assert store.digest(["a", "b"]) == store.digest(["b", "a"])
    assert store.digest(["a"]) != store.digest(["b"])
    with pytest.raises(SpinforgeError, match="no complete subject 'c'; it has a, b"):
        store.digest(["a", "c"])


def test_manifest_lists_what_is_complete(store):
    digest = store.write_subject("a", fields(), {})
    store.write_manifest()
    manifest = json.loads((store.path / "manifest.json").read_text())
    assert manifest["kspace/a"]["digest"] == digest
    assert manifest["kspace/a"]["bytes"] > 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "does not describe a Spinforge dataset .* delete the folder /"),
        ('{"attributes": {}}', "does not describe a Spinforge dataset .* delete the folder /"),
        (
            '{"attributes": {"schema": "spinforge", "schema_version": 99}}',
            "has schema .* 99.* Delete the folder /",
        ),
    ],
)
def test_foreign_folders_are_neither_read_nor_deleted(tmp_path, content, message):
    (tmp_path / "zarr.json").write_text(content)
    foreign = DatasetStore(tmp_path)
    with pytest.raises(SpinforgeError, match=message):
        foreign.attributes()
    with pytest.raises(SpinforgeError, match=message):
        foreign.delete()
    assert (tmp_path / "zarr.json").exists()


def test_missing_set_says_how_to_make_one(tmp_path):
    with pytest.raises(SpinforgeError, match=r"is not a Spinforge dataset.*spinforge generate"):
        DatasetStore(Path(tmp_path / "none.zarr")).attributes()
