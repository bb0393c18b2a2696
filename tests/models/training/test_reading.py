"""The way to read follows from the size of the set and the memory there is."""

import sys

import pytest
import torch
from tiny_kspace import TINY

from spinforge.datasets.products.making import make_subject
from spinforge.datasets.reading.device_resident import DeviceSlices
from spinforge.datasets.reading.loading import ZeroFilledSlices
from spinforge.datasets.reading.streaming import StreamedSlices
from spinforge.datasets.storage.store import DatasetStore
from spinforge.models.training.reading import kspace_bytes, training_batches

SUBJECT = ("head-000",)


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> DatasetStore:
    store = DatasetStore(tmp_path_factory.mktemp("kspace") / "set.zarr")
    store.create(TINY.recipe())
    make_subject(TINY, *SUBJECT, store)
    return store


def batches(store, device="cpu"):
    return training_batches(
        store.path,
        SUBJECT,
        sampling=TINY.sampling,
        device=torch.device(device),
        batch_size=5,
        seed=2,
    )


def test_size_is_that_of_the_arrays_in_memory(store):
    slices = ZeroFilledSlices(store.path, SUBJECT, sampling=TINY.sampling, masks="fixed")
    assert kspace_bytes(store.path, SUBJECT) == slices.kspace.nbytes + slices.target.nbytes


def test_what_fits_lies_on_the_device(store):
    assert isinstance(batches(store), DeviceSlices)


@pytest.mark.parametrize(
    ("fits_memory", "kind", "workers"), [(True, ZeroFilledSlices, 0), (False, StreamedSlices, 2)]
)
def test_what_does_not_is_read_from_memory_or_from_the_store(
    store, monkeypatch, fits_memory, kind, workers
):
    module = sys.modules["spinforge.models.training.reading"]
    monkeypatch.setattr(module, "fits", lambda size, device: fits_memory and device.type == "cpu")
    loader = batches(store, "cuda")
    assert type(loader.dataset) is kind
    assert loader.num_workers == workers


def test_both_show_the_same_slices_in_the_same_order(store, monkeypatch):
    resident = batches(store)
    module = sys.modules["spinforge.models.training.reading"]
    monkeypatch.setattr(module, "fits", lambda size, device: False)
    monkeypatch.setattr(module, "STREAMING_WORKERS", 0)
    streamed = batches(store)
    for source in (resident, streamed):
        source.sampler.set_epoch(3)
    for one, other in zip(resident, streamed, strict=True):
        assert torch.equal(one["slice"], other["slice"])
        # Fourier transforms of a batch may round differently than one at a time.
        torch.testing.assert_close(one["image"], other["image"], rtol=1e-5, atol=1e-5)
