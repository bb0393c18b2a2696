"""A scan of any orientation and voxel size gets its labels where its tissues are."""

import itertools
import json

import nibabel
import numpy as np
import pandas as pd
import pytest
from hand_made_sets import (
    AXES,
    add_corruptions,
    images_set,
    marked,
    marked_labels,
    provenance,
)
from planted import Above, Levels, asymmetric, image_format, planted, write_stored

from spinforge.datasets.products.slice_index import write_slice_index
from spinforge.datasets.reading.image_slices import ImageSlices
from spinforge.datasets.reading.slice_format import (
    COMPLEX_CHANNELS,
    KSPACE_AXES,
    Plane,
    image_planes,
)
from spinforge.datasets.scans.nifti_scan import read_nifti_scan
from spinforge.datasets.scans.scan import ImageScan, Place
from spinforge.datasets.scans.set_scan import read_subject
from spinforge.datasets.slice_table import VIEW_AXIS
from spinforge.datasets.storage.arrays import StoredArray
from spinforge.models.inference import predict_labels
from spinforge.models.networks import build_network
from spinforge.models.prediction.ensemble import ensemble_of
from spinforge.models.prediction.files import write_segmentation
from spinforge.models.prediction.slices import Asked
from spinforge.models.prediction.volume import segment_volume
from spinforge.models.seranet.seranet import SERANetConfig
from spinforge.models.seranet.unet import UNetConfig
from spinforge.models.weights import LoadedNetwork
from spinforge.simulation.errors import SpinforgeError

ORIENTATIONS = [
    "".join(pair[flip] for pair, flip in zip(pairs, flips, strict=True))
    for pairs in itertools.permutations(("RL", "AP", "SI"))
    for flips in itertools.product((0, 1), repeat=3)
]
LEVELS = ensemble_of({"levels": planted(Levels())})


def scan_of(values, spacing_zyx=(3.0, 1.0, 1.0), **more):
    affine = np.diag([*spacing_zyx[::-1], 1.0])
    contrasts = {"T1": np.ascontiguousarray(values, np.float32)}
    return ImageScan("scan", contrasts, Place(spacing_zyx, affine), **more)


def test_all_orientations_are_there():
    assert len(set(ORIENTATIONS)) == 48


def test_labels_lie_on_the_object_in_every_orientation(tmp_path):
    """Stored in each of 48 ways: the label map is the object voxel by voxel, and in its place."""
    truth = asymmetric()
    for codes in ORIENTATIONS:
        file = tmp_path / f"{codes}_T1w.nii.gz"
        # At any gain.
        write_stored(file, 100 * truth.astype(np.float32), codes, (1.0, 1.02, 3.0))
        scan = read_nifti_scan({"T1": file})
        found = segment_volume(LEVELS, scan)
        scan.place.write(tmp_path / f"{codes}_dseg.nii.gz", found.labels)
        original, labels = nibabel.load(file), nibabel.load(tmp_path / f"{codes}_dseg.nii.gz")
        np.testing.assert_array_equal(labels.affine, original.affine)
        assert labels.get_data_dtype() == np.uint8
        for field in ("sform_code", "qform_code", "descrip", "xyzt_units"):
            assert labels.header[field] == original.header[field]
        np.testing.assert_array_equal(
            np.asarray(labels.dataobj), np.round(original.get_fdata() / 100), err_msg=codes
        )


def stored_as(kind):
    """The object in a file of one kind, its first axis to the left."""
    affine = np.diag([-1.0, 1.0, 3.0, 1.0])
    affine[:3, 3] = 5, 6, 7
    values = 100 * asymmetric().T.astype(np.int16)
    match kind:
        case "analyze.hdr":
            return nibabel.AnalyzeImage(values, affine)
        case "second.nii":
            return nibabel.Nifti2Image(values, affine)
        case "four.nii":
            return nibabel.Nifti1Image(values[..., None], affine)
    image = nibabel.Nifti1Image(values, affine)
    if kind == "scaled.nii":
        image.header.set_slope_inter(0.5, 0)
    else:
        image.set_sform(None, 0)
        image.set_qform(affine, 1 if kind == "quaternion.nii" else 0)
    return image


