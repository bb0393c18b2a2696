"""Two studies of one set: the second does not replace the slice table of the first."""

import pytest
from tiny_images import TINY, generated

from spinforge.datasets.products.making import check_slices, split_of
from spinforge.datasets.products.slice_index import SETTINGS, note_slice_settings
from spinforge.datasets.storage.store import DatasetStore
from spinforge.flows.config import Study
from spinforge.flows.preflight import check_study
from spinforge.simulation.errors import SpinforgeError

PRODUCT = TINY["hvsmr_like"]


def with_subjects(**groups):
    return PRODUCT.model_copy(update={"subjects": PRODUCT.subjects.model_copy(update=groups)})


def with_slices(**counts):
    return PRODUCT.model_copy(update={"slices": PRODUCT.slices.model_copy(update=counts)})


@pytest.fixture
def store(tmp_path) -> DatasetStore:
    """As it is once the study's two training subjects are there."""
    store = DatasetStore(tmp_path / "set.zarr", "images")
    product = with_subjects(train=2)
    check_slices(product, store)  # nobody's yet
    note_slice_settings(store, product.slice_settings(), split_of(product))
    check_slices(product, store)
    return store


def test_a_set_may_grow(store):
    """With a third training subject others validate and test than before."""
    check_slices(with_subjects(train=3), store)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (with_slices(train=150), r"slices\.train 200 -> 150"),
        (with_subjects(train=1), r"2 train, 1 validation, 1 test\n.*1 train, 1 validation"),
        (with_subjects(train=1, test=2), "which subjects train, validate and test"),
    ],
)
def test_another_study_is_told_what_differs(store, other, message):
    with pytest.raises(SpinforgeError, match=message) as error:
        check_slices(other, store)
    assert "--overwrite" in str(error.value)
    assert "--set dataset=" in str(error.value)


def test_damaged_settings_are_written_again(store):
    store.location.write(SETTINGS, b"{")
    check_slices(with_slices(train=150), store)


def test_the_study_is_refused_before_any_work(tmp_path):
    """Made by the product itself; with --overwrite the subjects stay and the table is replaced."""
    product = TINY["isic_like"]
    path = generated(product, tmp_path / "set.zarr").path
    fewer = product.subjects.model_copy(update={"test": ("test-001",)})
    other = Study.model_validate(
        {
            "name": "other",
            "out": tmp_path,
            "dataset": str(path),
            "data": product.model_copy(update={"subjects": fewer}),
        },
    )
    with pytest.raises(SpinforgeError, match="slice table of another study"):
        check_study(other)
    check_study(other, overwrite=True)
