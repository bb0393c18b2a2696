"""The folder in which sets are built before they are uploaded: ours alone, and empty."""

import os
import tempfile

import pytest
from small_sets import small_arrays

from spinforge.datasets.storage.store import DatasetStore
from spinforge.simulation.errors import SpinforgeError

OURS = f"spinforge-{os.getuid()}"


@pytest.fixture
def store(tmp_path, monkeypatch) -> DatasetStore:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return DatasetStore(f"memory://somewhere/{tmp_path.name}/set.zarr")


def test_what_a_killed_process_with_our_number_left_is_not_uploaded(store):
    with store.location.building("kspace/x") as folder:
        (folder / "zarr.json").write_text("{}")
    folder.mkdir()
    (folder / "stale").write_text("")
    store.write_subject("a", small_arrays(), {})
    assert "kspace/a/full/zarr.json" in store.location.files("")
    assert not any("stale" in name for name in store.location.files(""))


def test_a_folder_that_others_may_write_is_refused(store, tmp_path):
    (tmp_path / OURS).mkdir()
    (tmp_path / OURS).chmod(0o777)
    with pytest.raises(SpinforgeError, match=r"not a folder of yours alone .*TMPDIR"):
        store.write_subject("a", small_arrays(), {})


def test_somebody_elses_folder_is_refused(store, tmp_path, monkeypatch):
    folder = tmp_path / f"spinforge-{os.getuid() + 1}"
    folder.mkdir(mode=0o700)
    user = os.getuid() + 1
    monkeypatch.setattr(os, "getuid", lambda: user)
    with pytest.raises(SpinforgeError, match="not a folder of yours alone"):
        store.write_subject("a", small_arrays(), {})


@pytest.mark.parametrize("kind", ["file", "link"])
def test_what_is_no_folder_is_refused(store, tmp_path, kind):
    if kind == "file":
        (tmp_path / OURS).write_text("")
    else:
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        (tmp_path / OURS).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SpinforgeError, match="not a folder of yours alone"):
        store.write_subject("a", small_arrays(), {})
