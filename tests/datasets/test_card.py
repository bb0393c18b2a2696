"""The data card's content: planted numbers come out, for every kind of set."""

from collections import Counter

import hand_made_sets
import numpy as np
import pytest
from hand_made_sets import AXES, MARKER_ZYX, images_set, longitudinal_set, marked, provenance
from tiny_kspace import TINY

from spinforge.datasets.card.card import describe_set
from spinforge.datasets.card.content import window_of
from spinforge.datasets.card.examples import corrupted_groups
from spinforge.datasets.card.set_facts import Counted, set_facts
from spinforge.datasets.card.sources import citation
from spinforge.datasets.splits import Split
from spinforge.datasets.storage.arrays import StoredArray
from spinforge.datasets.storage.store import DatasetStore
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.sequences import DualEcho

SPLIT = Split(train=("head-000",), validation=(), test=("head-001",))


@pytest.fixture
def images(tmp_path) -> DatasetStore:
    store = images_set(tmp_path / "set.zarr")
    hand_made_sets.add_corruptions(store)
    return store


def test_counts_are_those_of_the_labels(images):
    """Of 4 x 6 x 10 voxels: 60 unlabelled, in 3 slices 90 left, one marker on the right."""
    card = describe_set(images, SPLIT)
    balance = next(table for table in card.tables if "balance" in table.caption)
    assert balance.rows == [
        ["background", "0", "178", "49.44 %", "2"],
        ["left", "1", "180", "50.00 %", "2"],
        ["marker", "2", "2", "0.56 %", "2"],
        ["unlabelled", "255", "120", "", "2"],
    ]
    assert card.facts["Content"]["subjects"] == "2"
    assert card.facts["Content"]["slices"] == "8"
    assert card.facts["Content"]["voxel"] == "1 x 2 x 3 mm (x, y, z)"
    assert card.facts["Split"] == {"train": "head-000 (4 slices)", "test": "head-001 (4 slices)"}
    assert card.settings == {"product": "crdn_brainweb", "seed": "3"}


def test_hashes_and_sizes_are_those_of_the_store(images):
    card = describe_set(images)
    names = images.complete_subjects()
    assert card.facts["Provenance"]["content sha256"] == images.digest(names)
    assert card.facts["Provenance"]["config sha256"] == images.attributes()["config_hash"]
    subjects = card.tables[-1]
    hashes = [images.subject_attributes(name)["content_sha256"] for name in names]
    assert [row[-1] for row in subjects.rows] == hashes
    folder = images.subject_path("head-000")
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert subjects.rows[0][3] == f"{size / 1024:.1f} KiB"


def test_corruptions_are_shown_by_level_beside_the_clean_slice(images):
    card = describe_set(images)
    assert [row.heading for row in card.corruptions] == ["motion", "noise"]
    noise = card.corruptions[1]
    assert noise.detail == "1: sigma 0.01; 3: sigma 0.03"
    assert [picture.title for picture in noise.pictures] == ["clean", "level 1", "level 3"]
    clean, first, third = (picture.values for picture in noise.pictures)
    np.testing.assert_array_equal(first, clean + 1)
    np.testing.assert_array_equal(third, clean + 3)
    # The slice with most labels: that of the marker; all in one window.
    assert clean[MARKER_ZYX[1:]] == 101
    assert len({picture.window for picture in noise.pictures}) == 1
    table = next(table for table in card.tables if "corrupted" in table.caption)
    assert table.rows == [["motion", "1, 3", "1"], ["noise", "1, 3", "1"]]


def test_strengths_are_ordered_as_numbers(tmp_path):
    store = images_set(tmp_path / "set.zarr")
    hand_made_sets.add_corruptions(store, names=("noise",), levels=("fixed", "10", "9", "2.5"))
    levels = corrupted_groups(store)
    assert levels == {"noise": ["2.5", "9", "10", "fixed"]}


