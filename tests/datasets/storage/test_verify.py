"""`verify` finds whatever is changed, lost or added, and nothing in a set as it was written."""

import errno
import json
import os
import random
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import zarr
from small_sets import CONFIG, small_arrays, small_set

from spinforge.datasets.storage.arrays import array_digest
from spinforge.datasets.storage.locations import LocalFolder
from spinforge.datasets.storage.metadata import group_metadata, sealed
from spinforge.datasets.storage.store import DatasetStore
from spinforge.datasets.storage.verify import Problem, take_inventory, verify_store, verify_subject
from spinforge.simulation.errors import SpinforgeError

SUBJECT = ("zarr.json", "full/zarr.json", "full/c/0/0/0/0", "t1/zarr.json", "t1/c/0/0/0")
SUBJECT += ("target/zarr.json", "target/c/0/0/0", "te/zarr.json", "te/c/0")
SUBJECT += ("masks/zarr.json", "masks/fixed/zarr.json", "masks/fixed/c/0/0")
FILES = ["zarr.json", "manifest.json", "kspace/zarr.json", "corrupt/zarr.json"]
FILES += ["corrupt/noise/zarr.json", "corrupt/noise/3/zarr.json"]
FILES += [f"{subject}/{name}" for subject in ("kspace/b", "corrupt/noise/3/a") for name in SUBJECT]


@pytest.fixture(scope="module")
def pristine(tmp_path_factory) -> Path:
    """A whole set; nothing may change it."""
    path = tmp_path_factory.mktemp("whole") / "set.zarr"
    small_set(path)
    return path


@pytest.fixture
def path(pristine, tmp_path) -> Path:
    """A copy to be damaged."""
    return Path(shutil.copytree(pristine, tmp_path / "set.zarr"))


def named(problems: list[Problem], path: Path) -> bool:
    """Whether a problem is about the file or the group, subject or set that it is part of."""
    return any(
        Path(problem.where) == path or Path(problem.where) in path.parents for problem in problems
    )


def test_a_set_as_it_was_written_has_no_problem(pristine):
    assert verify_store(pristine) == []


def test_the_list_of_files_is_complete(pristine):
    found = {p.relative_to(pristine).as_posix() for p in pristine.rglob("*") if p.is_file()}
    assert found == {*FILES, *(f"kspace/a/{name}" for name in SUBJECT)}


@pytest.mark.parametrize("name", FILES)
def test_any_flipped_bit_is_found(path, name):
    file = path / name
    content = file.read_bytes()
    for seed in range(4):
        flipped = bytearray(content)
        bit = random.Random(f"{name} {seed}").randrange(8 * len(content))
        flipped[bit // 8] ^= 1 << bit % 8
        file.write_bytes(flipped)
        assert named(verify_store(path), file), f"bit {bit}"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["zarr.json", "kspace/b/zarr.json", "kspace/zarr.json"])
def test_every_seventh_bit_of_the_metadata_counts(path, name):
    file = path / name
    content = file.read_bytes()
    for bit in range(0, 8 * len(content), 7):  # 7 and 8 are coprime: every place in a byte
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        file.write_bytes(flipped)
        found = take_inventory(path).problems or verify_subject(path, "kspace/b")
        assert found, f"bit {bit} of {name}"


@pytest.mark.parametrize("name", FILES)
def test_any_missing_file_is_found(path, name):
    (path / name).unlink()
    if name == "manifest.json":
        assert [p.what[:10] for p in verify_store(path)] == ["is missing"]
    else:
        assert named(verify_store(path), path / name)


@pytest.mark.parametrize("name", FILES)
def test_a_truncated_file_is_found(path, name):
    (path / name).write_bytes((path / name).read_bytes()[:-1])
    assert named(verify_store(path), path / name)


def leaves(content, prefix=()):
    if not isinstance(content, dict):
        return [prefix]
    return [leaf for key, value in content.items() for leaf in leaves(value, (*prefix, key))]


