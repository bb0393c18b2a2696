"""Addresses of this machine: where servers listen, and whether they answer."""

import ipaddress
import socket
import urllib.request
from http.client import HTTPException

from spinforge.simulation.errors import SpinforgeError

LOOPBACK = "127.0.0.1"

# $http_proxy is for other machines.
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def answers(address: str) -> bool:
    """Whether a server of this machine answers there, with what is no error."""
    try:
        with _direct.open(address, timeout=5):
            return True
    except (OSError, HTTPException):
        return False


def bound_to_free_port() -> socket.socket:
    """A socket of loopback with a port that nobody else gets meanwhile; nobody listens yet."""
    bound = socket.socket()
    bound.bind((LOOPBACK, 0))
    return bound


def check_free(
    host: str, port: int, *, option: str = "--port", who: str = "Another dashboard"
) -> None:
    """Find a port that is taken, or a host that is not ours.

    Args:
        host: Address to listen at.
        port: Likewise.
        option: Of the command line, that chooses the port.
        who: May have taken it.

    Raises:
        SpinforgeError: If nothing can be served there.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            # As the server will: a connection that was just closed does not keep the port.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except socket.gaierror as error:
        raise SpinforgeError(
            f"--host {host}: no such address ({error.strerror}). Leave it out for {LOOPBACK}"
        ) from error
    except OSError as error:
        raise SpinforgeError(
            f"port {port} of {host} cannot be used ({error.strerror}). {who} may run there; "
            f"choose another port, such as {option} {port + 1 if port < 65535 else 8501}"
        ) from error


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a host."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
