import gzip
from pathlib import Path

import numpy as np
import pytest
import torch
from minc import write_minc
from real_data import BRAINWEB20, needs_brainweb20

from spinforge.datasets import brainweb
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.tissue import Tissue

SHAPE = (6, 10, 8)  # z, y, x


@pytest.fixture(autouse=True)
def small_models(monkeypatch):
    monkeypatch.setattr(brainweb, "MINC_SHAPE_ZYX", SHAPE)
    monkeypatch.setattr(brainweb, "_MINC_VOXELS", int(np.prod(SHAPE)))


@pytest.fixture
def folder(tmp_path) -> Path:
    labels = np.random.default_rng(0).integers(0, 12, SHAPE).astype(np.uint8)
    write_minc(tmp_path / "subject04_crisp_v.mnc.gz", labels)
    np.save(tmp_path / "truth.npy", labels)
    return tmp_path


def model(folder):
    return folder / "subject04_crisp_v.mnc.gz"


def test_labels_are_decoded_and_transposed_to_xyz(folder):
    labels = brainweb.read_labels(brainweb.model_path(folder, "subject04"))
    assert labels.shape == (8, 10, 6)
    np.testing.assert_array_equal(labels, np.load(folder / "truth.npy").transpose(2, 1, 0))


def test_memberships_are_box_averages_of_the_kept_voxels(folder):
    labels = brainweb.read_labels(model(folder))
    memberships = brainweb.fuzzy_memberships(labels).numpy()
    assert memberships.shape == (12, 3, 4, 2)  # the last two voxels of each axis are dropped
    block = labels[2:4, 4:6, 0:2]
    for tissue in Tissue:
        assert memberships[tissue, 1, 2, 0] == (block == tissue).sum() / 8
    np.testing.assert_array_equal(memberships.sum(0), 1)


def test_uncompressed_files_are_read_too(folder):
    plain = folder / "subject05_crisp_v.mnc"
    plain.write_bytes(gzip.decompress(model(folder).read_bytes()))
    assert brainweb.subjects_in(folder) == ["subject04", "subject05"]
    np.testing.assert_array_equal(brainweb.read_labels(plain), brainweb.read_labels(model(folder)))


def test_missing_folder_says_how_to_fill_it(tmp_path):
    with pytest.raises(SpinforgeError, match=r"nowhere is not a folder.*spinforge download"):
        brainweb.model_path(tmp_path / "nowhere", "subject04")


def test_missing_file_is_named(folder):
    with pytest.raises(SpinforgeError, match=r"subject06_crisp_v.mnc.gz is missing.*download"):
        brainweb.model_path(folder, "subject06")


@pytest.mark.parametrize("kept", [0.2, 0.6, 0.99])
def test_truncated_gzip_is_named(folder, kept):
    content = model(folder).read_bytes()
    model(folder).write_bytes(content[: int(kept * len(content))])
    with pytest.raises(SpinforgeError, match=r"subject04_crisp_v.mnc.gz is truncated or damaged"):
        brainweb.read_model_bytes(model(folder))


def test_flipped_byte_in_gzip_is_named(folder):
    content = bytearray(model(folder).read_bytes())
    content[len(content) // 2] ^= 0xFF
    model(folder).write_bytes(content)
    with pytest.raises(SpinforgeError, match="is truncated or damaged"):
        brainweb.read_model_bytes(model(folder))


def test_truncated_plain_file_is_named(folder):
    plain = folder / "subject05_crisp_v.mnc"
    plain.write_bytes(gzip.decompress(model(folder).read_bytes())[:400])
    with pytest.raises(SpinforgeError, match="is truncated: 400 bytes"):
        brainweb.read_model_bytes(plain)


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_web_page_instead_of_data_is_named(folder, compress):
    model(folder).write_bytes(compress(b"\n<html>not found</html>"))
    with pytest.raises(SpinforgeError, match="is a web page, not data"):
        brainweb.read_model_bytes(model(folder))


def test_other_formats_are_named(folder):
    model(folder).write_bytes(gzip.compress(b"\x89HDF" + bytes(1000)))
    with pytest.raises(SpinforgeError, match="is not a MINC1 file"):
        brainweb.read_model_bytes(model(folder))


def test_a_file_that_unpacks_without_end_is_refused(folder, monkeypatch):
    monkeypatch.setattr(brainweb, "LARGEST_MINC", 1000)
    model(folder).write_bytes(gzip.compress(bytes(10_000_000)))
    with pytest.raises(SpinforgeError, match="more than 1000 bytes after decompression"):
        brainweb.read_model_bytes(model(folder))


def test_wrong_shape_is_named(folder):
    write_minc(model(folder), np.zeros((7, 10, 8), dtype=np.uint8))
    with pytest.raises(SpinforgeError, match=r"has shape \(7, 10, 8\) .* expected \(6, 10, 8\)"):
        brainweb.read_labels(model(folder))


def test_fuzzy_volume_is_no_crisp_model(folder):
    ramp = np.arange(np.prod(SHAPE), dtype=np.uint8).reshape(SHAPE)
    write_minc(model(folder), ramp, real_max=1.0)
    with pytest.raises(SpinforgeError, match=r"expected the integer labels 0 to 11"):
        brainweb.read_labels(model(folder))


def test_labels_above_eleven_are_refused(folder):
    write_minc(model(folder), np.full(SHAPE, 12, dtype=np.uint8))
    with pytest.raises(SpinforgeError, match=r"holds values 12 to 12"):
        brainweb.read_labels(model(folder))


def test_damaged_header_gives_our_error(folder):
    content = bytearray(gzip.decompress(model(folder).read_bytes()))
    content[8:200] = bytes(192)
    model(folder).write_bytes(gzip.compress(bytes(content)))
    with pytest.raises(SpinforgeError, match="cannot be read as MINC1"):
        brainweb.read_labels(model(folder))


@needs_brainweb20
def test_real_subject_has_brainwebs_anatomy(monkeypatch):
    monkeypatch.undo()
    phantom = brainweb.load_brainweb20(BRAINWEB20, "subject04")
    assert phantom.memberships.shape == (12, 180, 216, 180)
    # BrainWeb's subject 0 has 372 / 903 / 675 mL; twenty other adults are near, not equal.
    volumes = phantom.memberships[1:4].sum((1, 2, 3)) / 1000
    assert volumes[0].item() == pytest.approx(372, rel=0.5)
    assert volumes[1].item() == pytest.approx(903, rel=0.25)
    assert volumes[2].item() == pytest.approx(675, rel=0.25)
    # Up is up: the scalp's vertex lies near z = 170, the neck fills the lowest plane.
    head = 1 - phantom.memberships[0]
    assert head[:, :, 0].sum() > 5 * head[:, :, 172].sum()
    # Front is front: the lowest grey and white matter is the cerebellum's, at the back. It lies
    # 20 mm behind the middle of the cerebrum; with y flipped, it would lie 20 mm before it.
    brain = phantom.memberships[2:4].sum((0, 1))
    cerebellum, cerebrum = (mean_y(brain[:, low:high]) for low, high in ((20, 35), (80, 120)))
    assert cerebellum < cerebrum - 10
    assert cerebellum < 108 - 10  # the middle of the field of view


def mean_y(amount):
    """Mean y index of an amount of tissue, (y, z)."""
    weights = amount.sum(1)
    return (weights * torch.arange(len(weights))).sum() / weights.sum()
