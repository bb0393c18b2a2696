"""Scans from files: which file is which contrast, raw data of either format, what does not fit."""

from dataclasses import replace
from pathlib import Path

import h5py
import hand_made_kspace
import nibabel
import numpy as np
import pytest
import torch
from planted import asymmetric, write_stored

from spinforge.datasets.export.fastmri_file import write_fastmri
from spinforge.datasets.export.ismrmrd_file import write_ismrmrd
from spinforge.datasets.reading.slice_format import COMPLEX_CHANNELS
from spinforge.datasets.scans.contrast_names import assign_contrasts
from spinforge.datasets.scans.nifti_scan import read_nifti_scan
from spinforge.datasets.scans.raw_file import read_raw_scan
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.fourier import kspace_to_image

MM_XYZ = (1.0, 2.0, 3.0)


def assigned(*files, channels=("T1", "T2", "PD"), **named):
    found = assign_contrasts(
        [Path(file) for file in files], {n: Path(p) for n, p in named.items()}, channels
    )
    return {channel: str(path) for channel, path in found.items()}


@pytest.mark.parametrize(
    "files",
    [
        ("a_T2w.nii.gz", "a_PDw.nii.gz", "a_T1w.nii.gz"),
        ("t2.nii", "pd.nii", "t1.nii"),
        ("my scan-t2.hdr", "my scan-pd.hdr", "my scan-t1.hdr"),
    ],
)
def test_names_say_the_contrast_whatever_the_order(files):
    assert assigned(*files) == {"T1": files[2], "T2": files[0], "PD": files[1]}


def test_longer_names_are_not_mistaken_for_shorter_ones():
    files = ("s_acq-IR_T1w.nii", "s_T1w.nii", "s_FLAIR.nii")
    found = assigned(*files, channels=("T1", "T1-IR", "FLAIR"))
    assert found == {"T1": files[1], "T1-IR": files[0], "FLAIR": files[2]}


@pytest.mark.parametrize(
    ("file", "channels", "said"),
    [
        ("s_acq-IR_T1w.nii", ("T1",), "acq-IR_T1w"),
        ("s_acq-IR_run-2_T1w.nii", ("T1", "T2"), "acq-IR_T1w"),
        ("s_T2w.nii.gz", ("T1",), "T2w"),
        ("s_T2starw.nii.gz", ("T2",), "T2starw"),
        ("s_CT.nii", ("T1",), "CT"),
        ("s_T1w.nii", ("CT",), "T1w"),
        ("s_acq-bSSFP_T2w.nii", ("T1", "T2"), "acq-bSSFP_T2w"),
    ],
)
def test_a_name_that_says_another_contrast_is_believed(file, channels, said):
    others = [f"s_{channel}w.nii" for channel in channels[1:]]
    with pytest.raises(SpinforgeError, match=f"its name says {said}, and .*{channels[0]}={file}"):
        assigned(file, *others, channels=channels)
    named = {channels[0]: file}
    assert assigned(*others, channels=channels, **named)[channels[0]] == file


def test_a_channel_that_is_any_contrast_may_be_called_one():
    assert assigned("s_T2w.nii", channels=("MR",)) == {"MR": "s_T2w.nii"}


def test_a_contrast_can_be_said():
    found = assigned("b_T1w.nii", "c_PD.nii", t2="a.nii")
    assert found == {"T1": "b_T1w.nii", "T2": "a.nii", "PD": "c_PD.nii"}


def test_a_single_contrast_may_have_any_name():
    assert assigned("anything.nii", channels=("MR",)) == {"MR": "anything.nii"}


@pytest.mark.parametrize(
    ("files", "named", "message"),
    [
        (["T1.nii"], {}, r"this scan has 1 channel \(T1\); the network reads 3 .*: T2, PD missing"),
        (["x.nii", "y.nii", "z.nii"], {}, r"x.nii: its name does not say its contrast; .*T1=x.nii"),
        (["x.nii"], {}, r"x.nii: 1 image file given, the network reads 3 \(T1, T2, PD\)"),
        (["T1.nii", "a_T1.nii", "T2.nii"], {}, r"a_T1.nii: T1 is given twice"),
        (["T1.nii"], {"FLAIR": "f.nii"}, r"FLAIR=f.nii: the network reads T1, T2, PD, and no FLAI"),
    ],
)
def test_files_that_do_not_fit_are_named(files, named, message):
    with pytest.raises(SpinforgeError, match=message):
        assigned(*files, **named)


def test_a_magnitude_is_no_complex_image():
    with pytest.raises(SpinforgeError, match=r"m.nii: .* phase a magnitude image does not have"):
        assigned("m.nii", channels=COMPLEX_CHANNELS)
    both = assigned("r_real.nii", imaginary="i.nii", channels=COMPLEX_CHANNELS)
    assert both == {"real": "r_real.nii", "imaginary": "i.nii"}


