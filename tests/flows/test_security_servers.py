"""Every server that a command starts is reached from this machine only."""

import os
import subprocess
import sys

import psutil
import pytest
from listening import assert_only_loopback, listeners
from planted_server import free_port, planted_server
from prefect.settings import PREFECT_API_URL, temporary_settings

from spinforge.flows.doctor import scheduling
from spinforge.flows.doctor.finding import Place

PRIVATE_SERVER = """
import sys
from spinforge.flows import environment
environment.prepare()
from spinforge.flows.local_server import prefect_server
with prefect_server():
    print("ready", flush=True)
    sys.stdin.readline()
"""


@pytest.mark.slow
def test_the_private_prefect_server(tmp_path):
    environment = {k: v for k, v in os.environ.items() if k != "PREFECT_API_URL"}
    command = subprocess.Popen(
        [sys.executable, "-c", PRIVATE_SERVER],
        env=environment | {"PREFECT_HOME": str(tmp_path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert command.stdout.readline() == "ready\n"
        assert_only_loopback(psutil.Process(command.pid))
    finally:
        command.communicate("\n", timeout=60)


@pytest.mark.slow
def test_both_servers_of_serve(tmp_path):
    port, environment = free_port(), {k: v for k, v in os.environ.items() if k != "PREFECT_API_URL"}
    command = ["serve", "runs", f"--port={port}", f"--mlflow-port={free_port()}", "--no-workers"]
    served = subprocess.Popen(
        [sys.executable, "-c", "from spinforge.flows.cli import main; main()", *command],
        cwd=tmp_path,
        env=environment | {"PREFECT_HOME": str(tmp_path / "home")},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert any("export PREFECT_API_URL" in line for line in served.stderr)
        assert len(psutil.Process(served.pid).children(recursive=True)) >= 2
        assert_only_loopback(psutil.Process(served.pid))
        with temporary_settings({PREFECT_API_URL: f"http://127.0.0.1:{port}/api"}):
            (reach,) = scheduling.exposed_server(Place(tmp_path))
            (limit,) = scheduling.gpu_limit(Place(tmp_path))
            pools = [finding.what for finding in scheduling.work_pools(Place(tmp_path))]
        assert (reach.status, limit.status) == ("ok", "ok")
        assert pools == ["pool 'cpu' has no live worker", "pool 'gpu' has no live worker"]
    finally:
        served.terminate()
        served.communicate(timeout=60)


@pytest.mark.slow
def test_the_dashboard(tmp_path):
    with planted_server(tmp_path) as (process, _):
        assert_only_loopback(psutil.Process(process.pid))


def test_the_test_sees_a_public_listener():
    code = "import socket; s = socket.create_server(('0.0.0.0', 0)); print(1, flush=True); input()"
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        process.stdout.readline()
        assert listeners(psutil.Process(process.pid)) == {"0.0.0.0"}
    finally:
        process.communicate("\n", timeout=30)
