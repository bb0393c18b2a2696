import gzip
from pathlib import Path

import numpy as np
import pytest
import torch
from minc import write_minc
from real_data import BRAINWEB20, needs_brainweb20

from spinforge.datasets.brainweb import twenty as brainweb
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.phantom import Phantom, coarsened
from spinforge.simulation.tissue import HEAD_TISSUES, Tissue

SHAPE = (6, 10, 8)  # z, y, x


@pytest.fixture(autouse=True)
def small_models(monkeypatch):
    monkeypatch.setattr(brainweb, "SHAPE_ZYX", SHAPE)


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
    for tissue in HEAD_TISSUES:
        assert memberships[tissue, 1, 2, 0] == (block == tissue).sum() / 8
    np.testing.assert_array_equal(memberships.sum(0), 1)


def test_the_crisp_model_averages_to_the_fuzzy_one(folder):
    labels = brainweb.read_labels(model(folder))
    fine = Phantom("subject04", brainweb.crisp_memberships(labels), 0.5, "brainweb20", "")
    assert fine.memberships.shape == (12, 6, 8, 4)
    torch.testing.assert_close(
        coarsened(fine, 2).memberships, brainweb.fuzzy_memberships(labels), rtol=0, atol=0
    )


def test_other_voxels_than_brainwebs_are_refused(folder):
    with pytest.raises(SpinforgeError, match=r"0\.5 or 1 mm, not 2"):
        brainweb.load_brainweb20(folder, "subject04", spacing_mm=2.0)


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


@pytest.mark.parametrize("suffix", [".rawb", ".raws.gz"])
def test_raw_formats_are_found_and_read_too(folder, suffix):
    labels = np.load(folder / "truth.npy")
    stretched = np.rint(labels * (255 / 11 if suffix == ".rawb" else 4095 / 255))
    content = stretched.astype("u1" if suffix == ".rawb" else "<u2").tobytes()
    path = folder / f"subject05_crisp_v{suffix}"
    path.write_bytes(gzip.compress(content) if suffix.endswith(".gz") else content)
    assert brainweb.subjects_in(folder) == ["subject04", "subject05"]
    assert brainweb.model_path(folder, "subject05") == path
    np.testing.assert_array_equal(brainweb.read_labels(path), brainweb.read_labels(model(folder)))


def test_damage_is_found_without_decoding(folder):
    model(folder).write_bytes(model(folder).read_bytes()[:-20])
    with pytest.raises(SpinforgeError, match=r"subject04_crisp_v.mnc.gz is truncated or damaged"):
        brainweb.check_model(model(folder))


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
    write_minc(model(folder), np.linspace(0, 12, np.prod(SHAPE)).reshape(SHAPE).astype(np.uint8))
    with pytest.raises(SpinforgeError, match=r"holds values 0 to 12"):
        brainweb.read_labels(model(folder))


def test_damaged_header_gives_our_error(folder):
    content = bytearray(gzip.decompress(model(folder).read_bytes()))
    content[8:200] = bytes(192)
    model(folder).write_bytes(gzip.compress(bytes(content)))
    with pytest.raises(SpinforgeError, match="is truncated or damaged"):
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


@needs_brainweb20
def test_real_fuzzy_volume_that_lacks_its_last_scalar_agrees_with_the_crisp_model(monkeypatch):
    """The crisp label is that of the largest fraction, so dura fills most of what it labels."""
    monkeypatch.undo()
    fraction = brainweb.read_fraction(BRAINWEB20 / "subject50_dura_v.mnc.gz")
    dura = brainweb.read_labels(BRAINWEB20 / "subject50_crisp_v.mnc.gz") == Tissue.DURA
    # Of at most twelve tissues the largest has at least 1/12, half a step of 1/255 aside.
    assert fraction[dura].min() > 1 / 12 - 0.5 / 255
    # Where another tissue is the largest, dura has at most half.
    assert fraction[~dura].max() < 0.5 + 0.5 / 255
    assert fraction[dura].mean() > 0.9
