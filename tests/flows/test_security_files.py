"""Files that would run code, or write elsewhere, if they were read carelessly."""

import io
import json
import os
import pickle
import shutil
import tarfile
from pathlib import Path

import numcodecs
import numpy as np
import pytest
import torch
from doctor_patients import add_set

from spinforge.datasets.storage.store import DatasetStore
from spinforge.flows.config import load_study
from spinforge.flows.evaluate import read_predictions
from spinforge.flows.offline.archive import unpacked, write_files
from spinforge.models.training.checkpoints import find_resumable
from spinforge.models.weights import load_network
from spinforge.simulation.errors import SpinforgeError


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


@pytest.fixture
def marker(tmp_path):
    """What no reader may make."""
    return tmp_path / "marker"


def one_line(raised) -> str:
    text = str(raised.value)
    assert "\n" not in text
    return text


@pytest.fixture
def careless(marker):
    """Check that a trap works: read carelessly, it makes the marker."""

    def check(read):
        try:
            read()
        except Exception:  # noqa: BLE001  what comes of it is not a network or an array
            pass
        assert marker.exists()
        marker.rmdir()

    return check


@pytest.mark.parametrize("name", ["network.pt", "last.ckpt"])
def test_weights_and_checkpoints(name, tmp_path, marker, careless):
    path = tmp_path / name
    torch.save({"format": "spinforge-network", "state_dict": Trap(marker)}, path)
    careless(lambda: torch.load(path, weights_only=False))
    with pytest.raises(SpinforgeError, match="holds code or objects, which Spinforge") as raised:
        load_network(path) if name.endswith(".pt") else find_resumable(path, {})
    assert str(path) in one_line(raised)
    assert not marker.exists()


def test_a_checkpoint_that_is_a_bare_pickle(tmp_path, marker, careless):
    path = tmp_path / "last.ckpt"
    path.write_bytes(pickle.dumps(Trap(marker)))
    careless(lambda: pickle.loads(path.read_bytes()))  # noqa: S301  the trap must work
    with pytest.raises(SpinforgeError, match=r"last.ckpt is damaged") as raised:
        find_resumable(path, {})
    one_line(raised)
    assert not marker.exists()


def test_predictions(tmp_path, marker, careless):
    path = tmp_path / "predictions.npz"
    np.savez(path, labels=np.array([Trap(marker)], dtype=object))
    careless(lambda: np.load(path, allow_pickle=True)["labels"])
    with pytest.raises(SpinforgeError, match=r"predictions.npz cannot be read") as raised:
        read_predictions(path)
    assert "spinforge evaluate" in one_line(raised)
    assert not marker.exists()


def test_a_zarr_array_of_pickles(tmp_path, marker, careless, monkeypatch):
    """Zarr's older format had arrays of objects, with a codec that unpickles if it is let."""
    monkeypatch.setattr(numcodecs.pickles, "ALLOW_UNSAFE_PICKLE_DECODE", True)
    dataset = add_set(tmp_path / "run")
    array = dataset / "kspace" / "head-000" / "target"
    shutil.rmtree(array)
    array.mkdir()
    chunk = pickle.dumps(Trap(marker))
    careless(lambda: numcodecs.Pickle().decode(chunk))
    pickled = {"id": "pickle", "protocol": 5}
    header = {"zarr_format": 2, "shape": [1], "chunks": [1], "fill_value": None, "order": "C"}
    (array / "0").write_bytes(chunk)
    for codec in ({"filters": [pickled], "compressor": None}, {"compressor": pickled}):
        for dtype in ("|O", "<i8"):
            (array / ".zarray").write_text(
                json.dumps(header | {"filters": None, "dtype": dtype} | codec)
            )
            with pytest.raises(SpinforgeError, match="array 'target' is missing or") as raised:
                DatasetStore(dataset).read("head-000", "target")
            one_line(raised)
            assert not marker.exists()


def test_a_zarr_array_with_a_codec_that_unpickles(tmp_path, marker):
    dataset = add_set(tmp_path / "run")
    path = dataset / "kspace" / "head-000" / "target" / "zarr.json"
    header = json.loads(path.read_text())
    header["codecs"] = [{"name": "numcodecs.pickle", "configuration": {"protocol": 5}}]
    path.write_text(json.dumps(header))
    for chunk in (path.parent / "c").rglob("0"):
        if chunk.is_file():
            chunk.write_bytes(pickle.dumps(Trap(marker)))
    with pytest.raises(SpinforgeError, match="array 'target' is missing or damaged") as raised:
        DatasetStore(dataset).read("head-000", "target")
    one_line(raised)
    assert not marker.exists()


