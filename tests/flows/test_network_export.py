"""What `spinforge export-network` refuses before it writes anything."""

import json

import pytest
import torch
from finished_study import network_file
from typer.testing import CliRunner

from spinforge.flows.cli import app
from spinforge.flows.network_export import export_networks
from spinforge.flows.run_folder import RunFolder
from spinforge.models.seranet.seranet import SERANetConfig
from spinforge.simulation.errors import SpinforgeError


def test_networks_that_have_no_such_file_are_named(copy, tmp_path):
    untrained = copy.model_copy(update={"seed": 99})
    with pytest.raises(SpinforgeError, match=r"network unet is not trained. Run: spinforge train"):
        list(export_networks(untrained, "program", tmp_path / "out"))
    kspace = SERANetConfig(kind="seranet")
    both = copy.model_copy(update={"networks": (copy.networks[0], kspace)})
    folder = tmp_path / "networks"
    with pytest.raises(SpinforgeError, match=r"no network is named 'vnet'"):
        list(export_networks(both, "onnx", folder, only="vnet"))
    with pytest.raises(SpinforgeError, match=r"network seranet is not trained"):
        list(export_networks(both, "onnx", folder))
    assert not folder.exists()


def test_kspace_networks_have_no_onnx(copy, tmp_path, monkeypatch):
    kspace = SERANetConfig(kind="seranet")
    study = copy.model_copy(update={"networks": (copy.networks[0], kspace)})
    folder = network_file(copy).parent
    monkeypatch.setattr("spinforge.flows.network_export.network_folder", lambda *_: folder)
    with pytest.raises(SpinforgeError, match=r"seranet .* starts from k-space.*Use --as program"):
        list(export_networks(study, "onnx", tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_a_file_that_does_not_say_what_it_reads_is_refused(copy, tmp_path):
    content = torch.load(network_file(copy), weights_only=True)
    del content["reads"]
    torch.save(content, network_file(copy))
    with pytest.raises(
        SpinforgeError, match=r"does not say what its images went through.*train it"
    ):
        list(export_networks(copy, "program", tmp_path / "out"))


def test_the_command_says_how_close_the_file_is(copy, tmp_path):
    command = ["export-network", str(RunFolder.of(copy).study_file), "--as", "program", "--json"]
    there = ["--set", f"out={copy.out}", "--network", "unet", "--to", str(tmp_path / "out")]
    done = CliRunner().invoke(app, [*command, *there])
    assert done.exit_code == 0, done.output
    ((path, agreement),) = json.loads(done.output)["files"].items()
    assert path == str(tmp_path / "out" / "unet.pt2")
    assert agreement["largest_difference"] <= 1e-3  # `require_agreement` allows no more
    program = torch.export.load(path).module()
    labels, probabilities = program(torch.rand(5, 2, 45, 54))
    assert labels.shape == (5, 45, 54)
    assert probabilities.shape == (5, 4, 45, 54)
    assert CliRunner().invoke(app, [*command, *there, "--size", "big"]).exit_code == 2


def test_sizes_that_would_take_all_memory_are_refused_first(tmp_path):
    command = ["export-network", str(tmp_path / "none.yaml"), "--as", "program"]
    done = CliRunner().invoke(app, [*command, "--to", str(tmp_path), "--size", "9999x99999"])
    assert done.exit_code == 2
    assert done.output.startswith("error: --size 9999x99999: a network is traced at this size")
    assert "4096 pixels a side are the most" in done.output
