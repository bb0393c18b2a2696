"""Facts that hold for every network."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from pydantic import TypeAdapter, ValidationError

from spinforge.models.crdn.crdn import CRDNConfig
from spinforge.models.hlenet.hlenet import HLENetConfig
from spinforge.models.networks import NetworkConfig, build_network
from spinforge.models.seranet.segnetmri import SegNetMRIConfig
from spinforge.models.seranet.seranet import SERANetConfig
from spinforge.models.seranet.unet import UNetConfig
from spinforge.models.training.confusion import count_confusion, mean_tissue_dice
from spinforge.simulation.errors import SpinforgeError

SMALL = [UNetConfig(kind="unet", width=4), CRDNConfig(kind="crdn")]

small_networks = pytest.mark.parametrize("config", SMALL, ids=lambda config: config.kind)


@small_networks
def test_weights_depend_on_the_seed_alone(config):
    def weights(seed, **changes):
        changed = config.model_copy(update=changes)
        network = build_network(changed, in_channels=2, n_classes=4, seed=seed)
        return torch.cat([weight.flatten() for weight in network.parameters()])

    first = weights(1)
    torch.rand(7)
    assert torch.equal(first, weights(1, name="another"))
    assert not torch.equal(first, weights(2))


@pytest.mark.parametrize(
    ("config", "changes"),
    [
        (SERANetConfig(kind="seranet", width=2), {"pretrained": True}),
        (SegNetMRIConfig(kind="segnetmri", width=2), {"segmentation_weight": 1.0}),
    ],
    ids=lambda value: getattr(value, "kind", None),
)
def test_fields_of_the_training_alone_do_not_change_the_weights(config, changes):
    def first_weight(**changes):
        changed = config.model_copy(update=changes)
        network = build_network(changed, in_channels=2, n_classes=4, seed=1)
        return next(network.parameters())

    assert torch.equal(first_weight(), first_weight(**changes))
    assert not torch.equal(first_weight(), first_weight(width=3))


def test_an_image_has_a_channel():
    with pytest.raises(SpinforgeError, match="in_channels is 0"):
        build_network(SMALL[0], in_channels=0, n_classes=4, seed=0)


@pytest.mark.parametrize("n_classes", [0, 1])
def test_a_foreground_alone_is_for_hle_nets_family(n_classes):
    expected = rf"n_classes is {n_classes}, but network 'unet' needs 2"
    with pytest.raises(SpinforgeError, match=expected):
        build_network(SMALL[0], in_channels=2, n_classes=n_classes, seed=0)
    config = HLENetConfig(kind="hle_net", width=8)
    if n_classes == 1:
        build_network(config, in_channels=2, n_classes=1, seed=0)
    else:
        with pytest.raises(SpinforgeError, match="'hle_net' needs 1"):
            build_network(config, in_channels=2, n_classes=0, seed=0)


@small_networks
def test_global_random_state_is_untouched(config):
    before = torch.get_rng_state()
    build_network(config, in_channels=1, n_classes=4, seed=3)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    "config", [UNetConfig(kind="unet", width=8), CRDNConfig(kind="crdn")], ids=["unet", "crdn"]
)
def test_network_learns_four_slices_by_heart(config, discs):
    data = discs(4)
    images = torch.stack([data[index]["image"] for index in range(4)])
    target = torch.stack([data[index]["target"] for index in range(4)])
    network = build_network(config, in_channels=2, n_classes=4, seed=0)
    optimizer = torch.optim.Adam(network.parameters(), lr=5e-3)
    for _ in range(100):
        optimizer.zero_grad()
        F.cross_entropy(network(images), target).backward()
        optimizer.step()
    predicted = network.eval()(images).argmax(dim=1)
    assert mean_tissue_dice(count_confusion(target, predicted, 4)) > 0.95


def test_configuration_is_chosen_by_kind():
    parse = TypeAdapter(NetworkConfig).validate_python
    assert parse({"kind": "unet", "width": 16}) == UNetConfig(kind="unet", width=16)
    assert parse({"kind": "crdn"}) == CRDNConfig(kind="crdn")
    with pytest.raises(ValidationError, match="width"):
        parse({"kind": "crdn", "width": 16})


@pytest.mark.parametrize("name", ["", "-unet", "Unet", "a/b", "..", "a b", "a\n"])
def test_names_that_are_no_folder_names_are_refused(name):
    with pytest.raises(ValidationError, match="name"):
        UNetConfig(kind="unet", name=name)
