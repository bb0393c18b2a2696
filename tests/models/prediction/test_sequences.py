"""Infants: slices of all ages at one height are segmented together, each age on its own grid."""

from dataclasses import replace

import hand_made_sets
import numpy as np
import pytest
from planted import Levels, image_format, planted

from spinforge.datasets.products.infant import NOWHERE
from spinforge.datasets.reading.longitudinal import LongitudinalSlices
from spinforge.datasets.scans.set_scan import check_subject, read_subject
from spinforge.datasets.storage.arrays import StoredArray
from spinforge.datasets.storage.store import DatasetStore
from spinforge.datasets.volumes import IGNORE
from spinforge.models.fcslstm.fcslstm import FCSLSTMConfig
from spinforge.models.inference import predict_labels
from spinforge.models.networks import build_network
from spinforge.models.prediction.ensemble import ensemble_of
from spinforge.models.prediction.sequences import segment_sequence
from spinforge.models.prediction.slices import Asked
from spinforge.models.prediction.volume import segment_volume
from spinforge.models.weights import LoadedNetwork
from spinforge.simulation.errors import SpinforgeError

FCSLSTM = FCSLSTMConfig(kind="fcslstm")
HEIGHTS = np.array([[0, NOWHERE], [0, 0], [1, 1], [2, 2], [2, 3], [3, NOWHERE]], np.int16)
"""Slices of a small head of 4 and of a larger one of 5, whose last slice nobody shares."""
AGES = ("00", "06")


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> DatasetStore:
    store = DatasetStore(tmp_path_factory.mktemp("infants") / "set.zarr", "longitudinal")
    store.create({"product": "infant_bric", "seed": 3})
    rng = np.random.default_rng(0)
    arrays = {
        "ages": StoredArray(np.array([0, 6], np.float32), ("time",), per_slice=False),
        "corresponding": StoredArray(HEIGHTS, ("height", "time"), per_slice=False),
    }
    for age, count in zip(AGES, (4, 5), strict=True):
        axes = (f"z{age}", "y", "x")
        for name in ("T1w", "T2w"):
            values = rng.uniform(1, 9, (count, 18, 20)).astype(np.float32)
            arrays[f"ses-{age}mo/{name}"] = StoredArray(values, axes)
        labels = rng.integers(1, 4, (count, 18, 20), dtype=np.uint8)
        for name in ("label", "truth"):
            arrays[f"ses-{age}mo/{name}"] = StoredArray(labels, axes)
    about = {"subject": "infant-000", "contrasts": ["T1w", "T2w"]}
    store.write_subject("infant-000", arrays, hand_made_sets.provenance() | about)
    return store


@pytest.fixture(scope="module")
def slices(store):
    return LongitudinalSlices(store.path, ("infant-000",), ages_months=(0, 6), labels="truth")


@pytest.fixture(scope="module")
def loaded(slices):
    network = build_network(FCSLSTM, in_channels=2, n_classes=4, seed=0).eval()
    return LoadedNetwork(network, FCSLSTM, 2, 4, slices.format)


def scan_of(store, reads):
    (scan,) = read_subject(store, "infant-000", reads, as_sequence=True)
    return scan


def test_every_age_is_segmented_as_it_is_evaluated(store, slices, loaded):
    evaluated = predict_labels(loaded, slices)[..., 7:25, 6:26]  # from 32 x 32 pixels
    found = segment_sequence(ensemble_of({"a": loaded}), scan_of(store, loaded.reads))
    # Heights 1 to 4 have both ages; the second age's slices are all different.
    np.testing.assert_array_equal(found[1].labels[:4], evaluated[:, 1])
    np.testing.assert_array_equal(found[0].labels[:2], evaluated[:2, 0])
    assert [one.labels.shape for one in found] == [(4, 18, 20), (5, 18, 20)]


def test_a_slice_of_several_heights_gets_their_mean(store, loaded):
    scan, ensemble = scan_of(store, loaded.reads), ensemble_of({"a": loaded})
    asked = Asked(probabilities=True, uncertainty=True)
    both, _ = segment_sequence(ensemble, scan, asked=asked)
    single = [
        segment_sequence(ensemble, replace(scan, heights=HEIGHTS[[row]]), asked=asked)[0]
        for row in (3, 4)
    ]
    mean = (single[0].probabilities[:, 2] + single[1].probabilities[:, 2]) / 2
    # Other batches may round otherwise.
    np.testing.assert_allclose(both.probabilities[:, 2], mean, rtol=0, atol=1e-5)


def test_slices_that_no_other_age_reaches_have_no_label(store, loaded):
    asked = Asked(probabilities=True, uncertainty=True)
    younger, older = segment_sequence(
        ensemble_of({"a": loaded}), scan_of(store, loaded.reads), asked=asked
    )
    assert (younger.labels[3] == IGNORE).all()
    assert (older.labels[4] == IGNORE).all()
    assert not older.probabilities[:, 4].any()
    # Nobody is certain of a slice that was not segmented.
    for found, missing in ((younger, [False] * 3 + [True]), (older, [False] * 4 + [True])):
        for uncertainty in (found.entropy, found.mutual_information):
            np.testing.assert_array_equal(np.isnan(uncertainty).all((1, 2)), missing)
            np.testing.assert_array_equal(np.isnan(uncertainty).any((1, 2)), missing)
    assert older.notes == ("1 of 5 slices have no label (255): another age does not reach them",)


def test_single_scans_and_sequences_are_told_apart(store, loaded, tmp_path):
    scan = scan_of(store, loaded.reads)
    with pytest.raises(SpinforgeError, match="a single scan is none; give it a longitudinal set"):
        segment_volume(ensemble_of({"a": loaded}), scan.frames[0])
    single = ensemble_of({"a": planted(Levels())})
    with pytest.raises(SpinforgeError, match="infant-000 is a sequence"):
        segment_sequence(single, scan)
    images = hand_made_sets.images_set(tmp_path / "set.zarr")
    reads = image_format(channels=("T1", "T2"))
    with pytest.raises(SpinforgeError, match="is a single scan; the network reads sequences"):
        check_subject(images, "head-000", reads, as_sequence=True)


def test_a_network_of_images_sees_an_infant_s_scans_one_by_one(store):
    reads = image_format(channels=("T1w", "T2w"), content="sequence")
    scans = read_subject(store, "infant-000", reads)
    assert [scan.name for scan in scans] == ["infant-000_ses-00mo", "infant-000_ses-06mo"]
    found = segment_volume(ensemble_of({"a": planted(Levels(), channels=reads.channels)}), scans[1])
    assert found.labels.shape == (5, 18, 20)
