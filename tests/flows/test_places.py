"""Disk space and rights are looked for where things will lie."""

import tempfile
from collections import namedtuple

import pytest

from spinforge.datasets.storage.store import DatasetStore
from spinforge.flows import preflight
from spinforge.flows.run_folder import RunFolder
from spinforge.simulation.errors import SpinforgeError

FREE = {"run": 1000, "data": 100}
USAGE = namedtuple("Usage", "total used free")


@pytest.fixture
def disks(tmp_path, monkeypatch):
    """Two disks: of the runs and of the sets."""
    for name in FREE:
        (tmp_path / name).mkdir()
    monkeypatch.setattr(preflight, "_disk", lambda path: path.relative_to(tmp_path).parts[0])
    monkeypatch.setattr(
        preflight.shutil,
        "disk_usage",
        lambda path: USAGE(0, 0, FREE[path.relative_to(tmp_path).parts[0]]),
    )
    return tmp_path


@pytest.mark.parametrize(
    ("place", "data", "networks", "message"),
    [
        ("data/set.zarr", 100, 1000, None),
        ("data/set.zarr", 101, 0, "data/set.zarr needs .*dataset="),
        ("data/set.zarr", 0, 1001, "run needs .*out="),
        ("run/set.zarr", 500, 500, None),
        ("run/set.zarr", 500, 501, "run needs .*out="),
    ],
)
def test_each_disk_needs_room_for_what_lies_on_it(disks, place, data, networks, message):
    folder = RunFolder(disks / "run", DatasetStore(disks / place))
    if message is None:
        preflight.check_disks(folder, data, networks)
        return
    with pytest.raises(SpinforgeError, match=message):
        preflight.check_disks(folder, data, networks)


def test_room_in_an_object_store_is_not_looked_for(disks):
    folder = RunFolder(disks / "run", DatasetStore("memory://somewhere/set.zarr"))
    preflight.check_disks(folder, 10**9, 1000)
    with pytest.raises(SpinforgeError, match="run needs"):
        preflight.check_disks(folder, 0, 1001)


def test_the_place_of_the_set_must_be_writable_too(tmp_path):
    (tmp_path / "file").write_text("")
    folder = RunFolder(tmp_path / "run", DatasetStore(tmp_path / "file" / "set.zarr"))
    with pytest.raises(SpinforgeError, match=r"is a file.*--set dataset="):
        preflight.check_folders(folder)


def test_what_is_uploaded_is_built_in_the_folder_of_temporary_files(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    folder = RunFolder(tmp_path / "run", DatasetStore("memory://somewhere/set.zarr"))
    preflight.check_folders(folder)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "file"))
    with pytest.raises(SpinforgeError, match=r"is a file.*TMPDIR="):
        preflight.check_folders(folder)
