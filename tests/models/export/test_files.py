"""Files of a small network: what they take, give and say, and when there is none."""

import json
import math
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import onnx
import onnxruntime
import pytest
import torch
from exported_files import run_onnx, run_program
from shape_checks import unchecked

from spinforge.models.export import onnx_file
from spinforge.models.export.onnx_file import export_onnx
from spinforge.models.export.preprocessing import Preprocessing
from spinforge.models.export.program_file import export_kspace_program, export_program
from spinforge.models.export.trials import require_agreement
from spinforge.models.fcslstm.fcslstm import FCSLSTMConfig
from spinforge.models.networks import build_network
from spinforge.models.seranet.baselines import ZeroFillingConfig
from spinforge.models.seranet.unet import UNetConfig
from spinforge.models.weights import LoadedNetwork
from spinforge.simulation.errors import SpinforgeError

CONFIG = UNetConfig(kind="unet", name="small", width=2)
CLASSES = ("background", "CSF", "GM", "WM")
SIZE = (17, 20)
BY_SLICE = Preprocessing(scaling="slice")
BY_VOLUME = Preprocessing(scaling="volume", padded_to=(32, 32))


def loaded(config=CONFIG, in_channels=2, n_classes=4):
    network = build_network(config, in_channels=in_channels, n_classes=n_classes, seed=0)
    return LoadedNetwork(network.eval(), config, in_channels, n_classes)


@pytest.fixture(scope="module")
def network():
    """In training mode, to see that it is left in it."""
    given = loaded()
    given.network.train()
    return given


@pytest.fixture(scope="module")
def files(tmp_path_factory, network):
    """The same network in both forms."""
    with unchecked():  # what makes tracing slow
        return written(tmp_path_factory.mktemp("exported"), network)


def written(folder, network):
    options = {"size": SIZE, "preprocessing": BY_VOLUME, "class_names": CLASSES}
    export_program(network, folder / "small.pt2", **options)
    export_onnx(network, folder / "small.onnx", **options)
    return folder


def test_nothing_but_the_files_is_left_behind(files):
    assert sorted(path.name for path in files.iterdir()) == ["small.onnx", "small.pt2"]


@pytest.mark.parametrize("batch", [1, 5])
def test_both_give_labels_and_probabilities_of_any_batch(batch, files, random_images):
    inputs = {"image": 50 * random_images(batch, 2, *SIZE), "scale": torch.full((batch, 2), 20.0)}
    labels, probabilities = run_program(files / "small.pt2", **inputs)
    assert (labels.shape, labels.dtype) == ((batch, *SIZE), torch.uint8)
    assert (probabilities.shape, probabilities.dtype) == ((batch, 4, *SIZE), torch.float32)
    found = run_onnx(files / "small.onnx", **inputs)
    require_agreement(found, (labels, probabilities), tolerance=1e-5)


def test_the_onnx_file_names_its_inputs_and_outputs(files):
    graph = onnx.load(files / "small.onnx").graph

    def shapes(values):
        return {
            value.name: [
                axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim
            ]
            for value in values
        }

    assert shapes(graph.input) == {"image": ["batch", 2, *SIZE], "scale": ["batch", 2]}
    assert shapes(graph.output) == {
        "labels": ["batch", *SIZE],
        "probabilities": ["batch", 4, *SIZE],
    }


def test_the_onnx_file_passes_the_official_checker_at_the_stated_opset(files):
    model = onnx.load(files / "small.onnx")
    onnx.checker.check_model(model, full_check=True)
    assert [entry.version for entry in model.opset_import if not entry.domain] == [onnx_file.OPSET]


def test_both_files_describe_themselves(files):
    extra = {"spinforge.json": ""}
    torch.export.load(files / "small.pt2", extra_files=extra)
    session = onnxruntime.InferenceSession(files / "small.onnx")
    described = session.get_modelmeta().custom_metadata_map
    assert json.loads(extra["spinforge.json"]) == described
    assert json.loads(described["network"]) == {"kind": "unet", "name": "small", "width": 2}
    assert json.loads(described["class_names"]) == list(CLASSES)
    assert "99th percentile of the values above 0 of the whole volume" in described["preprocessing"]
    assert "32 x 32" in described["preprocessing"]
    assert described["size"] == "17 x 20 pixels (ky, kx)"


