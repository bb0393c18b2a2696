"""What is said when MLflow fails, and whether trying again may help."""

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from mlflow.environment_variables import MLFLOW_HTTP_REQUEST_MAX_RETRIES
from mlflow.exceptions import MlflowException
from requests.exceptions import RequestException
from sqlalchemy.exc import SQLAlchemyError

from spinforge.simulation.errors import SpinforgeError, TemporaryError

_FAILURES = (MlflowException, RequestException, SQLAlchemyError)
"""What MLflow's client raises: its own; of uploads, and of databases it opens, that below it."""

_TOO_MANY_REQUESTS = 429
_SERVER_ERROR = 500


@contextmanager
def readable_errors(uri: str, *, own_record: bool) -> Iterator[None]:
    """Turn MLflow's exceptions into ours.

    Args:
        uri: Of the MLflow that is used in the block.
        own_record: It is the SQLite file in the out folder, not what `tracking.uri` names.

    Raises:
        TemporaryError: If the server does not answer, or the database is gone or locked.
        SpinforgeError: If the MLflow refuses, or the file cannot be written.
    """
    # MLflow also logs them, SQL and all.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    try:
        yield
    except _FAILURES as error:
        kind = TemporaryError if _may_pass(error, own_record=own_record) else SpinforgeError
        if own_record:
            raise kind(
                f"MLflow's record {uri} cannot be written: {_reason(error)}. Free some space or "
                f"change its rights, or choose another folder with --set out=..., and run again; "
                f"what was finished is kept."
            ) from error
        raise kind(
            f"tracking.uri: MLflow at {uri} cannot be used: {_reason(error)}. Start the server "
            f"and run again, or leave tracking.uri out to use an SQLite file; what was "
            f"finished is kept."
        ) from error


def _may_pass(error: Exception, *, own_record: bool) -> bool:
    if own_record:  # a full disk and a missing right stay
        return "database is locked" in str(error)
    if isinstance(error, MlflowException):
        status = error.get_http_status_code()
        return status >= _SERVER_ERROR or status == _TOO_MANY_REQUESTS
    return True


def _reason(error: Exception) -> str:
    """One line: of a database without the statement, of a connection without the request."""
    text = str(error)
    for what in (
        r"OperationalError\) (.*)",
        r"(too many \d+ error responses)",
        r"\[Errno .*?\] ([^'\")]*)",
    ):
        if found := re.search(what, text):
            text = found[1]
            break
    return " ".join(text.split()).rstrip(".")


@contextmanager
def asked_once() -> Iterator[None]:
    """Do not wait for a server that does not answer, and say nothing: something failed already."""
    before = os.environ.get(MLFLOW_HTTP_REQUEST_MAX_RETRIES.name)
    MLFLOW_HTTP_REQUEST_MAX_RETRIES.set(0)
    try:
        with suppress(*_FAILURES):
            yield
    finally:
        MLFLOW_HTTP_REQUEST_MAX_RETRIES.unset()
        if before is not None:
            os.environ[MLFLOW_HTTP_REQUEST_MAX_RETRIES.name] = before
