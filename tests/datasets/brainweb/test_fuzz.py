"""Random damage to every kind of file: an array or a SpinforgeError, soon, and nothing else."""

import faulthandler
import gzip
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
from minc import write_minc
from scipy.io import savemat

from spinforge.datasets.brainweb.files import SUFFIXES
from spinforge.datasets.brainweb.labels import read_fraction, read_labels
from spinforge.datasets.brainweb.mat import read_mat_array
from spinforge.simulation.errors import SpinforgeError

SHAPE = (3, 5, 4)
LONGEST_S = 5.0
KINDS = [*SUFFIXES, ".mat"]


def valid(folder: Path, suffix: str) -> bytes:
    """A small file of the kind, unpacked, so that damage reaches beyond gzip's checksum."""
    labels = (np.arange(60) % 12).reshape(SHAPE).astype(np.uint8)
    path = folder / "valid"
    if suffix.startswith(".mnc"):
        write_minc(path, labels, real_max=np.full(3, 255.0))
    elif suffix == ".mat":
        savemat(folder / "valid.mat", {"BRAIN": labels, "T1": 1.0})
        path = folder / "valid.mat"
    else:
        path.write_bytes(labels.astype("u1" if "rawb" in suffix else "<u2").tobytes())
    return path.read_bytes()


def damaged(rng: np.random.Generator, content: bytes) -> bytes:
    """One to four changes: values, words that matter in headers, cuts, repeats, noise, swaps."""
    data = bytearray(content)
    for _ in range(rng.integers(1, 5)):
        place = int(rng.integers(0, len(data) + 1))
        match int(rng.integers(0, 9)):
            case 0:
                data[place : place + 1] = rng.bytes(1)
            case 1:
                word = int(rng.choice([0, 1, 2, 4, 255, 2**31 - 1, 2**31, 2**32 - 1]))
                data[place : place + 4] = word.to_bytes(
                    4, "big" if rng.random() < 0.5 else "little"
                )
            case 2:
                del data[place:]
            case 3:
                del data[place : place + int(rng.integers(1, 9))]
            case 4:
                data[place:place] = data[: int(rng.integers(1, 99))]
            case 5:
                data[place : place + 8] = rng.bytes(8)
            case 6:
                data[place:place] = rng.bytes(int(rng.integers(1, 99)))
            case _:  # a field gets the value of another: what headers are made of
                other = 4 * int(rng.integers(0, len(data) // 4 + 1))
                place -= place % 4
                data[place : place + 4] = data[other : other + 4]
    return bytes(data)


class TookTooLong(BaseException):
    """Not an Exception, which a reader could take for a fault of the file."""


@contextmanager
def alarm(seconds: float) -> Iterator[None]:
    """End what takes longer: by an exception or, in compiled code that sees none, the process.

    The file it was reading then lies in the test's folder.
    """

    def ring(*_: object) -> None:
        raise TookTooLong(f"{seconds:g} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    faulthandler.dump_traceback_later(4 * seconds, exit=True)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def read_all(path: Path) -> None:
    if path.suffix == ".mat":
        read_mat_array(path, "BRAIN", largest=2**16)
        return
    with suppress(SpinforgeError):
        read_fraction(path, [SHAPE])
    read_labels(path, [SHAPE], highest=11)


def fuzz(folder: Path, suffix: str, *, seconds: float, seed: int, fewest: int = 0) -> int:
    """Read damaged files for a while, and until some were refused.

    Returns:
        How many were refused.
    """
    content = valid(folder, suffix)
    rng = np.random.default_rng(seed)
    refused, end = 0, time.monotonic() + seconds
    path = folder / f"volume{suffix}"
    while time.monotonic() < end or refused < fewest:
        body = rng.bytes(int(rng.integers(0, 400))) if rng.random() < 0.1 else damaged(rng, content)
        if suffix.endswith(".gz"):
            body = gzip.compress(body)
            body = damaged(rng, body) if rng.random() < 0.2 else body
        path.write_bytes(body)
        try:
            with alarm(LONGEST_S):
                read_all(path)
        except SpinforgeError:
            refused += 1
        except BaseException:
            (folder / "culprit").write_bytes(body)
            raise
    return refused


def test_a_hang_ends_at_the_alarm():
    def hang() -> None:
        while True:
            with suppress(Exception):
                time.sleep(0.01)

    with pytest.raises(TookTooLong), alarm(0.05):
        hang()


@pytest.mark.parametrize("suffix", KINDS)
def test_damage_gives_our_error_and_no_other(tmp_path, suffix):
    assert fuzz(tmp_path, suffix, seconds=0.4, seed=0, fewest=21) > 20


@pytest.mark.slow
@pytest.mark.parametrize("suffix", KINDS)
def test_a_minute_of_damage_gives_our_error_and_no_other(tmp_path, suffix):
    assert fuzz(tmp_path, suffix, seconds=60 / len(KINDS), seed=1, fewest=501) > 500
