"""Orientation, place and damage of NIfTI and Analyze files."""

import gzip
import re
import struct

import nibabel
import numpy as np
import pytest
from public_miniatures import SPACING, image, ras_affine, stored, write_volume

from spinforge.datasets.public.nifti import (
    check_same_grid,
    read_header,
    read_image,
    read_labels,
)
from spinforge.simulation.errors import SpinforgeError

OBJECT = image(3)


@pytest.mark.parametrize("codes", ["RAS", "LAS", "PIR"])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_one_object_is_one_array_however_it_is_stored(tmp_path, codes, suffix):
    path = tmp_path / f"object{suffix}"
    write_volume(path, OBJECT, codes=codes)
    header = read_header(path)
    assert header.orientation == codes
    assert header.is_placed
    assert header.shape == OBJECT.shape
    np.testing.assert_array_equal(read_image(header), OBJECT)
    # Coordinates are below 100 mm and float32 in the file: 1e-5 mm.
    np.testing.assert_allclose(header.affine, ras_affine(), atol=1e-5)
    np.testing.assert_allclose(header.spacing_mm, SPACING, rtol=1e-6)


@pytest.mark.parametrize("codes", ["LAS", "PIR"])
def test_differently_stored_files_of_one_grid_are_on_one_grid(tmp_path, codes):
    write_volume(tmp_path / "a.nii", OBJECT, codes="RAS")
    write_volume(tmp_path / "b.nii", OBJECT, codes=codes)
    check_same_grid(read_header(tmp_path / "a.nii"), read_header(tmp_path / "b.nii"))


def test_oblique_axes_go_to_the_nearest_and_keep_their_place(tmp_path):
    values, affine = stored(OBJECT, "PIR")
    angle = np.deg2rad(20)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    nibabel.save(nibabel.Nifti1Image(values, turn @ affine), tmp_path / "a.nii")
    header = read_header(tmp_path / "a.nii")
    np.testing.assert_array_equal(read_image(header), OBJECT)
    np.testing.assert_allclose(header.affine, turn @ ras_affine(), atol=1e-5)


@pytest.mark.parametrize("suffix", [".nii", ".hdr"])
def test_labels_without_a_place_take_that_of_their_image(tmp_path, suffix):
    write_volume(tmp_path / "image.nii", OBJECT, codes="RAS")
    path = tmp_path / f"labels{suffix}"
    write_volume(path, (OBJECT > 500).astype(np.uint8), codes="RAS", placed=False)
    alone = read_header(path)
    assert not alone.is_placed
    assert alone.orientation == "LAS"
    placed = alone.placed_like(read_header(tmp_path / "image.nii"))
    check_same_grid(read_header(tmp_path / "image.nii"), placed)
    np.testing.assert_array_equal(read_labels(placed, {0: 0, 1: 1}), OBJECT > 500)


def test_a_place_of_its_own_is_kept(tmp_path):
    for name, codes in (("a", "RAS"), ("b", "LAS")):
        write_volume(tmp_path / f"{name}.nii", OBJECT, codes=codes)
    header = read_header(tmp_path / "b.nii")
    assert header.placed_like(read_header(tmp_path / "a.nii")).orientation == "LAS"


@pytest.mark.parametrize(
    ("shift_mm", "is_same"),
    # Half of the shortest edge, 0.8 mm, is 0.4 mm.
    [(0.0, True), (0.3, True), (0.5, False), (-0.8, False)],
)
def test_shifted_volumes_are_on_another_grid(tmp_path, shift_mm, is_same):
    write_volume(tmp_path / "a.nii", OBJECT, codes="RAS")
    affine = ras_affine()
    affine[1, 3] += shift_mm
    nibabel.save(nibabel.Nifti1Image(OBJECT.transpose(2, 1, 0), affine), tmp_path / "b.nii")
    headers = [read_header(tmp_path / f"{name}.nii") for name in "ab"]
    if is_same:
        check_same_grid(*headers)
    else:
        with pytest.raises(SpinforgeError, match=rf"a\.nii.*b\.nii.* {abs(shift_mm):g} mm apart"):
            check_same_grid(*headers)


def test_a_mirrored_label_map_is_on_another_grid(tmp_path):
    write_volume(tmp_path / "a.nii", OBJECT, codes="RAS")
    affine = ras_affine()
    affine[0, 0] *= -1
    nibabel.save(nibabel.Nifti1Image(OBJECT.transpose(2, 1, 0), affine), tmp_path / "b.nii")
    with pytest.raises(SpinforgeError, match="shifted, flipped"):
        check_same_grid(read_header(tmp_path / "a.nii"), read_header(tmp_path / "b.nii"))


def test_voxels_of_another_size_are_on_another_grid(tmp_path):
    write_volume(tmp_path / "a.nii", OBJECT, codes="RAS")
    affine = ras_affine()
    affine[2, 2] *= 1.2  # the same first voxel; the last of four is 3 * 0.6 mm away
    nibabel.save(nibabel.Nifti1Image(OBJECT.transpose(2, 1, 0), affine), tmp_path / "b.nii")
    with pytest.raises(SpinforgeError, match=r"up to 1\.8 mm apart"):
        check_same_grid(read_header(tmp_path / "a.nii"), read_header(tmp_path / "b.nii"))


def test_values_are_scaled_as_the_header_says(tmp_path):
    nifti = nibabel.Nifti1Image(
        (OBJECT.transpose(2, 1, 0) * 10 - 1000).astype(np.float64), np.eye(4)
    )
    nifti.header.set_data_dtype(np.int16)
    nibabel.save(nifti, tmp_path / "a.nii")
    loaded = read_image(read_header(tmp_path / "a.nii"))
    # The steps of 16 bits over the range of some 10 000.
    np.testing.assert_allclose(loaded, OBJECT * 10 - 1000, atol=10000 / 2**16)


