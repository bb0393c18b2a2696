"""Fetch BrainWeb's volumes from BrainWeb's own download form, through pooch.

One file at a time, so as not to burden a university's server. Every file is decoded before it
gets its name; what is whole is not fetched again, so an interrupted download goes on where it was.
"""

import logging
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from io import RawIOBase
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pooch
from filelock import FileLock, Timeout

from spinforge.datasets.brainweb import twenty as brainweb
from spinforge.datasets.brainweb.collections import (
    EXTENSIONS,
    FileFormat,
    Volume,
    brainweb20_volumes,
)
from spinforge.datasets.brainweb.download_record import DownloadRecord, disk_errors
from spinforge.datasets.brainweb.files import GZIP_MAGIC, WebPageError, find_volume
from spinforge.simulation.errors import SpinforgeError, TemporaryError

logger = logging.getLogger(__name__)

BRAINWEB_FORM = "https://brainweb.bic.mni.mcgill.ca/cgi/brainweb1"
TRIES = 3
TIMEOUT_S = 60.0
_LONGEST_S = 3600.0
# No volume of BrainWeb's has as much, even uncompressed.
_LARGEST_FILE = 256 * 2**20
_BLOCK = 2**14


def download_volumes(
    volumes: Sequence[Volume],
    folder: Path,
    *,
    form: str = BRAINWEB_FORM,
    wait_s: float = 10.0,
    timeout_s: float = TIMEOUT_S,
) -> Iterator[Path]:
    """Fetch the volumes that are not there yet, one after the other.

    Args:
        volumes: What to fetch.
        folder: Where it goes; made if missing.
        form: Address of the download form.
        wait_s: Pause before the second try [s]; doubles each time.
        timeout_s: How long the server may be silent [s].

    Yields:
        Path of each checked file, as soon as it is there.

    Raises:
        SpinforgeError: If a file that is there is damaged, the folder cannot be written, another
            download works there, or the server does not deliver a whole file.
    """
    for volume in volumes:
        path = _whole_file(volume, folder)
        if path is None:
            logger.info("downloading %s from BrainWeb into %s", volume.stem, folder)
            with _alone(folder):
                path = _fetch_with_retries(volume, folder, form, wait_s, timeout_s)
        yield path


def download_model(
    subject: str,
    folder: Path,
    *,
    form: str = BRAINWEB_FORM,
    wait_s: float = 10.0,
) -> Path:
    """Fetch one of the twenty subjects' crisp model, unless a whole one is there.

    Raises:
        SpinforgeError: If the subject is unknown, otherwise as `download_volumes`.
    """
    return next(download_volumes(brainweb20_volumes([subject]), folder, form=form, wait_s=wait_s))


def download_missing(folder: Path, subjects: list[str]) -> None:
    """Download the given subjects' models unless they are in `folder`, with a line for each.

    Raises:
        SpinforgeError: As `download_model`.
    """
    for subject in subjects:
        if subject not in brainweb.subjects_in(folder):
            logger.warning("downloading %s from BrainWeb into %s", subject, folder)
            download_model(subject, folder)