def test_every_age_of_an_infant_is_shown(tmp_path):
    card = describe_set(longitudinal_set(tmp_path / "set.zarr"))
    assert [row.heading for row in card.examples] == [
        "infant-000, 00mo, slice 3",
        "infant-000, 06mo, slice 3",
    ]
    assert [picture.title for picture in card.examples[1].pictures] == ["T1w", "labels"]
    assert card.facts["Content"]["slices"] == "8"


def test_kspace_is_shown_from_lines_to_labels(tiny_store):
    card = describe_set(tiny_store, SPLIT)
    assert len(card.examples) == 3
    row = card.examples[1]
    assert row.heading == "head-001, slice 7"
    full, clean, lines, zero_filled, labels = (picture.values for picture in row.pictures)
    assert {p.shape for p in (full, clean, lines, zero_filled, labels)} == {(54, 45)}
    np.testing.assert_array_equal(labels, tiny_store.read("head-001", "target")[7].T)
    np.testing.assert_array_equal(lines[0], tiny_store.read("head-001", "masks/fixed")[7])
    # Noise and missing lines both move the image away from the truth, the lines more.
    error = [float(np.abs(image - clean).mean()) for image in (full, zero_filled)]
    assert 0 < error[0] < error[1]
    assert "10 %" in card.facts["Scan"]["noise"]


def test_windows_begin_at_zero_or_below(tiny_store):
    ramp = np.arange(1001, dtype=np.float32)[None] / 1000
    assert window_of(ramp) == pytest.approx((0, 0.995))
    assert window_of(ramp - 1) == pytest.approx((-0.995, -0.005))
    low, high = window_of(np.zeros((3, 3), np.float32))
    assert (low, high > 0) == (0, True)


def test_terms_of_the_anatomy_are_named():
    assert "do not redistribute" in citation("brainweb20")
    assert "cite them and keep their terms" in citation("files")


def test_an_empty_set_has_no_card(tmp_path):
    store = DatasetStore(tmp_path / "set.zarr", "images")
    store.create({"product": "crdn_brainweb"})
    with pytest.raises(SpinforgeError, match=r"has no complete subject yet.*spinforge generate"):
        describe_set(store)


def test_percentages_are_no_levels_and_empty_strengths_are_not_listed(tmp_path):
    store = images_set(tmp_path / "set.zarr")
    hand_made_sets.add_corruptions(store, names=("rf20",), levels=(5,), percent=5.0, level=None)
    hand_made_sets.add_corruptions(store, names=("bias",), levels=("fixed",))
    (store.path / "corrupt" / "rf20" / "9").mkdir()
    card = describe_set(store)
    rows = {row.heading: row for row in card.corruptions}
    assert [picture.title for picture in rows["rf20"].pictures] == ["clean", "5 %"]
    assert [picture.title for picture in rows["bias"].pictures] == ["clean", "fixed"]
    table = next(table for table in card.tables if "corrupted" in table.caption)
    assert table.rows == [["bias", "fixed", "1"], ["rf20", "5 %", "1"]]


def test_infants_train_and_test_by_age(tmp_path):
    """A split by age has every infant in both groups; neither alone would be true."""
    names = ("infant-000",)
    split = Split(train=names, validation=(), test=names)
    card = describe_set(longitudinal_set(tmp_path / "set.zarr"), split)
    assert card.facts["Split"] == {"train and test (by age)": "infant-000 (8 slices)"}
    assert card.tables[-1].rows[0][1] == "train and test (by age)"


@pytest.mark.parametrize(("echo", "te"), [("early", "TE 35 ms"), ("late", "TE 120 ms")])
def test_the_echo_time_is_that_of_the_echo_that_is_the_image(tmp_path, echo, te):
    scan = DualEcho(kind="dual_echo", echo=echo)
    product = TINY.model_copy(update={"scan": scan})
    store = DatasetStore(tmp_path / "set.zarr")
    store.create(product.recipe())
    counted = {"head-000": Counted(provenance(), Counter(), 0, 0)}
    store.write_subject("head-000", {"full": StoredArray(marked(), AXES)}, provenance())
    assert te in set_facts(store, counted, None, 0)["Scan"]["sequence"]
