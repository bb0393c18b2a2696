"""What holds for every collection of volumes: right files load, wrong ones are named."""

import re
import shutil

import nibabel
import numpy as np
import pytest
from public_miniatures import MINIATURES, image, labels, write_volume

from spinforge.datasets.volumes import IGNORE, VolumeSource
from spinforge.simulation.errors import SpinforgeError


def shape_of(path) -> tuple[int, ...]:
    return nibabel.load(path).shape[:3][::-1]


def rewrite(path, values, **options) -> None:
    """Replace a file by another volume in the same format."""
    write_volume(path, values, **({"axes": 4} if path.suffix == ".hdr" else {}) | options)


def names(*paths) -> str:
    return ".*".join(re.escape(path.name) for path in paths)


def test_a_miniature_loads(built):
    assert isinstance(built.source, VolumeSource)
    names = built.source.subjects()
    assert names == sorted(set(names))
    assert built.subject in names
    for name in names:
        built.source.check(name)
        volume = built.source.load(name)
        assert volume.subject == name
        assert volume.labels.dtype == np.uint8
        for contrast in volume.contrasts.values():
            assert contrast.shape == volume.labels.shape
            assert contrast.dtype == np.float32
        assert set(np.unique(volume.labels)) <= {0, 1, 2, 3, IGNORE}
        edges = np.linalg.norm(volume.affine[:3, :3], axis=0)[::-1]
        # float32 in the header, of numbers below 10
        np.testing.assert_allclose(edges, volume.spacing_mm, rtol=1e-6)


def test_the_digest_is_that_of_the_voxels(built):
    before = {name: built.source.digest(name) for name in built.source.subjects()}
    assert len(set(before.values())) == len(before)
    voxels = built.voxels_of(built.labels)
    content = bytearray(voxels.read_bytes())
    content[-1] ^= 1
    voxels.write_bytes(content)
    after = {name: built.source.digest(name) for name in built.source.subjects()}
    assert {name for name in before if before[name] != after[name]} == {built.subject}


def test_files_of_macos_are_no_volumes(built):
    expected = built.source.load(built.subject)
    subjects = built.source.subjects()
    for path in [*built.root.rglob("*")]:
        if path.is_file():
            path.with_name(f"._{path.name}").write_bytes(b"\0\5\26\7")
            path.with_name(".DS_Store").write_bytes(b"\0\0\0\1Bud1")
    (built.root / "__MACOSX").mkdir()
    assert built.source.subjects() == subjects
    loaded = built.source.load(built.subject)
    np.testing.assert_array_equal(loaded.labels, expected.labels)


@pytest.mark.parametrize("name", MINIATURES)
@pytest.mark.parametrize("state", ["empty", "absent", "a file", "something else"])
def test_a_wrong_folder_is_shown_the_expected_tree(tmp_path, name, state):
    folder = tmp_path / "data"
    if state == "a file":
        folder.write_bytes(b"")
    elif state != "absent":
        folder.mkdir()
    if state == "something else":
        (folder / "holiday.jpg").write_bytes(b"")
    found = {
        "empty": "it holds nothing",
        "absent": "there is no such folder",
        "a file": "it is a file",
        "something else": r"it holds holiday\.jpg",
    }[state]
    tree = re.escape(MINIATURES[name].tree)
    with pytest.raises(SpinforgeError, match=rf"(?s)data is not .*{found}.*\n  .*{tree}"):
        MINIATURES[name].source(folder).subjects()


def test_missing_labels_are_named(built):
    built.labels.unlink()
    with pytest.raises(SpinforgeError, match=rf"{names(built.labels)}.* is missing"):
        built.source.check(built.subject)


def test_a_missing_image_is_named(built):
    built.image.unlink()
    # MRBrainS18 has the unregistered T1 beside it, on another grid.
    built.image.with_name("T1.nii.gz").unlink(missing_ok=True)
    stem = re.escape(built.image.name.split(".")[0])
    with pytest.raises(SpinforgeError, match=rf"{stem}\S* is missing"):
        built.source.subjects() and built.source.check(built.subject)


def test_an_unknown_subject_is_named_with_those_there_are(built):
    with pytest.raises(SpinforgeError, match=f"nobody not found; there are .*{built.subject}"):
        built.source.check("nobody")


def test_unexpected_label_values_are_named(built):
    values = labels((*built.miniature.values, 99, 17), shape_of(built.labels))
    rewrite(built.labels, values)
    expected = ", ".join(map(str, built.miniature.values))
    with pytest.raises(
        SpinforgeError, match=rf"{names(built.labels)} holds the values 17, 99, .*{expected}\."
    ):
        built.source.load(built.subject)


def test_labels_of_another_shape_are_refused(built):
    z, y, x = shape_of(built.image)
    rewrite(built.labels, labels((0,), (z, y + 1, x)))
    with pytest.raises(
        SpinforgeError,
        match=rf"{names(built.image)} has shape \({z}, {y}, {x}\) and "
        rf".*{names(built.labels)} has shape \({z}, {y + 1}, {x}\)",
    ):
        built.source.check(built.subject)


@pytest.mark.parametrize("axes", [3, 4, 5])
def test_trailing_axes_of_length_one_are_dropped(built, axes):
    expected = built.source.load(built.subject)
    rewrite(built.image, image(7, shape_of(built.image)), axes=axes)
    rewrite(built.labels, labels(built.miniature.values, shape_of(built.image)), axes=axes)
    volume = built.source.load(built.subject)
    assert volume.labels.shape == expected.labels.shape
    assert all(contrast.ndim == 3 for contrast in volume.contrasts.values())


def test_truncated_files_are_named(built):
    voxels = built.voxels_of(built.image)
    content = voxels.read_bytes()
    voxels.write_bytes(content[: len(content) - 40])
    with pytest.raises(SpinforgeError, match=rf"{names(built.image)} is missing, damaged"):
        built.source.load(built.subject)


def test_files_that_are_no_volumes_are_named(built):
    built.image.write_bytes(b"<html>please log in</html>")
    with pytest.raises(SpinforgeError, match=rf"{names(built.image)} is missing, damaged"):
        built.source.check(built.subject)


def test_a_folder_above_of_the_same_name_is_looked_through(built):
    expected = built.source.digest(built.subject)
    for folder in [path for path in built.root.iterdir() if path.is_dir()]:
        inner = folder.with_name("moving")
        folder.rename(inner)
        folder.mkdir()
        shutil.move(inner, folder / folder.name)
    assert built.source.digest(built.subject) == expected
