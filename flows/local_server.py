"""A private Prefect server that lives as long as one command.

Prefect can start a temporary server by itself, but that one lies in our process group: Ctrl-C
ends it first, and the flow then waits minutes for a server that is gone instead of stopping.
"""

import atexit
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from spinforge.simulation.errors import SpinforgeError

_LOOPBACK = "127.0.0.1"
_STARTUP_TIMEOUT_S = 120
_private: list[str] = []
_ENVIRONMENT = {"PREFECT_UI_ENABLED": "0", "PREFECT__SERVER_EPHEMERAL": "1"}


@contextmanager
def prefect_server() -> Iterator[None]:
    """Use the Prefect server that is configured, or run one on loopback until we exit.

    Raises:
        SpinforgeError: If the private server does not start.
    """
    from prefect.settings import PREFECT_API_URL, PREFECT_SERVER_UI_ENABLED, temporary_settings

    if PREFECT_API_URL.value():
        yield
        return
    port = _free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "spinforge.flows.local_server", str(port), str(os.getpid())],
        env=os.environ | _ENVIRONMENT,
        start_new_session=True,
        stdin=subprocess.DEVNULL,
    )
    # Not in a `finally` of this block: Prefect's own threads send their last logs while Python
    # shuts down, and would try for minutes if the server were gone by then.
    atexit.register(_stop, server)
    address = f"http://{_LOOPBACK}:{port}/api"
    _wait_until_healthy(server, address)
    # It serves no page, so nobody is to name one.
    with temporary_settings({PREFECT_API_URL: address, PREFECT_SERVER_UI_ENABLED: False}):
        _private.append(address)
        try:
            yield
        finally:
            _private.remove(address)


def is_private() -> bool:
    """Whether the Prefect server is one that ends with this command."""
    return bool(_private)


def _stop(server: "subprocess.Popen[bytes]") -> None:
    server.terminate()
    try:
        server.wait(timeout=10)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_LOOPBACK, 0))
        return int(probe.getsockname()[1])


def _wait_until_healthy(server: "subprocess.Popen[bytes]", address: str) -> None:
    deadline = time.monotonic() + _STARTUP_TIMEOUT_S
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    code = server.poll()
    what = (
        f"did not start within {_STARTUP_TIMEOUT_S} s"
        if code is None
        else f"ended while it started, with exit code {code}; what it said stands above"
    )
    raise SpinforgeError(
        f"the private Prefect server at {address} {what}. Start one with `prefect server start` "
        f"and set PREFECT_API_URL."
    )


def _serve(port: int, parent: int) -> None:
    """Run the server until it is told to stop, or its parent is gone."""
    import uvicorn

    def follow_parent() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(0)

    threading.Thread(target=follow_parent, daemon=True).start()
    uvicorn.run(
        "prefect.server.api.server:create_app",
        factory=True,
        host=_LOOPBACK,
        port=port,
        log_level="error",
        lifespan="on",
    )


if __name__ == "__main__":
    _serve(int(sys.argv[1]), int(sys.argv[2]))
