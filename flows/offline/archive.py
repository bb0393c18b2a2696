"""Many files as one tar archive or one folder, and back; whole or not there."""

import io
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from spinforge.datasets.storage.files import readable_errors, replacing
from spinforge.datasets.storage.locations import LocalFolder
from spinforge.simulation.errors import SpinforgeError

Files = Iterable[tuple[str, bytes]]
"""Names with "/" and contents, one at a time: a set need not fit into the memory."""


def write_files(place: Path, files: Files) -> None:
    """Write a tar archive if `place` ends in .tar, else a new folder.

    An archive depends on nothing but names and contents: no times, no users.

    Raises:
        SpinforgeError: If the folder is there already and not empty, the disk is full or the place
            cannot be written.
    """
    if place.suffix == ".tar":
        with replacing(place) as temporary, tarfile.open(temporary, "w") as archive:
            for name, content in files:
                member = tarfile.TarInfo(name)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        return
    if place.exists() and not (place.is_dir() and not any(place.iterdir())):
        raise SpinforgeError(f"--to {place} is there already. Name a new folder, or a .tar file")
    with LocalFolder(place).building("") as folder:
        for name, content in files:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


@contextmanager
def unpacked(archive: Path) -> Iterator[Path]:
    """The files of a tar archive in a temporary folder.

    Members that would leave the folder, links to elsewhere and devices are refused (the filter
    "data" of Python's tarfile), and so are archives that hold more than their own size: nothing in
    ours is compressed, but a "sparse" member may claim terabytes.

    Raises:
        SpinforgeError: If there is no such file, or it is no archive, damaged or refused.
    """
    if not archive.is_file():
        raise SpinforgeError(f"{archive} does not exist")
    with tempfile.TemporaryDirectory() as folder, readable_errors(Path(folder)):
        try:
            with tarfile.open(archive, "r:") as members:
                claimed = sum(member.size for member in members)
                if claimed > archive.stat().st_size:
                    raise tarfile.ReadError(f"it claims to hold {claimed} bytes, more than it has")
                members.extractall(folder, filter="data")
        except (tarfile.TarError, EOFError) as error:
            raise SpinforgeError(
                f"{archive} cannot be unpacked: {error}. Copy it again from where it was made"
            ) from error
        yield Path(folder)
