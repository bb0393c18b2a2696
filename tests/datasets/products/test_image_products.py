"""What holds for every set of images: its arrays, its record, its slices, and that it repeats."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from tiny_images import TINY, generated

from spinforge.datasets.products.catalogue import maker_of
from spinforge.datasets.products.crdn_brainweb import SimulatedBrainWebMaker
from spinforge.datasets.products.making import is_done, make_subject
from spinforge.datasets.products.slice_index import read_slice_index
from spinforge.datasets.slice_table import COLUMNS, GROUPS
from spinforge.datasets.storage.store import DatasetStore
from spinforge.datasets.storage.verify import verify_store
from spinforge.datasets.volumes import IGNORE
from spinforge.simulation.errors import SpinforgeError

PRODUCTS = pytest.mark.parametrize("name", TINY)


class Stores(dict[str, DatasetStore]):
    """A tiny set of each product, made when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def __missing__(self, name: str) -> DatasetStore:
        self[name] = generated(TINY[name], self._folder / f"{name}.zarr")
        return self[name]


@pytest.fixture(scope="module")
def stores(tmp_path_factory) -> Stores:
    return Stores(tmp_path_factory.mktemp("images"))


def first(store: DatasetStore) -> str:
    return store.complete_subjects()[0]


@PRODUCTS
def test_every_array_has_the_same_grid_and_named_axes(stores, name):
    store = stores[name]
    group, attributes = store.open_subject(first(store)), store.subject_attributes(first(store))
    masks = {"label", "object"} | ({"brain"} if TINY[name].has_brain else set())
    assert set(group.array_keys()) == set(attributes["contrasts"]) | masks
    assert {array.shape for _, array in group.arrays()} == {TINY[name].shape_zyx()}
    for array_name, array in group.arrays():
        assert array.metadata.dimension_names == ("z", "y", "x")
        expected = {"label": "uint8", "object": "bool", "brain": "bool"}.get(array_name)
        assert array.dtype == expected or (
            expected is None and array.dtype == ("uint8" if name == "isic_like" else "float32")
        )


@PRODUCTS
def test_the_record_is_enough_to_read_and_corrupt_the_images(stores, name):
    attributes = stores[name].subject_attributes(first(stores[name]))
    assert attributes["classes"] == list(TINY[name].classes)
    assert attributes["ignore"] == IGNORE
    assert len(attributes["spacing_mm"]) == 3
    affine = np.array(attributes["affine"])
    np.testing.assert_allclose(np.diag(affine)[:3], attributes["spacing_mm"][::-1])
    for contrast in attributes["contrasts"]:
        image = stores[name].read(first(stores[name]), contrast) * attributes["scale"][contrast]
        reference = attributes["reference_signal"][contrast]
        # The signal that noise refers to is one that occurs, or the end of the scale.
        assert 0 < reference <= 1.001 * max(float(image.max()), 1.0)
    assert attributes["phantom"]["sha256"] == maker_of(TINY[name]).source_digest(
        first(stores[name])
    )


@PRODUCTS
def test_labels_are_classes_and_every_class_occurs(stores, name):
    store = stores[name]
    found = {int(v) for s in store.complete_subjects() for v in np.unique(store.read(s, "label"))}
    assert found - {IGNORE} == set(range(len(TINY[name].classes)))
    assert (IGNORE in found) == (name == "mrbrains_like")


@PRODUCTS
def test_the_object_holds_all_that_is_labelled(stores, name):
    subject = first(stores[name])
    label, mask = (stores[name].read(subject, array) for array in ("label", "object"))
    assert mask[label != 0].all()
    # Photographs and a chest fill their field of view; heads and abdomens are in air, all the
    # more where the matrix is made for finer voxels.
    if name not in ("isic_like", "hvsmr_like"):
        assert 0.04 < mask.mean() < 0.9


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) if n == "mrbrains_like" else n for n in TINY]
)
def test_a_subject_is_the_same_whenever_it_is_made(stores, name, tmp_path):
    subject = first(stores[name])
    again = DatasetStore(tmp_path / "again.zarr", "images")
    again.create(TINY[name].recipe())
    digest = make_subject(TINY[name], subject, again)
    assert digest == stores[name].subject_attributes(subject)["content_sha256"]
    assert is_done(TINY[name], again, subject)


@PRODUCTS
def test_the_index_says_what_the_splits_say(stores, name):
    index = read_slice_index(stores[name])
    assert tuple(index.columns) == COLUMNS
    rules = sorted(p.stem for p in (stores[name].path / "splits").iterdir())
    chosen = {"isic_like": "official_parts", "hvsmr_like": "subjects", "spleen_like": "subjects"}
    rule = chosen.get(name) or TINY[name].slices.split
    assert rule in rules
    noted = json.loads((stores[name].path / "splits" / f"{rule}.json").read_text())
    assert noted["content_sha256"] == stores[name].digest(stores[name].complete_subjects())
    for group in GROUPS:
        rows = index[index["split"] == group]
        assert noted[group] == rows[["subject", "view", "index"]].to_numpy().tolist()
        assert noted["counts"][group] == len(rows)


