"""Every way to read a k-space set shows the same slices, and damage is named."""

import pickle
import shutil

import numpy as np
import pytest
import torch
from tiny_kspace import TINY

from spinforge.datasets.products.making import make_subject
from spinforge.datasets.reading.device_resident import DeviceSlices
from spinforge.datasets.reading.loading import ZeroFilledSlices, slices_fingerprint
from spinforge.datasets.reading.shards import ShardReader, SubjectShards
from spinforge.datasets.reading.streaming import StreamedSlices
from spinforge.datasets.storage.arrays import StoredArray, write_array
from spinforge.datasets.storage.store import DatasetStore
from spinforge.models.seranet.consistency import zero_filled_channels
from spinforge.models.seranet.measurement import Measurement
from spinforge.models.training.data import training_loader
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.noise import Noise
from spinforge.simulation.scanner import Scanner

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


def open_as(kind, store, subjects=SUBJECTS, **options):
    options = {"masks": "fresh", "seed": 5, **options}
    return kind(store.path, subjects, sampling=TINY.sampling, **options)


def assert_same_item(one, other):
    assert one.keys() == other.keys()
    for key, value in one.items():
        same = torch.equal(value, other[key]) if torch.is_tensor(value) else value == other[key]
        assert same, key


# ------------------------------------------------------------------------------ shards


@pytest.mark.parametrize("dtype", [np.complex64, np.float32, np.uint8])
def test_slices_are_those_zarr_reads(tmp_path, dtype):
    import zarr

    values = (np.arange(5 * 7 * 3) % 251).reshape(5, 7, 3).astype(dtype)
    values[2] = 0  # zarr leaves out chunks of zeros
    group = zarr.create_group(tmp_path / "g", zarr_format=3)
    write_array(group, "a", StoredArray(values, ("slice", "ky", "kx")))
    shards = SubjectShards([tmp_path / "g" / "a"] * 2)
    assert len(shards) == 10
    np.testing.assert_array_equal(shards.read([4, 2, 7]).numpy(), values[[4, 2, 2]])
    assert shards.read([1], shared=True).is_shared()


def test_an_array_of_zeros_has_no_shard(tmp_path):
    import zarr

    group = zarr.create_group(tmp_path / "g", zarr_format=3)
    write_array(group, "a", StoredArray(np.zeros((3, 4, 2), np.uint8), ("slice", "ky", "kx")))
    assert not SubjectShards([tmp_path / "g" / "a"]).read([0, 2]).any()


def test_a_reader_may_be_sent_to_another_process(tiny_store):
    reader = SubjectShards([tiny_store.subject_path("head-000") / "target"])
    again = pickle.loads(pickle.dumps(reader))  # noqa: S301 (our own object)
    assert torch.equal(again.read([6]), reader.read([6]))


@pytest.fixture
def damaged(tiny_store, tmp_path):
    """A copy of one array whose shard may be changed: its folder and its file."""
    folder = tmp_path / "target"
    shutil.copytree(tiny_store.subject_path("head-000") / "target", folder)
    return folder, next(path for path in (folder / "c").rglob("*") if path.is_file())


def test_damage_is_found_in_the_index(damaged):
    folder, file = damaged
    content = bytearray(file.read_bytes())
    content[-20] ^= 1
    file.write_bytes(content)
    with pytest.raises(SpinforgeError, match="the checksum of its index is wrong"):
        ShardReader(folder)


def test_damage_is_found_in_a_slice_that_cannot_be_decompressed(damaged):
    folder, file = damaged
    content = bytearray(file.read_bytes())
    reader = ShardReader(folder)
    content[:200] = bytes(200)
    file.write_bytes(content)
    with pytest.raises(SpinforgeError, match="slice 0 is damaged"):
        reader.read_into(np.empty((45, 54), np.uint8), 0)


def test_another_layout_is_refused(tiny_store):
    with pytest.raises(SpinforgeError, match="no array of one shard with a chunk a slice"):
        ShardReader(tiny_store.subject_path("head-000") / "te")
    with pytest.raises(SpinforgeError, match="no array of one shard"):
        ShardReader(tiny_store.subject_path("head-000") / "nothing")


# --------------------------------------------------------------------------- streaming


@pytest.mark.parametrize("masks", ["fixed", "fresh"])
def test_streamed_slices_are_those_in_memory(tiny_store, masks):
    memory = open_as(ZeroFilledSlices, tiny_store, masks=masks)
    streamed = open_as(StreamedSlices, tiny_store, masks=masks)
    for epoch in (0, 3):
        memory.set_epoch(epoch)
        streamed.set_epoch(epoch)
        for position in (0, 13, 14, 27):
            assert_same_item(memory[position], streamed[position])
    assert torch.equal(memory.fully_sampled(3), streamed.fully_sampled(3))


@pytest.mark.slow
def test_workers_read_the_same_batches_in_every_epoch(tiny_store):
    here = training_loader(open_as(StreamedSlices, tiny_store), batch_size=5, seed=1)
    there = training_loader(open_as(StreamedSlices, tiny_store), batch_size=5, seed=1, workers=2)
    for epoch in (0, 1, 4):
        for loader in (here, there):
            loader.sampler.set_epoch(epoch)
        for one, other in zip(here, there, strict=True):
            assert_same_item(one, other)


# ------------------------------------------------------------------------ noise on read


@pytest.mark.parametrize("kind", [ZeroFilledSlices, StreamedSlices])
def test_noise_added_on_read_gives_the_stored_bytes(quiet_store, tiny_store, kind):
    subject = ("head-001",)
    stored = open_as(ZeroFilledSlices, tiny_store, subject)
    added = open_as(kind, quiet_store, subject, noise_on_read=TINY.noise)
    clean = open_as(ZeroFilledSlices, quiet_store, subject)
    for position in (0, 6, 13):
        assert torch.equal(added.slice_kspace(position), stored.slice_kspace(position))
        assert not torch.equal(clean.slice_kspace(position), stored.slice_kspace(position))


