"""Disks that are full, slow to give way, or may not be written any more."""

import os
import shutil
import subprocess
from contextlib import suppress

import pytest

pytestmark = pytest.mark.faults


@pytest.fixture
def small_disk(bench, tmp_path):
    """Runs lie on a disk of its own, of 64 MiB; how to fill it."""
    place = tmp_path / "disk"
    place.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(place)], capture_output=True
    )
    if made.returncode:
        pytest.skip(f"no right to mount a disk: {made.stderr.decode().strip()}")
    bench.out = place / "runs"
    bench.out.mkdir()
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def fill(place) -> None:
    """Leave no byte free."""
    free = shutil.disk_usage(place).free
    with suppress(OSError), (place / "ballast").open("wb", buffering=0) as file:
        while True:  # whoever else writes meanwhile
            file.write(bytes(max(free // 8, 4096)))


def test_disk_full_before(small_disk, bench):
    """The disk is full before the run starts."""
    fill(small_disk)
    bench.failed(bench.start(), "the disk is full", "MiB")
    assert bench.flow_run() is None
    bench.mend(fault_is_over=(small_disk / "ballast").unlink)


def test_disk_full_while_simulating(small_disk, bench):
    """The disk fills up while subjects are written."""
    run = bench.start("--set", "workers=1")
    bench.wait_for(lambda: bench.subjects() >= 1, run)
    fill(small_disk)
    bench.failed(run, "disk")
    bench.mend(fault_is_over=(small_disk / "ballast").unlink)


def test_disk_full_while_training(small_disk, bench):
    """The disk fills up while a network is trained."""
    run = bench.start()
    bench.wait_for(lambda: list(bench.folder.glob("networks/*/history.csv")), run)
    fill(small_disk)
    bench.failed(run, "disk")
    bench.mend(fault_is_over=(small_disk / "ballast").unlink)


def test_no_permission(bench):
    """The right to write is taken away while it simulates."""
    without_rights = ("setpriv", "--bounding-set=-all", "--inh-caps=-all")
    if os.geteuid() != 0:
        without_rights = ()
    run = bench.start("--set", "workers=1", before=without_rights)
    bench.wait_for(lambda: bench.subjects() >= 1, run)
    place = bench.folder / "dataset.zarr/kspace"
    place.chmod(0o555)
    bench.failed(run, "ermission", str(place))
    bench.mend(fault_is_over=lambda: place.chmod(0o755))