@pytest.mark.parametrize(
    "kind",
    ["analyze.hdr", "second.nii", "four.nii", "scaled.nii", "quaternion.nii", "unplaced.nii"],
)
def test_files_of_every_kind_get_labels_in_their_space(kind, tmp_path):
    nibabel.save(stored_as(kind), tmp_path / kind)
    scan = read_nifti_scan({"T1": tmp_path / kind})
    scan.place.write(tmp_path / "labels.nii.gz", segment_volume(LEVELS, scan).labels)
    original, labels = nibabel.load(tmp_path / kind), nibabel.load(tmp_path / "labels.nii.gz")
    np.testing.assert_array_equal(labels.affine, original.affine)
    np.testing.assert_array_equal(np.asarray(labels.dataobj), asymmetric().T)
    assert isinstance(labels, nibabel.Nifti2Image) == (kind == "second.nii")
    unplaced = kind in ("analyze.hdr", "unplaced.nii")
    assert any("does not say how it is oriented" in note for note in scan.notes) == unplaced


@pytest.mark.parametrize("codes", ["RAS", "LPI", "SAR", "IPL", "AIR"])
def test_anisotropic_voxels_are_resampled_and_labels_come_back(codes, tmp_path):
    """Axial pixels of 2 x 3 mm for a network of 1 mm; straight edges survive, see `Above`."""
    truth = (asymmetric() > 0).astype(np.uint8)
    file = tmp_path / "T1.nii"
    write_stored(file, truth.astype(np.float32), codes, (3.0, 2.0, 5.0))
    found = segment_volume(
        ensemble_of({"above": planted(Above(), 2)}), read_nifti_scan({"T1": file})
    )
    np.testing.assert_array_equal(found.labels, truth)
    assert any("resampled to training's 1 x 1 mm" in note for note in found.notes)
    assert any("slices lie 5 mm apart, in training 3 mm" in note for note in found.notes)


class Seen(Levels):
    """Remembers what it was shown."""

    def forward(self, image):
        self.images = image
        return super().forward(image)


@pytest.mark.parametrize(
    ("spacing_zyx", "size"),
    [
        ((3.0, 1.0, 1.0), (16, 16)),  # as in training: 7 slices of 9 x 11 pixels
        ((3.0, 1.04, 0.96), (16, 16)),  # near enough
        ((3.0, 2.0, 2.0), (32, 32)),  # 18 x 22 pixels of 1 mm, next multiple of 16
        ((3.0, 0.5, 0.5), (16, 16)),  # 5 x 6 pixels
    ],
)
def test_networks_see_slices_of_training(spacing_zyx, size):
    network = Seen()
    segment_volume(ensemble_of({"a": planted(network)}), scan_of(asymmetric(), spacing_zyx))
    assert network.images.shape == (7, 1, *size)


def test_a_volume_is_divided_by_its_99th_percentile():
    values = np.random.default_rng(0).uniform(1, 100, (2, 16, 16)).astype(np.float32)
    network = Seen()
    segment_volume(ensemble_of({"a": planted(network)}), scan_of(values))
    expected = values / np.float32(np.quantile(values, 0.99))
    np.testing.assert_allclose(network.images[:, 0].numpy(), expected, rtol=1e-6)


def test_a_resampled_volume_is_divided_at_training_s_resolution():
    """Stripes of 0 and 200 that are averaged to 100: a percentile before that would be 200."""
    values = np.zeros((2, 40, 40))
    values[:, :, ::2] = 200
    network = Seen()
    segment_volume(ensemble_of({"a": planted(network)}), scan_of(values, (3.0, 0.5, 0.5)))
    inside = network.images[:, 0, 8:24, 8:24].numpy()
    # 1 but at the edges, where the percentile lies.
    np.testing.assert_allclose(inside, inside[0, 0, 0], rtol=1e-5)
    assert 0.8 < inside[0, 0, 0] <= 1


def test_what_is_not_brain_is_not_seen_but_scales():
    values = np.full((2, 16, 16), 50.0)
    values[:, :8] = 100
    brain = values < 100
    network = Seen()
    ensemble = ensemble_of({"a": planted(network, is_brain_only=True)})
    masked = segment_volume(ensemble, scan_of(values, brain=brain))
    np.testing.assert_array_equal(network.images[:, 0].numpy(), 0.5 * brain)
    assert masked.notes == ()
    (note,) = segment_volume(ensemble, scan_of(values)).notes
    assert "no mask of the brain was given" in note


