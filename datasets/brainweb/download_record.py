"""What was downloaded into a folder, when and from where, in a small JSON file beside it.

BrainWeb says that what it serves may change, so a data set is known by digests, not by names.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from spinforge.datasets.brainweb.files import files_digest
from spinforge.datasets.storage.files import replacing
from spinforge.simulation.config import Config
from spinforge.simulation.errors import SpinforgeError

RECORD_NAME = "downloads.json"


class Download(Config):
    """One file as it came.

    Attributes:
        sha256: Digest of its bytes.
        date: When, ISO 8601, UTC.
        address: From where.
    """

    sha256: str
    date: str
    address: str


_DOWNLOADS = TypeAdapter(dict[str, Download])


class DownloadRecord:
    """The record of one folder.

    Args:
        folder: Folder with the files and their `RECORD_NAME`.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / RECORD_NAME

    def entries(self) -> dict[str, Download]:
        """Downloads by file name.

        Raises:
            SpinforgeError: If the record cannot be read.
        """
        try:
            return _DOWNLOADS.validate_json(self._path.read_bytes())
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise SpinforgeError(f"{self._path} cannot be read: {error.strerror}.") from error
        except ValidationError as error:
            raise SpinforgeError(
                f"{self._path} is damaged. Delete it; the files beside it are then checked by "
                f"decoding them."
            ) from error

    def confirms(self, path: Path) -> bool:
        """Whether a file is recorded, and still what was downloaded.

        Raises:
            SpinforgeError: If it has changed since.
        """
        entry = self.entries().get(path.name)
        if entry is None:
            return False
        found = files_digest([path])
        if found != entry.sha256:
            raise SpinforgeError(
                f"{path} is not what was downloaded on {entry.date}: its SHA-256 is {found}, "
                f"recorded in {RECORD_NAME} is {entry.sha256}. Delete it and download it again."
            )
        return True

    def keep(self, part: Path, name: str, address: str) -> Path:
        """Give a checked file its name and record it.

        Args:
            part: The file under its temporary name.
            name: The name it gets.
            address: Where it came from.

        Returns:
            Its path.

        Raises:
            SpinforgeError: If the folder cannot be written.
        """
        entries = self.entries()
        date = datetime.now(UTC).isoformat(timespec="seconds")
        entries[name] = Download(sha256=files_digest([part]), date=date, address=address)
        content = {name: entry.model_dump() for name, entry in sorted(entries.items())}
        with disk_errors(self._folder):
            path = part.replace(self._folder / name)
            with replacing(self._path) as temporary:
                temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        return path


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn what the operating system says about a local path into our error.

    Raises:
        SpinforgeError: For every OSError of the block.
    """
    try:
        yield
    except OSError as error:
        raise SpinforgeError(
            f"cannot write {path}: {error.strerror or error}. Free some space, change its rights "
            f"or choose another folder with --to. What was complete before is kept; run the same "
            f"command again to go on."
        ) from error
