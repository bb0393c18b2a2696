"""What object stores say about places, rights and connections, as one clear message."""

import errno
import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from spinforge.simulation.errors import SpinforgeError, TemporaryError


@contextmanager
def readable_remote_errors(url: str) -> Iterator[None]:
    """Turn what a service says about places, rights and connections into our error.

    Raises:
        TemporaryError: If nobody answers, or the service has trouble of its own.
        SpinforgeError: For a place, a right or a package that is missing.
    """
    try:
        yield
    except _failures() as error:
        kind = TemporaryError if _may_pass(error) else SpinforgeError
        raise kind(_explanation(url, error)) from error


def _failures() -> tuple[type[Exception], ...]:
    """Errors of fsspec, and those of the services' libraries that are in use."""
    names = {"botocore.exceptions": ("BotoCoreError", "ClientError"), "aiohttp": ("ClientError",)}
    loaded: list[Any] = [
        getattr(importlib.import_module(module), name)
        for module, classes in names.items()
        if module in sys.modules
        for name in classes
    ]
    return (OSError, ImportError, *loaded)


_LASTING = (ImportError, PermissionError, FileNotFoundError, IsADirectoryError, NotADirectoryError)
_LASTING_NAMES = (
    "NoCredentialsError",
    "ProfileNotFound",
    "ParamValidationError",
    "InvalidRegionError",
)

_LASTING_ERRNOS = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS)


def _may_pass(error: BaseException) -> bool:
    """Whether asking again later may help: nobody answered, or the service is busy.

    What is wrong with rights, names and packages stays. A service that answers says so by a number:
    408, 429 and those from 500 on are its own trouble.
    """
    if isinstance(error, _LASTING) or type(error).__name__ in _LASTING_NAMES:
        return False
    if isinstance(error, OSError) and error.errno in _LASTING_ERRNOS:
        return False
    answer = getattr(error, "response", None) or {}
    about = answer.get("ResponseMetadata", {}) if isinstance(answer, dict) else {}
    status = about.get("HTTPStatusCode") or getattr(error, "status", None)
    return status is None or status in (408, 429) or status >= 500


def _explanation(url: str, error: Exception) -> str:
    """What went wrong and what to do."""
    scheme = url.partition("://")[0]
    match error:
        case ImportError() if scheme in ("s3", "s3a"):
            return f"{scheme}:// needs a package that is missing: pip install 'spinforge[s3]'"
        case ImportError():
            return f"{scheme}:// needs a package that is missing: {_short(error)}"
        case PermissionError():
            return (
                f"no permission for {url} ({_short(error)}). Rights are taken from the "
                f"environment, such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            )
        case FileNotFoundError():
            return f"{url}: {_short(error)}. Make the bucket first, or check its name"
        case _:
            return (
                f"{url} cannot be reached ({_short(error)}). Check the address, the network and "
                f"the rights in the environment, and run again; what was complete is kept"
            )


def is_about_the_bucket(error: OSError) -> bool:
    """Whether the bucket itself is not there, rather than something in it."""
    return "bucket" in str(error).lower() and "exist" in str(error).lower()


def _short(error: BaseException) -> str:
    """First line of a message; what follows may show the request."""
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
