"""Servers that go away: Prefect's, MLflow's, the scheduler, the object store."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request

import pytest
from planted_server import free_port

pytestmark = pytest.mark.faults


def wait_until_healthy(address: str, server: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"{address} does not answer")


def stop(server: "subprocess.Popen[bytes]") -> None:
    if server.poll() is None:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


@pytest.fixture
def prefect(bench, tmp_path):
    """Start Prefect's server, always at the same address and with the same record."""
    port, started = free_port(), []
    bench.environment |= {
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_HOME": str(tmp_path / "prefect"),
    }

    def start() -> "subprocess.Popen[bytes]":
        code = "import sys; from spinforge.flows.local_server import _serve; "
        code += "_serve(int(sys.argv[1]), int(sys.argv[2]))"
        server = subprocess.Popen(
            [sys.executable, "-c", code, str(port), str(os.getpid())],
            env=os.environ | bench.environment | {"PREFECT_UI_ENABLED": "0"},
            start_new_session=True,
        )
        started.append(server)
        wait_until_healthy(f"http://127.0.0.1:{port}/api", server)
        return server

    yield start
    for server in started:
        stop(server)


@pytest.fixture
def mlflow(bench, tmp_path):
    """Start MLflow's server, always at the same address and with the same record."""
    port, started = free_port(), []
    address = f"http://127.0.0.1:{port}"
    command = ["mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{tmp_path}/record.db"]
    command += ["--artifacts-destination", str(tmp_path / "artifacts")]

    def start() -> "subprocess.Popen[bytes]":
        server = subprocess.Popen(
            [sys.executable, "-m", *command],
            env=os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        started.append(server)
        wait_until_healthy(address, server)
        return server

    start.setting = ("--set", f"tracking.uri={address}")
    # Else its client tries for minutes before it says that nobody answers.
    bench.environment |= {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}
    yield start
    for server in started:
        stop(server)


def test_prefect_server_killed(bench, prefect):
    """Prefect's server is killed while the run trains, and does not come back."""
    server = prefect()
    run = bench.start()
    bench.wait_for(lambda: list(bench.folder.glob("networks/*/last.ckpt")), run)
    stop(server)
    bench.row.prefect = "Running (nobody could tell)"
    bench.failed(run, "Prefect")
    bench.mend(fault_is_over=prefect)


def test_prefect_server_comes_back(bench, prefect):
    """Prefect's server is killed while the run trains, and started again."""
    server = prefect()
    run = bench.start()
    bench.wait_for(lambda: list(bench.folder.glob("networks/*/last.ckpt")), run)
    stop(server)
    prefect()
    code, said = bench.end(run)
    assert code == 0, said
    bench.row.said = "(nothing)"
    bench.mend()


def test_mlflow_server_killed(bench, mlflow):
    """MLflow's server is killed while the run trains."""
    server = mlflow()
    run = bench.start(*mlflow.setting)
    bench.wait_for(lambda: list(bench.folder.glob("networks/*/last.ckpt")), run)
    stop(server)
    bench.failed(run, "MLflow", "Start the server and run again")
    bench.mend(*mlflow.setting, fault_is_over=mlflow)


def test_record_is_locked(bench):
    """Another program holds the lock of MLflow's SQLite file for good."""
    run = bench.start()
    record = bench.out / "mlflow.db"
    bench.wait_for(lambda: list(bench.folder.glob("networks/*/last.ckpt")), run)
    holder = sqlite3.connect(record, timeout=60, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    bench.failed(run, "mlflow.db", "locked")
    bench.mend(fault_is_over=holder.close)
