"""Corruption sets of images, as products of images lay them out."""

import numpy as np
import pytest
from corruption_stores import REFERENCE, SHAPE_ZYX, write_images

from spinforge.datasets.corruption.settings import Corruptions
from spinforge.datasets.corruption.sources import CleanSubject
from spinforge.datasets.storage.arrays import StoredArray
from spinforge.datasets.storage.store import DatasetStore
from spinforge.simulation.errors import SpinforgeError

SUBJECT = "head-000"


@pytest.fixture
def store(tmp_path) -> DatasetStore:
    store = DatasetStore(tmp_path / "set.zarr", "images")
    store.create({})
    write_images(store)
    return store


def corrupted(store, contrast, content):
    """One contrast of a set that has a single strength."""
    (chosen,) = Corruptions.model_validate([content]).at_strengths(())
    clean = CleanSubject(store, SUBJECT)
    return clean.corrupted(
        contrast,
        clean.read(contrast),
        chosen.of_images,
        chosen.path(SUBJECT, contrast),
        couple_levels=False,
        first_position=0,
    )


def test_contrasts_are_those_with_a_reference_signal(store):
    assert CleanSubject(store, SUBJECT).contrasts == ["PD", "T1", "T2"]
    assert CleanSubject(store, SUBJECT).nbytes() == 3 * 4 * np.prod(SHAPE_ZYX)


@pytest.mark.parametrize("contrast", ["T1", "T2"])
def test_noise_is_rayleigh_in_air_and_refers_to_the_contrasts_own_signal(store, contrast):
    """About 13 000 voxels of air: mean and std are known to about 0.5 %."""
    values, _ = corrupted(store, contrast, {"name": "n", "chain": ["noise"], "percent": [9]})
    air = ~store.read(SUBJECT, "object")
    sigma = 0.09 * REFERENCE[contrast]
    assert values[air].mean() == pytest.approx(sigma * np.sqrt(np.pi / 2), rel=0.02)
    assert values[air].std() == pytest.approx(sigma * np.sqrt(2 - np.pi / 2), rel=0.03)


@pytest.mark.parametrize("contrast", ["T1", "T2", "PD"])
@pytest.mark.parametrize("percent", [20, 40])
def test_brainwebs_field_has_its_exact_range_over_the_brain(store, contrast, percent):
    """To single precision."""
    field = {"kind": "inu", "percent": percent, "shape": "by_contrast"}
    values, _ = corrupted(store, contrast, {"name": "f", "chain": [field]})
    ratio = (values / np.maximum(store.read(SUBJECT, contrast), 1e-9))[store.read(SUBJECT, "brain")]
    assert ratio.min() == pytest.approx(1 - percent / 200, abs=1e-6)
    assert ratio.max() == pytest.approx(1 + percent / 200, abs=1e-6)


def test_the_field_is_smooth_in_the_stored_axes(store):
    """A field drawn for other axes than the image's would jump between neighbours.

    Degree 3 over 60 voxels: neighbours differ by less than a tenth of the range.
    """
    values, _ = corrupted(store, "T1", {"name": "f", "chain": ["inu"], "percent": [40]})
    ratio = values / np.where(store.read(SUBJECT, "T1") > 0, store.read(SUBJECT, "T1"), np.nan)
    for axis in (1, 2):
        assert np.nanmax(np.abs(np.diff(ratio, axis=axis))) < 0.04


def test_lines_of_phase_run_left_to_right(store):
    """Ghosts repeat along x, the last axis: every column (y) keeps its own k-space line sums."""
    values, (entry,) = corrupted(
        store, "T1", {"name": "g", "chain": [{"kind": "undersample", "level": 5}]}
    )
    masks = entry["parameters"]["masks"].split()
    assert len(masks) == SHAPE_ZYX[0]
    kept = [int(mask, 16).bit_count() for mask in masks]
    assert kept == [round(0.2 * SHAPE_ZYX[2])] * SHAPE_ZYX[0]
    assert values.shape == SHAPE_ZYX


def test_contrasts_of_a_subject_have_noise_of_their_own(store):
    content = {"name": "n", "chain": ["noise_gauss"], "percent": [10]}
    t1, pd = (corrupted(store, c, content)[0] - store.read(SUBJECT, c) for c in ("T1", "PD"))
    assert abs(np.corrcoef(t1.ravel(), pd.ravel())[0, 1]) < 0.5  # the bias in air is common
    brain = store.read(SUBJECT, "brain")
    # Of n independent pairs: 1 / sqrt(n) on average.
    assert abs(np.corrcoef(t1[brain], pd[brain])[0, 1]) < 5 / brain.sum() ** 0.5


def test_bytes_stay_bytes_in_the_units_of_their_scale(tmp_path):
    store = DatasetStore(tmp_path / "bytes.zarr", "images")
    store.create({})
    write_images(store, as_bytes=True)
    clean = store.read(SUBJECT, "T1")
    same, _ = corrupted(store, "T1", {"name": "n", "chain": ["noise"], "percent": [0]})
    noisy, _ = corrupted(store, "T1", {"name": "n", "chain": ["noise"], "percent": [9]})
    assert same.tobytes() == clean.tobytes()
    assert noisy.dtype == np.uint8
    brain = store.read(SUBJECT, "brain")
    # Far above the noise a magnitude's std is sigma; rounding adds 1/12 to the variance.
    difference = (noisy.astype(float) - clean)[brain]
    assert difference.std() == pytest.approx(0.09 * 0.8 * 255, rel=0.03)
    assert noisy.max() <= 255


def test_labels_stand_for_the_brain_and_brightness_for_the_head(store):
    full = CleanSubject(store, SUBJECT).volume("T1")
    arrays = {n: store.open_subject(SUBJECT)[n][...] for n in ("T1", "label")}
    bare = store.within("bare")
    notes = store.subject_attributes(SUBJECT) | {"reference_signal": {"T1": 0.8}}
    axes = ("z", "y", "x")
    bare.write_subject(SUBJECT, {n: StoredArray(v, axes) for n, v in arrays.items()}, notes)
    found = CleanSubject(bare, SUBJECT).volume("T1")
    assert bool((found.brain == full.brain).all())
    assert bool((found.head == full.head).all())
    assert found.voxel_mm == (3.0, 1.0, 2.0)  # slice, then x, then y


def test_sessions_have_masks_of_their_own(store):
    arrays = {
        f"ses-06mo/{n}": StoredArray(store.read(SUBJECT, n), ("z", "y", "x"))
        for n in ("T1", "label")
    }
    longitudinal = store.within("longitudinal")
    notes = store.subject_attributes(SUBJECT) | {"reference_signal": {"ses-06mo/T1": 0.8}}
    longitudinal.write_subject(SUBJECT, arrays, notes)
    _, (entry,) = corrupted(
        longitudinal,
        "ses-06mo/T1",
        {"name": "f", "chain": [{"kind": "inu", "percent": 20, "shape": "by_contrast"}]},
    )
    assert entry["rng_path"] == "corrupt/head-000/ses-06mo/T1/0-inu/percent-20"


def test_a_set_without_reference_signal_is_refused(store):
    write_images(store, "other", reference_signal={})
    with pytest.raises(SpinforgeError, match="notes no reference_signal"):
        _ = CleanSubject(store, "other").contrasts
