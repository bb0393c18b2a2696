"""The real server of the dashboard, in a process of its own, with the planted study."""

import http.client
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from planted_source import write_planted


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def planted_server(folder: Path) -> Iterator[tuple["subprocess.Popen[str]", int]]:
    """Serve a table that is written to `folder`: the process and the port."""
    table = write_planted(folder)
    port = free_port()
    script = Path(__file__).with_name("planted_source.py")
    code = (
        "import sys; from pathlib import Path; from spinforge.flows.dashboard_server import serve; "
        "serve(Path(sys.argv[1]), [sys.argv[2]], port=int(sys.argv[3]))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(script), str(table), str(port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if status(port, "/_stcore/health") == 200:
            break
        time.sleep(0.2)
    try:
        yield process, port
    finally:
        process.kill()
        process.communicate()


def status(port: int, path: str, **headers: str) -> int:
    """HTTP status; 0 if nobody listens."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.putrequest("GET", path, skip_host="Host" in headers)
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders()
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()