@pytest.mark.parametrize("tag", ["python/object/apply:os.mkdir", "python/object/new:os.mkdir"])
def test_study_files_and_overrides(tag, tmp_path, marker, careless):
    import yaml

    text = f"!!{tag} ['{marker}']"
    if "apply" in tag:
        careless(lambda: yaml.unsafe_load(text))
    path = tmp_path / "study.yaml"
    path.write_text(f"name: {text}\n")
    with pytest.raises(SpinforgeError, match=r"study.yaml is not valid YAML"):
        load_study(path)
    path.write_text("name: x\n")
    with pytest.raises(SpinforgeError, match="is not valid YAML"):
        load_study(path, [f"name={text}"])
    assert not marker.exists()


# ---------------------------------------------------------------- archives


def member(name: str, **properties: object) -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    for key, value in properties.items():
        setattr(found, key, value)
    return found


OUTSIDE = {
    "a path upwards": member("../outside"),
    "a path through a folder": member("a/../../outside"),
    "a link out of the folder": member("a", type=tarfile.SYMTYPE, linkname="../outside"),
    "an absolute link": member("a", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
    "a hard link": member("a", type=tarfile.LNKTYPE, linkname="../outside"),
    "a device": member("a", type=tarfile.CHRTYPE, devmajor=1, devminor=3),
    "a pipe": member("a", type=tarfile.FIFOTYPE),
}


@pytest.mark.parametrize("evil", OUTSIDE.values(), ids=OUTSIDE.keys())
def test_an_archive_cannot_leave_its_folder(evil, tmp_path):
    path = tmp_path / "evil.tar"
    with tarfile.open(path, "w") as archive:
        archive.addfile(evil)
    with pytest.raises(SpinforgeError, match=r"evil.tar cannot be unpacked") as raised:
        with unpacked(path):
            pass
    one_line(raised)
    assert sorted(tmp_path.iterdir()) == [path]


def test_an_absolute_path_stays_in_the_folder(tmp_path):
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        archive.addfile(member(f"{tmp_path}/outside", size=1), io.BytesIO(b"x"))
    with unpacked(path) as folder:
        assert [p.name for p in folder.rglob("*") if p.is_file()] == ["outside"]
    assert not (tmp_path / "outside").exists()


def test_no_file_of_an_archive_can_be_run_as_somebody_else(tmp_path):
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        archive.addfile(member("a", size=1, mode=0o6777), io.BytesIO(b"x"))
    with unpacked(path) as folder:
        assert not (folder / "a").stat().st_mode & 0o6022


def test_an_archive_that_claims_more_than_it_holds(tmp_path):
    """A sparse member: a few bytes that unpack to a terabyte of zeros."""
    path = tmp_path / "bomb.tar"
    content = b"1\n0\n1\n".ljust(512, b"\0") + b"x".ljust(512, b"\0")
    headers = {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.name": "bomb",
        "GNU.sparse.realsize": str(2**40),
    }
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(member("bomb", size=513, pax_headers=headers), io.BytesIO(content))
    with tarfile.open(path) as archive:
        assert [found.size for found in archive] == [2**40]  # the trap works
    with pytest.raises(SpinforgeError, match=r"it claims to hold 1099511627776 bytes") as raised:
        with unpacked(path):
            pass
    one_line(raised)


def test_a_compressed_archive_is_none_of_ours(tmp_path):
    path = tmp_path / "bomb.tar"
    with tarfile.open(path, "w:gz") as archive:
        archive.addfile(member("zeros", size=10**7), io.BytesIO(bytes(10**7)))
    with pytest.raises(SpinforgeError, match=r"bomb.tar cannot be unpacked"), unpacked(path):
        pass


def test_our_own_archives_are_unpacked(tmp_path):
    write_files(tmp_path / "a.tar", [("folder/a", b"1" * 5000), ("b", b"")])
    with unpacked(tmp_path / "a.tar") as folder:
        assert (folder / "folder" / "a").read_bytes() == b"1" * 5000
