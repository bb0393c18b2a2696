"""Short questions over the network, each with its own limit of time."""

import socket
import urllib.error
import urllib.request
from urllib.parse import urlsplit

from spinforge.flows.network import is_loopback

LIMIT_S = 3.0
"""How long one question may take."""


def get(url: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> str:
    """What a server answers; POST if there is a body.

    Raises:
        OSError: If it does not answer in time, or with an error.
    """
    request = urllib.request.Request(url, data=body, headers=headers or {})
    try:
        # $http_proxy is for other machines.
        direct = is_loopback(urlsplit(url).hostname or "")
        proxies = urllib.request.ProxyHandler({} if direct else None)
        with urllib.request.build_opener(proxies).open(request, timeout=LIMIT_S) as answer:
            return str(answer.read().decode(errors="replace"))
    except urllib.error.HTTPError:
        raise  # an OSError with a code
    except urllib.error.URLError as error:
        reason = error.reason
        text = reason.strerror if isinstance(reason, OSError) and reason.strerror else str(reason)
        raise OSError(text) from error
    except ValueError as error:
        raise OSError(f"no address: {error}") from error


def why_not_reached(url: str, default_port: int) -> str:
    """Why nobody can be connected to at the host and port of an address; empty if one can."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or default_port
    except ValueError as error:
        return str(error)
    if not host:
        return "it names no host"
    try:
        socket.create_connection((host, port), timeout=LIMIT_S).close()
    except OSError as error:
        return error.strerror or str(error)
    return ""
