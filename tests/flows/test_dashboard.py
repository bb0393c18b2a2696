"""The dashboard's command, its server and what it reads of MLflow."""

import signal
import socket
import time

import psutil
import pytest
from planted_server import free_port, planted_server, status
from typer.testing import CliRunner

from spinforge.flows import dashboard_server
from spinforge.flows.cli import app
from spinforge.flows.config import Tracking
from spinforge.flows.dashboard_runs import metric_curve, tracked_runs
from spinforge.flows.dashboard_studies import RunFolders
from spinforge.flows.run_folder import RunFolder
from spinforge.flows.tracking import Tracker


def command(*arguments):
    return CliRunner().invoke(app, ["dashboard", *map(str, arguments)])


@pytest.fixture
def served(monkeypatch):
    """What would have been served."""
    calls = []
    monkeypatch.setattr(
        dashboard_server, "serve", lambda *args, **options: calls.append((args, options))
    )
    return calls


def test_it_serves_on_loopback_and_opens_no_browser(tmp_path, served):
    port = free_port()
    result = command(tmp_path, "--port", port)
    assert result.exit_code == 0
    ((script, arguments), options) = served[0]
    assert script.name == "dashboard_page.py"
    assert script.is_file()
    assert arguments == [str(tmp_path)]
    assert options == {"host": "127.0.0.1", "port": port, "open_browser": False}
    assert f"http://127.0.0.1:{port}" in result.output
    assert "warning" not in result.output


def test_another_host_is_warned_of(tmp_path, served):
    result = command(tmp_path, "--host", "0.0.0.0", "--port", free_port())
    assert result.exit_code == 0
    assert "can be reached from other machines" in result.output
    assert served[0][1]["host"] == "0.0.0.0"


def test_a_folder_that_is_not_there_is_one_error(tmp_path, served):
    result = command(tmp_path / "nowhere")
    assert result.exit_code == 2
    assert "nowhere is no folder. Run a robustness study first" in result.output
    assert not served


def test_a_port_in_use_is_one_error(tmp_path, served):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = command(tmp_path, "--port", port)
    assert result.exit_code == 2
    assert f"port {port} of 127.0.0.1 cannot be used" in result.output
    assert not served


def test_a_missing_extra_is_one_error(tmp_path, served, monkeypatch):
    monkeypatch.setattr(dashboard_server.importlib.util, "find_spec", lambda name: None)
    result = command(tmp_path)
    assert result.exit_code == 2
    assert 'pip install "spinforge[dashboard]"' in result.output
    assert not served


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The planted study on a free port: the process and the port."""
    with planted_server(tmp_path_factory.mktemp("served")) as served:
        yield served


SOCKET = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec_WebSocket_Version": "13",
    "Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec_WebSocket_Protocol": "streamlit",
}


def test_only_this_machine_reaches_it(server):
    process, port = server
    listening = [
        one.laddr for one in psutil.Process(process.pid).net_connections() if one.status == "LISTEN"
    ]
    assert [(one.ip, one.port) for one in listening] == [("127.0.0.1", port)]


def test_pages_of_other_sites_and_names_are_turned_away(server):
    _, port = server
    stream = "/_stcore/stream"
    assert status(port, stream, **SOCKET) == 101
    assert status(port, stream, **SOCKET, Origin="http://evil.example") == 403
    assert status(port, stream, **SOCKET, Host=f"evil.example:{port}") == 403


def test_ctrl_c_ends_it_without_a_traceback(server):
    process, port = server
    assert status(port, "/_stcore/health") == 200
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "Traceback" not in output
    assert status(port, "/_stcore/health") == 0


def test_a_folder_without_studies_has_none_and_nothing_is_written(tmp_path):
    (tmp_path / "plain" / "evaluation").mkdir(parents=True)
    assert RunFolders(tmp_path).names() == []
    assert sorted(tmp_path.rglob("*")) == [tmp_path / "plain", tmp_path / "plain" / "evaluation"]


def test_without_a_record_no_database_is_made(tiny):
    found = tracked_runs(tiny)
    assert not found.runs
    assert "notes no run of MLflow" in found.message
    folder = RunFolder.of(tiny).path
    folder.mkdir(parents=True)
    (folder / "mlflow.json").write_text('{"run_id": "a"}')
    found = tracked_runs(tiny)
    assert not found.runs
    assert "mlflow.db does not exist" in found.message
    (tiny.out / "mlflow.db").touch()
    assert "is no record of MLflow" in tracked_runs(tiny).message
    assert (tiny.out / "mlflow.db").stat().st_size == 0


def test_a_server_that_is_down_is_a_message_soon(tiny):
    study = tiny.model_copy(update={"tracking": Tracking(uri=f"http://127.0.0.1:{free_port()}")})
    folder = RunFolder.of(study).path
    folder.mkdir(parents=True)
    (folder / "mlflow.json").write_text('{"run_id": "a"}')
    start = time.monotonic()
    found = tracked_runs(study)
    assert time.monotonic() - start < 20
    assert not found.runs
    assert "does not answer" in found.message
    assert "\n" not in found.message


def test_the_runs_of_a_study_are_read_and_nothing_is_changed(tiny):
    tracker = Tracker(tiny)
    networks = RunFolder.of(tiny).networks
    (networks / "unet-1").mkdir(parents=True)
    with tracker.study_run() as parent:
        tracker.log_params(parent, {"seed": 0})
    with tracker.network_run(networks / "unet-1", "unet") as child:
        tracker.log_params(child, {"network": {"kind": "unet"}})
        tracker.log_metrics(child, {"validation_dice_pooled": 0.5})
        tracker.log_metrics(child, {"validation_dice_pooled": 0.75})
    before = (tiny.out / "mlflow.db").read_bytes()
    found = tracked_runs(tiny)
    assert found.message == ""
    assert [(run.name, run.run_id, run.parent, run.status) for run in found.runs] == [
        ("tiny", parent, "", "FINISHED"),
        ("unet", child, parent, "FINISHED"),
    ]
    assert found.runs[1].parameters == {"network.kind": "unet"}
    assert found.runs[1].metrics == {"validation_dice_pooled": 0.75}
    curve = metric_curve(tiny, child, "validation_dice_pooled")
    assert sorted(curve["value"]) == [0.5, 0.75]
    assert metric_curve(tiny, "0" * 32, "validation_dice_pooled").empty
    assert (tiny.out / "mlflow.db").read_bytes() == before
