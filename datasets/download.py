"""Fetch BrainWeb's anatomical models from BrainWeb's own download form.

One file at a time, so as not to burden a university's server; every file is checked for being
whole before it gets its name.
"""

import http.client
import logging
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from spinforge.datasets import brainweb
from spinforge.simulation.errors import SpinforgeError

logger = logging.getLogger(__name__)

BRAINWEB_FORM = "https://brainweb.bic.mni.mcgill.ca/cgi/brainweb1"
TRIES = 3
TIMEOUT_S = 60


def download_model(
    subject: str,
    folder: Path,
    *,
    form: str = BRAINWEB_FORM,
    wait_s: float = 10.0,
) -> Path:
    """Fetch one subject's crisp model, unless a whole one is there.

    Args:
        subject: One of `brainweb.SUBJECTS`.
        folder: Where it goes; made if missing.
        form: Address of the download form.
        wait_s: Pause before the second try; doubles each time.

    Returns:
        Path of the checked file.

    Raises:
        SpinforgeError: If the subject is unknown, the folder cannot be written, or the server
            does not deliver a whole file.
    """
    if subject not in brainweb.SUBJECTS:
        raise SpinforgeError(
            f"{subject!r} is none of BrainWeb's twenty subjects: {', '.join(brainweb.SUBJECTS)}."
        )
    if subject in brainweb.subjects_in(folder):
        path = brainweb.model_path(folder, subject)
        brainweb.read_model_bytes(path)
        return path
    part = folder / f"{subject}_crisp_v.part"
    with _writing_to(folder):
        folder.mkdir(parents=True, exist_ok=True)
        part.touch()
    _fetch_with_retries(_address(form, subject), part, wait_s)
    try:
        brainweb.read_model_bytes(part)
    except SpinforgeError as error:
        part.unlink(missing_ok=True)
        raise SpinforgeError(f"the server's answer for {subject} is unusable: {error}") from error
    with part.open("rb") as stream:
        suffix = ".mnc.gz" if stream.read(2) == brainweb.GZIP_MAGIC else ".mnc"
    return part.replace(part.with_suffix(suffix))


def _address(form: str, subject: str) -> str:
    query = {
        "do_download_alias": f"{subject}_crisp",
        "format_value": "minc",
        "zip_value": "gnuzip",
        "who_name": "",
        "who_institution": "",
        "who_email": "",
        "download_for_real": "[Start download!]",
    }
    return f"{form}?{urllib.parse.urlencode(query)}"


def _fetch_with_retries(address: str, part: Path, wait_s: float) -> None:
    for attempt in range(1, TRIES + 1):
        try:
            _fetch(address, part)
        except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
            part.unlink(missing_ok=True)
            if attempt == TRIES:
                raise SpinforgeError(
                    f"cannot download {address} ({error}). Check the network; on a machine "
                    f"without one, copy BrainWeb's files into the folder by hand."
                ) from error
            logger.warning("download failed (%s), trying again in %g s", error, wait_s)
            time.sleep(wait_s)
            wait_s *= 2
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        else:
            return


def _fetch(address: str, part: Path) -> None:
    # Without "identity" a proxy may unpack the gzip file and we would store something else.
    request = urllib.request.Request(address, headers={"Accept-Encoding": "identity"})
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
        content = answer.read(brainweb.LARGEST_MINC + 1)
    with _writing_to(part.parent), part.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


@contextmanager
def _writing_to(folder: Path) -> Iterator[None]:
    """Tell a failure of the disk from one of the network: trying again would not help."""
    try:
        yield
    except OSError as error:
        raise SpinforgeError(
            f"cannot write to {folder}: {error.strerror}. Mend that or choose another folder, "
            f"and run again."
        ) from error


def download_missing(folder: Path, subjects: list[str]) -> None:
    """Download the given subjects' models unless they are in `folder`, with a line for each.

    Raises:
        SpinforgeError: As `download_model`.
    """
    for subject in subjects:
        if subject not in brainweb.subjects_in(folder):
            logger.warning("downloading %s from BrainWeb into %s", subject, folder)
            download_model(subject, folder)
