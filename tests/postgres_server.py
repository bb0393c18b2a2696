"""A throw-away PostgreSQL and MLflow's server on it, both on loopback; for one test each."""

import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_LOOPBACK = "127.0.0.1"
_PATIENCE_S = 120


def postgres_programs() -> Path:
    """Folder of initdb and postgres; skips the test where there is none."""
    found = shutil.which("initdb")
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if found is None and not debian:
        pytest.skip("PostgreSQL is not installed (apt install postgresql)")
    return (Path(found) if found else debian[-1]).resolve().parent


class Postgres:
    """An empty cluster that trusts whoever is on this machine.

    Args:
        folder: Where it lies; made here.
    """

    def __init__(self, folder: Path) -> None:
        self._programs, self._data = postgres_programs(), folder / "data"
        self.port = free_port()
        # It refuses to run as root.
        self._user = _unprivileged() if os.geteuid() == 0 else None
        folder.mkdir()
        if self._user is not None:
            os.chown(folder, self._user.pw_uid, self._user.pw_gid)
        self._run("initdb", "--auth", "trust", "--username", "mlflow", "--no-sync")
        self.start()

    @property
    def uri(self) -> str:
        return f"postgresql://mlflow@{_LOOPBACK}:{self.port}/postgres"

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses={_LOOPBACK} -c fsync=off"
        options += f" -k {self._data.parent}"
        log = self._data.parent / "log"
        self._run("pg_ctl", "--wait", "--log", str(log), "--options", options, "start")

    def crash(self) -> None:
        """As by a power failure."""
        self._run("pg_ctl", "--wait", "--mode", "immediate", "stop")

    def _run(self, program: str, *arguments: str) -> None:
        user = {}
        if self._user is not None:
            user = {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}
        subprocess.run(
            [self._programs / program, "--pgdata", str(self._data), *arguments],
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # no pipe: the server would hold it open
            stderr=subprocess.DEVNULL,
            cwd=self._data.parent,
            **user,
        )


def _unprivileged() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    pytest.skip("PostgreSQL refuses to run as root, and there is no user nobody")


class MLflowServer:
    """`mlflow server` as docs/tracking.md starts it.

    Args:
        backend: URI of its database.
        folder: Where artifacts and its log lie.
    """

    def __init__(self, backend: str, folder: Path) -> None:
        self._backend, self._folder, self._port = backend, folder, free_port()
        self.uri = f"http://{_LOOPBACK}:{self._port}"
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "mlflow", "server", "--workers", "1"]
        command += ["--backend-store-uri", self._backend]
        command += ["--artifacts-destination", str(self._folder / "artifacts")]
        command += ["--host", _LOOPBACK, "--port", str(self._port)]
        with (self._folder / "mlflow.log").open("a") as log:
            self._process = subprocess.Popen(
                command,
                env=os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + _PATIENCE_S
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.uri}/health", timeout=5):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.2)
        raise AssertionError((self._folder / "mlflow.log").read_text())

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(30)


@contextmanager
def running_servers() -> Iterator[tuple[Postgres, MLflowServer]]:
    """Both, started; stopped and removed in the end."""
    postgres_programs()
    # Not below pytest's own folder, which no other user may enter.
    with tempfile.TemporaryDirectory(prefix="spinforge-postgres-") as name:
        os.chmod(name, 0o711)
        postgres = Postgres(Path(name) / "cluster")
        try:
            server = MLflowServer(postgres.uri, Path(name))
            try:
                yield postgres, server
            finally:
                server.stop()
        finally:
            postgres.crash()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_LOOPBACK, 0))
        return int(probe.getsockname()[1])
