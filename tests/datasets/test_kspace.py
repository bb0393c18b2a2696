import numpy as np
import pytest
import torch
from pydantic import ValidationError

from spinforge.datasets.loading import ZeroFilledSlices, slices_fingerprint
from spinforge.datasets.products.kspace import (
    KSpaceProduct,
    check_product,
    is_done,
    simulate_subject,
    split_of,
)
from spinforge.datasets.splits import Subjects
from spinforge.datasets.store import KSpaceStore
from spinforge.simulation.acquisition import Slices
from spinforge.simulation.contrast import SpinEcho
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.noise import Noise
from spinforge.simulation.reconstruction import intensity_scale, zero_filled
from spinforge.simulation.sampling import Gaussian1D

TINY = KSpaceProduct(
    spacing_mm=4,
    slices=Slices(thickness_mm=12, count=14),
    sampling=Gaussian1D(acs_lines=4),
    subjects=Subjects(train=1, validation=1, test=1),
)


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> KSpaceStore:
    store = KSpaceStore(tmp_path_factory.mktemp("kspace") / "set.zarr")
    store.create(TINY.recipe())
    for subject in ("head-000", "head-001"):
        simulate_subject(TINY, subject, store)
    return store


def test_every_array_of_the_layout_is_there(store):
    group = store.open_subject("head-000")
    shapes = {name: group[name].shape for name in group.array_keys()}
    assert shapes == {
        "full": (14, 1, 45, 54),
        "coil_maps": (1, 1, 45, 54),
        "image_clean": (14, 45, 54),
        "target": (14, 45, 54),
        "target_soft": (14, 4, 45, 54),
        "noise_sigma": (14,),
        "te": (14,),
        "tr": (14,),
        "wm_signal": (14,),
        "scale": (14,),
    }
    assert group["masks/fixed"].shape == (14, 45)
    assert group["full"].dtype == np.complex64
    assert group["full"].metadata.dimension_names == ("slice", "coil", "ky", "kx")


def test_provenance_says_what_made_it(store):
    attributes = store.subject_attributes("head-000")
    assert attributes["config_hash"] == TINY.config_hash
    assert attributes["root_seed"] == 0
    assert attributes["rng_scheme"] == "philox-blake2b-v1"
    assert attributes["phantom"]["source"] == "procedural"
    assert set(attributes["versions"]) >= {"spinforge", "numpy", "torch", "zarr"}
    assert attributes["orientation_verified"] is True  # our own heads
    assert attributes["complete"] is True


def test_a_complete_subject_is_not_made_again(store):
    created = store.subject_attributes("head-000")["created"]
    digest = simulate_subject(TINY, "head-000", store)
    assert digest == store.subject_attributes("head-000")["content_sha256"]
    assert store.subject_attributes("head-000")["created"] == created


@pytest.mark.parametrize("threads", [1, 2])
def test_bytes_do_not_depend_on_threads_or_place(store, tmp_path, threads):
    again = KSpaceStore(tmp_path / "again.zarr")
    again.create(TINY.recipe())
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        digest = simulate_subject(TINY, "head-001", again)
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert digest == store.subject_attributes("head-001")["content_sha256"]


def test_subjects_differ_in_anatomy_timing_noise_and_masks(store):
    for name in ("target", "te", "full", "masks/fixed"):
        assert not np.array_equal(store.read("head-000", name), store.read("head-001", name))


@pytest.mark.parametrize(
    "change", [{"subjects": Subjects(train=3)}, {"path": "elsewhere"}, {"download": True}], ids=str
)
def test_hash_ignores_paths_and_groups(change):
    assert TINY.model_copy(update=change).config_hash == TINY.config_hash


@pytest.mark.parametrize(
    "change",
    [
        {"phantom": "brainweb20"},
        {"spacing_mm": 2},
        {"seed": 1},
        {"slices": Slices(thickness_mm=12, count=13)},
        {"scan": SpinEcho(te_ms=81)},
        {"noise": Noise(percent=20)},
        {"sampling": Gaussian1D(acs_lines=3)},
    ],
    ids=str,
)
def test_hash_depends_on_all_that_shapes_the_bytes(change):
    assert TINY.model_copy(update=change).config_hash != TINY.config_hash


