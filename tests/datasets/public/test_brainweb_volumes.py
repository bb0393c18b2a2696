"""BrainWeb's images with their labels."""

import numpy as np
import pytest
from brainweb_form import LABELS, SHAPE

from spinforge.datasets.brainweb import subject0 as brainweb_subject0
from spinforge.datasets.public.brainweb_volumes import BrainWebImages
from spinforge.datasets.volumes import VolumeSource
from spinforge.simulation.errors import SpinforgeError

STEM = "icbm_normal_1mm_pn3_rf20"


@pytest.fixture
def images(small_volumes, tmp_path):
    rng = np.random.default_rng(0)
    values = {name: rng.integers(0, 256, SHAPE, dtype=np.uint8) for name in ("t1", "t2", "pd")}
    for name, array in values.items():
        (tmp_path / f"{name}_{STEM}.rawb").write_bytes(array.tobytes())
    (tmp_path / "phantom_1.0mm_normal_crisp.rawb").write_bytes(LABELS.tobytes())
    return values


@pytest.fixture
def source(tmp_path):
    return BrainWebImages(tmp_path, noise_percent=3, inu_percent=20)


def test_images_are_delivered_with_z_first(images, source):
    assert isinstance(source, VolumeSource)
    assert source.subjects() == ["normal"]
    source.check("normal")
    volume = source.load("normal")
    assert list(volume.contrasts) == ["T1", "T2", "PD"]
    for name, values in images.items():
        np.testing.assert_array_equal(volume.contrasts[name.upper()], values)
    assert volume.spacing_mm == (1, 1, 1)
    np.testing.assert_array_equal(volume.affine @ [90, 126, 72, 1], [0, 0, 0, 1])


@pytest.mark.parametrize(("glial", "label"), [("gm", 2), ("background", 0)])
def test_labels_are_those_of_the_brain(images, source, glial, label):
    # CSF, GM, WM; fat, muscle, skin, skull; glial matter; connective tissue.
    targets = np.array([0, 1, 2, 3, 0, 0, 0, 0, label, 0])
    volume = BrainWebImages(source.folder, 3, 20, glial).load("normal")
    np.testing.assert_array_equal(volume.labels, targets[LABELS])


@pytest.mark.parametrize(
    ("name", "command"),
    [
        (f"pd_{STEM}", r"download images --modality pd .*--noise 3 --inu 20"),
        ("phantom_1.0mm_normal_crisp", "download brainweb0"),
    ],
)
def test_missing_files_are_named(images, source, name, command):
    (source.folder / f"{name}.rawb").unlink()
    with pytest.raises(SpinforgeError, match=rf"{name}\.mnc\.gz is missing\. .*{command}"):
        source.check("normal")


def test_other_levels_are_other_collections(images, source):
    with pytest.raises(SpinforgeError, match=r"(?s)Expected in it:\n  t1_icbm_normal_1mm_pn9_rf0"):
        BrainWebImages(source.folder, noise_percent=9).subjects()


def test_unknown_subjects_are_named(images, source):
    with pytest.raises(SpinforgeError, match="msles2 not found; there are normal"):
        source.check("msles2")


def test_images_on_another_grid_are_refused(images, source):
    (source.folder / f"t2_{STEM}.rawb").write_bytes(bytes(7))
    with pytest.raises(SpinforgeError, match=rf"t2_{STEM}\.rawb holds 7 bytes"):
        source.check("normal")


def test_unexpected_labels_are_refused(images, source):
    path = source.folder / "phantom_1.0mm_normal_crisp.rawb"
    path.write_bytes(np.where(LABELS == 9, 77, LABELS).astype(np.uint8).tobytes())
    with pytest.raises(SpinforgeError, match=r"crisp\.rawb holds values 0 to 77"):
        source.load("normal")


def test_a_cropped_model_is_refused(images, source, monkeypatch):
    cropped = LABELS[:-1, :-1, :-1]
    monkeypatch.setattr(brainweb_subject0, "_CROPPED_SHAPE_ZYX", cropped.shape)
    path = source.folder / "phantom_1.0mm_normal_crisp.rawb"
    path.write_bytes(cropped.tobytes())
    with pytest.raises(SpinforgeError, match=r"has shape \(2, 3, 4\) and the images .*\(3, 4, 5\)"):
        source.load("normal")


def test_the_digest_follows_files_and_glial_matter(images, source):
    first = source.digest("normal")
    assert BrainWebImages(source.folder, 3, 20, "background").digest("normal") != first
    path = source.folder / f"pd_{STEM}.rawb"
    path.write_bytes(bytes([1]) + path.read_bytes()[1:])
    assert source.digest("normal") != first