def test_files_of_one_scan_may_be_stored_differently(tmp_path):
    values = asymmetric().astype(np.float32)
    write_stored(tmp_path / "T1.nii", values, "RAS", MM_XYZ)
    write_stored(tmp_path / "T2.nii", 2 * values, "PIR", MM_XYZ)
    write_stored(tmp_path / "brain.nii", values > 0.5, "LSA", MM_XYZ)
    files = {"T1": tmp_path / "T1.nii", "T2": tmp_path / "T2.nii"}
    scan = read_nifti_scan(files, brain=tmp_path / "brain.nii")
    np.testing.assert_array_equal(scan.contrasts["T1"], values)
    np.testing.assert_array_equal(scan.contrasts["T2"], 2 * values)
    np.testing.assert_array_equal(scan.brain, values > 0.5)
    assert (scan.name, scan.place.spacing_mm, scan.notes) == ("T1", (3.0, 2.0, 1.0), ())


@pytest.mark.parametrize(
    ("shape", "mm_xyz", "message"),
    [
        ((7, 9, 10), MM_XYZ, r"T1.nii has shape \(7, 9, 11\) and .*T2.nii has shape \(7, 9, 10\)"),
        ((7, 9, 11), (1.2, 2.0, 3.0), r"their headers put them up to 2 mm apart"),
    ],
)
def test_files_of_other_grids_are_named(shape, mm_xyz, message, tmp_path):
    write_stored(tmp_path / "T1.nii", asymmetric().astype(np.float32), "RAS", MM_XYZ)
    write_stored(tmp_path / "T2.nii", asymmetric(shape).astype(np.float32), "RAS", mm_xyz)
    with pytest.raises(SpinforgeError, match=message):
        read_nifti_scan({"T1": tmp_path / "T1.nii", "T2": tmp_path / "T2.nii"})


