"""The BIDS tree: valid, the same bytes, and every voxel where it belongs."""

import json
import subprocess
import sys
from pathlib import Path

import hand_made_sets
import nibabel
import numpy as np
import pytest
from hand_made_sets import MARKER_ZYX, ORIGIN_MM, images_set, longitudinal_set

from spinforge.datasets.export.bids_names import subject_labels
from spinforge.datasets.export.bids_tree import write_bids
from spinforge.datasets.public.nifti import read_header, read_image
from spinforge.datasets.reading.stored_volumes import stored_volumes
from spinforge.datasets.storage.store import DatasetStore
from spinforge.simulation.errors import SpinforgeError

VALIDATOR = Path(sys.executable).with_name("bids-validator-deno")


def exported(store: DatasetStore, root: Path) -> Path:
    for _ in write_bids(store, root, groups={"test": ("head-001",)}):
        pass
    return root


@pytest.fixture(params=["kspace", "images", "longitudinal"])
def any_set(request, tiny_store, tmp_path) -> DatasetStore:
    if request.param == "kspace":
        return tiny_store
    make = images_set if request.param == "images" else longitudinal_set
    return make(tmp_path / "set.zarr")


def test_the_official_validator_finds_no_error(any_set, tmp_path):
    root = exported(any_set, tmp_path / "bids")
    report = tmp_path / "report.json"
    done = subprocess.run(
        [VALIDATOR, "--recursive", "--format", "json", "--outfile", report, root],
        capture_output=True,
        text=True,
        timeout=120,
    )
    found = json.loads(report.read_text())
    whole = [found, *found["derivativesSummary"].values()]
    issues = [issue for part in whole for issue in part["issues"]["issues"]]
    assert [issue for issue in issues if issue["severity"] == "error"] == []
    assert done.returncode == 0, done.stderr
    assert len(whole) == 2  # the labels were validated too
    assert found["summary"]["totalFiles"] >= 4 + 2 * len(any_set.complete_subjects())


def test_the_validator_would_find_errors(tmp_path):
    """So that the test above can fail."""
    root = exported(images_set(tmp_path / "set.zarr"), tmp_path / "bids")
    image = root / "sub-head000" / "anat" / "sub-head000_T1w.nii.gz"
    image.rename(image.with_name("sub-head000_T1x.nii.gz"))
    done = subprocess.run([VALIDATOR, root], capture_output=True, text=True, timeout=120)
    assert done.returncode != 0


def test_images_come_back_byte_for_byte(any_set, tmp_path):
    root = exported(any_set, tmp_path / "bids")
    subject = any_set.complete_subjects()[-1]
    label = subject.replace("-", "")
    for stored in stored_volumes(any_set, subject):
        session = f"ses-{stored.session}" if stored.session else ""
        folder = root / f"sub-{label}" / session / "anat"
        files = sorted(folder.glob("*.nii.gz"))
        assert len(files) == len(stored.volume.contrasts)
        for path, (_, values) in zip(files, sorted(stored.volume.contrasts.items()), strict=True):
            header = read_header(path)
            assert read_image(header).tobytes() == values.tobytes()
            np.testing.assert_array_equal(header.affine, stored.volume.affine)
        (segmentation,) = (root / "derivatives/simseg" / f"sub-{label}" / session).rglob(
            "*_dseg.nii.gz"
        )
        labels = np.asarray(nibabel.load(segmentation).dataobj)
        assert labels.dtype == np.uint8
        assert labels.transpose(2, 1, 0).tobytes() == stored.volume.labels.tobytes()


def test_an_off_centre_marker_lands_at_its_millimetres(tmp_path):
    """Through nibabel alone: voxel (8, 4, 3) of 1 x 2 x 3 mm from the origin (-7, 11, 5)."""
    root = exported(images_set(tmp_path / "set.zarr"), tmp_path / "bids")
    image = nibabel.load(root / "sub-head000/anat/sub-head000_T1w.nii.gz")
    assert nibabel.aff2axcodes(image.affine) == ("R", "A", "S")
    assert image.get_data_dtype() == np.float32
    assert image.header.get_zooms() == (1, 2, 3)
    assert image.header.get_xyzt_units()[0] == "mm"
    values = image.get_fdata()
    voxel = np.unravel_index(values.argmax(), values.shape)
    assert tuple(map(int, voxel)) == MARKER_ZYX[::-1]
    world = nibabel.affines.apply_affine(image.affine, voxel)
    assert world.tolist() == [ORIGIN_MM[0] + 8, ORIGIN_MM[1] + 8, ORIGIN_MM[2] + 9]
    for code in ("sform_code", "qform_code"):
        assert int(image.header[code]) == 1
    np.testing.assert_allclose(image.get_qform(), image.get_sform(), atol=1e-5)  # quaternions


def test_slices_of_kspace_are_placed_as_the_head_is(tiny_store, tmp_path):
    """A head in voxels of 4 x 4 x 12 mm: its first corner is BrainWeb's, (-90.5, -126.5, -72.5)."""
    root = exported(tiny_store, tmp_path / "bids")
    image = nibabel.load(root / "sub-head000/anat/sub-head000_T2w.nii.gz")
    assert image.shape == (45, 54, 14)
    corner = nibabel.affines.apply_affine(image.affine, (-0.5, -0.5, -0.5))
    assert corner.tolist() == [-90.5, -126.5, -72.5]
    # ky is x, and kx is y.
    target = tiny_store.read("head-000", "target")
    path = root / "derivatives/simseg/sub-head000/anat/sub-head000_dseg.nii.gz"
    labels = np.asarray(nibabel.load(path).dataobj)
    assert labels[20, 30, 7] == target[7, 20, 30]
    assert np.array_equal(labels, target.transpose(1, 2, 0))
    soft = nibabel.load(path.with_name("sub-head000_label-GM_probseg.nii.gz")).get_fdata()
    stored = tiny_store.read("head-000", "target_soft")[:, 2].transpose(1, 2, 0)
    np.testing.assert_allclose(soft, stored / 255, atol=1e-7)  # float32


