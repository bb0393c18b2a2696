"""The way to read follows from the size of the set and the memory there is; the bits do not."""

import sys

import pytest
import torch
from tiny_kspace import TINY

from spinforge.datasets.products.making import make_subject
from spinforge.datasets.reading.device_resident import DeviceSlices
from spinforge.datasets.reading.loading import ZeroFilledSlices
from spinforge.datasets.reading.streaming import StreamedSlices
from spinforge.datasets.storage.store import DatasetStore
from spinforge.models.seranet.unet import UNetConfig
from spinforge.models.training.data import (
    ReadyBatches,
    SliceDataset,
    count_slices,
    training_loader,
)
from spinforge.models.training.fit import train_network
from spinforge.models.training.recipes import TrainingConfig
from spinforge.models.training.sources import (
    STREAMING_WORKERS,
    kspace_bytes,
    open_slices,
    training_source,
    way_of,
    workers_for,
)
from spinforge.simulation.errors import SpinforgeError

SUBJECT = ("head-000",)
CPU, GPU = torch.device("cpu"), torch.device("cuda")
BATCH = 5


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> DatasetStore:
    store = DatasetStore(tmp_path_factory.mktemp("kspace") / "set.zarr")
    store.create(TINY.recipe())
    make_subject(TINY, *SUBJECT, store)
    return store


@pytest.fixture
def room(monkeypatch):
    """Say which devices have room for anything."""

    def only(*kinds):
        module = sys.modules["spinforge.models.training.sources"]
        monkeypatch.setattr(module, "fits", lambda size, device: device.type in kinds)

    return only


def opened(store, masks="fresh"):
    return open_slices(store.path, SUBJECT, sampling=TINY.sampling, masks=masks, seed=2)


def source(store, device):
    return training_source(opened(store), device=device, batch_size=BATCH, seed=2)


def test_size_is_that_of_the_arrays_in_memory(store):
    slices = ZeroFilledSlices(store.path, SUBJECT, sampling=TINY.sampling, masks="fixed")
    arrays = (slices.kspace, slices.target, slices.subject_coil_maps(*SUBJECT))
    assert kspace_bytes(store.path, SUBJECT) == sum(array.nbytes for array in arrays)


@pytest.mark.parametrize(
    ("device", "fitting", "way", "workers"),
    [
        (CPU, ("cpu", "cuda"), "memory", 0),
        (CPU, (), "streamed", 0),
        (GPU, ("cpu",), "memory", 0),
        (GPU, (), "streamed", STREAMING_WORKERS),
    ],
)
def test_the_way_follows_from_the_memory(store, room, device, fitting, way, workers):
    room(*fitting)
    found = source(store, device)
    assert way_of(found) == way
    assert type(found) is (StreamedSlices if way == "streamed" else ZeroFilledSlices)
    assert workers_for(found, device) == workers


def test_what_fits_on_a_gpu_lies_there(store, room, monkeypatch):
    room("cpu", "cuda")
    asked = []

    def there(slices, *, device, **options):
        asked.append(device)
        return DeviceSlices(slices, device=CPU, **options)

    monkeypatch.setattr(sys.modules["spinforge.models.training.sources"], "DeviceSlices", there)
    found = source(store, GPU)
    assert asked == [GPU]
    assert way_of(found) == "device"
    assert found.batch_size == BATCH
    loader = training_loader(opened(store), batch_size=BATCH, seed=2)
    for batches in (found, loader):
        batches.sampler.set_epoch(3)
    for one, other in zip(found, loader, strict=True):
        assert torch.equal(one["slice"], other["slice"])
        # Fourier transforms of a batch may round differently than one at a time.
        torch.testing.assert_close(one["image"], other["image"], rtol=1e-5, atol=1e-5)


def resident(store, batch_size=BATCH):
    return DeviceSlices(opened(store), device=CPU, batch_size=batch_size, order_seed=1)


def test_batches_on_a_device_are_ready_batches(store):
    batches = resident(store)
    assert isinstance(batches, ReadyBatches)
    assert not isinstance(batches, SliceDataset)
    assert way_of(batches) == "device"
    assert count_slices(batches) == count_slices(opened(store)) == 14


def train(folder, source, store):
    return train_network(
        UNetConfig(kind="unet", width=2),
        TrainingConfig(epochs=2, batch_size=BATCH, device="cpu"),
        source,
        opened(store, "fixed"),
        folder,
        seed=1,
        progress=False,
    )


def trained_weights(trained):
    return torch.load(trained.network_file, weights_only=True)["state_dict"]


def test_free_memory_does_not_change_a_bit_of_the_network(store, room, tmp_path):
    room("cpu")
    in_memory = train(tmp_path / "memory", source(store, CPU), store)
    room()
    streamed = train(tmp_path / "streamed", source(store, CPU), store)
    one, other = trained_weights(in_memory), trained_weights(streamed)
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert in_memory.summary.identity == streamed.summary.identity


def test_ready_batches_train_the_same_network(store, tmp_path):
    epochs = []

    class Noting(DeviceSlices):
        def set_epoch(self, epoch):
            epochs.append(epoch)
            super().set_epoch(epoch)

    batches = Noting(opened(store), device=CPU, batch_size=BATCH, order_seed=1)
    ready = train(tmp_path / "ready", batches, store)
    loaded = train(tmp_path / "loaded", opened(store), store)
    assert sorted(set(epochs)) == [0, 1]
    assert ready.summary.identity == loaded.summary.identity
    losses = [
        [float(line.split(",")[1]) for line in trained.history_file.read_text().splitlines()[1:]]
        for trained in (ready, loaded)
    ]
    # Fourier transforms of a batch may round differently; six steps of Adam enlarge that a little.
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


def test_ready_batches_of_another_size_are_refused(store, tmp_path):
    with pytest.raises(SpinforgeError, match=r"hold 4 slices, but training.batch_size is 5"):
        train(tmp_path, resident(store, batch_size=4), store)
