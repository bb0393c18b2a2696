"""Addresses without secrets: what a study file may say of a server, and what a message may show."""

import re
from urllib.parse import parse_qsl, urlsplit

_USER_INFO = re.compile(r"(?<=://)(?!/)[^\s'\"]*@")
_WORDS = "password|passwd|pwd|secret|token|signature|credential|api_?key|access_?key"
_SECRET = re.compile(_WORDS, re.IGNORECASE)
_SECRET_VALUE = re.compile(rf"(\b\w*(?:{_WORDS})\w*=)[^&\s'\"]+", re.IGNORECASE)


def holds_secret(address: str) -> bool:
    """Whether an address names a password, a token or a key.

    A lone user name is none in front of a database (postgresql://user@host/db), but in front of
    anything else it may be a token.
    """
    if "://" not in address:
        return False
    scheme, _, rest = address.partition("://")
    user, at, _ = re.split(r"[/?#]", rest, maxsplit=1)[0].rpartition("@")
    database = scheme.startswith(("postgresql", "mysql", "mssql"))
    # Behind a ":" without a port, a "/" before the "@" is part of a password.
    if (at and (":" in user or not database)) or re.match(r"[^/@]*:(?!\d+[/?#])[^@]*@", rest):
        return True
    return any(_SECRET.search(name) for name, _ in parse_qsl(_query(address)))


def _query(address: str) -> str:
    try:
        return urlsplit(address).query
    except ValueError:
        return address.partition("?")[2]


def without_secret(address: str) -> str:
    """The address, if it holds no secret; for fields of study files.

    Raises:
        ValueError: If it does. The secret is not shown.
    """
    if holds_secret(address):
        raise ValueError(
            "holds a user, password or token, which would be written into notes and records. Write "
            "the address without, and give the rights in the environment "
            "(MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD or MLFLOW_TRACKING_TOKEN, "
            "PGPASSWORD, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY) or by a Prefect block"
        )
    return address


def redacted(text: str) -> str:
    """Text in which the secrets of addresses are replaced by ***."""
    return _SECRET_VALUE.sub(r"\1***", _USER_INFO.sub("***@", text))