@pytest.mark.parametrize("name", ["zarr.json", "kspace/b/zarr.json"])
@pytest.mark.parametrize("edit", ["changed", "removed", "added"])
def test_any_edited_attribute_is_found(path, name, edit):
    content = (path / name).read_bytes()
    places = leaves(json.loads(content)["attributes"])
    assert len(places) >= 6
    for place in places:
        edited = json.loads(content)
        holder = edited["attributes"]
        for key in place[:-1]:
            holder = holder[key]
        if edit == "changed":
            holder[place[-1]] = [holder[place[-1]]]
        elif edit == "removed":
            del holder[place[-1]]
        else:
            holder[f"{place[-1]} "] = 0
        (path / name).write_text(json.dumps(edited, indent=2))
        assert named(verify_store(path), path / name), place


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("fill_value", 1),
        ("dimension_names", ["slice", "kx", "ky"]),
        ("attributes", {"scale": 2}),
        ("chunk_grid", {"name": "regular", "configuration": {"chunk_shape": [28, 5, 6]}}),
        ("codecs", [{"name": "bytes"}]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_edited_descriptions_of_arrays_are_found(path, key, value):
    header = path / "kspace/a/target/zarr.json"
    content = json.loads(header.read_text())
    assert content[key] != value
    header.write_text(json.dumps(content | {key: value}))
    assert str(header) in {p.where for p in verify_store(path)}


@pytest.mark.parametrize(
    "name",
    ["x", "kspace/x", "kspace/a/x", "kspace/a/full/c/1/0/0/0", "kspace/a/new/zarr.json", ".x"],
)
def test_what_does_not_belong_is_found(path, name):
    (path / name).parent.mkdir(parents=True, exist_ok=True)
    (path / name).write_text("{}")
    assert named(verify_store(path), path / name)


def test_the_problems_of_one_cause_are_few_and_say_what_to_do(path):
    chunk = path / "kspace/a/full/c/0/0/0/0"
    content = bytearray(chunk.read_bytes())
    content[40] ^= 1
    chunk.write_bytes(content)
    (problem,) = verify_store(path)
    assert problem == Problem(
        str(chunk),
        f"was changed after it was written. Delete {path / 'kspace/a'} and run "
        f"`spinforge generate` to make it again",
    )


def test_leftovers_of_killed_runs_are_named(path):
    inside = path / "kspace" / ".c.tmp-4194305"  # above the kernel's largest process id
    beside = path.parent / ".set.zarr.tmp-4194305"
    for folder in (inside, beside):
        folder.mkdir()
        (folder / "x").write_text("")
    found = verify_store(path)
    assert sorted(p.where for p in found) == sorted([str(inside), str(beside)])
    assert all("left behind" in p.what for p in found)


def test_a_subject_that_is_being_written_is_no_problem(path):
    live = path / "kspace" / f".c.tmp-{os.getppid()}"
    live.mkdir()
    (live / "zarr.json").write_text("{}")
    assert verify_store(path) == []


def test_a_lost_subject_is_known_from_the_manifest(path):
    shutil.rmtree(path / "kspace/a")
    (problem,) = verify_store(path)
    assert problem.where == str(path / "kspace/a")
    assert "in the manifest, but missing" in problem.what


def test_a_subject_the_manifest_does_not_name_is_found(path):
    DatasetStore(path).write_subject("c", small_arrays(3), {})
    (problem,) = verify_store(path)
    assert problem.what.startswith("does not name kspace/c")


def test_renamed_and_foreign_subjects_are_found(path, tmp_path):
    store = DatasetStore(path)
    shutil.rmtree(path / "kspace/a")
    shutil.copytree(path / "kspace/b", path / "kspace/a")
    store.write_subject("d", small_arrays(5), {"config_hash": "0" * 64})
    store.write_manifest()
    found = {Path(p.where).name: p.what for p in verify_store(path)}
    assert "is subject b, renamed" in found.pop("a")
    assert "was made with another configuration" in found.pop("d")
    assert found == {}


def test_values_are_checked_even_where_every_file_is_as_noted(path):
    """A writer that stored something else than it hashed, as unaligned shards would."""
    subject = path / "kspace/a"
    attributes = json.loads((subject / "zarr.json").read_text())["attributes"]
    del attributes["attributes_sha256"]
    attributes["sha256"]["te"] = array_digest(np.zeros(14, np.float32))
    (subject / "zarr.json").write_bytes(group_metadata(sealed(attributes)))
    found = [p.what for p in verify_store(path)]
    assert any(re.match("array 'te' does not have the values", what) for what in found)
    assert any(re.match("content_sha256 is not that of its arrays", what) for what in found)


def test_what_zarr_itself_writes_into_a_set_is_found(path):
    group = zarr.open_group(path, mode="a")
    group["kspace/a"].attrs["remark"] = "fine"
    group["kspace/b/te"][0] = 3
    where = {p.where for p in verify_store(path)}
    assert {str(path / "kspace/a"), str(path / "kspace/b/te/c/0")} <= where


@pytest.mark.parametrize("missing", ["nothing", "empty", "foreign"])
def test_where_there_is_no_set_it_says_so(tmp_path, missing):
    place = tmp_path / "set.zarr"
    if missing != "nothing":
        place.mkdir()
    if missing == "foreign":
        (place / "picture.png").write_text("")
    with pytest.raises(SpinforgeError, match="is not a Spinforge dataset"):
        verify_store(place)


def test_an_older_set_is_refused_not_called_damaged(tmp_path):
    old = {"schema": "spinforge", "schema_version": 1, "kind": "kspace"}
    (tmp_path / "zarr.json").write_bytes(group_metadata(old))
    with pytest.raises(SpinforgeError, match="has schema spinforge version 1; this version of"):
        verify_store(tmp_path)


def test_a_group_without_subjects_yet_is_no_problem(path):
    DatasetStore(path, "corrupt/inu/1").require_groups()
    assert verify_store(path) == []


def test_a_disk_that_cannot_be_read_is_named(path, monkeypatch):
    def fail(self, name):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(LocalFolder, "digest", fail)
    found = [p.what for p in verify_store(path)]
    assert len(found) == 3 * (len(SUBJECT) - 1)
    assert all(what.startswith("cannot be read (Input/output error)") for what in found)


def test_an_empty_set_lacks_only_its_manifest(tmp_path):
    store = DatasetStore(tmp_path / "set.zarr")
    store.create(CONFIG)
    (problem,) = verify_store(store.path)
    assert problem.where.endswith("manifest.json")
    store.write_manifest()
    assert verify_store(store.path) == []


def test_a_lost_group_is_written_by_what_the_problem_says(path):
    """`spinforge generate` creates the set again, `spinforge corrupt` the groups of its sets."""
    store = DatasetStore(path)
    for group, command in (("kspace", "generate"), ("corrupt/noise", "corrupt")):
        (path / group / "zarr.json").unlink()
        (problem,) = verify_store(path)
        assert f"run `spinforge {command}`" in problem.what
        if command == "generate":
            store.create(CONFIG)
        else:
            store.within("corrupt/noise/3").require_groups()
        assert verify_store(path) == []


def test_corrupted_subjects_are_made_again_by_their_own_command(path):
    store = DatasetStore(path, "corrupt/noise/3")
    (path / "corrupt/noise/3/a/full/c/0/0/0/0").unlink()
    # The file, and its size in the manifest.
    lost, sizes = sorted(verify_store(path), key=lambda problem: "manifest" in problem.where)
    assert "run `spinforge corrupt` to make it again" in lost.what
    assert "Run `spinforge corrupt`" in sizes.what
    with pytest.raises(SpinforgeError, match="run `spinforge corrupt` to make it again"):
        store.read("a", "full")
    shutil.rmtree(path / "corrupt/noise/3/a")
    (problem,) = verify_store(path)
    assert "Run `spinforge corrupt`, which makes what is missing" in problem.what
    with pytest.raises(SpinforgeError, match="Run `spinforge corrupt`"):
        store.open_subject("a")


def test_a_lost_corrupted_subject_is_missed_until_it_is_made_again(path):
    store, corrupted = DatasetStore(path), DatasetStore(path, "corrupt/noise/3")
    shutil.rmtree(path / "corrupt/noise/3/a")
    store.write_manifest()  # as `spinforge generate` does, which makes no corrupted subject
    (problem,) = verify_store(path)
    assert problem.where == str(path / "corrupt/noise/3/a")
    corrupted.write_subject("a", small_arrays(2), {"subject": "a", "sigma": 0.1})
    store.write_manifest()
    assert verify_store(path) == []


def test_a_corrupted_subject_of_another_strength_is_found(path):
    corrupted = DatasetStore(path, "corrupt/noise/3")
    corrupted.write_subject("a", small_arrays(2), {"subject": "a", "strength": "5"})
    corrupted.write_manifest()
    (problem,) = verify_store(path)
    assert "has strength 5, so lies elsewhere" in problem.what


def test_leftovers_of_sets_that_nobody_names_any_more_are_removed(path):
    left = path / "corrupt/noise/3" / ".a.tmp-999999999"
    left.mkdir()
    assert DatasetStore(path).remove_leftovers() == [left.name]
    assert verify_store(path) == []
