"""What each command asks of the machine, and that cheap checks come before Prefect's server."""

import json
import shutil
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from spinforge.flows import local_server, preflight
from spinforge.flows.cli import app
from spinforge.flows.config import load_study
from spinforge.flows.run_folder import RunFolder
from spinforge.flows.slices import network_folder
from spinforge.flows.train import train
from spinforge.simulation.errors import SpinforgeError

runner = CliRunner()


def test_what_is_trained_is_evaluated_without_the_machine_that_trained_it(
    copy, tiny_file, monkeypatch
):
    """A GPU on each of several machines; `study` after it asks for them as little."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    there = ["training.device=gpu", "training.nodes=2", "training.cuda_graphs=true"]
    changes = [f"out={copy.out}", *there]
    study = load_study(tiny_file, changes)
    preflight.check_study(study)
    assert set(train(study)) == {"unet", "crdn"}
    shutil.rmtree(RunFolder.of(copy).evaluation)
    options = [word for change in changes for word in ("--set", change)]
    result = runner.invoke(app, ["evaluate", str(tiny_file), *options, "--json"])
    assert set(json.loads(result.stdout)["dice"]) == {"unet", "crdn"}, result.output
    (network_folder(copy, copy.networks[1]) / "network.pt").unlink()
    with pytest.raises(SpinforgeError, match="device is gpu"):
        preflight.check_study(study)
    with pytest.raises(SpinforgeError, match="device is gpu"):
        train(study, only="crdn")
    preflight.check_study(study, only="unet")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "FILE", "--network", "vnet"], "no network is named 'vnet'; the study has unet"),
        (["evaluate", "FILE", "--network", "vnet"], "no network is named 'vnet'"),
        (["evaluate", "FILE", "--set", "seed=99"], "unet is not trained. Run: spinforge train"),
        (["report", "FILE", "--set", "seed=99"], "no network of study tiny has been scored"),
        (["train", "FILE", "--set", "name=none"], "is not a Spinforge dataset. Make one with"),
        (["evaluate", "FILE", "--set", "name=none"], "is not a Spinforge dataset. Make one with"),
        (["report", "FILE", "--set", "name=none"], "is not a Spinforge dataset. Make one with"),
        (["verify", "none.zarr"], "is not a Spinforge dataset. Make one with"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_cheap_checks_come_before_the_server(
    arguments, message, finished, tiny_file, tmp_path, monkeypatch
):
    def server():
        raise AssertionError("a server was started")

    monkeypatch.setattr("spinforge.flows.cli.prefect_server", server)
    monkeypatch.setattr("spinforge.flows.data_commands.prefect_server", server)
    monkeypatch.chdir(tmp_path)
    where = [] if arguments[0] == "verify" else ["--set", f"out={finished[0].out}"]
    words = [str(tiny_file) if word == "FILE" else word for word in arguments]
    result = runner.invoke(app, [*words, *where])
    assert result.exit_code == 2, result.output
    assert message in " ".join(result.output.split())


def test_a_server_that_died_is_told_from_one_that_is_slow(monkeypatch):
    with subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"]) as died:
        died.wait()
        with pytest.raises(SpinforgeError, match="ended while it started, with exit code 3; what"):
            local_server._wait_until_healthy(died, "http://127.0.0.1:9/api")
        monkeypatch.setattr(local_server, "_STARTUP_TIMEOUT_S", 0)
        monkeypatch.setattr(died, "poll", lambda: None)
        with pytest.raises(SpinforgeError, match="did not start within 0 s"):
            local_server._wait_until_healthy(died, "http://127.0.0.1:9/api")
