"""The infant series: what is stored, what is labelled, and what a network sees of it."""

import functools

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from spinforge.datasets.products import infant
from spinforge.datasets.products.catalogue import maker_of
from spinforge.datasets.products.infant import NOWHERE, corresponding_slices
from spinforge.datasets.products.infant_settings import InfantBric, InfantIbis
from spinforge.datasets.products.making import is_done, make_subject
from spinforge.datasets.reading.longitudinal import LongitudinalSlices
from spinforge.datasets.reading.network_input import IGNORE_INDEX
from spinforge.datasets.storage.store import DatasetStore
from spinforge.datasets.volumes import IGNORE
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.phantoms.infant import generate_infant, infant_images
from spinforge.simulation.phantoms.infant_relaxation import infant_signals
from spinforge.simulation.tissue import Tissue

BRIC = InfantBric(product="infant_bric", spacing_mm=4, ages_months=(0, 6), subjects=1)
IBIS = InfantIbis(product="infant_ibis", spacing_mm=4, ages_months=(6, 24), subjects=1)
SUBJECT = "infant-000"


@functools.cache
def head_at(age: float):
    """The head of the subject, which takes a second to make."""
    return generate_infant(SUBJECT, seed=0, age_months=age, spacing_mm=4.0)


@pytest.fixture(scope="module", autouse=True)
def _heads_are_made_once():
    def remembered(subject, *, seed, age_months, spacing_mm):
        assert (subject, seed, spacing_mm) == (SUBJECT, 0, 4.0)
        return head_at(age_months)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(infant, "generate_infant", remembered)
        yield


def made(tmp_path_factory, product, subjects) -> DatasetStore:
    store = DatasetStore(tmp_path_factory.mktemp("infants") / "set.zarr", "longitudinal")
    store.create(product.recipe())
    for subject in subjects:
        make_subject(product, subject, store)
    return store


@pytest.fixture(scope="module")
def bric(tmp_path_factory) -> DatasetStore:
    return made(tmp_path_factory, BRIC, BRIC.names)


@pytest.fixture(scope="module")
def ibis(tmp_path_factory) -> DatasetStore:
    return made(tmp_path_factory, IBIS, IBIS.names)


def cropped(store, volume):
    """A volume (x, y, z) of the whole field of view, as the store has it."""
    box = store.subject_attributes(SUBJECT)["box_zyx"]
    return volume.permute(2, 1, 0).numpy()[tuple(slice(*part) for part in box)]


def test_arrays_say_what_their_axes_are(bric):
    group = bric.open_subject(SUBJECT)
    depth = group["ses-06mo/T1w"].shape[0]
    assert group["ages"][...].tolist() == [0, 6]
    assert group["has_label"].shape == (2, depth)
    assert group["corresponding"].shape == (depth, 2)
    assert group["ses-06mo/T2w"].metadata.dimension_names == ("z", "y", "x")
    assert {group[f"ses-{age}mo/label"].shape for age in ("00", "06")} == {
        group["ses-06mo/T1w"].shape
    }
    assert is_done(BRIC, bric, SUBJECT)


def test_box_holds_every_brain_voxel_of_every_age(bric):
    for age in BRIC.ages_months:
        head = head_at(float(age))
        labels = head.phantom.labels
        brain = int(((labels >= 1) & (labels <= 3)).sum())
        assert (bric.read(SUBJECT, f"ses-{age:02d}mo/truth") > 0).sum() == brain


def test_one_slice_of_each_volume_is_labelled_truly_and_at_one_height(bric):
    has_label, same = bric.read(SUBJECT, "has_label"), bric.read(SUBJECT, "corresponding")
    assert has_label.sum(1).tolist() == [1, 1]
    chosen = bric.subject_attributes(SUBJECT)["labelled_slice_of_last_age"]
    assert has_label.argmax(1).tolist() == same[chosen].tolist()
    for age, index in zip(BRIC.ages_months, same[chosen], strict=True):
        label = bric.read(SUBJECT, f"ses-{age:02d}mo/label")
        truth = bric.read(SUBJECT, f"ses-{age:02d}mo/truth")
        np.testing.assert_array_equal(label[index], truth[index])
        assert (np.delete(label, index, 0) == IGNORE).all()
        assert set(np.unique(label[index])) == {0, 1, 2, 3}


@pytest.mark.parametrize("contrast", [0, 1], ids=["T1w", "T2w"])
def test_noise_is_rician_of_three_percent_of_white_matter(bric, contrast):
    head = head_at(6.0)
    clean = cropped(bric, infant_images(head)[contrast])
    noisy = bric.read(SUBJECT, f"ses-06mo/{('T1w', 'T2w')[contrast]}")
    age = torch.tensor(6.0, dtype=torch.float64)
    sigma = 0.03 * abs(float(infant_signals(Tissue.WHITE_MATTER, age)[contrast]))
    assert bric.subject_attributes(SUBJECT)["noise_sigma"]["ses-06mo"][contrast] == sigma
    # E[m^2] = s^2 + 2 sigma^2 exactly; its variance is 4 sigma^4 + 4 s^2 sigma^2.
    excess = (noisy.astype(np.float64) ** 2 - clean.astype(np.float64) ** 2).mean()
    variance = (4 * sigma**4 + 4 * sigma**2 * clean.astype(np.float64) ** 2).mean()
    assert abs(excess - 2 * sigma**2) < 5 * np.sqrt(variance / clean.size)
    air = clean == 0
    assert air.sum() > 500
    # Rayleigh's mean; its relative standard error is 0.52 / sqrt(n), below 0.024.
    assert noisy[air].mean() == pytest.approx(sigma * np.sqrt(np.pi / 2), rel=0.1)


