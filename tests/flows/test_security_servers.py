"""Every server that a command starts is reached from this machine only."""

import ipaddress
import os
import subprocess
import sys

import psutil
import pytest
from planted_server import planted_server

PRIVATE_SERVER = """
import sys
from spinforge.flows import environment
environment.prepare()
from spinforge.flows.local_server import prefect_server
with prefect_server():
    print("ready", flush=True)
    sys.stdin.readline()
"""


def listeners(process: psutil.Process) -> set[str]:
    """Addresses at which a process and those it has started listen."""
    tree = [process, *process.children(recursive=True)]
    connections = [found for each in tree for found in each.net_connections("inet")]
    return {found.laddr.ip for found in connections if found.status == psutil.CONN_LISTEN}


def assert_only_loopback(process: psutil.Process) -> None:
    found = listeners(process)
    assert found
    assert all(ipaddress.ip_address(address).is_loopback for address in found), found


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
