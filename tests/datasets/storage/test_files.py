import errno
import os

import pytest

from spinforge.datasets.storage import files
from spinforge.datasets.storage.files import replacing
from spinforge.datasets.storage.locations import LocalFolder
from spinforge.simulation.errors import SpinforgeError


def test_a_block_that_ends_well_replaces_the_file(tmp_path):
    path = tmp_path / "new" / "file.txt"
    for text in ("first", "second"):
        with replacing(path) as temporary:
            temporary.write_text(text)
    assert path.read_text() == "second"
    assert os.listdir(path.parent) == ["file.txt"]


def test_a_block_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")

    def write_half() -> None:
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise ValueError("stopped")

    with pytest.raises(ValueError, match="stopped"):
        write_half()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file.txt"]


def test_a_full_disk_is_named(tmp_path):
    def fill() -> None:
        with replacing(tmp_path / "file.txt"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(
        SpinforgeError, match=r"the disk is full: .*file.txt was not written.* --to of"
    ):
        fill()


def test_a_folder_in_the_way_is_named_before_anything_is_written(tmp_path):
    (tmp_path / "dir.tar").mkdir()
    begun = []

    def write() -> None:
        with replacing(tmp_path / "dir.tar"):
            begun.append(True)

    expected = r"cannot write .*dir\.tar: a folder has this name\. Choose another place"
    with pytest.raises(SpinforgeError, match=expected):
        write()
    assert not begun


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path):
    (tmp_path / "file").write_text("")

    def write() -> None:
        with replacing(tmp_path / "file" / "inside" / "page.html"):
            raise AssertionError

    with pytest.raises(SpinforgeError, match=r"cannot write .*page\.html: Not a directory"):
        write()


def test_errors_of_libraries_stay_what_they_are(tmp_path):
    """Such as the timeout of a lock, which its caller explains."""

    def wait() -> None:
        with files.readable_errors(tmp_path):
            raise TimeoutError("lock")

    with pytest.raises(TimeoutError):
        wait()


def test_the_new_name_is_forced_onto_the_disk_after_the_file(tmp_path, monkeypatch):
    """A rename lies in the folder: that is synced last, when the file has its name."""
    path, synced = tmp_path / "file.txt", []
    monkeypatch.setattr(files, "_sync", lambda p: synced.append((p.name, path.exists())))
    with replacing(path) as temporary:
        temporary.write_text("new")
    assert synced == [(temporary.name, False), (tmp_path.name, True)]


def test_the_new_name_of_a_folder_is_forced_onto_the_disk(tmp_path, monkeypatch):
    final, synced = tmp_path / "set", []
    monkeypatch.setattr(files, "_sync", lambda p: synced.append((p, final.exists())))
    with LocalFolder(tmp_path).building("set") as folder:
        (folder / "x").write_text("")
    assert synced[-1] == (tmp_path, True)
    assert not any(there for _, there in synced[:-1])
