"""Where a set lies: a folder of this machine or a prefix of an object store, by one interface.

Whatever is stored is built in a local folder and then published under its name. What tells a
whole group from a partial one is its zarr.json: a local folder is renamed with everything in it,
an object store receives the zarr.json last.
"""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Annotated, Protocol, runtime_checkable

from fsspec import available_protocols
from pydantic import AfterValidator, Field
from zarr.abc.store import Store

from spinforge.datasets.storage.addresses import without_secret
from spinforge.datasets.storage.files import (
    is_abandoned,
    readable_errors,
    replacing,
    sync_folder,
    sync_name,
    temporary_name,
)
from spinforge.datasets.storage.lock import local_writer
from spinforge.simulation.errors import SpinforgeError

METADATA = "zarr.json"
"""The file that makes a folder a group; without it there is none."""


@runtime_checkable
class Location(Protocol):
    """Files below one place; names are relative, with "/", and "" is the place itself."""

    def at(self, name: str) -> Path | str:
        """Path or URL of a file or folder."""

    def read(self, name: str) -> bytes | None:
        """Content of a file, or None if there is no such file."""

    def write(self, name: str, content: bytes) -> None:
        """Put a file in place, whole or not at all."""

    def digest(self, name: str) -> str:
        """SHA-256 of a file's bytes."""

    def folders(self, name: str) -> list[str]:
        """Sorted names of the folders directly below a folder; none if it is not there."""

    def files(self, name: str) -> dict[str, int]:
        """Size of every file below a folder, at any depth, by its name relative to it [bytes]."""

    def is_taken(self) -> bool:
        """Whether anything lies at this place."""

    def remove(self, name: str) -> None:
        """Delete a folder; stopped half-way, no part of it passes for a whole group."""

    def building(self, name: str) -> AbstractContextManager[Path]:
        """An empty local folder that takes the place of `name` when the block ends well."""

    def abandoned(self, name: str) -> list[Path]:
        """Folders that killed processes were building, for `name` itself or inside it."""

    def zarr_store(self, name: str) -> Path | Store:
        """A group for zarr to read."""

    def writer(self) -> AbstractContextManager[None]:
        """Be the only process that writes here."""


class LocalFolder:
    """A folder of this machine.

    Args:
        path: The folder; needs not be there yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def at(self, name: str) -> Path:
        """Path of a file or folder."""
        return self.path / name if name else self.path

    def read(self, name: str) -> bytes | None:
        """Content of a file, or None if there is no such file."""
        path = self.at(name)
        return path.read_bytes() if path.is_file() else None

    def write(self, name: str, content: bytes) -> None:
        """Put a file in place, whole or not at all."""
        with replacing(self.at(name)) as temporary:
            temporary.write_bytes(content)

    def digest(self, name: str) -> str:
        """SHA-256 of a file's bytes."""
        with self.at(name).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def folders(self, name: str) -> list[str]:
        """Sorted names of the folders directly below a folder; none if it is not there."""
        folder = self.at(name)
        return sorted(p.name for p in folder.iterdir() if p.is_dir()) if folder.is_dir() else []

    def files(self, name: str) -> dict[str, int]:
        """Size of every file below a folder, at any depth, by its name relative to it [bytes]."""
        folder = self.at(name)
        paths = sorted(p for p in folder.rglob("*") if not p.is_dir())
        return {p.relative_to(folder).as_posix(): p.lstat().st_size for p in paths}

    def is_taken(self) -> bool:
        """Whether anything lies at this place."""
        return self.path.exists()

    def remove(self, name: str) -> None:
        """Delete a folder; stopped half-way, what remains has a temporary name."""
        doomed = temporary_name(self.at(name))
        self.at(name).rename(doomed)
        shutil.rmtree(doomed)

    @contextmanager
    def building(self, name: str) -> Iterator[Path]:
        """An empty folder that takes the place of `name` when the block ends well.

        Raises:
            SpinforgeError: If the disk is full or the folder cannot be written.
        """
        final = self.at(name)
        temporary = temporary_name(final)
        replaced = temporary_name(final.with_name(f"{final.name}.replaced"))
        try:
            with readable_errors(final):
                shutil.rmtree(temporary, ignore_errors=True)
                temporary.mkdir(parents=True)
                yield temporary
                # The data must be on the disk before the name that says so is.
                sync_folder(temporary)
                if final.exists():
                    final.rename(replaced)  # never half deleted under its own name
                temporary.rename(final)
                sync_name(final)
        finally:
            for folder in (temporary, replaced):
                shutil.rmtree(folder, ignore_errors=True)

    def abandoned(self, name: str) -> list[Path]:
        """Folders that killed processes were building, for `name` itself or inside it."""
        folder = self.at(name)
        inside = [p for p in folder.iterdir() if p.is_dir()] if folder.is_dir() else []
        beside = folder.parent.glob(f".{folder.name}.tmp-*")
        return sorted(p for p in (*inside, *beside) if is_abandoned(p))

    def zarr_store(self, name: str) -> Path:
        """A group for zarr to read."""
        return self.at(name)

    def writer(self) -> AbstractContextManager[None]:
        """Be the only process that writes here."""
        return local_writer(self.path)


def _with_home(address: str) -> str:
    return address if "://" in address else os.path.expanduser(address)


StoreAddress = Annotated[
    str, Field(min_length=1), AfterValidator(without_secret), AfterValidator(_with_home)
]
"""A folder, or a URL that fsspec knows, without a password, in a study file; ~ is the home."""


def location_of(path: Path | str) -> Location:
    """The place that a path or URL names.

    Args:
        path: A folder, or any URL that fsspec knows, such as s3://bucket/set.zarr.

    Raises:
        SpinforgeError: If the URL holds a password or no place, or its package is missing.
    """
    text = str(path)
    if isinstance(path, Path) or "://" not in text:
        return LocalFolder(Path(path))
    scheme, _, rest = text.partition("://")
    if scheme in ("file", "local"):
        return LocalFolder(Path(rest))
    if scheme not in available_protocols():
        raise SpinforgeError(
            f"{scheme}:// is no protocol that fsspec knows; write a folder, or a URL such as "
            f"s3://bucket/set.zarr"
        )
    if not rest.strip("/"):
        raise SpinforgeError(f"{text} names no place for a set; write {scheme}://BUCKET/NAME.zarr")
    from spinforge.datasets.storage.remote import RemoteFolder  # needs this module

    return RemoteFolder(text)
