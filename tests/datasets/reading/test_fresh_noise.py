"""Noise drawn anew each epoch: the stored one is taken off, and the level stays."""

import math

import pytest
import torch
from tiny_kspace import TINY

from spinforge.datasets.products.making import make_subject
from spinforge.datasets.reading.device_resident import DeviceSlices
from spinforge.datasets.reading.fresh_noise import FreshNoise
from spinforge.datasets.reading.loading import ZeroFilledSlices
from spinforge.datasets.reading.streaming import StreamedSlices
from spinforge.datasets.storage.store import DatasetStore
from spinforge.models.training.data import training_loader
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.noise import Noise
from spinforge.simulation.scanner import Scanner

CPU = torch.device("cpu")
COILS = TINY.model_copy(update={"scanner": Scanner(coils=2, coil_correlation=0.3)})


@pytest.fixture(scope="module")
def stores(tmp_path_factory) -> dict[int, DatasetStore]:
    """One subject seen by two coils, by noise in percent."""
    made = {}
    for percent in (0, 10):
        product = COILS.model_copy(update={"noise": Noise(percent=percent)})
        made[percent] = DatasetStore(tmp_path_factory.mktemp(f"noise-{percent}") / "set.zarr")
        made[percent].create(product.recipe())
        make_subject(product, "head-000", made[percent])
    return made


def opened(store, kind=ZeroFilledSlices, **options):
    return kind(store.path, ("head-000",), sampling=TINY.sampling, masks="fresh", seed=5, **options)


@pytest.fixture(scope="module")
def fresh(stores):
    return opened(stores[10], noise="fresh")


def test_the_stored_noise_is_taken_off(stores, fresh):
    """To rounding of the sum that was stored, relative to k-space's largest sample."""
    clean = opened(stores[0]).kspace
    error = (fresh.kspace - clean).abs().max() / clean.abs().max()
    assert float(error) <= 2 * torch.finfo(torch.float32).eps


def test_fresh_noise_has_the_level_of_the_set_in_all_coils(stores, fresh):
    """The sum of the squares of n normal numbers is chi-square: n, give or take sqrt(2 n)."""
    std = float(stores[10].read("head-000", "noise_sigma")[0])
    slices = fresh.showing("kspace")
    noise = torch.stack([slices[p]["kspace"] for p in range(14)]) - fresh.kspace
    channels = torch.view_as_real(noise).double()
    n = channels.numel()
    # Correlated coils have somewhat more spread: 1 + 0.3^2.
    bound = 5 * math.sqrt(2 * n * 1.09) * std**2
    assert abs(float(channels.square().sum()) - n * std**2) <= bound
    one, other = noise[:, 0].flatten(), noise[:, 1].flatten()
    correlation = float(torch.corrcoef(torch.stack((one, other)))[0, 1].real)
    assert correlation == pytest.approx(0.3, abs=5 / math.sqrt(one.numel()))


def test_an_epoch_has_its_own_noise_and_always_the_same(fresh):
    slices = fresh.showing("measurement")
    seen = []
    for epoch in (0, 1, 0):
        slices.set_epoch(epoch)
        item = slices[7]
        seen.append((item["kspace"] / item["kspace"].abs().max(), item["mask"]))
    assert torch.equal(seen[0][0], seen[2][0])
    assert (seen[0][0] - seen[1][0]).abs().mean() > 1e-4


@pytest.mark.parametrize("content", ["image", "measurement", "kspace"])
def test_every_way_of_reading_draws_the_same(stores, fresh, content):
    in_memory = fresh.showing(content)
    streamed = opened(stores[10], StreamedSlices, noise="fresh").showing(content)
    resident = DeviceSlices(fresh, device=CPU, batch_size=14).showing(content)
    for slices in (in_memory, streamed, resident):
        slices.set_epoch(3)
    (batch,) = resident
    for position in (0, 9):
        item, other = in_memory[position], streamed[position]
        for name in item.keys() - {"subject", "slice"}:
            assert torch.equal(item[name], other[name]), name
            # Fourier transforms of a batch may round differently than one at a time.
            torch.testing.assert_close(item[name], batch[name][position], rtol=1e-5, atol=1e-5)
    together = streamed.__getitems__([9, 0])
    expected = streamed[9]["image" if content == "image" else "kspace"]
    assert torch.equal(together["image" if content == "image" else "kspace"][0], expected)


@pytest.mark.slow
def test_workers_draw_the_same(stores, fresh):
    streamed = opened(stores[10], StreamedSlices, noise="fresh")
    seen = []
    for slices, workers in ((fresh.showing("image"), 0), (streamed, 1)):
        loader = training_loader(slices, batch_size=5, seed=1, workers=workers)
        for epoch in (0, 2):
            loader.sampler.set_epoch(epoch)
            seen.append(torch.cat([batch["image"] for batch in loader]))
    assert torch.equal(seen[0], seen[2])
    assert torch.equal(seen[1], seen[3])
    assert not torch.equal(seen[0], seen[1])


def test_noise_read_onto_a_quiet_set_may_be_fresh(stores, fresh):
    other = opened(stores[0], noise="fresh", noise_on_read=Noise(percent=10))
    assert isinstance(other.fresh_noise, FreshNoise)
    torch.testing.assert_close(other.fresh_noise.std, fresh.fresh_noise.std)
    torch.testing.assert_close(other[5]["image"], fresh[5]["image"], rtol=1e-4, atol=1e-5)


def test_without_noise_there_is_none_to_draw_anew(stores):
    with pytest.raises(SpinforgeError, match="there is no noise to draw anew"):
        opened(stores[0], noise="fresh")
    with pytest.raises(SpinforgeError, match="corrupt/motion/3 is read with the noise it has"):
        opened(stores[10], noise="fresh", variant="corrupt/motion/3")
