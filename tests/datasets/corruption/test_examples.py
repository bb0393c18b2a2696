"""Slices for data cards."""

import shutil

import numpy as np
import pytest
from tiny_kspace import TINY

from spinforge.datasets.corruption.checks import chosen_sets
from spinforge.datasets.corruption.examples import corruption_examples
from spinforge.datasets.corruption.sets import make_sets
from spinforge.datasets.corruption.settings import Corruptions
from spinforge.datasets.storage.store import DatasetStore
from spinforge.simulation.errors import SpinforgeError

SUBJECT = "head-000"


@pytest.fixture(scope="module")
def store(tiny_store, tmp_path_factory) -> DatasetStore:
    path = tmp_path_factory.mktemp("examples") / "set.zarr"
    shutil.copytree(tiny_store.path, path)
    store = DatasetStore(path)
    settings = {"sets": ["blur", {"name": "a", "chain": ["ghost"]}], "levels": [0, 5]}
    make_sets(TINY, store, SUBJECT, chosen_sets(TINY, Corruptions.model_validate(settings)))
    return store


def test_one_slice_of_every_set_after_the_clean_one(store):
    examples = corruption_examples(store)
    assert [(e.name, e.strength) for e in examples] == [
        ("", ""),
        ("a", "0"),
        ("a", "5"),
        ("blur", "0"),
        ("blur", "5"),
    ]
    clean, same, ghost, _, blurred = (e.image for e in examples)
    assert np.percentile(clean, 99) == pytest.approx(1)
    np.testing.assert_array_equal(clean, same)
    assert np.abs(ghost - clean).mean() > 0.05
    # Blur takes what changes from pixel to pixel.
    assert np.abs(np.diff(blurred)).mean() < 0.5 * np.abs(np.diff(clean)).mean()
    assert examples[2].history[0]["id"] == "ghost"


def test_the_slice_is_the_one_with_most_brain_with_the_nose_up(store):
    target = store.read(SUBJECT, "target")
    index = int((target > 0).sum((1, 2)).argmax())
    (first, *_), (asked, *_) = (
        corruption_examples(store),
        corruption_examples(store, slice_index=index, subject=SUBJECT),
    )
    np.testing.assert_array_equal(first.image, asked.image)
    assert first.image.shape == target.shape[:0:-1]  # rows are kx, columns ky
    clean = np.abs(store.read(SUBJECT, "image_clean")[index])
    correlation = np.corrcoef(first.image[::-1].T.ravel(), clean.ravel())[0, 1]
    assert correlation > 0.9  # but for the noise


def test_a_store_without_sets_has_no_examples(tiny_store):
    assert corruption_examples(tiny_store) == []


def test_an_unknown_contrast_is_named(store):
    with pytest.raises(SpinforgeError, match="no contrast 'T9'; it has full"):
        corruption_examples(store, contrast="T9")
