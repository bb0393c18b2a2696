"""Facts that hold for every network."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from pydantic import TypeAdapter, ValidationError

from spinforge.models.crdn.crdn import CRDNConfig
from spinforge.models.networks import NetworkConfig, build_network
from spinforge.models.seranet.unet import UNetConfig
from spinforge.models.training.task import count_confusion, mean_tissue_dice

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