@pytest.mark.parametrize(
    ("code", "mm_per_unit"), [(0, 1), (1, 1000), (2, 1), (3, 0.001), (2 + 8, 1), (3 + 16, 0.001)]
)
def test_lengths_are_in_the_unit_of_the_file(code, mm_per_unit, tmp_path):
    """Codes of length are the lowest three bits; those above are of time."""
    # xyzt_units lies at byte 123.
    header = read_header(with_header(tmp_path, 123, bytes([code])))
    expected = [mm_per_unit * mm for mm in SPACING]
    np.testing.assert_allclose(header.spacing_mm, expected, rtol=1e-6)
    np.testing.assert_allclose(header.affine[:3, 3], mm_per_unit * ras_affine()[:3, 3], rtol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_and_infinity_are_refused(tmp_path, bad):
    values = OBJECT.copy()
    values[1, 2, 3] = bad
    write_volume(tmp_path / "a.nii.gz", values)
    header = read_header(tmp_path / "a.nii.gz")
    with pytest.raises(SpinforgeError, match=r"a\.nii\.gz holds NaN or infinite.*set them to 0"):
        read_image(header)
    with pytest.raises(SpinforgeError, match=rf"a\.nii\.gz holds the values .*{bad:g}"):
        read_labels(header, {int(value): 1 for value in np.unique(OBJECT)})


def test_many_unexpected_values_are_not_all_listed(tmp_path):
    write_volume(tmp_path / "a.nii", np.arange(192, dtype=np.float32).reshape(OBJECT.shape))
    with pytest.raises(
        SpinforgeError, match=r"values 1, 2, 3, 4, 5, 6, 7, 8, \.\.\., expected only 0\. Try this\."
    ):
        read_labels(read_header(tmp_path / "a.nii"), {0: 0}, hint="Try this.")


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (
            np.zeros((4, 4, 4, 2), dtype=np.float32),
            r"\(4, 4, 4, 2\).* Give one volume",
        ),
        (np.zeros((4, 4), dtype=np.float32), r"its shape is \(4, 4\)"),
        (np.zeros((4, 4, 4), dtype=np.complex64), "not real numbers"),
        (np.zeros((4, 4, 4), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")]), "not real numbers"),
    ],
    ids=["series", "slice", "complex", "colour"],
)
def test_what_is_no_volume_is_refused(tmp_path, values, reason):
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), tmp_path / "a.nii")
    with pytest.raises(SpinforgeError, match=rf"a\.nii is not a volume.*{reason}"):
        read_header(tmp_path / "a.nii")


def test_other_formats_are_refused(tmp_path):
    (tmp_path / "a.mha").write_bytes(b"")
    with pytest.raises(SpinforgeError, match=r"a\.mha: unknown format\. Use one of \.nii"):
        read_header(tmp_path / "a.mha")


def with_header(tmp_path, offset: int, content: bytes):
    """A file whose header has other bytes at a place."""
    write_volume(tmp_path / "a.nii", OBJECT)
    raw = bytearray((tmp_path / "a.nii").read_bytes())
    raw[offset : offset + len(content)] = content
    path = tmp_path / "a.nii.gz"
    path.write_bytes(gzip.compress(bytes(raw), mtime=0))
    return path


def test_a_header_that_asks_for_too_much_is_refused_before_memory_is_taken(tmp_path):
    # dim[0..3] of NIfTI-1 lie at byte 40, as shorts.
    path = with_header(tmp_path, 40, struct.pack("<4h", 3, 32767, 32767, 32767))
    with pytest.raises(SpinforgeError, match=r"asks for \(32767.*\) voxels, and 536870912"):
        read_header(path)


@pytest.mark.parametrize("size", [0, -5])
def test_a_header_without_voxels_is_refused(tmp_path, size):
    path = with_header(tmp_path, 42, struct.pack("<h", size))
    with pytest.raises(SpinforgeError, match=re.escape(path.name)):
        read_header(path)


def test_a_file_that_is_not_there_is_named_with_the_nearest_one(tmp_path):
    write_volume(tmp_path / "head_T1.nii", OBJECT)
    with pytest.raises(SpinforgeError, match=r"haed_T1\.nii does not exist\. Did you mean .*head_"):
        read_header(tmp_path / "haed_T1.nii")


@pytest.mark.parametrize("number", [0.0, np.nan, np.inf, 1e30])
def test_voxels_without_a_sensible_size_are_refused(tmp_path, number):
    # srow_x, srow_y and srow_z lie at byte 280.
    path = with_header(tmp_path, 280, struct.pack("<12f", *[number] * 12))
    with pytest.raises(SpinforgeError, match="no size or no direction"):
        read_header(path)


def test_damaged_files_load_or_are_refused_with_our_error(tmp_path):
    write_volume(tmp_path / "good.nii", OBJECT)
    good = (tmp_path / "good.nii").read_bytes()
    rng = np.random.default_rng(0)
    path = tmp_path / "bad.nii"
    n_refused = 0
    for _ in range(200):
        raw = bytearray(good)
        for place in rng.integers(0, 352, rng.integers(1, 6)):
            raw[place] = rng.integers(256)
        path.write_bytes(raw[: rng.integers(300, len(raw) + 1)])
        try:
            header = read_header(path)
            assert read_image(header).shape == header.shape
        except SpinforgeError as error:
            n_refused += 1
            assert "bad.nii" in str(error)  # noqa: PT017
    # Cut files alone are nine in ten.
    assert n_refused > 100
