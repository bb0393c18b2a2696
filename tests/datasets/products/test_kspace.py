"""The k-space product: what is stored, what its hash depends on, what is refused."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from tiny_kspace import TINY

from spinforge.datasets.card.card import facts_of
from spinforge.datasets.products.catalogue import maker_of
from spinforge.datasets.products.kspace import fixed_masks
from spinforge.datasets.products.kspace_settings import KSpaceProduct
from spinforge.datasets.products.making import is_done, make_subject, split_of
from spinforge.datasets.reading.loading import ZeroFilledSlices
from spinforge.datasets.splits import Split, Subjects
from spinforge.datasets.storage.store import DatasetStore
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.noise import Noise
from spinforge.simulation.sampling import (
    Equispaced,
    Gaussian1D,
    PartialFourier,
)
from spinforge.simulation.sampling_fastmri import EquispacedFraction, Random1D
from spinforge.simulation.scanner import Scanner
from spinforge.simulation.sequences import GradientEcho, SpinEcho
from spinforge.simulation.slices import Slices
from spinforge.simulation.tissue import TARGET_NAMES


def test_every_array_of_the_layout_is_there(tiny_store):
    group = tiny_store.open_subject("head-000")
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


def test_provenance_says_what_made_it(tiny_store):
    attributes = tiny_store.subject_attributes("head-000")
    assert attributes["config_hash"] == TINY.config_hash
    assert attributes["root_seed"] == 0
    assert attributes["rng_scheme"] == "philox-blake2b-v1"
    assert attributes["phantom"]["source"] == "procedural"
    assert set(attributes["versions"]) >= {"spinforge", "numpy", "torch", "zarr"}
    assert attributes["orientation_verified"] is True  # our own heads
    assert attributes["complete"] is True


def test_a_complete_subject_is_not_made_again(tiny_store):
    created = tiny_store.subject_attributes("head-000")["created"]
    digest = make_subject(TINY, "head-000", tiny_store)
    assert digest == tiny_store.subject_attributes("head-000")["content_sha256"]
    assert tiny_store.subject_attributes("head-000")["created"] == created


@pytest.mark.parametrize("threads", [1, 2])
def test_bytes_do_not_depend_on_threads_or_place(tiny_store, tmp_path, threads):
    again = DatasetStore(tmp_path / "again.zarr")
    again.create(TINY.recipe())
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        digest = make_subject(TINY, "head-001", again)
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert digest == tiny_store.subject_attributes("head-001")["content_sha256"]


def test_subjects_differ_in_anatomy_timing_noise_and_masks(tiny_store):
    for name in ("target", "te", "full", "masks/fixed"):
        assert not np.array_equal(
            tiny_store.read("head-000", name), tiny_store.read("head-001", name)
        )


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
        {"sampling": PartialFourier()},
    ],
    ids=str,
)
def test_hash_depends_on_all_that_shapes_the_bytes(change):
    assert TINY.model_copy(update=change).config_hash != TINY.config_hash


def test_another_configuration_is_refused_with_both_hashes(tiny_store):
    other = TINY.model_copy(update={"noise": Noise(percent=20)})
    with pytest.raises(SpinforgeError) as error:
        is_done(other, tiny_store, "head-000")
    assert TINY.config_hash in str(error.value)
    assert other.config_hash in str(error.value)
    assert "--overwrite" in str(error.value)


def test_more_subjects_extend_the_same_set(tiny_store):
    more = TINY.model_copy(update={"subjects": Subjects(train=2, validation=1, test=1)})
    assert split_of(more).everyone == ["head-000", "head-001", "head-002", "head-003"]
    assert is_done(more, tiny_store, "head-000")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"slices": Slices(thickness_mm=6, count=2)}, "not a multiple of the 4 mm voxels"),
        ({"slices": Slices(thickness_mm=12, count=16)}, "The most is 15"),
        ({"sampling": Gaussian1D(acs_lines=16)}, "acs_lines = 16 does not fit in the 14 lines"),
        ({"sampling": Random1D(centre_fraction=0.4)}, "keeps 18 central lines"),
        ({"sampling": Equispaced(acs_lines=46)}, "acs_lines = 46 are more than the 45 lines"),
    ],
)
def test_what_does_not_fit_is_refused_before_any_work(change, message):
    with pytest.raises(SpinforgeError, match=message):
        maker_of(TINY.model_copy(update=change)).check()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"phantom": "brainweb20"}, "needs `path`"),
        (
            {"phantom": "brainweb20", "path": "x", "spacing_mm": 2},
            "spacing_mm is for procedural heads",
        ),
        ({"phantom": "procedural", "path": "x"}, "belong to BrainWeb's phantoms"),
    ],
)
def test_contradictions_are_refused(content, message):
    with pytest.raises(ValidationError, match=message):
        KSpaceProduct.model_validate(content)


@pytest.mark.parametrize(
    ("sampling", "kept"),
    [
        (Gaussian1D(acs_lines=4), {14}),
        (Random1D(exact=True), {11}),
        (Equispaced(acs_lines=4, offset=2), {14}),
        (EquispacedFraction(acceleration=3), {14, 15, 16}),
        (PartialFourier(), {34}),
    ],
    ids=lambda value: getattr(value, "kind", ""),
)
def test_every_kind_of_lines_makes_stored_masks(sampling, kept):
    product = TINY.model_copy(update={"sampling": sampling})
    maker_of(product).check()
    masks = fixed_masks(product, "head-000")
    assert (masks.dtype, tuple(masks.shape)) == (torch.bool, (14, 45))
    assert set(masks.sum(1).tolist()) <= kept


def test_another_kind_of_lines_is_stored_loaded_and_described(tmp_path):
    product = TINY.model_copy(update={"sampling": PartialFourier()})
    store = DatasetStore(tmp_path / "set.zarr")
    store.create(product.recipe())
    make_subject(product, "head-000", store)
    only = Split(train=("head-000",), validation=(), test=())
    facts = facts_of(store, only)
    assert facts["Scan"]["lines of the stored masks"].startswith("partial_fourier: ")
    assert set(facts["Class balance"]) == set(TARGET_NAMES)
    fresh = ZeroFilledSlices(
        store.path, only.train, sampling=product.sampling, masks="fresh"
    )  # fmt: skip
    assert torch.equal(
        fresh.line_mask(0), torch.from_numpy(store.read("head-000", "masks/fixed")[0])
    )


def test_coils_are_stored_and_combined_by_their_sensitivities(tmp_path):
    """Without noise and with every line, the combination is the image of a uniform coil."""
    product = TINY.model_copy(
        update={
            "scanner": Scanner(coils=4),
            "noise": Noise(percent=0),
            "sampling": Gaussian1D(keep=1.0, acs_lines=4),
        }
    )
    store = DatasetStore(tmp_path / "coils.zarr")
    store.create(product.recipe())
    make_subject(product, "head-000", store)
    assert store.read("head-000", "full").shape == (14, 4, 45, 54)
    assert store.read("head-000", "coil_maps").shape == (1, 4, 45, 54)
    slices = ZeroFilledSlices(store.path, ("head-000",), sampling=product.sampling, masks="fixed")
    clean = torch.from_numpy(store.read("head-000", "image_clean"))
    torch.testing.assert_close(slices.fully_sampled(5), clean[5], rtol=0, atol=1e-6)
    scale = float(store.read("head-000", "scale")[5])
    shown = torch.complex(*slices[5]["image"]) * scale
    torch.testing.assert_close(shown, clean[5], rtol=0, atol=1e-5)


def test_every_sequence_and_profile_can_be_stored(tmp_path):
    product = TINY.model_copy(
        update={
            "scan": GradientEcho(kind="gradient_echo"),
            "scanner": Scanner(profile="seranet", tissue_set="literature_3T"),
        }
    )
    store = DatasetStore(tmp_path / "gradient.zarr")
    store.create(product.recipe())
    make_subject(product, "head-000", store)
    attributes = store.subject_attributes("head-000")
    assert attributes["tissue_set"] == "literature_3T"
    assert set(attributes["scan"]) >= {"b1_peak", "tissue_factors", "receive", "te_s"}
    assert store.read("head-000", "te")[0] == pytest.approx(0.010, rel=0.06)


def test_a_supersampled_object_is_stored_on_the_scans_grid(tmp_path):
    """Of the anatomy at half the voxel size; labels, masks and matrix stay the scan's."""
    product = TINY.model_copy(update={"scanner": Scanner(supersample=2)})
    store = DatasetStore(tmp_path / "fine.zarr")
    store.create(product.recipe())
    make_subject(product, "head-000", store)
    assert store.read("head-000", "full").shape == (14, 1, 45, 54)
    assert store.read("head-000", "target").shape == (14, 45, 54)
    attributes = store.subject_attributes("head-000")
    assert attributes["phantom"]["spacing_mm"] == 2
    assert attributes["spacing_mm"][1:] == [4, 4]


def test_a_study_names_its_sequence_by_kind_and_needs_none_for_a_spin_echo():
    echo = KSpaceProduct.model_validate({"scan": {"te_ms": 90}})
    assert echo.scan == SpinEcho(te_ms=90)
    other = KSpaceProduct.model_validate({"scan": {"kind": "gradient_echo", "flip_deg": 20}})
    assert other.scan == GradientEcho(kind="gradient_echo", flip_deg=20)
    assert KSpaceProduct.model_validate(other.model_dump(mode="json")) == other
