"""Slices of stored images: views, padding, channels, brain masks and corrupted variants."""

import numpy as np
import pandas as pd
import pytest
import torch

from spinforge.datasets.products.slice_index import write_slice_index
from spinforge.datasets.reading.image_slices import ImageSlices
from spinforge.datasets.reading.network_input import IGNORE_INDEX
from spinforge.datasets.storage.arrays import StoredArray
from spinforge.datasets.storage.store import DatasetStore
from spinforge.datasets.volumes import IGNORE
from spinforge.models.training.data import SliceDataset, training_loader
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.rng import SampleRng

DIMENSIONS = ("z", "y", "x")
SHAPES = {"a": (5, 20, 18), "b": (7, 19, 17)}
ROWS = [
    ("a", "axial", 2, "train"),
    ("a", "coronal", 11, "train"),
    ("b", "sagittal", 9, "train"),
    ("b", "axial", 6, "test"),
]


def volumes(subject):
    rng = SampleRng(0, "volumes", subject)
    shape = SHAPES[subject]
    images = {name: rng.uniforms(*shape).astype(np.float32) for name in ("T1", "T2")}
    label = (rng.uniforms(*shape) * 4).astype(np.uint8)
    label[0] = IGNORE
    return images | {"label": label, "brain": (label > 0) & (label != IGNORE)}


def written(store, arrays_of):
    for subject in SHAPES:
        arrays = {name: StoredArray(v, DIMENSIONS) for name, v in arrays_of(subject).items()}
        about = {"contrasts": ["T1", "T2"], "classes": ["background", "CSF", "GM", "WM"]}
        about["spacing_mm"] = [3.0, 2.0, 1.0]
        store.write_subject(subject, arrays, about)


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> DatasetStore:
    """Two subjects of different sizes, and the same five times as bright as a variant."""
    store = DatasetStore(tmp_path_factory.mktemp("images") / "set.zarr", "images")
    store.create({"made": "by a test"})
    written(store, volumes)
    bright = store.within("corrupt/bright/5")
    written(bright, lambda subject: {n: 5 * volumes(subject)[n] for n in ("T1", "T2")})
    table = pd.DataFrame(ROWS, columns=["subject", "view", "index", "split"])
    table.insert(3, "foreground_px", 1)
    write_slice_index(store, {"subjects": table}, ["a", "b"])
    return store


def inside(item):
    """The part of an item that is no padding."""
    rows, columns = ((item["target"] != IGNORE_INDEX).any(axis) for axis in (1, 0))
    return item["image"][:, rows][:, :, columns], item["target"][rows][:, columns]


@pytest.mark.parametrize(
    ("position", "subject", "plane"),
    [(0, "a", np.s_[2]), (1, "a", np.s_[1:, 11]), (2, "b", np.s_[1:, :, 9])],
    ids=["axial", "coronal", "sagittal"],
)
def test_views_are_the_planes_they_name(store, position, subject, plane):
    image, target = inside(ImageSlices(store.path, "train")[position])
    expected = volumes(subject)
    np.testing.assert_array_equal(target, expected["label"][plane])
    for channel, name in zip(image, ("T1", "T2"), strict=True):
        scale = np.float32(np.quantile(expected[name], 0.99))
        np.testing.assert_allclose(channel, expected[name][plane] / scale, rtol=1e-6)


def test_slices_of_all_views_fit_into_one_batch(store):
    data = ImageSlices(store.path, "train")
    assert isinstance(data, SliceDataset)
    assert (data.n_channels, data.n_classes, data.size) == (2, 4, (32, 32))
    batch = next(iter(training_loader(data, batch_size=3, seed=0)))
    assert batch["image"].shape == (3, 2, 32, 32)
    assert sorted(batch["view"]) == ["axial", "coronal", "sagittal"]


def test_padding_and_unknown_voxels_are_not_scored(store):
    item = ImageSlices(store.path, "train")[1]  # coronal: the lowest row is labelled IGNORE
    assert int((item["target"] == IGNORE_INDEX).sum()) == 32 * 32 - 4 * 18
    assert int((item["image"][0] != 0).sum()) == 5 * 18


def test_channels_are_the_contrasts_asked_for(store):
    both, one = ImageSlices(store.path, "test"), ImageSlices(store.path, "test", contrasts=("T2",))
    assert torch.equal(one[0]["image"], both[0]["image"][1:])
    with pytest.raises(SpinforgeError, match=r"has no contrast PD; it has T1, T2"):
        ImageSlices(store.path, "test", contrasts=("PD",))