def test_the_sidecar_says_how_the_image_was_made(tiny_store, tmp_path):
    root = exported(tiny_store, tmp_path / "bids")
    said = json.loads((root / "sub-head001/anat/sub-head001_T2w.json").read_text())
    assert said["RepetitionTime"] == pytest.approx(tiny_store.read("head-001", "tr")[0])
    assert said["EchoTime"] == pytest.approx(tiny_store.read("head-001", "te")[0])
    assert (said["FlipAngle"], said["MagneticFieldStrength"]) == (90, 1.5)
    assert said["SimulationProfile"] == "ideal"
    assert "fully sampled" in said["ImageDescription"]
    rows = (root / "participants.tsv").read_text().splitlines()
    assert rows[1:] == ["sub-head000\thead-000\tn/a", "sub-head001\thead-001\ttest"]
    description = json.loads((root / "dataset_description.json").read_text())
    assert description["GeneratedBy"][0]["Name"] == "Spinforge"
    names = (root / "derivatives/simseg/dseg.tsv").read_text().splitlines()
    assert names == ["index\tname", "0\tbackground", "1\tCSF", "2\tGM", "3\tWM", "255\tunlabelled"]


def test_the_same_set_makes_the_same_tree(any_set, tmp_path):
    first, second = (exported(any_set, tmp_path / name) for name in ("one", "two"))
    files = [path.relative_to(first) for path in sorted(first.rglob("*")) if path.is_file()]
    assert len(files) > 6
    for path in files:
        assert (first / path).read_bytes() == (second / path).read_bytes(), path


def test_corrupted_images_are_exported_with_the_clean_labels(tmp_path):
    store = images_set(tmp_path / "set.zarr")
    hand_made_sets.add_corruptions(store)
    root = exported(store.within("corrupt/noise/3"), tmp_path / "bids")
    image = read_image(read_header(root / "sub-head001/anat/sub-head001_T1w.nii.gz"))
    assert image[MARKER_ZYX] == 104
    assert not list(root.glob("sub-head001/anat/*T2w*"))
    assert list(root.rglob("sub-head001_dseg.nii.gz"))


def test_a_group_that_is_not_there_is_told_from_those_that_are(tmp_path):
    store = images_set(tmp_path / "set.zarr")
    hand_made_sets.add_corruptions(store, names=("noise",))
    (tmp_path / "set.zarr" / "corrupt" / "motion" / "1").mkdir(parents=True)  # nothing in it
    message = (
        r"group corrupt/nois/3 has no complete subject; groups that have: images, "
        r"corrupt/noise/1, corrupt/noise/3\. .*--group.*spinforge corrupt"
    )
    with pytest.raises(SpinforgeError, match=message):
        exported(store.within("corrupt/nois/3"), tmp_path / "bids")


def test_infants_train_and_test_at_other_ages(tmp_path):
    store, root = longitudinal_set(tmp_path / "set.zarr"), tmp_path / "bids"
    names = ("infant-000",)
    for _ in write_bids(store, root, groups={"train": names, "validation": (), "test": names}):
        pass
    row = (root / "participants.tsv").read_text().splitlines()[1]
    assert row == "sub-infant000\tinfant-000\ttrain and test (by age)"
    levels = json.loads((root / "participants.json").read_text())["group"]["Levels"]
    assert "train and test (by age)" in levels


def test_names_that_become_one_are_refused():
    assert subject_labels(["subject04", "head-000"]) == {"subject04": "04", "head-000": "head000"}
    with pytest.raises(SpinforgeError, match=r"a-1, a1 would all be sub-a1"):
        subject_labels(["a-1", "a1"])


def test_a_folder_in_use_and_what_bids_does_not_know_are_refused(tmp_path):
    store = images_set(tmp_path / "set.zarr")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(SpinforgeError, match="is not an empty folder"):
        exported(store, tmp_path / "full")
    photographs = DatasetStore(tmp_path / "isic.zarr", "images")
    photographs.create({"product": "isic_like"})
    arrays = {"red": hand_made_sets.StoredArray(hand_made_sets.marked(), hand_made_sets.AXES)}
    photographs.write_subject("batch-00", arrays, hand_made_sets.provenance())
    with pytest.raises(SpinforgeError, match="'red' of subject batch-00 has no place in BIDS"):
        exported(photographs, tmp_path / "bids")


def test_a_contrast_with_its_sequence_noted_is_named_by_it(tmp_path):
    store = DatasetStore(tmp_path / "heart.zarr", "images")
    store.create({"product": "hvsmr_like"})
    arrays = {"MR": hand_made_sets.StoredArray(hand_made_sets.marked(), hand_made_sets.AXES)}
    sequence = {"kind": "balanced_ssfp", "tr_ms": 3.4, "te_ms": 1.7, "flip_deg": 60.0}
    noted = {"sequences": {"MR": sequence}, "tissue_set": "literature_3T"}
    store.write_subject("heart-000", arrays, hand_made_sets.provenance() | {"parameters": noted})
    root = exported(store, tmp_path / "bids")
    said = json.loads((root / "sub-heart000/anat/sub-heart000_acq-bSSFP_T2w.json").read_text())
    assert (said["RepetitionTime"], said["EchoTime"]) == pytest.approx((0.0034, 0.0017))
    assert (said["FlipAngle"], said["MagneticFieldStrength"]) == (60, 3)
    assert said["SimulationProfile"] == "hvsmr_like"
