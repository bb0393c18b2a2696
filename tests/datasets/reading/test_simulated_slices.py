"""Slices scanned anew each epoch: what they depend on, and that they are the engine's."""

import functools
import itertools

import pytest
import torch
from tiny_kspace import TINY

from spinforge.datasets.reading.simulated_slices import SimulatedSlices
from spinforge.models.training.data import SliceDataset, training_loader
from spinforge.simulation.acquisition import simulate_scan
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.noise import Noise
from spinforge.simulation.phantoms.head import generate_head
from spinforge.simulation.sampling import Equispaced
from spinforge.simulation.scanner import Scanner
from spinforge.simulation.sequences import SpinEcho

CPU = torch.device("cpu")
SUBJECTS = ("head-000", "head-001")
SERANET = TINY.model_copy(update={"scanner": Scanner(profile="seranet", coils=2)})


@functools.cache
def head(subject):
    return generate_head(subject, seed=0, spacing_mm=4.0)


def simulated(product=TINY, *, subjects=SUBJECTS, seed=7):
    return SimulatedSlices(map(head, subjects), product, seed=seed, device=CPU)


def test_satisfies_what_training_asks_for():
    data = simulated()
    assert isinstance(data, SliceDataset)
    item = data[16]
    assert item["image"].shape == (2, 45, 54)
    assert (item["subject"], item["slice"]) == ("head-001", 2)
    assert item["target"].unique().tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("product", [TINY, SERANET], ids=["ideal", "seranet"])
def test_a_slice_depends_on_seed_epoch_subject_and_number_alone(product):
    through, resumed = simulated(product), simulated(product, subjects=SUBJECTS[::-1])
    for epoch in (0, 1, 2):
        through.set_epoch(epoch)
        items = {place: through[position] for position, place in enumerate(through.index)}
    resumed.set_epoch(2)
    for position in (20, 3):
        item = resumed[position]
        expected = items[resumed.index[position]]
        assert torch.equal(item["image"], expected["image"])
        assert torch.equal(item["target"], expected["target"])


def test_epochs_and_seeds_differ():
    data, other = simulated(), simulated(seed=8)
    images = [data[7]["image"], other[7]["image"]]
    data.set_epoch(1)
    images.append(data[7]["image"])
    assert not any(torch.equal(a, b) for a, b in itertools.pairwise(images))


def test_batches_do_not_depend_on_their_size():
    found = []
    for batch_size in (3, 14):
        loader = training_loader(simulated(), batch_size=batch_size, seed=0)
        loader.sampler.set_epoch(4)
        found.append(torch.cat([batch["image"] for batch in loader]))
    assert torch.equal(*found)


def test_without_anything_random_it_is_the_stored_scan():
    product = TINY.model_copy(
        update={
            "noise": Noise(percent=0),
            "scan": SpinEcho(variation=0.0),
            "scanner": Scanner(object_phase=False, tissue_variability=0.0),
            "sampling": Equispaced(acceleration=1, acs_lines=0, offset=0),
        }
    )
    scan = simulate_scan(
        head("head-000"), product.slices, product.scan, product.noise, product.scanner, seed=0
    )
    data = simulated(product, subjects=("head-000",))
    assert torch.equal(data._scan("head-000").kspace, scan.kspace)
    assert torch.equal(data[5]["target"], scan.target[5].long())


def test_noise_has_the_level_asked_for():
    noisy, quiet = (
        simulated(TINY.model_copy(update={"noise": Noise(percent=p)}), subjects=("head-000",))
        for p in (10, 0)
    )
    scan = noisy._scan("head-000")
    assert torch.equal(scan.kspace, quiet._scan("head-000").kspace)
    expected = 0.1 * float(
        simulate_scan(
            head("head-000"),
            TINY.slices,
            TINY.scan.model_copy(update={"variation": 0.0}),
            Noise(percent=0),
            TINY.scanner,
            seed=0,
        ).white_matter_signal
    )
    # TR and TE are drawn within 5 % of their means; TE / T2 of white matter is 1.1.
    assert scan.noise_std == pytest.approx(expected, rel=0.08)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scanner": Scanner(supersample=2)}, r"data\.scanner\.supersample: cannot be simulated"),
        ({"noise": Noise(reference="rms")}, r"data\.noise\.reference: cannot be simulated"),
    ],
)
def test_what_needs_the_whole_volume_is_refused(change, message):
    with pytest.raises(SpinforgeError, match=message):
        simulated(TINY.model_copy(update=change))


def test_no_phantoms_are_refused():
    with pytest.raises(SpinforgeError, match="there are no phantoms"):
        simulated(subjects=())


@pytest.mark.parametrize("content", ["image", "measurement", "kspace"])
def test_a_batch_in_one_piece_is_that_of_the_slices(content):
    """As on a GPU; Fourier transforms of a batch may round differently than one at a time."""
    data = simulated(SERANET).showing(content)
    positions = [3, 20, 4]
    together, apart = data._batch(positions), data.__getitems__(positions)
    assert together.keys() == apart.keys()
    assert together["subject"] == apart["subject"] == ["head-000", "head-001", "head-000"]
    for name in together.keys() - {"subject"}:
        assert together[name].dtype == apart[name].dtype
        torch.testing.assert_close(together[name], apart[name], rtol=1e-4, atol=1e-4)