def test_noise_differs_between_ages_contrasts_and_slices(bric):
    parts = [
        bric.read(SUBJECT, f"ses-{age:02d}mo/{contrast}")[index]
        for age in (0, 6)
        for contrast in ("T1w", "T2w")
        for index in (-1, -2)
    ]
    assert len({part.tobytes() for part in parts}) == len(parts)


def test_bytes_do_not_depend_on_who_else_is_made(bric, tmp_path):
    alone = DatasetStore(tmp_path / "alone.zarr", "longitudinal")
    again = BRIC.model_copy(update={"subjects": 2, "test_ages_months": (0,)})
    alone.create(again.recipe())
    digest = make_subject(again, SUBJECT, alone)
    assert digest == bric.subject_attributes(SUBJECT)["content_sha256"]


def test_ibis_has_labels_of_the_later_age_that_err_like_a_segmentation(ibis):
    has_label = ibis.read(SUBJECT, "has_label")
    assert not has_label[0].any()
    assert has_label[1].all()
    assert (ibis.read(SUBJECT, "ses-06mo/label") == IGNORE).all()
    label = ibis.read(SUBJECT, "ses-24mo/label")
    truth = ibis.read(SUBJECT, "ses-24mo/truth")
    dice = [
        2 * ((label == k) & (truth == k)).sum() / ((label == k).sum() + (truth == k).sum())
        for k in (1, 2, 3)
    ]
    # In voxels of 4 mm, most of which are mixtures: far from chance, far from true.
    assert 0.45 < min(dice)
    assert max(dice) < 0.98


def test_corresponding_slices_of_a_head_scaled_by_hand():
    small, large = np.arange(0.0, 40, 4), np.arange(0.0, 40, 2)
    assert corresponding_slices([small, large])[:6, 0].tolist() == [0, 0, 1, 2, 2, 2]
    assert (corresponding_slices([small, large])[:, 1] == np.arange(20)).all()
    beyond = corresponding_slices([large[:3], large])[:, 0]
    assert beyond.tolist() == [0, 1, 2] + [NOWHERE] * 17


def test_sequences_show_only_the_labels_asked_for(bric):
    train = LongitudinalSlices(bric.path, tuple(BRIC.names), ages_months=BRIC.train_ages_months)
    test = LongitudinalSlices(bric.path, tuple(BRIC.names), ages_months=(6,))
    assert len(train) == len(test) == 1  # one labelled height a subject
    item = train[0]
    time, channel, height, width = item["image"].shape
    assert (time, channel, height % 16, width % 16) == (2, 2, 0, 0)
    assert item["target"].shape == (2, height, width)
    assert item["has_label"].tolist() == [True, False]
    assert (item["target"][1] == IGNORE_INDEX).all()
    assert test[0]["has_label"].tolist() == [False, True]
    assert torch.equal(test[0]["image"], item["image"])
    assert item["ages_months"].tolist() == [0, 6]


def test_targets_lie_where_the_image_was_padded_to(bric):
    data = LongitudinalSlices(bric.path, (SUBJECT,), ages_months=(6,))
    item = data[0]
    truth = bric.read(SUBJECT, "ses-06mo/truth")[item["slice"]]
    shown = item["target"][1] >= 0
    assert shown.sum() == truth.size
    np.testing.assert_array_equal(item["target"][1][shown].reshape(truth.shape), truth)
    image = bric.read(SUBJECT, "ses-06mo/T1w")
    expected = image[item["slice"]] / np.float32(np.quantile(image, 0.99))
    seen = item["image"][1, 0][shown].reshape(truth.shape)
    np.testing.assert_allclose(seen, expected, rtol=1e-6)


def test_truth_judges_where_nothing_was_given(ibis):
    with pytest.raises(SpinforgeError, match=r"no slice at \[6\] months has a label"):
        LongitudinalSlices(ibis.path, (SUBJECT,), ages_months=(6,))
    judged = LongitudinalSlices(ibis.path, (SUBJECT,), ages_months=(6,), labels="truth")
    assert len(judged) > 10
    assert judged[5]["has_label"].tolist() == [True, False]


def test_an_age_nobody_was_scanned_at_is_named(bric):
    with pytest.raises(SpinforgeError, match=r"nobody was scanned at \[7\] months"):
        LongitudinalSlices(bric.path, (SUBJECT,), ages_months=(7,))


def test_everyone_trains_and_tests_at_other_ages():
    split = maker_of(BRIC).split()
    assert split.train == split.test == ("infant-000",)
    assert BRIC.train_ages_months == (0,)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ages_months": (6, 0)}, "ages_months must rise"),
        ({"ages_months": (0, 6, 25)}, "must be from 0 to 24"),
        ({"test_ages_months": (5,)}, "are none of ages_months"),
        ({"ages_months": (6,)}, "no age is left"),
    ],
)
def test_ages_that_do_not_fit_are_refused(change, message):
    with pytest.raises(ValidationError, match=message):
        InfantBric.model_validate({"product": "infant_bric", **change})


def test_a_segmentation_is_not_asked_of_the_youngest():
    with pytest.raises(ValidationError, match="below 9 must be test ages"):
        InfantIbis(product="infant_ibis", ages_months=(3, 6, 12))
