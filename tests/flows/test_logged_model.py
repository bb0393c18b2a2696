"""Networks as MLflow models: every kind of input, loaded again by MLflow itself."""

import mlflow.pyfunc
import numpy as np
import pytest
import torch
from mlflow.exceptions import MlflowException
from pydantic import TypeAdapter

from spinforge.datasets.reading.slice_format import SliceFormat
from spinforge.flows.logged_model import RawScanModel, example_of
from spinforge.flows.model_registry import mlflow_model
from spinforge.models.networks import NetworkConfig, build_network
from spinforge.models.weights import load_network, save_network
from spinforge.simulation.errors import SpinforgeError

CLASSES = ("background", "CSF", "GM", "WM")
UNET = {"kind": "unet", "width": 4}
SERANET = {"kind": "seranet", "width": 4, "recurrences": 1, "reconstruction": {"blocks": 1}}


def format_of(content, channels, scaling, **more):
    return SliceFormat(
        content=content,
        channels=channels,
        scaling=scaling,
        planes=(),
        size=(32, 48),
        class_names=CLASSES,
        **({"is_padded": False} | more),
    )


CASES = {
    "complex images": (UNET, format_of("image", ("real", "imaginary"), "slice"), 1),
    "contrasts": (UNET, format_of("image", ("T1", "T2", "PD"), "volume", is_padded=True), 1),
    "CT": (UNET, format_of("image", ("CT",), "volume", window=(-160.0, 240.0)), 1),
    "photographs": (UNET, format_of("image", ("red", "green", "blue"), "none"), 1),
    "sequences": (
        {"kind": "fcslstm", "shrink": 4},
        format_of("sequence", ("T1", "T2"), "volume", is_padded=True),
        1,
    ),
    "k-space": (SERANET, format_of("kspace", ("real", "imaginary"), "slice"), 1),
    "k-space of two coils": (SERANET, format_of("kspace", ("real", "imaginary"), "slice"), 2),
}


@pytest.fixture
def saved(tmp_path):
    """Write an untrained network's file."""

    def save(config, reads):
        built = TypeAdapter(NetworkConfig).validate_python(config)
        channels = len(reads.channels) if reads else 2
        network = build_network(built, in_channels=channels, n_classes=4, seed=1)
        path = tmp_path / "network.pt"
        sizes = {"in_channels": channels, "n_classes": 4}
        save_network(path, network.state_dict(), built, reads=reads, **sizes)
        return path

    return save


@pytest.mark.parametrize("name", CASES)
def test_mlflow_loads_what_it_saved_and_takes_any_batch_and_size(name, saved, tmp_path):
    config, reads, coils = CASES[name]
    file = saved(config, reads)
    loaded = load_network(file)
    mlflow.pyfunc.save_model(tmp_path / "model", **mlflow_model(loaded, file, coils=coils))
    model = mlflow.pyfunc.load_model(tmp_path / "model")
    inputs = larger(example_of(loaded, coils=coils))
    answer, expected = model.predict(inputs), RawScanModel(loaded).predict(inputs)
    for name in ("labels", "probabilities"):
        assert np.array_equal(answer[name], expected[name])
    image = inputs["image" if "image" in inputs else "kspace"]
    rows, columns = image.shape[-2:] if "image" in inputs else image.shape[2:4]
    assert answer["labels"].shape[-2:] == (rows, columns)
    assert np.array_equal(answer["probabilities"].argmax(-3), answer["labels"])
    with pytest.raises(MlflowException, match="schema"):
        model.predict(
            {**inputs, "labels": answer["labels"], **dict.fromkeys(inputs, image[..., 0])}
        )


def larger(inputs):
    """Three of the example, twice as wide."""
    found = {}
    for name, values in inputs.items():
        axis = {"image": -1, "kspace": 3, "sensitivities": 3}.get(name)
        wider = values if axis is None else np.concatenate([values, values], axis)
        found[name] = np.concatenate([wider] * 3).astype(values.dtype)
    return found


def test_the_last_axis_of_kspace_is_real_and_imaginary_part(saved, monkeypatch):
    loaded = load_network(saved(*CASES["k-space"][:2]))
    model, inputs, seen = RawScanModel(loaded), example_of(loaded), {}
    answer = torch.zeros(1), torch.zeros(1)
    monkeypatch.setattr(model, "_segmenter", lambda **given: seen.update(given) or answer)
    model.predict(inputs)
    expected = inputs["kspace"][..., 0] + 1j * inputs["kspace"][..., 1]
    assert np.array_equal(seen["kspace"].numpy(), expected)
    assert np.array_equal(seen["mask"].numpy(), inputs["mask"])


def test_a_file_that_does_not_say_what_it_reads_is_no_model(saved):
    with pytest.raises(SpinforgeError, match=r"'unet' does not say what its slices looked like"):
        RawScanModel(load_network(saved(UNET, None)))


def test_nothing_in_a_saved_model_is_pickled(saved, tmp_path):
    config, reads, _ = CASES["complex images"]
    file = saved(config, reads)
    mlflow.pyfunc.save_model(tmp_path / "model", **mlflow_model(load_network(file), file))
    names = {path.name for path in (tmp_path / "model").rglob("*") if path.is_file()}
    assert names == {
        "MLmodel",
        "network.pt",
        "requirements.txt",
        "conda.yaml",
        "python_env.yaml",
        "input_example.json",
        "serving_input_example.json",
    }
    assert torch.load(file, weights_only=True)["reads"]["scaling"] == "slice"