@pytest.mark.parametrize(
    ("spacing_zyx", "view"),
    [((4.0, 1.0, 1.0), "axial"), ((1.0, 4.0, 1.0), "coronal"), ((1.0, 1.0, 4.0), "sagittal")],
)
def test_the_plane_is_the_one_with_training_s_pixels(spacing_zyx, view):
    planes = image_planes(("axial", "coronal", "sagittal"), (1.0, 1.0, 1.0))
    network = Seen()
    ensemble = ensemble_of({"a": planted(network, planes=planes)})
    truth = asymmetric()
    found = segment_volume(ensemble, scan_of(truth, spacing_zyx), asked=Asked(batch_size=64))
    assert f"{view} slices were cut" in found.notes
    assert len(network.images) == truth.shape[VIEW_AXIS[view]]
    np.testing.assert_array_equal(found.labels, truth)
    other = segment_volume(ensemble, scan_of(truth, (1.0, 1.0, 1.0)), view=view)
    np.testing.assert_array_equal(other.labels, truth)


def test_a_plane_that_was_not_learned_is_refused():
    with pytest.raises(SpinforgeError, match="the network learned axial slices, no coronal ones"):
        segment_volume(LEVELS, scan_of(asymmetric()), view="coronal")


def test_maps_agree_with_labels_and_with_each_other():
    rng = np.random.default_rng(1)
    asked = Asked(probabilities=True, uncertainty=True, batch_size=3)
    scan = scan_of(rng.uniform(0, 3, (7, 9, 11)), (3.0, 2.0, 2.0))
    found = segment_volume(LEVELS, scan, asked=asked)
    assert found.probabilities.shape == (4, 7, 9, 11)
    np.testing.assert_array_equal(found.labels, found.probabilities.argmax(0))
    # Interpolated like the probabilities, which sum to 1 but for rounding.
    np.testing.assert_allclose(found.probabilities.sum(0), 1, rtol=1e-5)
    assert found.entropy.shape == found.mutual_information.shape == (7, 9, 11)
    assert not found.mutual_information.any()
    plain = segment_volume(LEVELS, scan)
    np.testing.assert_array_equal(plain.labels, found.labels)
    assert (plain.probabilities, plain.entropy, plain.mutual_information) == (None, None, None)


@pytest.mark.parametrize("variant", [None, "corrupt/noise/3"])
def test_a_set_is_segmented_as_it_is_evaluated(variant, tmp_path):
    """Scale, brain mask, padding and order of the contrasts are those of `ImageSlices`."""
    store = images_set(tmp_path / "set.zarr", ())
    volumes = {"T1": marked(), "T2": marked(50), "label": marked_labels()}
    volumes["brain"] = marked_labels() > 0
    arrays = {name: StoredArray(values, AXES) for name, values in volumes.items()}
    about = {"subject": "head-000", "contrasts": ["T1", "T2"]}
    store.write_subject("head-000", arrays, provenance() | about)
    rows = [("head-000", "axial", index, 5, "test") for index in range(4)]
    columns = ["subject", "view", "index", "foreground_px", "split"]
    write_slice_index(store, {"subjects": pd.DataFrame(rows, columns=columns)}, ["head-000"])
    contrasts = ("T2", "T1")
    if variant is not None:
        add_corruptions(store, ("noise",), (3,))
        contrasts = ("T1",)
    slices = ImageSlices(
        store.path, "test", contrasts=contrasts, brain_only=True, variant=variant
    )  # fmt: skip
    config = UNetConfig(kind="unet", width=2)
    network = build_network(config, in_channels=len(contrasts), n_classes=3, seed=0).eval()
    loaded = LoadedNetwork(network, config, len(contrasts), 3, slices.format)
    expected = predict_labels(loaded, slices)
    shown = store if variant is None else store.within(variant)
    (scan,) = read_subject(shown, "head-000", slices.format)
    found = segment_volume(ensemble_of({"unet": loaded}), scan)
    np.testing.assert_array_equal(found.labels, expected[:, 5:11, 3:13])