def test_only_the_brain_is_left_of_it(store):
    image, target = inside(ImageSlices(store.path, "test", brain_only=True)[0])
    assert torch.equal(image[0] != 0, target > 0)


def test_a_variant_has_its_images_and_the_clean_labels_and_scale(store):
    clean = ImageSlices(store.path, "test")
    bright = ImageSlices(store.path, "test", variant="corrupt/bright/5")
    assert torch.equal(bright[0]["target"], clean[0]["target"])
    torch.testing.assert_close(bright[0]["image"], 5 * clean[0]["image"])
    assert clean.digest != bright.digest


def test_an_empty_group_is_named(store):
    with pytest.raises(SpinforgeError, match="has no validation slices"):
        ImageSlices(store.path, "validation")


def test_their_format_says_how_they_lie_and_what_was_done_to_them(store):
    found = ImageSlices(store.path, "train", brain_only=True).format
    assert (found.content, found.channels, found.scaling) == ("image", ("T1", "T2"), "volume")
    assert [plane.axes for plane in found.planes] == ["SAR", "ASR", "RSA"]
    assert [plane.view for plane in found.planes] == ["axial", "coronal", "sagittal"]
    assert [plane.pixel_mm for plane in found.planes] == [(2, 1), (3, 1), (3, 2)]
    assert [plane.slice_mm for plane in found.planes] == [3, 2, 1]
    assert (found.padded_to, found.is_brain_only) == ((32, 32), True)
    assert found.class_names == ("background", "CSF", "GM", "WM")


COLOUR_BYTES = {"red": 255, "green": 51, "blue": 102}


@pytest.fixture
def photographs(tmp_path) -> DatasetStore:
    """Two photographs of one colour each (red, green, blue = 1, 0.2, 0.4), and a darker variant."""
    store = DatasetStore(tmp_path / "skin.zarr", "images")
    store.create({"made": "by a test"})
    about = {"contrasts": list(COLOUR_BYTES), "classes": ["background", "lesion"]}
    about |= {"grey_channel": True, "scale": dict.fromkeys(COLOUR_BYTES, 1 / 255)}
    about |= {"spacing_mm": [1.0, 1.0, 1.0], "slices_are": "photographs"}
    for shown, share in ((store, 1.0), (store.within("corrupt/dark/1"), 1 / 3)):
        arrays = {
            name: StoredArray(np.full((2, 16, 32), round(value * share), np.uint8), DIMENSIONS)
            for name, value in COLOUR_BYTES.items()
        }
        arrays["label"] = StoredArray(np.ones((2, 16, 32), np.uint8), DIMENSIONS)
        shown.write_subject("training-000", arrays, about)
    rows = [("training-000", "axial", number, 512, "train") for number in (0, 1)]
    columns = ["subject", "view", "index", "foreground_px", "split"]
    write_slice_index(
        store, {"official_parts": pd.DataFrame(rows, columns=columns)}, ["training-000"]
    )
    return store


@pytest.mark.parametrize(("variant", "share"), [(None, 1.0), ("corrupt/dark/1", 1 / 3)])
def test_photographs_get_the_luma_of_their_own_colours(photographs, variant, share):
    """BT.601 by hand: 0.299 + 0.587 * 0.2 + 0.114 * 0.4 = 0.462; a third of it where it is dark."""
    data = ImageSlices(photographs.path, "train", variant=variant)
    assert data.contrasts == ("red", "green", "blue", "grey")
    image = data[1]["image"]
    assert image.shape == (4, 16, 32)
    expected = torch.tensor([1.0, 0.2, 0.4, 0.462]) * share
    # float32: a few units of 6e-8.
    torch.testing.assert_close(image[:, 3, 5], expected, rtol=0, atol=1e-6)


def test_photographs_lie_in_no_plane(photographs):
    found = ImageSlices(photographs.path, "train").format
    assert (found.channels, found.scaling) == (("red", "green", "blue", "grey"), "none")
    assert found.planes == ()


def test_channels_of_photographs_can_be_chosen(photographs):
    data = ImageSlices(photographs.path, "train", contrasts=("grey", "red"))
    torch.testing.assert_close(data[0]["image"][:, 0, 0], torch.tensor([0.462, 1.0]))
    with pytest.raises(SpinforgeError, match="no contrast T1; it has red, green, blue, grey"):
        ImageSlices(photographs.path, "train", contrasts=("T1",))