@PRODUCTS
def test_areas_in_the_index_are_those_of_the_labels(stores, name):
    subject = first(stores[name])
    label = stores[name].read(subject, "label")
    rows = read_slice_index(stores[name])
    rows = rows[(rows["subject"] == subject) & (rows["view"] == "axial")]
    expected = ((label > 0) & (label != IGNORE)).sum((1, 2))
    np.testing.assert_array_equal(rows["foreground_px"], expected)


@PRODUCTS
def test_making_the_index_again_changes_no_byte(stores, name):
    files = [p for d in ("slices", "splits") for p in (stores[name].path / d).iterdir()]
    before = [path.read_bytes() for path in files]
    maker_of(TINY[name]).finish(stores[name])
    assert [path.read_bytes() for path in files] == before


@PRODUCTS
def test_other_slices_or_subjects_are_the_same_set(name):
    product = TINY[name]
    more = product.subjects.model_copy(update={"train": 2})
    assert product.model_copy(update={"subjects": more}).config_hash == product.config_hash
    assert product.model_copy(update={"seed": 1}).config_hash != product.config_hash


def test_settings_of_the_images_are_in_the_hash():
    hearts = TINY["hvsmr_like"]
    for update in ({"banding": 0}, {"corruptions": ()}, {"spacing_mm": 2}):
        assert hearts.model_copy(update=update).config_hash != hearts.config_hash
    head = TINY["crdn_brainweb"]
    assert head.model_copy(update={"images": "brainweb"}).config_hash != head.config_hash


def test_counts_of_the_tiny_sets_follow_the_rules(stores):
    sizes = {
        name: read_slice_index(stores[name])["split"].value_counts().to_dict() for name in TINY
    }
    # Of all slices of the three views the 100 with most brain: 60 train, of which 6 validate.
    others = sum(TINY["crdn_brainweb"].shape_zyx()) - 100
    assert sizes["crdn_brainweb"] == {"train": 54, "validation": 6, "test": 40, "unused": others}
    assert sizes["mrbrains_like"] == {"train": 17, "validation": 1, "test": 12, "unused": 18}
    hearts = sizes["hvsmr_like"]
    assert (hearts["train"] + hearts["validation"], hearts["test"]) == (200, 100)
    assert sizes["isic_like"] == {"train": 3, "validation": 3, "test": 3}
    assert sizes["spleen_like"] == {"train": 30, "unused": 10}


@pytest.fixture
def copy(stores, tmp_path) -> DatasetStore:
    """A set that a test may damage."""
    shutil.copytree(stores["isic_like"].path, tmp_path / "set.zarr")
    store = DatasetStore(tmp_path / "set.zarr", "images")
    store.write_manifest()
    return store


@PRODUCTS
def test_a_new_set_is_in_order(stores, name):
    stores[name].write_manifest()
    assert verify_store(stores[name].path) == []


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("file", ["slices/index.parquet", "splits/official_parts.json"])
def test_any_flipped_bit_of_the_index_is_found(copy, file, seed):
    path = copy.path / file
    content = bytearray(path.read_bytes())
    where = int(np.random.default_rng(seed).integers(len(content)))
    content[where] ^= 1 << (seed % 8)
    path.write_bytes(content)
    (problem,) = verify_store(copy.path)
    assert file in str(problem)


@pytest.mark.parametrize("file", ["slices/index.parquet", "splits/official_parts.json"])
def test_a_lost_index_is_found_and_written_again(copy, file):
    (copy.path / file).unlink()
    (problem,) = verify_store(copy.path)
    assert file in str(problem)
    maker_of(TINY["isic_like"]).finish(copy)
    assert verify_store(copy.path) == []


def test_a_damaged_index_is_named(copy):
    path = copy.path / "slices" / "index.parquet"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(SpinforgeError, match=r"index\.parquet is missing or damaged\. Run: "):
        read_slice_index(copy)
    path.unlink()
    with pytest.raises(SpinforgeError, match=r"index\.parquet is missing or damaged\. Run: "):
        read_slice_index(copy)


def test_a_rescan_with_the_same_sequence_is_the_clean_image(stores):
    store, maker = stores["crdn_brainweb"], maker_of(TINY["crdn_brainweb"])
    assert isinstance(maker, SimulatedBrainWebMaker)
    phantom, attributes = maker.load_phantom("head-000"), store.subject_attributes("head-000")
    for contrast, (sequence, scanner) in maker.clean_scans().items():
        (same,) = maker.rescan(phantom, contrast, sequence, scanner, attributes).values()
        np.testing.assert_array_equal(same.values, store.read("head-000", contrast))
        longer = sequence.model_copy(update={"tr_ms": 1.5 * sequence.tr_ms})
        (other,) = maker.rescan(phantom, contrast, longer, scanner, attributes).values()
        # More of the magnetisation comes back.
        assert other.values.mean() > 1.02 * same.values.mean()
