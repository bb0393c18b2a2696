"""One writer a set: who it is, how a second one is refused, how a killed one is succeeded.

On a local disk the operating system holds the lock, so it ends with the process, however that
ends; a note beside it says who has it. An object store has no such locks: there the note itself,
created only where none is, is the lock (`remote.py`).
"""

import getpass
import json
import os
import platform
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from spinforge.datasets.storage.files import readable_errors, replacing
from spinforge.simulation.errors import SpinforgeError

WRITER_NOTE = ".writer.json"
"""Object in a remote set that says who writes it."""


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"  # a container's user needs no name


@dataclass(frozen=True)
class Writer:
    """Who writes a set.

    Attributes:
        user: Name of the user.
        host: Name of the machine.
        pid: Process on that machine.
        since: Start, ISO 8601 in UTC.
        token: Tells this time of writing from every other.
    """

    user: str = field(default_factory=_user)
    host: str = field(default_factory=platform.node)
    pid: int = field(default_factory=os.getpid)
    since: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    token: str = field(default_factory=lambda: uuid.uuid4().hex)

    def note(self) -> bytes:
        """What is written down of it."""
        return (json.dumps(asdict(self)) + "\n").encode()

    @classmethod
    def from_note(cls, content: bytes | None) -> "Writer | None":
        """The writer of a note, or None if it cannot be read."""
        try:
            return cls(**json.loads(content or b""))
        except (ValueError, TypeError):
            return None

    @property
    def is_gone(self) -> bool:
        """Whether it was a process of this machine that has ended; False where nobody can tell."""
        if self.host != platform.node():
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
        return False

    def __str__(self) -> str:
        return f"process {self.pid} of {self.user} on {self.host}, since {self.since}"


def refusal(place: Path | str, writer: Writer | None, way_out: str) -> SpinforgeError:
    """The error for whoever comes second."""
    return SpinforgeError(f"{place} is being written by {writer or 'another process'}. {way_out}")


def _noted(note: Path) -> Writer | None:
    try:
        return Writer.from_note(note.read_bytes())
    except FileNotFoundError:
        return None  # it is just coming, or just leaving


@contextmanager
def local_writer(path: Path) -> Iterator[None]:
    """Be the only process that writes the set at `path`; the same process may enter again.

    Raises:
        SpinforgeError: If another process writes it, or the folder around cannot be written.
    """
    note = path.with_name(f".{path.name}.writer")
    with readable_errors(note):
        note.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(
            path.with_name(f".{path.name}.lock"), timeout=0, is_singleton=True, thread_local=False
        )
        try:
            lock.acquire()
        except Timeout:
            raise refusal(
                path,
                _noted(note),
                "Wait until it ends, or choose another folder with --set out=...",
            ) from None
    try:
        if lock.lock_counter == 1:
            with replacing(note) as temporary:
                temporary.write_bytes(Writer().note())
        yield
    finally:
        if lock.lock_counter == 1:
            note.unlink(missing_ok=True)
        lock.release()
