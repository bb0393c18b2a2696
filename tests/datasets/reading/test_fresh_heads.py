"""New heads in each epoch: which they are, and who makes them."""

import functools
import pickle
import sys
import threading
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch
from tiny_kspace import TINY

from spinforge.datasets.reading.fresh_heads import FreshHeads
from spinforge.flows.workers import worker_processes
from spinforge.models.training.data import SliceDataset
from spinforge.simulation.acquisition import simulate_scan
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.noise import Noise
from spinforge.simulation.phantoms.head import generate_head
from spinforge.simulation.reconstruction import real_channels, zero_filled_combined
from spinforge.simulation.sampling import Equispaced
from spinforge.simulation.scanner import Scanner
from spinforge.simulation.sequences import SpinEcho

CPU = torch.device("cpu")
SMALL = TINY.model_copy(update={"spacing_mm": 4})


def heads(executor=None, *, count=2, product=SMALL):
    return FreshHeads(count, product, seed=7, device=CPU, executor=executor)


@functools.cache
def plain_head():
    return generate_head("head-000", seed=0, spacing_mm=4.0)


def planted_head(subject, *, seed, spacing_mm):
    """One head for all, shifted by a distance of each one's own: quickly made."""
    assert (seed, spacing_mm) == (SMALL.seed, 4.0)
    number, epoch = (int(part) for part in subject.removeprefix("fresh-").split("-epoch-"))
    shifted = plain_head().memberships.roll(1 + number + 2 * epoch, dims=1)
    return replace(plain_head(), subject=subject, memberships=shifted)


@pytest.fixture(scope="module")
def planted():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.modules[FreshHeads.__module__], "generate_head", planted_head)
        yield


@pytest.fixture(scope="module")
def through(planted):
    """Two slices of each head of two epochs, made one by one when they are asked for."""
    data, found = heads(), {}
    for epoch in (0, 1):
        data.set_epoch(epoch)
        found |= {(epoch, position): data[position] for position in (5, 20, 6)}
    return found


def assert_same(one, other):
    assert one["subject"] == other["subject"]
    assert torch.equal(one["image"], other["image"])
    assert torch.equal(one["target"], other["target"])


def test_satisfies_what_training_asks_for(through):
    data = heads()
    assert isinstance(data, SliceDataset)
    assert len(data) == 28
    assert through[0, 5]["subject"] == "fresh-000-epoch-0000"
    assert through[1, 20]["subject"] == "fresh-001-epoch-0001"
    assert set(through[0, 20]["target"].unique().tolist()) == {0, 1, 2, 3}


def test_every_epoch_and_place_has_another_head(through):
    targets = [item["target"] for key, item in through.items() if key[1] != 6]
    assert not any(torch.equal(a, b) for n, a in enumerate(targets) for b in targets[n + 1 :])


def test_going_on_in_a_later_epoch_sees_the_same_heads(through):
    data = heads()
    data.set_epoch(1)
    for position in (20, 5):
        assert_same(data[position], through[1, position])


def test_heads_made_ahead_by_others_are_the_same(through):
    with ThreadPoolExecutor(2) as executor:
        data = heads(executor)
        for epoch in (0, 1):
            data.set_epoch(epoch)
            for position in (20, 5, 6):
                assert_same(data[position], through[epoch, position])
        # The next epoch's are on their way, those of this one are taken.
        assert sorted(data._asked) == ["fresh-000-epoch-0002", "fresh-001-epoch-0002"]
        data.close()
        assert not data._asked


class Never(Executor):
    """Never begins."""

    def submit(self, function, *arguments):
        return Future()


def test_what_is_no_longer_wanted_is_taken_back():
    data = heads(Never())
    futures = {e: Future() for e in (0, 1, 2)}
    data._asked = {f"fresh-000-epoch-{e:04d}": future for e, future in futures.items()}
    data.set_epoch(1)
    assert futures[0].cancelled()
    assert not futures[1].cancelled()
    assert not futures[2].cancelled()
    data.close()
    assert futures[2].cancelled()


@pytest.mark.slow
def test_heads_made_by_other_processes_are_the_same():
    with worker_processes(1) as executor:
        data, alone = heads(executor), heads()
        for position in (5, 20):
            assert_same(data[position], alone[position])
        data.close()


def test_another_process_makes_its_heads_itself(through):
    data = heads()
    data._executor = threading.Lock()  # as a pool of processes, it cannot be sent
    sent = pickle.loads(pickle.dumps(data))  # noqa: S301 (our own object)
    assert_same(sent[5], through[0, 5])


@pytest.mark.slow
def test_without_anything_random_it_is_a_scan_of_the_head_of_that_name():
    product = SMALL.model_copy(
        update={
            "noise": Noise(percent=0),
            "scan": SpinEcho(variation=0.0),
            "scanner": Scanner(object_phase=False, tissue_variability=0.0),
            "sampling": Equispaced(acceleration=1, acs_lines=0, offset=0),
        }
    )
    head = generate_head("fresh-000-epoch-0000", seed=0, spacing_mm=4.0)
    scan = simulate_scan(head, product.slices, product.scan, product.noise, product.scanner, seed=0)
    data = heads(count=1, product=product).showing("kspace")
    assert torch.equal(data[5]["kspace"], scan.kspace[5])
    assert torch.equal(data[5]["target"], scan.target[5])


def test_measurements_hold_the_images_that_are_shown(planted):
    product = SMALL.model_copy(update={"noise": Noise(percent=0), "scanner": Scanner(coils=2)})
    data = heads(count=1, product=product)
    shown, measured = data[5], data.showing("measurement")[5]
    image = zero_filled_combined(measured["kspace"], measured["mask"], measured["sensitivities"])
    torch.testing.assert_close(real_channels(image), shown["image"], rtol=1e-5, atol=1e-5)
    assert torch.equal(measured["target"], shown["target"])


def test_heads_that_are_no_equations_are_refused():
    brainweb = SMALL.model_copy(update={"phantom": "brainweb20"})
    with pytest.raises(SpinforgeError, match=r"data.phantom = brainweb20: there are no new heads"):
        heads(product=brainweb)
    with pytest.raises(SpinforgeError, match=r"data\.scanner\.supersample: cannot be simulated"):
        heads(product=SMALL.model_copy(update={"scanner": Scanner(supersample=2)}))
