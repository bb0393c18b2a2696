"""What tests have worker processes do; each notes that it was begun, and by which process."""

import os
import signal
import time
from pathlib import Path

from spinforge.simulation.errors import SpinforgeError


def note(folder: Path, name: str) -> None:
    (folder / f"{name}-{os.getpid()}-{time.monotonic_ns()}").touch()


def times(folder: Path, name: str) -> int:
    return len(list(folder.glob(f"{name}-*")))


def die_the_first_time(folder, name):
    first = times(folder, name) == 0
    note(folder, name)
    if first:
        os.kill(os.getpid(), signal.SIGKILL)


def end_oneself(folder, name):
    note(folder, name)
    os.kill(os.getpid(), signal.SIGKILL)


def refuse(folder, name):
    note(folder, name)
    raise SpinforgeError(f"{name} is no subject of ours")


def take_too_long(folder, name):
    note(folder, name)
    time.sleep(60)
