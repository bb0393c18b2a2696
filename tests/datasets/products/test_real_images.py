"""Real collections go through the same products as our stand-ins, by their path alone."""

import numpy as np
import pandas as pd
import public_miniatures
import pytest
from brainweb_form import LABELS, SHAPE
from public_miniatures import image, labels, write_volume
from pydantic import TypeAdapter, ValidationError
from tiny_images import generated

from spinforge.datasets.products.brain_slices import BrainSlices
from spinforge.datasets.products.catalogue import Product, maker_of
from spinforge.datasets.products.crdn_brainweb import CrdnBrainWeb
from spinforge.datasets.products.hvsmr import HVSMRLike
from spinforge.datasets.products.isic import ISICLike, ISICSubjects
from spinforge.datasets.products.mrbrains import MRBrainSLike, MRBrainSSlices, MRBrainSSubjects
from spinforge.datasets.products.slice_index import read_slice_index
from spinforge.datasets.products.spleen import SpleenLike, SpleenSubjects
from spinforge.datasets.products.volumes import object_mask
from spinforge.datasets.public.mrbrains import PAPER_SLICES_13, MRBrainS13
from spinforge.datasets.reading.image_slices import ImageSlices
from spinforge.datasets.reading.origin import origin_of
from spinforge.datasets.slice_table import counts, slice_areas
from spinforge.datasets.splits import Split, Subjects
from spinforge.datasets.volumes import IGNORE, LabelledVolume
from spinforge.simulation.errors import SpinforgeError

READER = TypeAdapter(Product)


def settings(**values: object) -> Product:
    """A product as a study file gives it."""
    return READER.validate_python(values)


def test_mrbrains(tmp_path):
    public_miniatures.mrbrains13(tmp_path)
    product = MRBrainSLike(
        product="mrbrains_like",
        path=tmp_path,
        subjects=MRBrainSSubjects(train=2),
        slices=MRBrainSSlices(count=5),
    )
    store = generated(product, tmp_path / "set.zarr")
    assert store.complete_subjects() == ["training-1", "training-2"]
    np.testing.assert_array_equal(store.read("training-1", "T1"), image(10))
    label, brain = store.read("training-1", "label"), store.read("training-1", "brain")
    np.testing.assert_array_equal(brain, label != 0)
    assert IGNORE in label  # cerebellum and brainstem are brain, though nobody scores them
    attributes = store.subject_attributes("training-1")
    white = np.median(image(10)[label == 3])
    assert attributes["reference_signal"]["T1"] == pytest.approx(white)
    assert attributes["reference_signal_is"] == "median over the class"
    assert attributes["phantom"]["source"] == "files"
    assert counts(read_slice_index(store))["test"] == 2


def test_the_authors_own_slices_are_taken_where_all_are_there(tmp_path):
    label = np.ones((48, 4, 4), dtype=np.uint8)
    areas = [slice_areas(name, label) for name in PAPER_SLICES_13]
    product = MRBrainSLike(product="mrbrains_like")
    split = Split(train=tuple(PAPER_SLICES_13), validation=(), test=())
    table = product.slice_tables(pd.concat(areas, ignore_index=True), split)
    chosen = table["interleaved"]
    train, test = MRBrainS13(tmp_path).paper_slices()
    for group, expected in ((("train", "validation"), train), (("test",), test)):
        rows = chosen[chosen["split"].isin(group)]
        assert list(zip(rows["subject"], rows["index"], strict=True)) == expected
    assert (len(train), len(test)) == (104, 70)


def test_hvsmr(tmp_path):
    public_miniatures.hvsmr(tmp_path)
    product = settings(
        product="hvsmr_like",
        path=tmp_path,
        subjects={"train": 1, "validation": 1, "test": 1},
        slices={"train": 10, "test": 20},
    )
    store = generated(product, tmp_path / "set.zarr")
    assert store.complete_subjects() == ["pat0", "pat1", "pat2"]
    np.testing.assert_array_equal(store.read("pat1", "MR"), image(1))
    found = counts(read_slice_index(store))
    # 4 + 6 + 8 slices a volume; 20 for the test are not there, so all with a heart.
    assert found == {"train": 6, "validation": 4, "test": 18, "unused": 26}


@pytest.mark.parametrize("edition", [2017, 2019])
def test_iseg(tmp_path, edition):
    public_miniatures.iseg(tmp_path, edition)
    subjects = {"train": 1, "validation": 1, "test": 1}
    product = settings(product="iseg", path=tmp_path, edition=edition, subjects=subjects)
    store = generated(product, tmp_path / "set.zarr")
    first = store.complete_subjects()[0]
    label = store.read(first, "label")
    assert set(np.unique(label)) <= {0, 1, 2, 3}
    np.testing.assert_array_equal(store.read(first, "brain"), label != 0)
    table = read_slice_index(store)
    used = table[table["split"] != "unused"]
    assert (used["foreground_px"] > 0).all()
    assert (table[table["split"] == "unused"]["foreground_px"] == 0).all()