def test_photographs_of_a_set_are_segmented_as_they_are_evaluated(tmp_path):
    store = images_set(tmp_path / "set.zarr", ())
    colours = np.random.default_rng(3).integers(0, 255, (4, 2, 20, 24), dtype=np.uint8)
    names = ("red", "green", "blue", "label")
    arrays = {
        name: StoredArray(colours[n] % (255, 2)[n == 3], AXES) for n, name in enumerate(names)
    }
    about = {"contrasts": list(names[:3]), "grey_channel": True, "slices_are": "photographs"}
    about |= {"scale": dict.fromkeys(names[:3], 1 / 255), "classes": ["background", "lesion"]}
    store.write_subject("batch", arrays, provenance() | {"subject": "batch"} | about)
    rows = [("batch", "axial", index, 5, "test") for index in range(2)]
    columns = ["subject", "view", "index", "foreground_px", "split"]
    write_slice_index(store, {"official": pd.DataFrame(rows, columns=columns)}, ["batch"])
    slices = ImageSlices(store.path, "test")
    config = UNetConfig(kind="unet", width=2)
    network = build_network(config, in_channels=4, n_classes=2, seed=0).eval()
    loaded = LoadedNetwork(network, config, 4, 2, slices.format)
    (scan,) = read_subject(store, "batch", slices.format)
    found = segment_volume(ensemble_of({"unet": loaded}), scan)
    expected = predict_labels(loaded, slices)[:, 6:26, 4:28]  # from 32 x 32 pixels
    np.testing.assert_array_equal(found.labels, expected)


def test_complex_images_are_scaled_slice_by_slice():
    plane = Plane(axes=KSPACE_AXES, pixel_mm=(1.0, 1.0), slice_mm=3.0)
    network = Seen()
    reads = {
        "channels": COMPLEX_CHANNELS,
        "scaling": "slice",
        "planes": (plane,),
        "is_padded": False,
        "acquired": 0.3,
    }
    real = np.random.default_rng(2).normal(size=(3, 18, 20)).astype(np.float32)
    scan = scan_of(real)
    scan.contrasts.update(real=real, imaginary=0.5 * real)
    segment_volume(ensemble_of({"a": planted(network, **reads)}), scan)
    # Slices are (x, y).
    magnitude = np.abs(real[1].T * (1 + 0.5j))
    scale = np.sort(magnitude.ravel())[round(0.99 * 360) - 1]
    np.testing.assert_allclose(network.images[1, 1].numpy(), 0.5 * real[1].T / scale, rtol=1e-5)


def test_files_say_what_their_numbers_mean(tmp_path):
    scan = scan_of(asymmetric(), (3.0, 2.0, 2.0))
    asked = Asked(probabilities=True, uncertainty=True)
    found = segment_volume(LEVELS, scan, asked=asked)
    networks = [{"file": "network.pt"}]
    files = write_segmentation(tmp_path, scan, found, LEVELS.class_names, networks=networks)
    assert {path.name for path in files.values()} == {path.name for path in tmp_path.iterdir()}
    description = json.loads(files["description"].read_text())
    assert description["classes"] == {"0": "background", "1": "CSF", "2": "GM", "3": "WM"}
    assert description["networks"] == networks
    # Voxels of 12 mm^3.
    assert description["volumes_ml"]["WM"] == pytest.approx(12e-3 * (found.labels == 3).sum())
    assert nibabel.load(tmp_path / description["maps"]["labels"]).shape == (11, 9, 7)
    probabilities = nibabel.load(tmp_path / description["maps"]["probabilities"])
    np.testing.assert_array_equal(np.asarray(probabilities.dataobj).T, found.probabilities)
    entropy = nibabel.load(tmp_path / description["maps"]["entropy"])
    np.testing.assert_array_equal(np.asarray(entropy.dataobj).T, found.entropy)


def test_a_missing_contrast_is_counted():
    reads = {"channels": ("T1", "T2", "PD")}
    with pytest.raises(
        SpinforgeError, match=r"has 1 channel \(T1\); .* 3 channels .*: T2, PD miss"
    ):
        segment_volume(ensemble_of({"a": planted(Levels(), **reads)}), scan_of(asymmetric()))


def test_networks_of_k_space_take_no_images():
    config = SERANetConfig(kind="seranet")
    reads = image_format(content="kspace", channels=COMPLEX_CHANNELS, acquired=0.3)
    ensemble = ensemble_of({"a": LoadedNetwork(Levels(), config, 2, 4, reads)})
    with pytest.raises(SpinforgeError, match="starts from k-space, and this scan is images"):
        segment_volume(ensemble, scan_of(asymmetric()))


def test_slices_below_the_smallest_size_are_named():
    ensemble = ensemble_of({"a": planted(Levels(), is_padded=False)})
    with pytest.raises(SpinforgeError, match=r"slices of 9 x 11 pixels do not suit network 'unet'"):
        segment_volume(ensemble, scan_of(asymmetric()))
