"""Bits that rot, and files that were cut: found, named, and made again as the error says."""

import re
import shutil
from pathlib import Path

import pytest

from spinforge.datasets.storage.verify import verify_store
from spinforge.flows.run_folder import RunFolder

pytestmark = pytest.mark.faults


@pytest.fixture
def done(bench, finished):
    """A bench with a study that is finished but for its last network."""
    study, _ = finished
    shutil.copytree(RunFolder.of(study).path, bench.folder)
    for path in bench.folder.glob("networks/crdn-*"):
        shutil.rmtree(path)
    return bench


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_corrupt_chunk(done):
    """One bit of a stored chunk flips."""
    flip_a_bit(done.folder / "dataset.zarr/kspace/head-001/full/c/0/0/0/0")
    said = done.failed(done.start(), "head-001", "full", "Delete this folder")
    (problem,) = verify_store(done.folder / "dataset.zarr")
    assert "head-001" in problem.where
    doomed = Path(re.search(r"error: (\S+): array", said)[1])
    shutil.rmtree(doomed)  # as the error says, and as `verify` does
    done.mend()


def test_cut_network(done):
    """The file of a trained network is cut in half."""
    (path,) = done.folder.glob("networks/unet-*/network.pt")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    said = done.failed(done.start(), str(path))
    assert "elete" in said
    shutil.rmtree(path.parent)
    done.mend()


def test_cut_checkpoint(bench):
    """The checkpoint of an unfinished training is cut in half."""
    run = bench.start()
    bench.wait_for(lambda: list(bench.folder.glob("networks/unet-*/last.ckpt")), run)
    bench.killed(run)
    (path,) = bench.folder.glob("networks/*/last.ckpt")
    path.write_bytes(path.read_bytes()[:1000])
    bench.failed(bench.start(), str(path))
    path.unlink()
    bench.mend()


def test_damaged_scores(done):
    """The label maps and the table of scores of a network are cut."""
    damaged = [
        p for name in ("*.npz", "*.parquet") for p in done.folder.glob(f"evaluation/*/{name}")
    ]
    assert len(damaged) >= 4
    for path in damaged:
        path.write_bytes(path.read_bytes()[:100])
    code, said = done.end(done.start())
    assert code == 0, said
    assert "is damaged or not complete: scoring again" in said
    done.row.said = "is damaged or not complete: scoring again"
    done.mend()
