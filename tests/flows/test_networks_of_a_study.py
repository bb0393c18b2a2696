"""Which networks a study may hold, and what is known of them before it starts."""

import importlib.util
import re
from typing import get_args

import pytest
from pydantic import TypeAdapter

from spinforge.flows import describe, preflight
from spinforge.flows.config import load_study, study_yaml
from spinforge.flows.run_folder import RunFolder
from spinforge.flows.study import study as study_flow
from spinforge.models.crdn.baselines import EncoderDecoderConfig
from spinforge.models.networks import (
    ImageNetwork,
    KSpaceNetwork,
    NetworkConfig,
    build_network,
    count_parameters,
)
from spinforge.simulation.errors import SpinforgeError

KINDS = [
    get_args(model.model_fields["kind"].annotation)[0]
    for model in (*get_args(ImageNetwork), *get_args(KSpaceNetwork))
    if model is not EncoderDecoderConfig  # has no default decoder
]
NETWORKS = [{"kind": kind} for kind in KINDS] + [
    {"kind": "encoder_decoder", "decoder": decoder} for decoder in ("fcn", "segnet", "unet")
]

each_network = pytest.mark.parametrize("network", NETWORKS, ids=lambda n: "-".join(n.values()))


def written(network):
    inside = ", ".join(f"{key}: {value}" for key, value in network.items())
    return f"networks=[{{{inside}}}]"


@each_network
def test_every_network_may_stand_in_a_study(tiny_file, tmp_path, network):
    study = load_study(tiny_file, [f"out={tmp_path}", written(network)])
    (tmp_path / "again.yaml").write_text(study_yaml(study))
    assert load_study(tmp_path / "again.yaml") == study
    preflight.check_study(study)
    built = build_network(study.networks[0], in_channels=2, n_classes=4, seed=0)
    plan = describe.study(study)
    assert plan["parameters"] == {study.networks[0].name: count_parameters(built)}


@pytest.mark.parametrize(
    ("network", "product", "reason"),
    [
        ("fcslstm", "seranet", "reads sequences of images, and data.product = seranet has none"),
        ("seranet", "isic_like", "starts from k-space, and data.product = isic_like has images"),
        ("segnetmri", "infant_bric", "starts from k-space, and data.product = infant_bric has"),
    ],
)
def test_networks_that_cannot_read_the_product_are_found_first(tmp_path, network, product, reason):
    file = tmp_path / "study.yaml"
    file.write_text(f"data: {{product: {product}}}\nnetworks: [{{kind: {network}}}]\n")
    study = load_study(file, [f"out={tmp_path / 'runs'}"])
    with pytest.raises(SpinforgeError, match=rf"networks: \S+ \({network}\) {reason}"):
        preflight.check_study(study)
    assert not (tmp_path / "runs").exists()


def test_a_training_that_chooses_its_best_epoch_needs_validation_slices(tmp_path):
    file = tmp_path / "study.yaml"
    file.write_text("data: {product: infant_bric}\nnetworks: [{kind: fcslstm}]\n")
    with pytest.raises(SpinforgeError, match=r"no validation slices.*Set training\.keep to last"):
        preflight.check_study(load_study(file, [f"out={tmp_path / 'runs'}"]))


def test_a_default_that_hangs_on_a_wrong_value_is_no_second_mistake(tiny_file):
    with pytest.raises(SpinforgeError, match=r"networks\.0\.encoder = 'vgg19'") as caught:
        load_study(tiny_file, ["networks=[{kind: crdn, encoder: vgg19}]"])
    assert len(str(caught.value).splitlines()) == 2


def test_a_network_too_deep_for_the_slices_is_found_first(tiny_file, tmp_path):
    """Heads of 4 mm voxels are 45 x 54 pixels."""
    deep = "networks=[{kind: encoder_decoder, name: deep, decoder: fcn, encoder: vgg16}]"
    study = load_study(tiny_file, [f"out={tmp_path / 'runs'}", deep])
    with pytest.raises(SpinforgeError, match=r"network 'deep': .*45 x 54.*at least 65 x 65"):
        preflight.check_study(study)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("kind", ["monai_basic_unet", "monai_dynunet"])
def test_a_missing_extra_is_found_first(tiny_file, tmp_path, kind, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: None if name == "monai" else find(name)
    )
    study = load_study(tiny_file, [f"out={tmp_path / 'runs'}", f"networks=[{{kind: {kind}}}]"])
    wanted = re.escape('pip install "spinforge[monai]"')
    with pytest.raises(SpinforgeError, match=rf"kind '{kind}' are MONAI's.*{wanted}"):
        preflight.check_study(study)
    assert not (tmp_path / "runs").exists()


def test_kinds_are_unique_and_every_network_has_a_name_of_its_own():
    assert len(set(KINDS)) == len(KINDS)
    parse = TypeAdapter(NetworkConfig).validate_python
    names = [parse({"kind": kind}).name for kind in KINDS]
    assert len(set(names)) == len(names)


@pytest.mark.slow
def test_a_study_trains_monais_networks_beside_ours(prefect_server, tiny_file, tmp_path):
    networks = (
        "networks=[{kind: monai_basic_unet, features: [4, 4, 8, 8, 8, 4]}, "
        "{kind: monai_dynunet, filters: [16, 16, 16], residual: true}, "
        "{kind: unet_28, width: 4}, {kind: encoder_decoder, decoder: segnet}]"
    )
    study = load_study(tiny_file, [f"out={tmp_path}", networks, "training.epochs=1"])
    answer = study_flow(study)
    names = ["monai-basic-unet", "monai-dynunet", "unet-28", "encoder-decoder"]
    assert list(answer["dice"]) == names
    page = RunFolder.of(study).report.read_text()
    assert all(name in page for name in names)


@pytest.mark.parametrize(
    ("product", "channels", "classes"),
    [("isic_like", 4, 1), ("infant_bric", 2, 4), ("mrbrains_like", 3, 4), ("seranet", 2, 4)],
)
def test_sizes_of_networks_follow_the_product(tmp_path, product, channels, classes):
    """HLE-Net's family has one output for two classes."""
    file = tmp_path / "study.yaml"
    file.write_text(f"data: {{product: {product}}}\nnetworks: [{{kind: unet_28, width: 4}}]\n")
    study = load_study(file, [f"out={tmp_path / 'runs'}"])
    (config,) = study.networks
    built = build_network(config, in_channels=channels, n_classes=classes, seed=0)
    plan = describe.study(study)
    assert plan["parameters"] == {"unet-28": count_parameters(built)}
    weights = 4 * count_parameters(built)
    assert plan["disk_needed_mib"] * 2**20 > 10 * weights  # files, MLflow's copy, checkpoints