def test_oblique_axes_are_noted(tmp_path):
    turned = np.eye(4)
    angle = np.radians(20)
    turned[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    nibabel.save(nibabel.Nifti1Image(np.ones((3, 4, 5), np.float32), turned), tmp_path / "a.nii")
    (note,) = read_nifti_scan({"T1": tmp_path / "a.nii"}).notes
    assert "oblique by up to 20 degrees" in note


def unplaced(path, values, mm_xyz=MM_XYZ):
    """A file without codes of its orientation."""
    image = nibabel.Nifti1Image(values.T, None)
    image.header.set_zooms(mm_xyz)
    image.set_sform(None, 0)
    image.set_qform(None, 0)
    nibabel.save(image, path)


@pytest.mark.parametrize("names", [("T1", "T2"), ("T2", "T1")])
def test_a_file_without_a_place_takes_that_of_one_that_has_one(names, tmp_path):
    """In any order; also a mask, and each is noted."""
    values = asymmetric().astype(np.float32)
    write_stored(tmp_path / "T1.nii", values, "RAS", MM_XYZ)
    unplaced(tmp_path / "T2.nii", 2 * values)
    unplaced(tmp_path / "brain.nii", (values > 0).astype(np.uint8))
    files = {name: tmp_path / f"{name}.nii" for name in names}
    scan = read_nifti_scan(files, brain=tmp_path / "brain.nii")
    np.testing.assert_array_equal(scan.contrasts["T1"], values)
    np.testing.assert_array_equal(scan.contrasts["T2"], 2 * values)
    np.testing.assert_array_equal(scan.brain, values > 0)
    assert (scan.name, scan.place.file.path) == (names[0], tmp_path / "T1.nii")
    assert scan.notes == tuple(
        f"{name} does not say how it is oriented; it was taken to lie as T1.nii"
        for name in ("T2.nii", "brain.nii")
    )


def test_files_without_any_place_are_all_noted(tmp_path):
    for name in ("T1", "T2"):
        unplaced(tmp_path / f"{name}.nii", asymmetric().astype(np.float32))
    scan = read_nifti_scan({name: tmp_path / f"{name}.nii" for name in ("T1", "T2")})
    first, second = scan.notes
    assert "T1.nii does not say how it is oriented; its axes were taken as right to left" in first
    assert "T2.nii does not say how it is oriented; it was taken to lie as T1.nii" in second


@pytest.mark.parametrize(
    ("codes", "mm_xyz"), [("PIR", MM_XYZ), ("RAS", (1.0, 2.0, 3.1))], ids=["turned", "larger"]
)
def test_a_file_that_cannot_take_a_place_is_refused(codes, mm_xyz, tmp_path):
    values = asymmetric().astype(np.float32)
    write_stored(tmp_path / "T1.nii", values, codes, MM_XYZ)
    unplaced(tmp_path / "T2.nii", values, mm_xyz)
    message = r"T2.nii does not say how .*, and cannot .* as .*T1.nii does: .*\(11, 9, 7\) and"
    with pytest.raises(SpinforgeError, match=message):
        read_nifti_scan({name: tmp_path / f"{name}.nii" for name in ("T2", "T1")})


def test_a_mask_of_other_values_is_refused_with_what_to_do(tmp_path):
    values = asymmetric().astype(np.float32)
    write_stored(tmp_path / "T1.nii", values, "RAS", MM_XYZ)
    write_stored(tmp_path / "brain.nii", 255.0 * (values > 0), "RAS", MM_XYZ)
    with pytest.raises(SpinforgeError, match=r"holds the values 255.*0 outside .* and 1 inside"):
        read_nifti_scan({"T1": tmp_path / "T1.nii"}, brain=tmp_path / "brain.nii")


def test_slices_with_gaps_are_as_far_apart_as_their_positions(tmp_path):
    """2.5 mm thick, 6 mm apart: that is what volumes and distances are of."""
    raw = hand_made_kspace.raw_scan()
    write_ismrmrd(replace(raw, spacing_mm=(2.5, *raw.spacing_mm[1:])), tmp_path / "a.h5")
    place = read_raw_scan(tmp_path / "a.h5").place
    np.testing.assert_allclose(place.spacing_mm, (6.0, 2.0, 4.0), rtol=1e-6)
    voxel = abs(np.linalg.det(place.affine[:3, :3]))
    assert np.prod(place.spacing_mm) == pytest.approx(voxel)


@pytest.mark.parametrize("write", ["ismrmrd", "fastmri"])
@pytest.mark.parametrize("coils", [1, 3])
def test_raw_data_come_back(coils, write, tmp_path):
    raw, path = hand_made_kspace.raw_scan(coils), tmp_path / "head-000.h5"
    if write == "ismrmrd":
        write_ismrmrd(raw, path)
    else:
        write_fastmri(raw, raw, path)
    scan = read_raw_scan(path)
    assert (scan.name, scan.sensitivities) == ("head-000", None)
    np.testing.assert_array_equal(scan.kspace, raw.kspace)
    np.testing.assert_array_equal(scan.mask, raw.mask)
    # The header's numbers are single precision.
    np.testing.assert_allclose(scan.place.spacing_mm, raw.spacing_mm, rtol=1e-6)
    if write == "ismrmrd":
        np.testing.assert_allclose(scan.place.affine, raw.affine, rtol=1e-6, atol=1e-5)
        assert scan.notes == ()
    else:
        assert "does not say how the head lay" in scan.notes[0]


def test_samples_beyond_the_field_of_view_are_cut_off(tmp_path):
    """Read with twice the samples: the image is the central half, at the same brightness."""
    raw, path = hand_made_kspace.raw_scan(), tmp_path / "a.h5"
    write_fastmri(raw, raw, path)
    with h5py.File(path, "r+") as file:
        header = file["ismrmrd_header"][()].decode()
        before, after = header.split("<reconSpace>")
        del file["ismrmrd_header"]
        file["ismrmrd_header"] = (
            before + "<reconSpace>" + after.replace("<x>22</x>", "<x>12</x>", 1)
        )
    found = read_raw_scan(path).kspace
    expected = kspace_to_image(torch.from_numpy(raw.kspace))[..., 5:17]
    # Single precision, transforms of 22 points of size 1.
    torch.testing.assert_close(
        kspace_to_image(torch.from_numpy(found)), expected, rtol=0, atol=1e-5
    )


def test_challenge_files_without_mask_or_header_are_read(tmp_path):
    raw = hand_made_kspace.raw_scan(3)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["kspace"] = raw.kspace.swapaxes(-1, -2)
    scan = read_raw_scan(tmp_path / "a.h5")
    assert scan.mask.all()
    np.testing.assert_array_equal(scan.kspace, raw.kspace)
    assert "does not give the size of its voxels" in scan.notes[1]


def test_other_files_are_named(tmp_path):
    with pytest.raises(SpinforgeError, match=r"gone\.h5 does not exist"):
        read_raw_scan(tmp_path / "gone.h5")
    (tmp_path / "text.h5").write_text("k-space")
    with pytest.raises(SpinforgeError, match=r"text\.h5 is damaged or no HDF5 file"):
        read_raw_scan(tmp_path / "text.h5")
    with h5py.File(tmp_path / "else.h5", "w") as file:
        file["numbers"] = np.zeros(3)
    with pytest.raises(SpinforgeError, match=r"else\.h5 is neither ISMRMRD"):
        read_raw_scan(tmp_path / "else.h5")
    with h5py.File(tmp_path / "flat.h5", "w") as file:
        file["kspace"] = np.zeros((4, 5), np.complex64)
    with pytest.raises(SpinforgeError, match=r"flat\.h5: k-space of shape .* not fastMRI's layout"):
        read_raw_scan(tmp_path / "flat.h5")
