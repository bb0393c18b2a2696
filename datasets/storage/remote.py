"""A set in an object store, or wherever else fsspec reaches.

Rights come from the environment, as each service's own tools take them; none is ever asked for,
noted or shown.
"""

import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import fsspec
from filelock import FileLock, Timeout
from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper
from zarr.storage import FsspecStore

from spinforge.datasets.storage.files import is_abandoned, own_suffix, readable_errors
from spinforge.datasets.storage.locations import METADATA
from spinforge.datasets.storage.lock import WRITER_NOTE, Writer, refusal
from spinforge.datasets.storage.remote_errors import is_about_the_bucket, readable_remote_errors
from spinforge.simulation.errors import SpinforgeError


class RemoteFolder:
    """A prefix of an object store.

    Args:
        url: Such as s3://bucket/set.zarr.

    Raises:
        SpinforgeError: If the URL holds a password, or the package of its protocol is missing.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.password is not None or parts.query:
            raise SpinforgeError(
                f"a {parts.scheme}:// address holds a password or a query. Rights are taken from "
                f"the environment, such as AWS_ACCESS_KEY_ID; write only {parts.scheme}://PLACE/NAME"
            )
        self.url = url.rstrip("/")
        with readable_remote_errors(self.url):
            # Never from a cache: another machine may have written since.
            self._files, self._root = fsspec.url_to_fs(self.url, use_listings_cache=False)

    def at(self, name: str) -> str:
        """URL of a file or folder."""
        return f"{self.url}/{name}" if name else self.url

    def read(self, name: str) -> bytes | None:
        """Content of a file, or None if there is no such file."""
        with readable_remote_errors(self.url):
            try:
                return bytes(self._files.cat_file(self._key(name)))
            except (FileNotFoundError, IsADirectoryError) as error:
                if is_about_the_bucket(error):
                    raise
                return None

    def write(self, name: str, content: bytes) -> None:
        """Put an object in place; object stores take it whole or not at all."""
        with readable_remote_errors(self.url):
            self._files.pipe_file(self._key(name), content)

    def digest(self, name: str) -> str:
        """SHA-256 of a file's bytes."""
        with readable_remote_errors(self.url), self._files.open(self._key(name), "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def folders(self, name: str) -> list[str]:
        """Sorted names of the folders directly below a folder; none if it is not there."""
        with readable_remote_errors(self.url):
            self._files.invalidate_cache()
            try:
                found = self._files.ls(self._key(name), detail=True)
            except FileNotFoundError:
                return []
        folders = [entry["name"] for entry in found if entry["type"] == "directory"]
        return sorted(folder.rstrip("/").rpartition("/")[2] for folder in folders)

    def files(self, name: str) -> dict[str, int]:
        """Size of every file below a folder, at any depth, by its name relative to it [bytes]."""
        prefix = self._key(name).rstrip("/") + "/"
        with readable_remote_errors(self.url):
            self._files.invalidate_cache()
            found = self._files.find(prefix, detail=True)
        return {
            path.removeprefix(prefix): int(entry["size"])
            for path, entry in sorted(found.items())
            if path.startswith(prefix)
        }

    def is_taken(self) -> bool:
        """Whether anything but a writer's note lies at this place."""
        return bool(self.files("").keys() - {WRITER_NOTE})

    def remove(self, name: str) -> None:
        """Delete a folder, first what makes its groups: what remains when stopped is partial.

        A whole set keeps its own zarr.json to the end, so that deleting it can go on.
        """
        base = self._key(name).rstrip("/")
        inside = [file for file in self.files(name) if name or file != WRITER_NOTE]
        last = [file for file in inside if not name and file == METADATA]
        groups = [file for file in inside if Path(file).name == METADATA and file not in last]
        rest = [file for file in inside if file not in (*groups, *last)]
        with readable_remote_errors(self.url):
            for step in (groups, rest, last):
                if step:
                    self._files.rm([f"{base}/{file}" for file in step])

    @contextmanager
    def building(self, name: str) -> Iterator[Path]:
        """An empty local folder that is uploaded as `name` when the block ends well.

        Raises:
            SpinforgeError: If a disk is full, or the object store cannot be reached or written.
        """
        folder = self._building_folders() / f".{self._mark}{own_suffix()}"
        with readable_errors(folder):
            # Left by a killed process that had our number.
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
        try:
            with readable_errors(folder):
                yield folder
            self._publish(folder, name)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _publish(self, folder: Path, name: str) -> None:
        """Upload a folder; its zarr.json last, because what has none is not there."""
        self.remove(name)
        base = self._key(name).rstrip("/")
        rest = [p for p in folder.rglob("*") if p.is_file() and p != folder / METADATA]
        with readable_remote_errors(self.url):
            if rest:
                self._files.put(
                    [str(path) for path in rest],
                    [f"{base}/{path.relative_to(folder).as_posix()}" for path in rest],
                )
            self._files.pipe_file(f"{base}/{METADATA}", (folder / METADATA).read_bytes())

    def abandoned(self, name: str) -> list[Path]:
        """Local folders that killed processes of this machine were building for this set."""
        found = self._building_folders().glob(f".{self._mark}.tmp-*")
        return sorted(path for path in found if is_abandoned(path))

    def zarr_store(self, name: str) -> FsspecStore:
        """A group for zarr to read."""
        # One client for everything: zarr's own would never be closed.
        shared = AsyncFileSystemWrapper(self._files, asynchronous=True)
        return FsspecStore(shared, path=self._key(name), read_only=True)

    @contextmanager
    def writer(self) -> Iterator[None]:
        """Be the only process that writes here.

        The note is created only where none is, where the store can do that (S3 and most others
        can). A note of a process of this machine that has ended is replaced; the processes of this
        machine queue at a local lock to do so, which also lets one process enter again.

        Raises:
            SpinforgeError: If somebody else writes here, or the store cannot be written.
        """
        queue = FileLock(
            self._building_folders() / f"{self._mark}.lock",
            timeout=0,
            is_singleton=True,
            thread_local=False,
        )
        try:
            queue.acquire()
        except Timeout:
            raise self._refusal() from None
        writer = None
        try:
            if queue.lock_counter == 1:
                writer = self._sign()
            yield
        finally:
            try:
                if writer is not None and self.read(WRITER_NOTE) == writer.note():
                    with readable_remote_errors(self.url):
                        self._files.rm_file(self._key(WRITER_NOTE))
            finally:
                queue.release()

    def _sign(self) -> Writer:
        """Leave our note, where there is none or that of a process that is gone."""
        note, writer = self.read(WRITER_NOTE), Writer()
        if note is not None:
            found = Writer.from_note(note)
            if found is None or not found.is_gone:
                raise self._refusal()
            with readable_remote_errors(self.url):
                self._files.rm_file(self._key(WRITER_NOTE))
        with readable_remote_errors(self.url):
            try:
                self._files.pipe_file(self._key(WRITER_NOTE), writer.note(), mode="create")
            except FileExistsError:
                raise self._refusal() from None
        # Where a store looks first and writes then, two may have passed: the last note counts.
        if self.read(WRITER_NOTE) != writer.note():
            raise self._refusal()
        return writer

    def _refusal(self) -> SpinforgeError:
        return refusal(
            self.url,
            Writer.from_note(self.read(WRITER_NOTE)),
            f"Wait until it ends, or choose another place. If it was killed on another machine, "
            f"delete the object {self.at(WRITER_NOTE)} and run again.",
        )

    @property
    def _mark(self) -> str:
        """What tells this set's local files from those of others."""
        return f"spinforge-{hashlib.sha256(self.url.encode()).hexdigest()[:16]}"

    @staticmethod
    def _building_folders() -> Path:
        """This user's folder on this machine for what is about to be uploaded.

        Raises:
            SpinforgeError: If it is somebody else's, or others may write into it.
        """
        user = os.getuid() if hasattr(os, "getuid") else "user"
        folder = Path(tempfile.gettempdir()) / f"spinforge-{user}"
        with readable_errors(folder):
            with suppress(FileExistsError):
                folder.mkdir(mode=0o700)
            found = folder.lstat()
        is_ours = not hasattr(os, "getuid") or (
            stat.S_ISDIR(found.st_mode) and found.st_uid == user and not found.st_mode & 0o077
        )
        if not is_ours:
            raise SpinforgeError(
                f"{folder} is not a folder of yours alone (mode 700), so others may change what "
                f"is uploaded. Remove it, or set TMPDIR to another folder."
            )
        return folder

    def _key(self, name: str) -> str:
        """Name of a file or folder as the object store has it."""
        return f"{self._root}/{name}" if name else str(self._root)
