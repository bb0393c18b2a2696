"""Kill -9 the making of a set at twenty random moments, then let it finish; compare.

Run as a script, `python killed_generation.py FOLDER`: it imports everything once and forks, so
that the moments fall into the work and not into imports. Exits with an error if anything is lost,
made again or different.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

import torch
from forked_process import wait, wait_for
from tiny_kspace import TINY

from spinforge.datasets.products.catalogue import maker_of
from spinforge.datasets.products.making import is_done, make_subject
from spinforge.datasets.splits import Subjects
from spinforge.datasets.storage.store import DatasetStore
from spinforge.datasets.storage.verify import verify_store
from spinforge.simulation.slices import Slices

KILLS = 20
PRODUCT = TINY.model_copy(
    update={
        "subjects": Subjects(train=14, validation=1, test=1),
        "slices": Slices(thickness_mm=12, count=4),
    }
)
EVERYONE = [f"head-{number:03d}" for number in range(16)]


def make(path: Path) -> None:
    """What the generate flow does, in one process."""
    store = DatasetStore(path)
    with store.writing():
        store.create(PRODUCT.recipe())
        store.remove_leftovers()
        for subject in EVERYONE:
            if not is_done(PRODUCT, store, subject):
                make_subject(PRODUCT, subject, store)
        store.write_manifest()


def forked(path: Path) -> int:
    """Start `make` in a process of its own."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            make(path)
            code = 0
        finally:
            os._exit(code)
    return pid


def state(path: Path) -> dict[str, tuple[int, int, str]]:
    """What would change if a complete subject were made again."""
    found = {}
    for subject in DatasetStore(path).complete_subjects():
        metadata = path / "kspace" / subject / "zarr.json"
        status = metadata.stat()
        found[subject] = (status.st_ino, status.st_mtime_ns, metadata.read_text())
    return found


def strike(pid: int, path: Path, kind: int, delay: float) -> None:
    """Kill a process after a random while from its start, a subject's first file, or its last."""
    done = len(list(path.glob("kspace/head-*")))
    if kind == 1:
        wait_for(lambda: any(path.glob(f"kspace/.*.tmp-*-{pid}")), pid)
    elif kind == 2:
        wait_for(lambda: len(list(path.glob("kspace/head-*"))) > done, pid)
    time.sleep(delay)
    os.kill(pid, signal.SIGKILL)


def main(folder: Path) -> None:
    start = time.monotonic()
    torch.set_num_threads(1)  # no threads before a fork
    maker_of(PRODUCT).make(EVERYONE[0])  # what is slow once only
    assert wait(forked(folder / "straight.zarr")) == 0
    a_subject = (time.monotonic() - start) / len(EVERYONE)
    draw, path, while_writing = random.Random(0), folder / "killed.zarr", 0
    for number in range(KILLS):
        before = state(path)
        pid = forked(path)
        longest = (a_subject, 0.05, a_subject)[number % 3]
        strike(pid, path, number % 3, draw.uniform(0, longest))
        assert wait(pid) == -signal.SIGKILL, f"finished before kill {number + 1}"
        while_writing += any(path.glob(f"kspace/.*.tmp-*-{pid}"))
        after = state(path)
        assert {name: after[name] for name in before} == before, "made again or lost"
    before = state(path)
    assert wait(forked(path)) == 0
    after = state(path)
    assert {name: after[name] for name in before} == before, "made again or lost"
    straight, killed = (DatasetStore(folder / f"{n}.zarr") for n in ("straight", "killed"))
    assert killed.digest(EVERYONE) == straight.digest(EVERYONE)
    assert killed.complete_subjects() == EVERYONE
    assert verify_store(path) == []
    assert while_writing >= 3, while_writing
    assert 3 <= len(before) < len(EVERYONE), len(before)
    sys.stdout.write(
        f"{KILLS} kills, {while_writing} of them while a subject was being written; "
        f"{len(before)} of {len(EVERYONE)} subjects were complete before the last run; "
        f"{time.monotonic() - start:.0f} s\n"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
