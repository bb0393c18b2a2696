"""CT gets training's window; scans of another kind, and those that show nothing, are refused."""

from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
import pytest
from hand_made_sets import AXES, images_set, provenance
from planted import Above, Levels, image_format, planted, write_stored

from spinforge.datasets.products.slice_index import write_slice_index
from spinforge.datasets.products.spleen import WINDOW_HU
from spinforge.datasets.reading.image_slices import ImageSlices
from spinforge.datasets.scans.nifti_scan import read_nifti_scan
from spinforge.datasets.scans.scan import ImageScan, Place
from spinforge.datasets.scans.set_scan import read_subject
from spinforge.datasets.storage.arrays import StoredArray
from spinforge.models.inference import predict_labels
from spinforge.models.networks import build_network
from spinforge.models.prediction.ensemble import ensemble_of
from spinforge.models.prediction.slices import Asked
from spinforge.models.prediction.volume import segment_volume
from spinforge.models.seranet.unet import UNetConfig
from spinforge.models.weights import LoadedNetwork, load_network, save_network
from spinforge.simulation.errors import SpinforgeError

UNET = UNetConfig(kind="unet", width=2)
LEVELS = ensemble_of({"levels": planted(Levels())})
CT = ensemble_of({"ct": planted(Levels(), channels=("CT",), window=WINDOW_HU)})
LOW, HIGH = WINDOW_HU


def scan_of(values, name="T1", spacing_zyx=(3.0, 1.0, 1.0), **more):
    affine = np.diag([*spacing_zyx[::-1], 1.0])
    contrasts = {name: np.ascontiguousarray(values, np.float32)}
    return ImageScan("scan", contrasts, Place(spacing_zyx, affine), **more)


def some(low=1.0, high=100.0) -> np.ndarray:
    return np.random.default_rng(0).uniform(low, high, (2, 16, 16)).astype(np.float32)


def densities() -> np.ndarray:
    """Air, fat, soft tissue and bone [HU], (z, y, x)."""
    return np.random.default_rng(4).uniform(-1000, 1200, (4, 20, 24)).astype(np.float32)


def abdomen_set(folder: Path):
    """Densities as sets of CT store them."""
    store = images_set(folder / "set.zarr", ())
    stored = (np.clip(densities(), LOW, HIGH) - LOW) / (HIGH - LOW)
    arrays = {
        "CT": StoredArray(stored.astype(np.float32), AXES),
        "label": StoredArray((densities() > 0).astype(np.uint8), AXES),
    }
    about = {"subject": "spleen_2", "contrasts": ["CT"], "classes": ["background", "spleen"]}
    about["parameters"] = {"window_hu": list(WINDOW_HU)}
    store.write_subject("spleen_2", arrays, provenance() | about)
    rows = [("spleen_2", "axial", index, 5, "test") for index in range(4)]
    columns = ["subject", "view", "index", "foreground_px", "split"]
    write_slice_index(store, {"subjects": pd.DataFrame(rows, columns=columns)}, ["spleen_2"])
    return store


def test_ct_from_a_file_gets_the_labels_of_evaluation(tmp_path):
    """The file holds Hounsfield units, the set training's window of them; so the network's file."""
    store = abdomen_set(tmp_path)
    slices = ImageSlices(store.path, "test")
    sizes = {"in_channels": 1, "n_classes": 2}
    weights = build_network(UNET, seed=0, **sizes).state_dict()
    save_network(tmp_path / "network.pt", weights, UNET, reads=slices.format, **sizes)
    reads = load_network(tmp_path / "network.pt").reads
    assert reads.window == WINDOW_HU
    ensemble = ensemble_of({"above": LoadedNetwork(Above(), UNET, 1, 2, reads)})
    write_stored(tmp_path / "ct.nii", densities(), "LPS", (1.0, 2.0, 3.0))
    expected = predict_labels(ensemble.networks[0], slices)[:, 6:26, 4:28]  # from 32 x 32 pixels
    assert set(np.unique(expected)) == {0, 1}
    asked = Asked(probabilities=True)
    from_file = segment_volume(ensemble, read_nifti_scan({"CT": tmp_path / "ct.nii"}), asked=asked)
    (scan,) = read_subject(store, "spleen_2", slices.format)
    from_set = segment_volume(ensemble, scan, asked=asked)
    np.testing.assert_array_equal(from_file.labels, expected)
    np.testing.assert_array_equal(from_set.labels, expected)
    np.testing.assert_array_equal(from_file.probabilities, from_set.probabilities)
    assert from_file.notes == ()


def test_ct_for_a_network_of_before_windows_were_noted_is_refused(tmp_path):
    """But its set is stored as it was in training."""
    store = abdomen_set(tmp_path)
    reads = ImageSlices(store.path, "test").format.model_copy(update={"window": None})
    network = build_network(UNET, in_channels=1, n_classes=2, seed=0).eval()
    old = ensemble_of({"old.pt": LoadedNetwork(network, UNET, 1, 2, reads)})
    write_stored(tmp_path / "ct.nii", densities(), "LPS", (1.0, 2.0, 3.0))
    with pytest.raises(SpinforgeError, match=r"ct: .* does not say which window .* Train it again"):
        segment_volume(old, read_nifti_scan({"CT": tmp_path / "ct.nii"}))
    (scan,) = read_subject(store, "spleen_2", reads)
    assert segment_volume(old, scan).labels.shape == (4, 20, 24)


def test_a_set_of_another_window_is_refused():
    stored = scan_of(some(0, 1), "CT", window=(-100.0, 300.0))
    with pytest.raises(SpinforgeError, match=r"stored in a window of \(-100.0, 300.0\) HU"):
        segment_volume(CT, stored)


