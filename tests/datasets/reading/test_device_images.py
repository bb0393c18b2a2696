"""Images and sequences in a device's memory are those of a loader, bit for bit."""

import pytest
import torch
from tiny_images import TINY, generated

from spinforge.datasets.products.infant_settings import InfantBric
from spinforge.datasets.reading.device_images import DeviceImages, nbytes_of
from spinforge.datasets.reading.image_slices import ImageSlices
from spinforge.datasets.reading.longitudinal import LongitudinalSlices
from spinforge.models.fcslstm.fcslstm import FCSLSTMConfig
from spinforge.models.seranet.unet import UNetConfig
from spinforge.models.training.data import ReadyBatches, SliceDataset, training_loader
from spinforge.models.training.fit import train_network
from spinforge.models.training.recipes import FCSLSTMTraining, TrainingConfig
from spinforge.models.training.sources import way_of
from spinforge.simulation.errors import SpinforgeError

CPU = torch.device("cpu")
INFANTS = InfantBric(product="infant_bric", spacing_mm=4, ages_months=(0, 6), subjects=1)


@pytest.fixture(scope="module", params=["images", "sequences"])
def slices(request, tmp_path_factory):
    """Three contrasts of 30 slices; or a head at two ages, of which one is shown."""
    path = tmp_path_factory.mktemp(request.param) / "set.zarr"
    if request.param == "images":
        return ImageSlices(generated(TINY["mrbrains_like"], path).path, "train", brain_only=True)
    generated(INFANTS, path)
    return LongitudinalSlices(path, tuple(INFANTS.names), ages_months=INFANTS.train_ages_months)


def resident(slices, **options):
    return DeviceImages(slices, device=CPU, **({"batch_size": 4, "order_seed": 3} | options))


def test_batches_are_those_of_a_loader(slices):
    ready = resident(slices)
    assert isinstance(ready, ReadyBatches)
    assert not isinstance(ready, SliceDataset)
    assert way_of(ready) == "device"
    loader = training_loader(slices, batch_size=4, seed=3)
    for epoch in (0, 1, 5):
        ready.sampler.set_epoch(epoch)
        loader.sampler.set_epoch(epoch)
        assert len(ready) == len(loader)
        for found, expected in zip(ready, loader, strict=True):
            assert found.keys() == expected.keys()
            for name, value in expected.items():
                if isinstance(value, torch.Tensor):
                    assert found[name].dtype == value.dtype
                    assert torch.equal(found[name], value)
                else:
                    assert found[name] == value


def test_a_training_does_not_notice(slices, tmp_path):
    network = (
        FCSLSTMConfig(kind="fcslstm", shrink=4)
        if isinstance(slices, LongitudinalSlices)
        else UNetConfig(kind="unet", width=2)
    )
    recipe = FCSLSTMTraining(recipe="fcslstm") if network.kind == "fcslstm" else TrainingConfig()
    recipe = recipe.model_copy(update={"epochs": 2, "batch_size": 4, "device": "cpu"})
    kept = []
    for name, source in (("loader", slices), ("device", resident(slices))):
        trained = train_network(
            network, recipe, source, slices, tmp_path / name, seed=3, progress=False
        )
        kept.append(torch.load(trained.network_file, weights_only=True)["state_dict"])
    assert all(torch.equal(kept[0][name], kept[1][name]) for name in kept[0])


def test_the_size_is_known_beforehand(slices):
    held = resident(slices)._values.values()
    assert nbytes_of(slices) == sum(value.nbytes for value in held)


def test_a_full_device_is_named(slices, monkeypatch):
    def full(*_):
        raise torch.OutOfMemoryError("planted")

    monkeypatch.setattr(torch, "cat", full)
    with pytest.raises(SpinforgeError, match=r"GiB, more than is free on cpu; train from memory"):
        resident(slices)
