"""`spinforge serve`: servers, pools, workers; a schedule that fires; an end without leftovers."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from types import SimpleNamespace

import psutil
import pytest
from mlflow.server import security_utils
from planted_server import free_port
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate, WorkPoolCreate
from typer.testing import CliRunner

from spinforge.flows import serve as serve_module
from spinforge.flows import services as services_module
from spinforge.flows.cli import app
from spinforge.flows.limits import POOLS
from spinforge.flows.serve import Serving, environment_of, free_gpu_slots, serve
from spinforge.flows.services import Services, running
from spinforge.simulation.errors import SpinforgeError

DEPLOYMENTS = """
deployments:
  - name: often
    entrypoint: spinforge.flows.generate.generate
    parameters: {study: {file: tiny.yaml, set: [workers=1]}}
    work_pool: {name: cpu}
    concurrency_limit: {limit: 1, collision_strategy: CANCEL_NEW}
    schedules: [{interval: 10, active: true}]
"""


@pytest.mark.parametrize("option", ["--port", "--mlflow-port"])
def test_a_taken_port_is_named(tmp_path, option):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        number = str(taken.getsockname()[1])
        other = {"--port": "--mlflow-port", "--mlflow-port": "--port"}[option]
        ports = [option, number, other, str(free_port())]
        result = CliRunner().invoke(app, ["serve", str(tmp_path), *ports])
    assert result.exit_code == 2
    said = " ".join(result.output.split())
    assert f"port {number} of 127.0.0.1 cannot be used" in said
    assert f"such as {option} {int(number) + 1}" in said


@pytest.mark.parametrize(("host", "warned"), [("127.0.0.1", False), ("0.0.0.0", True)])
def test_other_machines_are_warned_of(monkeypatch, tmp_path, host, warned):
    monkeypatch.setattr(serve_module, "serve", lambda serving: None)
    result = CliRunner().invoke(app, ["serve", str(tmp_path), "--host", host])
    assert result.exit_code == 0
    assert ("nobody is asked for a password" in " ".join(result.output.split())) is warned


def test_pages_ask_the_port_they_come_from_and_nothing_is_sent_home(monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", "http://elsewhere/api")
    monkeypatch.setenv("PREFECT_SERVER_EVENTS_RETENTION_PERIOD", "P9D")
    env = environment_of(Serving(port=4321))
    assert env["PREFECT_API_URL"] == env["PREFECT_SERVER_UI_API_URL"] == "http://127.0.0.1:4321/api"
    assert env["PREFECT_SERVER_CORS_ALLOWED_ORIGINS"] == "http://127.0.0.1:4321"
    assert (env["PREFECT_SERVER_ANALYTICS_ENABLED"], env["DO_NOT_TRACK"]) == ("false", "1")
    assert env["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"
    assert env["PREFECT_SERVER_EVENTS_RETENTION_PERIOD"] == "P9D"  # as the user said


def test_mlflow_answers_to_the_name_that_is_advertised(monkeypatch):
    for name in ("MLFLOW_SERVER_ALLOWED_HOSTS", "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS"):
        monkeypatch.delenv(name, raising=False)
        assert name not in environment_of(Serving())
    env = environment_of(Serving(host="0.0.0.0", mlflow_port=5001))
    assert env["PREFECT_API_URL"] == "http://127.0.0.1:4200/api"  # of the workers here
    name = f"{socket.gethostname()}:5001"
    hosts = env["MLFLOW_SERVER_ALLOWED_HOSTS"].split(",")
    assert not security_utils.is_allowed_host_header(hosts, "elsewhere.example:5001")
    for host in (name, "localhost:5001", "192.168.1.2:5001"):
        assert security_utils.is_allowed_host_header(hosts, host)
    origins = env["MLFLOW_SERVER_CORS_ALLOWED_ORIGINS"].split(",")
    assert not security_utils.should_block_cors_request(f"http://{name}", "POST", origins)


class Server:
    """What Prefect's client knows of a GPU's slot, runs and workers."""

    def __init__(self, runs=(), status="OFFLINE"):
        self.taken, self.runs, self.status = 1, runs, status

    def read_global_concurrency_limit_by_name(self, _):
        return SimpleNamespace(active_slots=self.taken)

    def read_flow_runs(self, **_):
        return [SimpleNamespace(name=name) for name in self.runs]

    def read_workers_for_work_pool(self, pool):
        return [SimpleNamespace(name=f"host-{pool}", status=self.status)]

    def update_global_concurrency_limit(self, _, update):
        self.taken = update.active_slots


@pytest.mark.parametrize(
    ("server", "said"),
    [
        (Server(), None),
        (Server(runs=["owl"]), "run owl is called running"),
        (Server(status="ONLINE"), "worker host-cpu is called online"),
    ],
)
def test_a_gpus_slot_is_freed_only_if_nobody_can_hold_it(server, said, capsys):
    free_gpu_slots(server)
    assert server.taken == (1 if said else 0)
    assert (said or "") in capsys.readouterr().err


def test_a_gpus_slot_that_is_held_by_a_running_flow_stays_taken(prefect_server):
    @flow
    def holds(client):
        free_gpu_slots(client)
        return client.read_global_concurrency_limit_by_name("tag:gpu").active_slots

    with get_client(sync_client=True) as client:
        for pool in POOLS:
            client.create_work_pool(WorkPoolCreate(name=pool, type="process"))
        limit = GlobalConcurrencyLimitCreate(name="tag:gpu", limit=1, active_slots=1)
        client.create_global_concurrency_limit(limit)
        try:
            assert holds(client) == 1
        finally:
            client.delete_global_concurrency_limit_by_name("tag:gpu")
            for pool in POOLS:
                client.delete_work_pool(pool)


def test_a_program_that_ends_by_itself_ends_all(monkeypatch, tmp_path):
    monkeypatch.setattr(services_module, "STARTUP_TIMEOUT_S", 20)
    started = []

    def servers(services, serving, env):
        services.start("one", "http.server", ["--bind", "127.0.0.1", str(free_port())], env)
        services.start("two", "this_module_is_not_there", [], env)
        started.extend(process for _, process in services._running)

    monkeypatch.setattr(serve_module, "_start_servers", servers)
    with pytest.raises(SpinforgeError, match="two ended by itself, with exit code 1"):
        serve(Serving(out=tmp_path, port=free_port(), mlflow_port=free_port()))
    assert all(process.poll() is not None for process in started)


def test_what_a_service_has_started_ends_with_it(tmp_path):
    (tmp_path / "parent.py").write_text(
        "import subprocess, sys, time\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "time.sleep(60)\n"
    )
    seen = []

    def serves_until_it_is_told_to_end():
        with running() as services:
            services.start("parent", "parent", [], os.environ | {"PYTHONPATH": str(tmp_path)})
            ((_, process),) = services._running
            while not (children := psutil.Process(process.pid).children()):
                time.sleep(0.05)
            seen.extend([psutil.Process(process.pid), *children])
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(10)

    with pytest.raises(KeyboardInterrupt):
        serves_until_it_is_told_to_end()
    assert len(seen) == 2
    assert [process for process in seen if process.is_running()] == []


def test_what_a_service_starts_while_it_ends_ends_too_and_the_other_services(tmp_path, monkeypatch):
    (tmp_path / "parent.py").write_text(
        "import signal, subprocess, sys, time\n"
        "def late(*_):\n"
        "    child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "    open('late', 'w').write(str(child.pid))\n"
        "    sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, late)\n"
        "open('ready', 'w').close()\n"
        "time.sleep(60)\n"
    )
    monkeypatch.chdir(tmp_path)
    services, env = Services(), os.environ | {"PYTHONPATH": str(tmp_path)}
    services.start("parent", "parent", [], env)
    while not (tmp_path / "ready").exists():
        services.require_alive()
        time.sleep(0.05)
    services.stop()
    assert not psutil.pid_exists(int((tmp_path / "late").read_text()))


def test_a_process_that_ends_while_it_is_killed_leaves_no_other_running(monkeypatch):
    class Gone:
        def terminate(self):
            raise psutil.AccessDenied(1)

        def kill(self):
            raise psutil.NoSuchProcess(1)

    killed = SimpleNamespace(terminate=lambda: None, kill=lambda: done.append(1))
    done: list[int] = []
    monkeypatch.setattr(psutil, "wait_procs", lambda processes, timeout: ([], processes))
    services_module._end([Gone(), killed])
    assert done == [1]


def asked(address: str, about: dict) -> list[dict]:
    request = urllib.request.Request(
        address, json.dumps(about).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def wait_until(done, *, seconds: float, process) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.5)


@pytest.mark.slow
def test_a_schedule_fires_and_all_ends_at_sigterm(tmp_path, tiny_file):
    (tmp_path / "tiny.yaml").write_text(tiny_file.read_text())
    (tmp_path / "prefect.yaml").write_text(DEPLOYMENTS)
    port, mlflow_port = free_port(), free_port()
    api = f"http://127.0.0.1:{port}/api"
    env = {k: v for k, v in os.environ.items() if k != "PREFECT_API_URL"}
    env |= {"PREFECT_HOME": str(tmp_path / "home")}
    command = ["serve", "runs", f"--port={port}", f"--mlflow-port={mlflow_port}"]
    said = (tmp_path / "said").open("w+")
    served = subprocess.Popen(
        [sys.executable, "-c", "from spinforge.flows.cli import main; main()", *command],
        cwd=tmp_path,
        env=env,
        stderr=said,
    )
    children = []
    try:
        ready = f"export PREFECT_API_URL={api}"
        wait_until(lambda: ready in (tmp_path / "said").read_text(), seconds=180, process=served)
        deploy = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"]
        subprocess.run(deploy, cwd=tmp_path, env=env | {"PREFECT_API_URL": api}, check=True)

        def completed() -> list[dict]:
            state = {"type": {"any_": ["COMPLETED"]}}
            return asked(f"{api}/flow_runs/filter", {"flow_runs": {"state": state}})

        wait_until(completed, seconds=180, process=served)
        run = completed()[0]
        assert run["auto_scheduled"] is True
        assert (run["work_pool_name"], run["parameters"]["study"]["file"]) == ("cpu", "tiny.yaml")
        assert (tmp_path / "runs/tiny/dataset.zarr/zarr.json").is_file()  # of the deploying folder
        pools = asked(f"{api}/work_pools/filter", {})
        assert {p["name"]: p["concurrency_limit"] for p in pools} == POOLS
        limits = asked(f"{api}/v2/concurrency_limits/filter", {})
        assert {"tag:gpu": 1}.items() <= {limit["name"]: limit["limit"] for limit in limits}.items()
        with urllib.request.urlopen(f"http://127.0.0.1:{mlflow_port}/health", timeout=10) as answer:
            assert answer.status == 200
    finally:
        children = psutil.Process(served.pid).children(recursive=True)
        served.terminate()
        code = served.wait(120)
        said.close()
    assert code == 130
    assert len(children) >= 5  # servers and workers
    assert [child for child in children if child.is_running()] == []