def test_networks_of_other_windows_do_not_go_together():
    other = planted(Levels(), channels=("CT",), window=(-100.0, 300.0))
    with pytest.raises(SpinforgeError, match=r"window differ, -160\.0, 240\.0 and -100\.0, 300"):
        ensemble_of({"a": CT.networks[0], "b": other})


@pytest.mark.parametrize("values", [some(300, 900), some(-1000, -200)])
def test_ct_beyond_the_window_is_refused(values):
    with pytest.raises(SpinforgeError, match="all beyond training's window of -160 to 240 HU"):
        segment_volume(CT, scan_of(values, "CT"))


def test_ct_without_air_is_noted():
    (note,) = segment_volume(CT, scan_of(some(0, 255), "CT")).notes
    assert "CT holds no value below -160, as air has in Hounsfield units" in note


def test_files_are_no_photographs(tmp_path):
    """They would be shown from 0 to 255 to a network that learned from 0 to 1."""
    ensemble = ensemble_of(
        {"a": planted(Levels(), channels=("red",), planes=(), scaling="none")}
    )  # fmt: skip
    write_stored(tmp_path / "red.nii", some(0, 255), "RAS", (1.0, 1.0, 1.0))
    with pytest.raises(SpinforgeError, match=r"red: the network reads photographs \(red\)"):
        segment_volume(ensemble, read_nifti_scan({"red": tmp_path / "red.nii"}))


def test_a_mask_of_the_brain_is_for_networks_of_brains():
    scan = scan_of(some(), brain=some() > 50)
    with pytest.raises(SpinforgeError, match=r"learned from whole heads .* leave the mask out"):
        segment_volume(LEVELS, scan)
    ensemble = ensemble_of({"a": planted(Levels(), is_brain_only=True)})
    assert segment_volume(ensemble, scan).notes == ()


def test_an_empty_mask_is_refused():
    ensemble = ensemble_of({"a": planted(Levels(), is_brain_only=True)})
    scan = scan_of(some(), brain=np.zeros((2, 16, 16), np.bool_))
    with pytest.raises(SpinforgeError, match="scan: the mask of the brain is empty"):
        segment_volume(ensemble, scan)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((2, 16, 16)), "scan: T1 is 0 everywhere"),
        (np.full((2, 16, 16), 7.0), "scan: T1 is 7 everywhere"),
        (-some(), "scan: T1 holds no value above 0"),
    ],
)
def test_scans_that_show_nothing_are_refused(values, message):
    with pytest.raises(SpinforgeError, match=message):
        segment_volume(LEVELS, scan_of(values))


def test_a_normalised_scan_is_noted():
    """A hundredth below 0 may be what interpolation left; half of it is none of ours."""
    few, many = some(), some(-50, 50)
    few[0, 0, :5] = -1
    assert segment_volume(LEVELS, scan_of(few)).notes == ()
    (note,) = segment_volume(LEVELS, scan_of(many)).notes
    assert " % of T1's values are below 0" in note


def test_complex_images_may_have_a_part_without_values():
    reads = {"channels": ("real", "imaginary"), "scaling": "slice", "acquired": 0.3}
    ensemble = ensemble_of({"a": planted(Levels(), **reads)})
    scan = scan_of(some(-1, 1), "real")
    scan.contrasts["imaginary"] = np.zeros((2, 16, 16), np.float32)
    assert segment_volume(ensemble, scan).labels.any()
    scan.contrasts["real"] = scan.contrasts["imaginary"]
    with pytest.raises(SpinforgeError, match="scan is 0 everywhere"):
        segment_volume(ensemble, scan)


@pytest.mark.parametrize(
    ("spacing_zyx", "shown"), [((3.0, 1.0, 11.0), "1 x 11"), ((3.0, 0.09, 1.0), "0.09 x 1")]
)
def test_pixels_of_quite_another_size_are_refused(spacing_zyx, shown):
    with pytest.raises(SpinforgeError, match=rf"{shown} mm and training's 1 x 1 mm, more than 10"):
        segment_volume(LEVELS, scan_of(some(), spacing_zyx=spacing_zyx))


@pytest.mark.parametrize(("unit", "per_mm"), [("micron", 1e3), ("meter", 1e-3), ("mm", 1.0)])
def test_the_unit_of_a_file_is_its_own(unit, per_mm, tmp_path):
    """Labels lie on the same grid in the same unit, seen by the network in millimetres."""
    values = some()
    affine = np.diag([1.02 * per_mm, 0.97 * per_mm, 3.0 * per_mm, 1.0])
    image = nibabel.Nifti1Image(values.T, affine)
    image.header.set_xyzt_units(unit)
    nibabel.save(image, tmp_path / "T1.nii")
    scan = read_nifti_scan({"T1": tmp_path / "T1.nii"})
    np.testing.assert_allclose(scan.place.spacing_mm, (3.0, 0.97, 1.02), rtol=1e-6)
    found = segment_volume(LEVELS, scan)
    assert found.notes == ()
    scan.place.write(tmp_path / "labels.nii.gz", found.labels)
    labels = nibabel.load(tmp_path / "labels.nii.gz")
    assert labels.header["xyzt_units"] == image.header["xyzt_units"]
    np.testing.assert_array_equal(labels.affine, nibabel.load(tmp_path / "T1.nii").affine)


def test_formats_of_before_are_read():
    """The window is a key that may be missing."""
    content = image_format().model_dump(mode="json")
    del content["window"]
    assert type(image_format()).model_validate(content) == image_format()