def test_iseg_needs_the_real_data():
    with pytest.raises(ValidationError, match=r"path\n.*Field required"):
        settings(product="iseg")


def test_isic(tmp_path):
    public_miniatures.isic(tmp_path)
    product = ISICLike(
        product="isic_like",
        path=tmp_path,
        height=24,
        width=40,
        subjects=ISICSubjects(train=1, validation=1, test=1),
    )
    store = generated(product, tmp_path / "set.zarr")
    assert store.complete_subjects() == ["test-000", "training-000", "validation-000"]
    red = store.read("training-000", "red")
    assert (red.shape, red.dtype) == ((2, 24, 40), np.uint8)
    assert abs(int(np.median(red)) - 200) <= 3  # what JPEG leaves of 200
    photographs = store.subject_attributes("training-000")["parameters"]["photographs"]
    assert list(photographs) == ["ISIC_0000000", "ISIC_0000002"]
    assert counts(read_slice_index(store)) == {
        "train": 2, "validation": 1, "test": 1, "unused": 0,
    }  # fmt: skip
    slices = ImageSlices(store.path, "train")
    assert (slices.contrasts, slices.n_channels) == (("red", "green", "blue", "grey"), 4)


def test_spleen(tmp_path):
    for number in (2, 3, 10):
        name = f"spleen_{number}.nii.gz"
        density = 2 * image(number, (3, 64, 64)) - 1000
        write_volume(tmp_path / "Task09_Spleen" / "imagesTr" / name, density)
        label = labels((0, 0, 1, 1, 1, 0, 0), (3, 64, 64))
        write_volume(tmp_path / "Task09_Spleen" / "labelsTr" / name, label)
    product = SpleenLike(
        product="spleen_like",
        path=tmp_path,
        size=64,
        subjects=SpleenSubjects(train=1, validation=1, test=1),
    )
    store = generated(product, tmp_path / "set.zarr")
    stored = store.read("spleen_2", "CT")
    hounsfield = 2 * image(2, (3, 64, 64)) - 1000
    # -160 HU is 0 and 240 HU is 1; beyond, nothing is told apart.
    np.testing.assert_allclose(stored, np.clip((hounsfield + 160) / 400, 0, 1), atol=1e-6)
    attributes = store.subject_attributes("spleen_2")
    assert attributes["reference_signal"] == {"CT": 1.0}
    assert attributes["parameters"]["window_hu"] == [-160.0, 240.0]


@pytest.fixture
def brainweb(small_volumes, tmp_path):
    (tmp_path / "phantom_1.0mm_normal_crisp.rawb").write_bytes(LABELS.tobytes())
    for name in ("t1", "t2", "pd"):
        values = np.where(LABELS > 0, 20 * LABELS + 10, 0).astype(np.uint8)
        path = tmp_path / f"{name}_icbm_normal_1mm_pn0_rf0.rawb"
        path.write_bytes(values.tobytes())
    return tmp_path


@pytest.mark.parametrize("images", ["simulated", "brainweb"])
def test_brainwebs_head_and_its_own_images(brainweb, images):
    product = CrdnBrainWeb(
        product="crdn_brainweb", path=brainweb, images=images, slices=BrainSlices(count=3)
    )
    store = generated(product, brainweb / f"{images}.zarr")
    assert store.complete_subjects() == ["normal"]
    # CSF, GM, WM; glial matter (8) counts as GM.
    expected = np.array([0, 1, 2, 3, 0, 0, 0, 0, 2, 0], dtype=np.uint8)[LABELS]
    np.testing.assert_array_equal(store.read("normal", "label"), expected)
    assert store.read("normal", "T1").shape == SHAPE
    attributes = store.subject_attributes("normal")
    assert attributes["orientation_verified"] is False
    assert attributes["reference_signal_is"] == (
        "exact" if images == "simulated" else "median over the class"
    )
    origin = origin_of(attributes)
    assert origin.simulated  # by us from BrainWeb's model, or by BrainWeb itself
    assert origin.maker == ("Spinforge" if images == "simulated" else "BrainWeb")


