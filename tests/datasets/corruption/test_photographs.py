"""Corruption sets of photographs, as their product makes them."""

import pytest
from tiny_images import TINY, generated

from spinforge.datasets.corruption.sets import make_sets
from spinforge.datasets.corruption.settings import Corruptions


@pytest.mark.parametrize("kind", ["motion", "noise_gauss"])
def test_a_batch_is_no_volume(tmp_path, kind):
    """The colours of one photograph move alike; their noise is their own."""
    product = TINY["isic_like"]
    store = generated(product, tmp_path / "isic.zarr")
    (subject,) = product.choose().test
    (chosen,) = Corruptions.model_validate(
        [{"name": "a", "chain": [kind], "levels": [5]}]
    ).at_strengths(())
    make_sets(product, store, subject, [chosen])
    history = store.within("corrupt/a/5").subject_attributes(subject)["history"]
    assert len(history["red"][0]["parameters"]) == product.batch
    assert (history["red"] == history["green"] == history["blue"]) == (kind == "motion")


def test_a_set_says_that_its_slices_are_photographs(tmp_path):
    """A set without these words, corrupted as a volume, is another configuration."""
    product = TINY["isic_like"]
    store = generated(product, tmp_path / "isic.zarr")
    (subject,) = product.choose().train
    assert store.subject_attributes(subject)["slices_are"] == "photographs"
    assert product.recipe()["slices_are"] == "photographs"
    assert "slices_are" not in TINY["spleen_like"].recipe()
