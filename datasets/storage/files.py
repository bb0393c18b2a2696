"""Files that are whole or not there, and what to say when they cannot be."""

import errno
import os
import platform
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

from spinforge.simulation.errors import SpinforgeError

UserPath = Annotated[Path, AfterValidator(lambda path: Path(os.path.expanduser(path)))]
"""A path in a study file; ~ is the user's home."""

_FOREIGN_S = 7 * 24 * 3600.0
"""Age from which another host's temporary name is abandoned: as long as a subject may ever take."""

_OPTIONS = "(--set out=... of a study, --to of an export, a card or pictures)"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Name of a temporary file that takes the place of `path` when the block ends well.

    A block that fails, a process that is killed or a power cut leaves what was at `path` before.

    Raises:
        SpinforgeError: If the file cannot be written, such as onto a full disk or over a folder.
    """
    temporary = temporary_name(path)
    with readable_errors(path):
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "a folder has this name", str(path))
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            _sync(temporary)
            temporary.replace(path)
            sync_name(path)
        finally:
            temporary.unlink(missing_ok=True)


def sync_name(path: Path) -> None:
    """Force a file's or folder's new name onto the disk: it is an entry of the folder above."""
    _sync(path.parent)


def sync_folder(folder: Path) -> None:
    """Force every file below `folder`, and the folders themselves, onto the disk."""
    for path in (*folder.rglob("*"), folder):
        _sync(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def own_suffix() -> str:
    """End of this process's temporary names, such as .tmp-node7-4711.

    With the host: a shared folder has builders on many, and containers count from the same number.
    """
    return f".tmp-{_host()}-{os.getpid()}"


def temporary_name(path: Path) -> Path:
    """Where this process builds what will be at `path`."""
    return path.with_name(f".{path.name}{own_suffix()}")


def _host() -> str:
    return re.sub("[^A-Za-z0-9]+", "-", platform.node()).strip("-")[:64]


def is_abandoned(path: Path) -> bool:
    """Whether a temporary file or folder belongs to a process that is gone.

    Of another host's process this cannot be known; what nobody touched for a week is abandoned. A
    name without a host, as earlier versions made them, is of this one.
    """
    _, marker, owner = path.name.rpartition(".tmp-")
    host, dash, pid = owner.rpartition("-")
    if not path.name.startswith(".") or not marker or not pid.isdigit():
        return False
    if dash and host != _host():
        try:
            return time.time() - path.lstat().st_mtime > _FOREIGN_S
        except FileNotFoundError:  # its builder is done with it
            return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return int(pid) == os.getpid()


def remove_abandoned(folder: Path) -> None:
    """Delete the temporary files below `folder` that killed processes have left."""
    for path in folder.rglob(".*.tmp-*"):
        if path.is_file() and is_abandoned(path):
            path.unlink()


@contextmanager
def readable_errors(path: Path) -> Iterator[None]:
    """Turn what the operating system says about a file or folder into our error.

    Errors without its number are of libraries, such as a lock's timeout, and stay what they are.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise SpinforgeError(
                f"the disk is full: {path} was not written, what was complete before is kept. "
                f"Free some space, or choose a folder on another disk {_OPTIONS}, and run again."
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise SpinforgeError(
                f"no permission to write {path}. Change its rights or choose another folder "
                f"{_OPTIONS}."
            ) from error
        if error.errno is None:
            raise
        raise SpinforgeError(
            f"cannot write {path}: {_reason(error, path)}. Choose another place {_OPTIONS}, or "
            f"remove what is in the way."
        ) from error


def _reason(error: OSError, path: Path) -> str:
    """What is wrong, and with which file if that is another one."""
    reason = error.strerror or str(error)
    ours = (None, str(path), str(temporary_name(path)))
    return reason if error.filename in ours else f"{reason}: {error.filename}"
