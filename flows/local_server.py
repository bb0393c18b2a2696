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
from collections.abc import Iterator
from contextlib import contextmanager

from spinforge.flows.network import LOOPBACK, answers, bound_to_free_port
from spinforge.simulation.errors import SpinforgeError

_STARTUP_TIMEOUT_S = 120
_private: list[str] = []
_ENVIRONMENT = {"PREFECT_UI_ENABLED": "0", "PREFECT__SERVER_EPHEMERAL": "1"}


@contextmanager
def prefect_server() -> Iterator[None]:
    """Use the Prefect server that is configured, or run one on loopback until we exit.

    Raises:
        SpinforgeError: If the private server does not start, or the one in use goes away.
    """
    from prefect.settings import PREFECT_API_URL, PREFECT_SERVER_UI_ENABLED, temporary_settings

    if configured := PREFECT_API_URL.value():
        with _readable_errors(configured):
            yield
        return
    # Given to the server as it is: between two steps another program might take the port, and what
    # answers there would be its server.
    with bound_to_free_port() as bound:
        port, number = bound.getsockname()[1], bound.fileno()
        arguments = [str(port), str(os.getpid()), str(number)]
        server = subprocess.Popen(
            [sys.executable, "-m", "spinforge.flows.local_server", *arguments],
            env=os.environ | _ENVIRONMENT,
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            pass_fds=[number],
        )
    # Not in a `finally` of this block: Prefect's own threads send their last logs while Python
    # shuts down, and would try for minutes if the server were gone by then.
    atexit.register(_stop, server)
    address = f"http://{LOOPBACK}:{port}/api"
    _wait_until_healthy(server, address)
    # It serves no page, so nobody is to name one.
    with temporary_settings({PREFECT_API_URL: address, PREFECT_SERVER_UI_ENABLED: False}):
        _private.append(address)
        try:
            with _readable_errors(address):
                yield
        finally:
            _private.remove(address)


@contextmanager
def _readable_errors(address: str) -> Iterator[None]:
    """Turn what Prefect's client says of a server that is gone into our error."""
    import httpx

    try:
        yield
    except httpx.TransportError as error:
        raise SpinforgeError(
            f"Prefect's server at {address} does not answer any more ({error}). What was finished "
            f"is kept: start the server again, or unset PREFECT_API_URL, and run the same command "
            f"again."
        ) from error


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


def _wait_until_healthy(server: "subprocess.Popen[bytes]", address: str) -> None:
    deadline = time.monotonic() + _STARTUP_TIMEOUT_S
    while time.monotonic() < deadline and server.poll() is None:
        if answers(f"{address}/health"):
            return
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


def _serve(port: int, parent: int, bound: socket.socket | None = None) -> None:
    """Run the server until it is told to stop, or its parent is gone.

    Args:
        port: Of loopback.
        parent: Its process.
        bound: To that port, by the parent.
    """
    import uvicorn

    def follow_parent() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(0)

    threading.Thread(target=follow_parent, daemon=True).start()
    config = uvicorn.Config(
        "prefect.server.api.server:create_app",
        factory=True,
        host=LOOPBACK,
        port=port,
        log_level="error",
        lifespan="on",
    )
    server = uvicorn.Server(config)
    server.run(sockets=[bound] if bound else None)
    if not server.started:
        sys.exit(3)  # as `uvicorn.run` does


if __name__ == "__main__":
    _serve(int(sys.argv[1]), int(sys.argv[2]), socket.socket(fileno=int(sys.argv[3])))