def test_no_file_holds_a_path_of_the_machine_that_made_it(files):
    content = zipfile.ZipFile(files / "small.pt2")
    held = b"".join(content.read(name) for name in content.namelist())
    for text in (held, (files / "small.onnx").read_bytes()):
        assert b".py" not in text
        assert torch.__path__[0].encode() not in text


def test_the_program_file_holds_no_pickle(files):
    content = zipfile.ZipFile(files / "small.pt2")
    # A pickle of PyTorch is itself a zip archive, or starts with the protocol's opcode.
    members = {name: content.read(name) for name in content.namelist()}
    assert not [n for n, data in members.items() if data[:2] in (b"PK", b"\x80\x02", b"\x80\x04")]
    for name in ("weights", "constants"):
        (config,) = [data for n, data in members.items() if n.endswith(f"{name}_config.json")]
        assert not [n for n, entry in json.loads(config)["config"].items() if entry["use_pickle"]]


def test_the_network_is_left_as_it_was(files, network):
    assert network.network.training
    weights = loaded().network.state_dict()
    assert all(torch.equal(v, weights[n]) for n, v in network.network.state_dict().items())


@pytest.mark.slow
def test_exporting_says_nothing(tmp_path):
    code = (
        "import sys, pathlib, test_files as t\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "t.export_program(t.loaded(), folder / 'a.pt2', size=t.SIZE, preprocessing=t.BY_SLICE)\n"
        "t.export_onnx(t.loaded(), folder / 'a.onnx', size=t.SIZE, preprocessing=t.BY_SLICE)\n"
    )
    paths = [str(Path(__file__).parent), *sys.path]
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("export", [export_program, export_onnx])
def test_networks_from_kspace_are_refused_with_the_way_out(export, tmp_path):
    path = tmp_path / ("a.pt2" if export is export_program else "a.onnx")
    given = loaded(ZeroFillingConfig(kind="zero_filling", width=16))
    with pytest.raises(
        SpinforgeError, match=r"'zero_filling' takes k-space, not images.*export_kspace"
    ):
        export(given, path, size=SIZE, preprocessing=BY_SLICE)
    assert not list(tmp_path.iterdir())


def test_networks_of_images_are_no_networks_from_kspace(tmp_path):
    with pytest.raises(SpinforgeError, match=r"'unet' takes images, not k-space"):
        export_kspace_program(loaded(), tmp_path / "a.pt2", size=SIZE)


def test_kspace_without_a_coil_is_refused(tmp_path):
    given = loaded(ZeroFillingConfig(kind="zero_filling", width=16))
    with pytest.raises(SpinforgeError, match="coils is 0"):
        export_kspace_program(given, tmp_path / "a.pt2", size=SIZE, coils=0)


WRONG = {
    "too small": ({}, {"size": (15, 32)}, "15 x 32 pixels are too small"),
    "not to be padded": (
        {},
        {"size": (33, 20), "preprocessing": BY_VOLUME},
        "33 x 20 pixels do not fit into padded_to, 32 x 32",
    ),
    "times of single slices": ({}, {"times": 3}, "times is 3, but network 'unet'"),
    "no times": ({"config": FCSLSTMConfig(kind="fcslstm")}, {}, "'fcslstm' reads sequences"),
    "names": ({}, {"class_names": ("air",)}, "1 names, the network 4 classes"),
    "contrasts by slice": ({"in_channels": 3}, {}, "1 or 2 channels, not 3"),
}


@pytest.mark.parametrize(("given", "options", "message"), WRONG.values(), ids=WRONG)
def test_what_does_not_fit_the_network_is_refused(given, options, message, tmp_path):
    fitting = {"size": SIZE, "preprocessing": BY_SLICE}
    with pytest.raises(SpinforgeError, match=message):
        export_program(loaded(**given), tmp_path / "a.pt2", **fitting | options)
    assert not list(tmp_path.iterdir())


def test_other_endings_are_refused(tmp_path):
    with pytest.raises(SpinforgeError, match=r"a\.onnx must end in \.pt2"):
        export_program(loaded(), tmp_path / "a.onnx", size=SIZE, preprocessing=BY_SLICE)
    with pytest.raises(SpinforgeError, match=r"a\.pt2 must end in \.onnx"):
        export_onnx(loaded(), tmp_path / "a.pt2", size=SIZE, preprocessing=BY_SLICE)


