"""The decoding traps of BrainWeb's volumes, on synthetic bytes."""

import numpy as np
import pytest
from minc import write_minc

from spinforge.datasets.brainweb.labels import read_fraction, read_labels
from spinforge.simulation.errors import SpinforgeError

SHAPE = (2, 2, 6)  # z, y, x
LABELS = np.arange(24).reshape(SHAPE) % 12
# As downloaded: casperdcl/brainweb, issue 18, and the brain that KomaMRI ships.
SHORT_CODES = np.array([0, 16, 32, 48, 64, 80, 96, 112, 128, 145, 161, 177])
BYTE_CODES = np.array([0, 23, 46, 70, 93, 116, 139, 162, 185, 209, 232, 255])


def write_raw(folder, values, dtype):
    path = folder / ("volume.rawb" if np.dtype(dtype).itemsize == 1 else "volume.raws")
    path.write_bytes(np.asarray(values).astype(dtype).tobytes())
    return path


@pytest.mark.parametrize("dtype", ["<u2", ">u2"])
def test_stretched_short_labels(tmp_path, dtype):
    path = write_raw(tmp_path, SHORT_CODES[LABELS], dtype)
    np.testing.assert_array_equal(read_labels(path, [SHAPE], highest=11), LABELS.transpose(2, 1, 0))


def test_stretched_byte_labels(tmp_path):
    path = write_raw(tmp_path, BYTE_CODES[LABELS], "u1")
    np.testing.assert_array_equal(read_labels(path, [SHAPE], highest=11), LABELS.transpose(2, 1, 0))


@pytest.mark.parametrize("dtype", ["u1", "<u2", ">u2"])
@pytest.mark.parametrize("highest", [9, 10, 11])
def test_labels_that_are_not_stretched(tmp_path, dtype, highest):
    labels = np.minimum(LABELS, highest)
    path = write_raw(tmp_path, labels, dtype)
    np.testing.assert_array_equal(
        read_labels(path, [SHAPE], highest=highest), labels.transpose(2, 1, 0)
    )


@pytest.mark.parametrize(
    ("values", "dtype", "shown"),
    [
        (LABELS + 1, "u1", "1 to 12"),
        (SHORT_CODES[LABELS] // 2, "<u2", "0 to 88"),
        (np.where(LABELS == 3, 49, SHORT_CODES[LABELS]), "<u2", "0 to 255"),
        (np.where(LABELS == 3, 71, BYTE_CODES[LABELS]), "u1", "0 to 255"),
        (LABELS * 300, "<u2", "0 to 3300"),
    ],
    ids=["beyond", "half", "odd-short", "odd-byte", "image"],
)
def test_codes_that_stand_for_no_label_are_refused(tmp_path, values, dtype, shown):
    path = write_raw(tmp_path, values, dtype)
    with pytest.raises(SpinforgeError, match=rf"volume.raw. holds values {shown}, expected .*11"):
        read_labels(path, [SHAPE], highest=11)


@pytest.mark.parametrize("label", [0, 3])
def test_a_model_of_one_label_is_refused(tmp_path, label):
    path = write_raw(tmp_path, np.full(SHAPE, label), "u1")
    with pytest.raises(SpinforgeError, match=f"holds the label {label} only"):
        read_labels(path, [SHAPE], highest=11)


@pytest.mark.parametrize(("dtype", "full"), [("u1", 255), ("<u2", 4095), (">u2", 4095)])
def test_raw_fractions_are_stretched_above_a_floor(tmp_path, dtype, full):
    values = np.linspace(3, full, LABELS.size).round().reshape(SHAPE)
    fraction = read_fraction(write_raw(tmp_path, values, dtype), [SHAPE])
    # Float32 rounding.
    np.testing.assert_allclose(fraction, (values - 3).transpose(2, 1, 0) / full, atol=1e-7)


def test_minc_fractions_are_kept_as_they_are(tmp_path):
    voxels = (LABELS * 23).astype(np.uint8)
    tops = np.array([0.4, 1.0])
    write_minc(tmp_path / "volume.mnc.gz", voxels, real_max=tops)
    fraction = read_fraction(tmp_path / "volume.mnc.gz", [SHAPE])
    expected = voxels / 255 * tops[:, None, None]
    np.testing.assert_allclose(fraction, expected.transpose(2, 1, 0), atol=1e-7)


def test_a_crisp_model_is_no_fuzzy_volume(tmp_path):
    write_minc(tmp_path / "volume.mnc.gz", LABELS.astype(np.uint8))
    with pytest.raises(SpinforgeError, match=r"holds values 0 to 11, expected fractions 0 to 1"):
        read_fraction(tmp_path / "volume.mnc.gz", [SHAPE])