def test_another_configuration_is_refused_with_both_hashes(store):
    other = TINY.model_copy(update={"noise": Noise(percent=20)})
    with pytest.raises(SpinforgeError) as error:
        is_done(other, store, "head-000")
    assert TINY.config_hash in str(error.value)
    assert other.config_hash in str(error.value)
    assert "--overwrite" in str(error.value)


def test_more_subjects_extend_the_same_set(store):
    more = TINY.model_copy(update={"subjects": Subjects(train=2, validation=1, test=1)})
    assert split_of(more).everyone == ["head-000", "head-001", "head-002", "head-003"]
    assert is_done(more, store, "head-000")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"slices": Slices(thickness_mm=6, count=2)}, "not a multiple of the 4 mm voxels"),
        ({"slices": Slices(thickness_mm=12, count=16)}, "The most is 15"),
        ({"sampling": Gaussian1D(acs_lines=16)}, "acs_lines = 16 does not fit in the 14 lines"),
    ],
)
def test_what_does_not_fit_is_refused_before_any_work(change, message):
    with pytest.raises(SpinforgeError, match=message):
        check_product(TINY.model_copy(update=change))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"phantom": "brainweb20"}, "needs `path`"),
        ({"phantom": "brainweb20", "path": "x", "spacing_mm": 2}, "1 mm voxels"),
        ({"phantom": "procedural", "path": "x"}, "belong to phantom brainweb20"),
    ],
)
def test_contradictions_are_refused(content, message):
    with pytest.raises(ValidationError, match=message):
        KSpaceProduct.model_validate(content)


def slices_of(store, masks, **options):
    subjects = ("head-000", "head-001")
    return ZeroFilledSlices(
        store.path, subjects, sampling=TINY.sampling, masks=masks, **options
    )  # fmt: skip


def test_items_are_zero_filled_and_scaled(store):
    data = slices_of(store, "fixed")
    assert len(data) == 28
    item = data[15]
    assert (item["subject"], item["slice"]) == ("head-001", 1)
    kspace = torch.from_numpy(store.read("head-001", "full")[1, 0])
    mask = torch.from_numpy(store.read("head-001", "masks/fixed")[1])
    image = zero_filled(kspace, mask)
    expected = torch.stack((image.real, image.imag)) / store.read("head-001", "scale")[1].item()
    torch.testing.assert_close(item["image"], expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(item["target"], store.read("head-001", "target")[1])


def test_scale_is_the_99th_percentile_of_the_magnitude():
    magnitude = torch.arange(1, 101, dtype=torch.float32).reshape(10, 10)
    assert intensity_scale(torch.polar(magnitude, magnitude)).item() == pytest.approx(99)


def test_fixed_masks_stay_fresh_masks_change_with_the_epoch(store):
    fixed, fresh = slices_of(store, "fixed"), slices_of(store, "fresh", seed=3)
    first = [fixed.line_mask(0), fresh.line_mask(0)]
    for data in (fixed, fresh):
        data.set_epoch(1)
    assert torch.equal(fixed.line_mask(0), first[0])
    assert not torch.equal(fresh.line_mask(0), first[1])
    fresh.set_epoch(0)
    assert torch.equal(fresh.line_mask(0), first[1])
    assert fresh.line_mask(0).sum() == 14


def test_fingerprint_tells_what_would_be_seen(store):
    def fingerprint(subjects=("head-000", "head-001"), masks="fixed", seed=0):
        return slices_fingerprint(
            store, subjects, sampling=TINY.sampling, masks=masks, seed=seed
        )  # fmt: skip

    others = {
        fingerprint(masks="fresh"),
        fingerprint(masks="fresh", seed=1),
        fingerprint(subjects=("head-001",)),
        fingerprint(subjects=("head-001", "head-000")),
    }
    assert len(others | {fingerprint()}) == 5
    assert fingerprint() == fingerprint()


def test_missing_subject_is_named(store):
    with pytest.raises(SpinforgeError, match="no complete subject 'head-009'"):
        ZeroFilledSlices(store.path, ("head-009",), sampling=TINY.sampling, masks="fixed")
