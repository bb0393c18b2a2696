"""Lazy arrays: the set's own values, a block a shard, and little memory however large the set."""

import tracemalloc

import dask
import numpy as np
import pytest

from spinforge.datasets.reading.dask_arrays import subject_array
from spinforge.datasets.storage.arrays import StoredArray
from spinforge.datasets.storage.store import DatasetStore
from spinforge.evaluation.corruption_strength import slice_sums, strength
from spinforge.simulation.errors import SpinforgeError

AXES = ("slice", "ky", "kx")


def planted(place, subjects, shape):
    """A clean set and one whose every value is 1.1 times as large."""
    store = DatasetStore(place, "images")
    store.create({"planted": True})
    rng = np.random.default_rng(0)
    for subject in subjects:
        values = rng.random(shape, np.float32)
        store.write_subject(subject, {"T1": StoredArray(values, AXES)}, {})
        larger = {"T1": StoredArray(np.float32(1.1) * values, AXES)}
        store.within("corrupt/larger/1").write_subject(subject, larger, {})
    return store


@pytest.mark.parametrize("place", ["folder", "memory://dask/set.zarr"])
def test_a_subject_is_one_block(tmp_path, place):
    store = planted(tmp_path / "set.zarr" if place == "folder" else place, ["b", "a"], (4, 5, 6))
    array = subject_array(store, "b", "T1")
    assert array.chunks == ((4,), (5,), (6,))
    assert np.array_equal(array.compute(scheduler="synchronous"), store.read("b", "T1"))


def test_a_damaged_block_is_an_error_not_zeros(tmp_path):
    store = planted(tmp_path / "set.zarr", ["a"], (4, 5, 6))
    (shard,) = (p for p in (store.subject_path("a") / "T1" / "c").rglob("*") if p.is_file())
    array = subject_array(store, "a", "T1")
    shard.unlink()
    with pytest.raises(SpinforgeError, match=r"array 'T1' is missing or damaged"):
        array.compute(scheduler="synchronous")


def test_a_set_far_larger_than_the_memory_it_takes(tmp_path):
    """24 subjects of 1 MiB, clean and corrupted; a pair of blocks, raw and compressed, is 4 MiB."""
    subjects = [f"s{number:02d}" for number in range(24)]
    store = planted(tmp_path / "set.zarr", subjects, (4, 256, 256))
    other = store.within("corrupt/larger/1")
    tracemalloc.start()
    try:
        lazy = [
            slice_sums(subject_array(other, s, "T1"), subject_array(store, s, "T1"))
            for s in subjects
        ]
        found = strength(dask.compute(*lazy, scheduler="synchronous"))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    held = 2 * len(subjects) * 2**20
    assert found.nrmse == pytest.approx(0.1, rel=1e-5)  # float32 rounds 1.1 times a value
    assert peak < held / 6, f"{peak / 2**20:.0f} MiB of a set of {held / 2**20:.0f} MiB"