def test_a_missing_model_says_how_to_get_it(brainweb):
    product = settings(product="crdn_brainweb", path=brainweb, model="msles2")
    with pytest.raises(SpinforgeError, match=r"msles2_crisp.* is missing\. .*download msles2"):
        maker_of(product).check()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mrbrains_like", "TrainingData/"),
        ("hvsmr_like", "Training dataset/"),
        ("isic_like", "ISIC-2017_Training_Data/"),
        ("spleen_like", "Task09_Spleen/"),
    ],
)
def test_a_wrong_folder_shows_the_expected_one(tmp_path, name, expected):
    (tmp_path / "holiday.jpg").touch()
    with pytest.raises(SpinforgeError, match=rf"(?s)it holds holiday\.jpg\. Expected.*{expected}"):
        maker_of(settings(product=name, path=tmp_path)).check()


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"product": "crdn_brainweb", "path": "x", "spacing_mm": 2}, "spacing_mm is for our stand"),
        ({"product": "hvsmr_like", "path": "x", "banding": 0}, "banding is for our stand-ins"),
        ({"product": "crdn_brainweb", "images": "brainweb"}, "images and model need path"),
        ({"product": "mrbrains_like", "edition": "18"}, "edition needs path"),
        (
            {"product": "crdn_brainweb", "slices": {"split": "subjects"}},
            r"subjects\.validation and subjects\.test need at least one",
        ),
        (
            {"product": "mrbrains_like", "subjects": {"train": 3, "validation": 1, "test": 1}},
            r"slices\.split = interleaved mixes the slices of all subjects",
        ),
        ({"product": "spleen_like", "size": 100}, "must be a power of two"),
        ({"product": "isic_like", "height": 32, "width": 64}, "width = 64 must be at most 1.8"),
        ({"product": "crdn_brainweb", "noise": {"percent": 3}}, "Extra inputs are not permitted"),
    ],
)
def test_settings_that_do_not_fit_are_named(values, problem):
    with pytest.raises(ValidationError, match=problem):
        settings(**values)


def test_too_few_batches_and_unknown_ones_are_named():
    few = settings(product="isic_like", batch=500, subjects={"train": ["training-004"]})
    with pytest.raises(SpinforgeError, match=r"subjects\.train: training-004 not found in the tr"):
        maker_of(few).split()


def test_real_parts_that_are_too_small_are_named(tmp_path):
    public_miniatures.isic(tmp_path)
    product = settings(product="isic_like", path=tmp_path)
    with pytest.raises(SpinforgeError, match=r"subjects\.train = 40: the training part has 1 ba"):
        maker_of(product).split()


def test_defaults_are_the_papers_sizes():
    splits = {
        name: maker_of(settings(product=name)).split()
        for name in ("crdn_brainweb", "mrbrains_like", "hvsmr_like", "isic_like", "spleen_like")
    }
    sizes = {name: tuple(len(group) for _, group in split) for name, split in splits.items()}
    assert sizes == {
        "crdn_brainweb": (1, 0, 0),
        "mrbrains_like": (5, 0, 0),
        "hvsmr_like": (5, 1, 4),
        "isic_like": (40, 3, 12),
        "spleen_like": (25, 4, 12),
    }
    assert splits["isic_like"].test[-1] == "test-011"


def test_changing_one_group_leaves_the_others():
    for name, expected in (("hvsmr_like", (2, 1, 4)), ("crdn_brainweb", (2, 0, 0))):
        subjects = settings(product=name, subjects={"train": 2}).subjects
        assert isinstance(subjects, Subjects)
        assert (subjects.train, subjects.validation, subjects.test) == expected


def test_volumes_without_labels_are_refused(monkeypatch):
    unlabelled = LabelledVolume(
        "a", {"MR": np.ones((2, 3, 4), np.float32)}, None, (1.0, 1.0, 1.0), np.eye(4)
    )
    maker = maker_of(HVSMRLike(product="hvsmr_like"))
    monkeypatch.setattr(maker._source.__class__, "load", lambda *_: unlabelled)
    with pytest.raises(SpinforgeError, match="a has no labels: name labelled subjects only"):
        maker.make("a")


# ---------------------------------------------------------------------------------- masks


def test_noise_is_no_object():
    """A ball of 1 in Rician noise of 5 %: its box is found, to the voxel beside it."""
    grid = np.indices((24, 24, 24)) - 12
    ball = (grid**2).sum(0) <= 8**2
    noise = np.random.default_rng(0).normal(0, 0.05, (2, *ball.shape))
    noisy = np.hypot(ball + noise[0], noise[1]).astype(np.float32)
    mask = object_mask(
        LabelledVolume("a", {"x": noisy}, ball.astype(np.uint8), (1.0, 1.0, 1.0), np.eye(4))
    )
    assert mask[ball].all()
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        found = np.flatnonzero(mask.any(others))
        assert (found[0], found[-1]) == pytest.approx((12 - 8, 12 + 8), abs=1)
