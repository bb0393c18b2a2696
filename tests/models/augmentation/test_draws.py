"""What is drawn for a slice depends on the seed, the epoch and the slice, and stays in bounds."""

import math

import pytest
import torch

from spinforge.models.augmentation.draws import Draws, draw_augmentation, slice_paths
from spinforge.models.augmentation.settings import Augmentation
from spinforge.simulation.errors import SpinforgeError

EVERYTHING = Augmentation(
    flip_vertical=0.5,
    flip_horizontal=0.25,
    rotation_deg=20,
    scale=0.1,
    crop=0.7,
    inu_percent=40,
    motion=5,
    noise_percent=10,
)


def paths(subjects, epoch=0):
    batch = {"subject": subjects, "slice": torch.arange(len(subjects))}
    return slice_paths(batch, epoch)


def drawn(config=EVERYTHING, count=6, *, epoch=0, seed=0, n_scans=2):
    names = [f"sub-{number:02d}" for number in range(count)]
    return draw_augmentation(config, paths(names, epoch), n_scans, seed=seed)


def assert_same(one: Draws, other: Draws):
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_the_batch_does_not_matter():
    together = drawn(count=6)
    all_paths = paths([f"sub-{number:02d}" for number in range(6)])
    for number in (4, 0):
        alone = draw_augmentation(EVERYTHING, [all_paths[number]], 2, seed=0)
        assert_same(together.of_item(number), alone)


def test_epochs_seeds_slices_and_views_differ():
    ways = [drawn(), drawn(epoch=1), drawn(seed=1)]
    batch = {"subject": ["a"] * 6, "slice": list(range(6))}
    for view in ("axial", "coronal"):
        named = slice_paths(batch | {"view": [view] * 6}, 0)
        ways.append(draw_augmentation(EVERYTHING, named, 2, seed=0))
    radians = torch.stack([way.radians for way in ways])
    assert len(radians.unique()) == radians.numel()


def test_switching_something_off_changes_nothing_else():
    without = EVERYTHING.model_copy(update={"rotation_deg": 0.0, "inu_percent": 0.0})
    one, other = drawn(), drawn(without)
    changed = {n for n, a, b in zip(Draws._fields, one, other, strict=True) if not a.equal(b)}
    assert changed == {"radians", "inu"}


def test_draws_fill_their_bounds_and_stay_within():
    many = drawn(count=400, n_scans=3)
    bounds = {
        "radians": (-math.radians(20), math.radians(20)),
        "zoom": (0.9, 1.1),
        "window": (0.7, 1.0),
        "place": (-1.0, 1.0),
        "inu": (0.0, 40.0),
        "moments": (0.0, 1.0),
        "noise": (0.0, 0.1),
    }
    for name, (low, high) in bounds.items():
        values = getattr(many, name)
        width = high - low
        assert low <= float(values.min()) < low + 0.05 * width, name
        assert high - 0.05 * width < float(values.max()) <= high, name
    assert float(many.poses.abs().max()) <= 5
    assert (many.moments[..., 0] <= many.moments[..., 1]).all()


def test_flips_are_as_frequent_as_asked_for():
    """Of 400 flips of probability p, the share deviates by sqrt(p (1 - p) / 400)."""
    shares = drawn(count=400).flips.double().mean(0)
    for share, asked in zip(shares.tolist(), (0.5, 0.25), strict=True):
        assert abs(share - asked) < 4 * math.sqrt(asked * (1 - asked) / 400)


def test_nothing_asked_for_draws_nothing():
    none = drawn(Augmentation())
    assert not none.flips.any()
    assert not any(getattr(none, n).any() for n in ("radians", "inu", "poses", "noise"))
    assert (none.zoom == 1).all()
    assert (none.window == 1).all()


@pytest.mark.parametrize("missing", ["subject", "slice"])
def test_slices_that_do_not_say_which_they_are_are_refused(missing):
    batch = {"subject": ["a"], "slice": [1]}
    del batch[missing]
    with pytest.raises(SpinforgeError, match="do not say which they are"):
        slice_paths(batch, 0)
