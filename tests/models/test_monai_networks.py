"""MONAI's networks as ours: any size, reproducible weights, files, and a plain word without it."""

import pytest
import torch
from pydantic import ValidationError

from spinforge.models.monai_networks import MonaiBasicUNetConfig, MonaiDynUNetConfig
from spinforge.models.networks import build_network, count_parameters, weightless_network
from spinforge.simulation.errors import SpinforgeError

BASIC = MonaiBasicUNetConfig(kind="monai_basic_unet", features=(4, 4, 8, 8, 16, 4))
DYN = MonaiDynUNetConfig(kind="monai_dynunet", filters=(4, 8, 8, 16))
RESIDUAL = MonaiDynUNetConfig(kind="monai_dynunet", filters=(16, 16, 16, 16), residual=True)

small_networks = pytest.mark.parametrize(
    "config", [BASIC, DYN, RESIDUAL], ids=["basic", "dyn", "residual"]
)


def build(config, seed=0):
    return build_network(config, in_channels=2, n_classes=4, seed=seed)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        # No paper's numbers: MONAI 1.6, its own defaults, two channels and four classes.
        (MonaiBasicUNetConfig(kind="monai_basic_unet"), 1_978_820),
        (MonaiDynUNetConfig(kind="monai_dynunet"), 20_611_524),
    ],
)
def test_parameter_counts_are_exact(config, expected):
    assert count_parameters(weightless_network(config, in_channels=2, n_classes=4)) == expected


@pytest.mark.parametrize("residual", [False, True])
def test_the_parts_kept_of_dynunet_are_all_it_computes_with(residual, random_images):
    from monai.networks.nets.dynunet import DynUNet

    theirs = DynUNet(
        2, 2, 4, [3, 3, 3], [1, 2, 2], [2, 2], filters=(16, 18, 20), res_block=residual
    )
    config = MonaiDynUNetConfig(kind="monai_dynunet", filters=(16, 18, 20), residual=residual)
    ours = build(config)
    state = theirs.state_dict()
    ours.load_state_dict(
        {
            name: state[
                name.replace("network.0.", "skip_layers.").replace("network.1.", "output_block.")
            ]
            for name in ours.state_dict()
        }
    )
    assert count_parameters(ours) == sum(weight.numel() for weight in theirs.parameters())
    image = random_images(2, 2, 24, 32)
    assert torch.equal(ours(image), theirs(image))


@pytest.mark.parametrize(("config", "minimum"), [(BASIC, 32), (DYN, 9), (RESIDUAL, 9)])
def test_every_size_from_the_minimum_on_is_segmented(config, minimum, random_images):
    network = build(config)
    with torch.no_grad():
        for size in [(minimum, minimum), (minimum + 1, minimum + 14), (45, 54), (217, 181)]:
            assert network(random_images(2, 2, *size)).shape == (2, 4, *size)
    for size in [(minimum - 1, 96), (96, minimum - 1)]:
        with pytest.raises(SpinforgeError, match=rf"{size[0]} x {size[1]}.*at least {minimum} x"):
            network(torch.zeros(1, 2, *size))


@pytest.mark.parametrize("config", [BASIC, DYN], ids=["basic", "dyn"])
def test_below_the_minimum_instance_normalisation_has_one_pixel(config):
    network = build(config)
    size = network.minimum_size - 1
    with pytest.raises(ValueError, match="more than 1 spatial element"):
        network.network(torch.zeros(1, 2, size, size))


@small_networks
def test_weights_depend_on_the_seed_alone(config):
    def weights(seed):
        return torch.cat([weight.flatten() for weight in build(config, seed).parameters()])

    before = torch.get_rng_state()
    first = weights(1)
    torch.rand(7)
    assert torch.equal(first, weights(1))
    assert not torch.equal(first, weights(2))
    torch.set_rng_state(before)
    build(config)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (MonaiBasicUNetConfig, {"features": (4, 4, 8)}, "at least 6"),
        (MonaiBasicUNetConfig, {"features": (4, 4, 8, 8, 8, 1)}, "greater than or equal to 2"),
        (MonaiDynUNetConfig, {"filters": (4, 8)}, "at least 3"),
        (MonaiDynUNetConfig, {"filters": (4,) * 9}, "at most 8"),
        (MonaiDynUNetConfig, {"filters": (8, 16, 32), "residual": True}, "at least 16 channels"),
    ],
)
def test_impossible_levels_are_refused(kind, values, message):
    with pytest.raises(ValidationError, match=message):
        kind(kind=kind.model_fields["kind"].annotation.__args__[0], **values)


def test_without_monai_the_extra_is_named(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SpinforgeError, match=r'pip install "spinforge\[monai\]"'):
        build(BASIC)