def test_noise_on_top_of_noise_is_refused(tiny_store):
    with pytest.raises(SpinforgeError, match="was made with 10 % noise"):
        open_as(ZeroFilledSlices, tiny_store, noise_on_read=Noise(percent=5))


def test_fingerprint_tells_noise_that_is_added(quiet_store):
    def fingerprint(**options):
        return slices_fingerprint(
            quiet_store, ("head-001",), sampling=TINY.sampling, masks="fixed", **options
        )

    others = {fingerprint(noise_on_read=Noise(percent=p)) for p in (5, 10)}
    assert len(others | {fingerprint()}) == 3


# ----------------------------------------------------------------------------- content


@pytest.mark.parametrize("kind", [ZeroFilledSlices, StreamedSlices])
def test_kspace_is_shown_as_it_is_stored(tiny_store, kind):
    data = open_as(kind, tiny_store, content="kspace")
    loader = training_loader(data, batch_size=5, seed=1)
    resident = DeviceSlices(
        open_as(ZeroFilledSlices, tiny_store, content="kspace"),
        device=CPU,
        batch_size=5,
        order_seed=1,
    )
    full = {subject: tiny_store.read(subject, "full") for subject in SUBJECTS}
    labels = {subject: tiny_store.read(subject, "target") for subject in SUBJECTS}
    seen = set()
    for one, other in zip(loader, resident, strict=True):
        assert_same_item(one, other)
        for row, place in enumerate(zip(one["subject"], one["slice"].tolist(), strict=True)):
            subject, number = place
            np.testing.assert_array_equal(one["kspace"][row].numpy(), full[subject][number])
            np.testing.assert_array_equal(one["target"][row].numpy(), labels[subject][number])
            seen.add(place)
    assert seen == set(data.index)


@pytest.mark.parametrize("coils", [1, 2])
def test_a_measurement_is_what_the_image_was_made_of(tmp_path, coils):
    """Zero-filled by the networks' own code it is the image, whichever way it was read."""
    product = TINY.model_copy(update={"scanner": Scanner(coils=coils)})
    store = DatasetStore(tmp_path / "set.zarr")
    store.create(product.recipe())
    make_subject(product, "head-000", store)
    subject = ("head-000",)
    images, memory, streamed = (
        open_as(kind, store, subject, content=content)
        for kind, content in (
            (ZeroFilledSlices, "image"),
            (ZeroFilledSlices, "measurement"),
            (StreamedSlices, "measurement"),
        )
    )
    (resident,) = DeviceSlices(memory, device=CPU, batch_size=14)
    (loaded,) = training_loader(streamed, batch_size=14, seed=1)
    assert set(loaded) == set(resident)
    for position in (0, 7):
        item = memory[position]
        assert_same_item(item, streamed[position])
        measured = Measurement(
            item["kspace"][None],
            item["mask"][None],
            item["sensitivities"][None] if coils > 1 else None,
        )
        assert ("sensitivities" in item) == (coils > 1)
        # Divided before or after the Fourier transform; float32, values near 1.
        image = images[position]["image"]
        torch.testing.assert_close(zero_filled_channels(measured)[0], image, rtol=0, atol=1e-5)
        torch.testing.assert_close(resident["kspace"][position], item["kspace"], rtol=1e-5, atol=0)
        assert torch.equal(resident["mask"][position], item["mask"])
        assert torch.equal(item["target"], images[position]["target"])


# --------------------------------------------------------------------------- coil maps


@pytest.mark.parametrize("per_slice", [False, True])
def test_coil_maps_are_streamed_where_each_slice_has_its_own(tmp_path, per_slice):
    scanner = Scanner(receive_range_percent=20) if per_slice else Scanner(coils=2)
    product = TINY.model_copy(update={"scanner": scanner})
    store = DatasetStore(tmp_path / "set.zarr")
    store.create(product.recipe())
    make_subject(product, "head-001", store)
    memory, streamed = (
        kind(store.path, ("head-001",), sampling=TINY.sampling, masks="fixed")
        for kind in (ZeroFilledSlices, StreamedSlices)
    )
    maps = memory.subject_coil_maps("head-001")
    assert len(maps) == (14 if per_slice else 1)
    assert torch.equal(streamed.subject_coil_maps("head-001"), maps)
    assert len(streamed._kept_maps) == (0 if per_slice else 1)
    resident = DeviceSlices(memory, device=CPU, batch_size=14)
    (batch,) = resident
    for position in (0, 9):
        assert torch.equal(streamed.coil_maps(position), memory.coil_maps(position))
        assert_same_item(memory[position], streamed[position])
        image = memory[position]["image"]
        # Fourier transforms of a batch may round differently than one at a time.
        torch.testing.assert_close(batch["image"][position], image, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_workers_show_what_one_process_shows_in_every_epoch(tiny_store):
    """Fresh masks differ between epochs; workers that live on would never hear of it."""
    slices = ZeroFilledSlices(
        tiny_store.path, ("head-000",), sampling=TINY.sampling, masks="fresh", seed=1
    )

    def epochs(workers):
        loader = training_loader(slices, batch_size=4, seed=3, workers=workers)
        for epoch in range(3):
            loader.sampler.set_epoch(epoch)
            yield torch.cat([batch["image"] for batch in loader])

    for apart, here in zip(epochs(2), epochs(0), strict=True):
        assert torch.equal(apart, here)