def _whole_file(volume: Volume, folder: Path) -> Path | None:
    """The volume's file, if it is there: checked by its recorded digest, or by decoding it."""
    path = find_volume(folder, *(volume.stem, *volume.aliases))
    if path is not None and not DownloadRecord(folder).confirms(path):
        volume.check(path)
    return path


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Make the folder if missing, and let nobody else download into it.

    Raises:
        SpinforgeError: If another process does, or it cannot be written.
    """
    lock = FileLock(folder / ".download.lock", timeout=0)
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire()
        except Timeout:
            raise SpinforgeError(
                f"another download into {folder} is running. Wait until it ends, or stop it."
            ) from None
    try:
        yield
    finally:
        lock.release()


def _fetch_with_retries(
    volume: Volume, folder: Path, form: str, wait_s: float, timeout_s: float
) -> Path:
    """Ask for the volume by each name and format, and all over again after a pause."""
    questions = [
        (form_address(form, alias, file_format), file_format)
        for file_format in volume.formats
        for alias in volume.aliases
    ]
    for attempt in range(1, TRIES + 1):
        for address, file_format in questions:
            try:
                return _fetch(volume, folder, address, file_format, timeout_s)
            # What requests raises are OSErrors; pooch adds ValueError for a nonsense length. The
            # disk's errors are SpinforgeErrors by now: waiting would not help them.
            except (OSError, ValueError, _UnusableError) as error:
                failure = error
                if not _is_not_served(error):
                    break
        if attempt < TRIES:
            logger.warning("download failed (%s), trying again in %g s", _reason(failure), wait_s)
            time.sleep(wait_s)
            wait_s *= 2
    # What the network or the server did may pass; that there is no such file does not.
    kind = SpinforgeError if _is_not_served(failure) else TemporaryError
    raise kind(
        f"cannot download {volume.stem}: {_reason(failure)}. Check the network and whether this "
        f"opens in a browser, or copy BrainWeb's file into {folder} by hand: {address}"
    ) from failure


def _reason(failure: Exception) -> str:
    """What went wrong, without the layers of libraries around it."""
    _, _, innermost = str(failure).rpartition("): ")
    return (innermost or str(failure)).rstrip("\"')")


class _UnusableError(Exception):
    """The server delivered something that is not the volume."""


def _is_not_served(error: Exception) -> bool:
    """Whether the server lives, but has no such volume: another name or format may do."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    return isinstance(error.__cause__, WebPageError) or status in (404, 410)


def _fetch(
    volume: Volume, folder: Path, address: str, file_format: FileFormat, timeout_s: float
) -> Path:
    """Fetch, check, name and record one file; leaves nothing behind if that fails."""
    name = volume.stem + EXTENSIONS[file_format]
    part = folder / f"{name}.part"
    try:
        packed = _receive(address, part, timeout_s)
        try:
            volume.check(part)
        except SpinforgeError as error:
            raise _UnusableError(f"the server's answer is unusable: {error}") from error
        return DownloadRecord(folder).keep(part, f"{name}.gz" if packed else name, address)
    finally:
        with disk_errors(part):
            part.unlink(missing_ok=True)


def _receive(address: str, part: Path, timeout_s: float) -> bool:
    """Write the answer of the server to `part`, onto the disk; whether it is gzip."""
    with ExitStack() as open_ones:

        def close_at_the_end(answer: Any, **_: Any) -> None:
            # pooch leaves the connection open when something goes wrong.
            open_ones.callback(answer.close)

        download = pooch.HTTPDownloader(
            chunk_size=_BLOCK,
            timeout=timeout_s,
            # Otherwise a proxy may unpack the gzip file and we would store something else.
            headers={"Accept-Encoding": "identity"},
            hooks={"response": close_at_the_end},
        )
        with disk_errors(part):
            stream = open_ones.enter_context(part.open("wb", buffering=0))
        body = _Body(stream, part)
        download(address, body, None)
        with disk_errors(part):
            os.fsync(stream.fileno())
    return body.start.startswith(GZIP_MAGIC)


class _Body:
    """Where the server's answer goes: bounded, and telling the disk's errors from the network's."""

    def __init__(self, stream: RawIOBase, part: Path) -> None:
        self.start = b""
        self._stream = stream
        self._part = part
        self._left = _LARGEST_FILE
        self._deadline = time.monotonic() + _LONGEST_S

    def write(self, block: bytes) -> int:
        self.start = self.start or block[:8]
        self._left -= len(block)
        if self._left < 0:
            raise ValueError(f"the answer has more than {_LARGEST_FILE} bytes")
        if time.monotonic() > self._deadline:
            raise TimeoutError(f"the answer takes more than {_LONGEST_S:g} s")
        rest = memoryview(block)
        with disk_errors(self._part):
            while rest:
                rest = rest[self._stream.write(rest) or 0 :]
        return len(block)

    def flush(self) -> None:
        """Nothing to do: the stream has no buffer."""


def form_address(form: str, alias: str, file_format: FileFormat) -> str:
    """Address that BrainWeb's download form leads to."""
    query = {
        "do_download_alias": alias,
        "format_value": file_format,
        "zip_value": "gnuzip",
        "who_name": "",
        "who_institution": "",
        "who_email": "",
        "download_for_real": "[Start download!]",
    }
    return f"{form}?{urlencode(query)}"