@pytest.mark.parametrize("package", ["onnx", "onnxscript", "onnxruntime"])
def test_a_missing_package_is_named_with_the_extra(package, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(SpinforgeError, match=rf"{package}, .*install \"spinforge\[onnx\]\""):
        export_onnx(loaded(), tmp_path / "a.onnx", size=SIZE, preprocessing=BY_SLICE)


def test_weights_that_one_onnx_file_cannot_hold_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_file, "LARGEST", 1000)
    with pytest.raises(SpinforgeError, match=r"ONNX file holds at most.*export_program"):
        export_onnx(loaded(), tmp_path / "a.onnx", size=SIZE, preprocessing=BY_SLICE)


def test_a_file_that_answers_otherwise_is_not_written(tmp_path, monkeypatch):
    wrong = (torch.zeros(3, *SIZE, dtype=torch.uint8), torch.full((3, 4, *SIZE), math.nan))
    monkeypatch.setattr(onnx_file, "_onnx_bytes", lambda prepared: b"a file")
    monkeypatch.setattr(onnx_file, "_run", lambda file, inputs: wrong)
    (tmp_path / "a.onnx").write_text("an older file")
    with pytest.raises(SpinforgeError, match="does not answer as the network itself"):
        export_onnx(loaded(), tmp_path / "a.onnx", size=SIZE, preprocessing=BY_SLICE)
    assert (tmp_path / "a.onnx").read_text() == "an older file"


def probabilities(*columns):
    """Of as many pixels as columns, a class a row."""
    return torch.tensor(columns, dtype=torch.float32).T[None, :, None]


def test_only_ties_may_get_another_label():
    network, file = (
        probabilities([0.5001, 0.4999], [0.9, 0.1]),
        probabilities([0.5, 0.5], [0.9, 0.1]),
    )
    zeros, ones = torch.zeros(1, 1, 2, dtype=torch.uint8), torch.ones(1, 1, 2, dtype=torch.uint8)
    tie_turned = torch.tensor([[[1, 0]]], dtype=torch.uint8)
    agreement = require_agreement((tie_turned, file), (zeros, network))
    assert agreement.difference == pytest.approx(1e-4, rel=1e-3)  # float32 near a half
    assert (agreement.undecided, agreement.different) == (0.5, 0.5)
    with pytest.raises(SpinforgeError, match="labels differ in 1 decided pixels"):
        require_agreement((ones, file), (zeros, network))
    with pytest.raises(SpinforgeError, match="labels differ in 1 decided pixels"):
        require_agreement((tie_turned, network), (zeros, network))
    with pytest.raises(SpinforgeError, match=r"up to 2.0e-03, by more than 1e-03 in 100.00%"):
        require_agreement((zeros, network + 2e-3), (zeros, network))


def test_few_pixels_of_a_network_that_jumps_may_differ_by_more():
    network, file = probabilities([0.6, 0.4], [0.9, 0.1]), probabilities([0.4, 0.6], [0.9, 0.1])
    zeros, ones = torch.zeros(1, 1, 2, dtype=torch.uint8), torch.ones(1, 1, 2, dtype=torch.uint8)
    jumped = torch.tensor([[[1, 0]]], dtype=torch.uint8)
    agreement = require_agreement((jumped, file), (zeros, network), may_jump=0.5)
    assert (agreement.difference, agreement.jumped, agreement.different) == (0, 0.5, 0.5)
    for labels, allowed in ((jumped, 0.4), (ones, 0.5)):
        with pytest.raises(SpinforgeError, match=r"in 50.00% of the pixels"):
            require_agreement((labels, file), (zeros, network), may_jump=allowed)
    with pytest.raises(SpinforgeError, match="up to nan"):
        require_agreement((zeros, network * math.nan), (zeros, network), may_jump=1.0)


def test_a_foreground_alone_is_decided_away_from_a_half():
    network = probabilities([0.5], [0.9])
    zeros = torch.zeros(1, 1, 2, dtype=torch.uint8)
    assert require_agreement((zeros, network), (zeros, network)).undecided == 0.5
