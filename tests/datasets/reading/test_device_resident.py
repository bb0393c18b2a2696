"""Batches from the memory of a device: those of a loader, whose source is let go."""

import gc
import weakref

import pytest
import torch
from tiny_kspace import TINY

from spinforge.datasets.products.making import make_subject
from spinforge.datasets.reading.device_resident import DeviceSlices
from spinforge.datasets.reading.fresh_noise import FreshNoise
from spinforge.datasets.reading.loading import ZeroFilledSlices
from spinforge.datasets.storage.store import DatasetStore
from spinforge.models.training.data import training_loader
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.noise import Noise

SUBJECTS = ("head-000", "head-001")
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def quiet_store(tmp_path_factory) -> DatasetStore:
    """The set of `TINY` without noise."""
    quiet = TINY.model_copy(update={"noise": Noise(percent=0)})
    store = DatasetStore(tmp_path_factory.mktemp("quiet") / "set.zarr")
    store.create(quiet.recipe())
    make_subject(quiet, "head-001", store)
    return store


def opened(store, subjects=SUBJECTS):
    return ZeroFilledSlices(store.path, subjects, sampling=TINY.sampling, masks="fresh", seed=5)


def assert_same_item(one, other):
    assert one.keys() == other.keys()
    for key, value in one.items():
        same = torch.equal(value, other[key]) if torch.is_tensor(value) else value == other[key]
        assert same, key


def test_batches_on_the_device_are_those_of_the_loader(tiny_store):
    loader = training_loader(opened(tiny_store), batch_size=5, seed=1)
    resident = DeviceSlices(opened(tiny_store), device=CPU, batch_size=5, order_seed=1)
    assert len(resident) == len(loader) == 6
    for epoch in (2, 0):
        loader.sampler.set_epoch(epoch)
        resident.sampler.set_epoch(epoch)
        for one, other in zip(loader, resident, strict=True):
            assert one["subject"] == other["subject"]
            assert torch.equal(one["target"], other["target"])
            assert torch.equal(one["slice"], other["slice"])
            # Fourier transforms of a batch may round differently than one at a time.
            torch.testing.assert_close(one["image"], other["image"], rtol=1e-5, atol=1e-5)


def test_without_a_seed_the_order_is_that_of_the_set(tiny_store):
    resident = DeviceSlices(opened(tiny_store), device=CPU, batch_size=8)
    places = [place for batch in resident for place in batch["slice"].tolist()]
    assert places == [*range(14), *range(14)]


def with_fresh_noise(slices, std):
    """Noise of this deviation in each channel, on a set that has none."""
    slices.fresh_noise = FreshNoise(slices.index, torch.full((len(slices),), std), 0.0, slices.seed)
    return slices


def noisy_images(store, batch_size, epoch, order_seed, std=1.0):
    """Image of each slice, whatever batch it came in."""
    slices = with_fresh_noise(opened(store, ("head-001",)), std)
    resident = DeviceSlices(slices, device=CPU, batch_size=batch_size, order_seed=order_seed)
    images = {}
    for batch in resident.batches(epoch):
        images |= dict(zip(batch["slice"].tolist(), batch["image"], strict=True))
    return images


def test_fresh_noise_depends_on_slice_and_epoch_alone(quiet_store):
    one, other = noisy_images(quiet_store, 4, 2, 0), noisy_images(quiet_store, 14, 2, 9)
    for number, image in one.items():
        torch.testing.assert_close(image, other[number], rtol=1e-5, atol=1e-5)
    later = noisy_images(quiet_store, 4, 3, 0)
    assert not torch.allclose(one[7], later[7], atol=0.1)


def test_fresh_noise_has_the_deviation_asked_for(quiet_store):
    slices = with_fresh_noise(opened(quiet_store, ("head-001",)), 2.0)
    resident = DeviceSlices(slices, device=CPU, batch_size=14)
    masks = torch.stack([slices.line_mask(position) for position in range(14)])
    kspace = torch.zeros_like(slices.kspace)
    resident._fresh_noise.add(kspace, masks, list(range(14)), 0)
    drawn = torch.view_as_real(kspace.movedim(2, 1)[masks]).double()
    # A deviation of n numbers has a relative standard error of 1 / sqrt(2 n), here 0.5 %.
    assert float(drawn.std()) == pytest.approx(2.0, rel=0.025)
    assert not kspace.movedim(2, 1)[~masks].any()
    assert len(drawn.unique()) > 0.99 * drawn.numel()


def test_epochs_may_be_read_by_turns(tiny_store):
    slices = opened(tiny_store)
    resident = DeviceSlices(slices, device=CPU, batch_size=8, order_seed=1)
    apart = [list(resident.batches(epoch)) for epoch in (0, 3)]
    by_turns = zip(resident.batches(0), resident.batches(3), strict=True)
    for number, pair in enumerate(by_turns):
        for one, other in zip(pair, apart, strict=True):
            assert_same_item(one, other[number])
    assert slices.epoch == 0


def test_nothing_of_the_source_is_kept_alive(tiny_store):
    slices = opened(tiny_store)
    source = weakref.ref(slices)
    resident = DeviceSlices(slices, device=CPU, batch_size=4)
    del slices
    gc.collect()
    assert source() is None
    assert len(list(resident)) == 7


def test_a_full_device_is_named(tiny_store, monkeypatch):
    slices = opened(tiny_store)

    class Full:
        nbytes = 2**31

        def to(self, device):
            raise torch.OutOfMemoryError("planted")

    monkeypatch.setattr(slices, "kspace", Full())
    with pytest.raises(SpinforgeError, match=r"takes 2.0 GiB, more than is free on cpu; .*stream"):
        DeviceSlices(slices, device=CPU, batch_size=4)
