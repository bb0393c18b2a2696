"""The Decathlon's spleen: parts, halved slices, the paper's patients."""

import numpy as np
import pytest
from public_miniatures import ORIGIN, SPACING, image, ras_affine, spleen, write_volume

from spinforge.datasets.public.spleen import MSDSpleen
from spinforge.simulation.errors import SpinforgeError


@pytest.fixture
def folder(tmp_path):
    spleen(tmp_path)
    return tmp_path


def blocks(values: np.ndarray) -> np.ndarray:
    """The four pixels of each 2 x 2 block, along the last axis, by hand."""
    return np.stack([values[:, i::2, j::2] for i in (0, 1) for j in (0, 1)], axis=-1)


def test_pixels_are_hounsfield_units_averaged_over_blocks(folder):
    whole = MSDSpleen(folder, size=None).load("spleen_3").contrasts["CT"]
    np.testing.assert_array_equal(whole, image(3, (3, 8, 8)) - 1000)
    halved = MSDSpleen(folder, size=4).load("spleen_3").contrasts["CT"]
    # Sums of four integers below 4000 are exact in float32, and so is a quarter of them.
    np.testing.assert_array_equal(halved, blocks(whole).mean(-1))
    assert halved.dtype == np.float32


@pytest.mark.parametrize(("n_pixels", "label"), [(0, 0), (1, 0), (2, 1), (3, 1), (4, 1)])
def test_a_block_is_spleen_from_two_of_four_pixels_on(folder, n_pixels, label):
    values = np.zeros((3, 8, 8), dtype=np.uint8)
    values[1, 2:4, 4:6] = np.arange(4).reshape(2, 2) < n_pixels
    write_volume(folder / "Task09_Spleen" / "labelsTr" / "spleen_3.nii.gz", values)
    expected = np.zeros((3, 4, 4))
    expected[1, 1, 2] = label
    np.testing.assert_array_equal(MSDSpleen(folder, size=4).load("spleen_3").labels, expected)


def test_halved_slices_keep_their_place(folder):
    volume = MSDSpleen(folder, size=4).load("spleen_3")
    z, y, x = SPACING
    np.testing.assert_allclose(volume.spacing_mm, (z, 2 * y, 2 * x), rtol=1e-6)
    first = volume.affine @ [0, 0, 0, 1]
    # Float32 in the file, coordinates below 100 mm.
    np.testing.assert_allclose(first[:3], np.add(ORIGIN, (x / 2, y / 2, 0)), atol=1e-5)
    # Both ends of the volume stay: half a new voxel beyond the last is half an old one beyond it.
    ends = volume.affine @ [3.5, 3.5, 2, 1], ras_affine() @ [7.5, 7.5, 2, 1]
    np.testing.assert_allclose(*ends, atol=1e-5)


def test_the_size_is_part_of_the_digest(folder):
    digests = {MSDSpleen(folder, size=size).digest("spleen_3") for size in (None, 2, 4)}
    assert len(digests) == 3


@pytest.mark.parametrize("size", [3, 16])
def test_sizes_that_do_not_divide_are_refused(folder, size):
    with pytest.raises(SpinforgeError, match=rf"spleen_3\.nii\.gz has slices of 8 x 8 .*{size} x"):
        MSDSpleen(folder, size=size).load("spleen_3")


def test_test_volumes_have_no_labels(folder):
    source = MSDSpleen(folder, size=4, part="all")
    assert source.subjects() == ["spleen_1", "spleen_10", "spleen_2", "spleen_3"]
    assert source.load("spleen_1").labels is None
    assert MSDSpleen(folder, part="test").subjects() == ["spleen_1"]
    assert MSDSpleen(folder).subjects() == ["spleen_10", "spleen_2", "spleen_3"]


def test_the_task_folder_may_be_named_itself(folder):
    assert MSDSpleen(folder / "Task09_Spleen").subjects() == MSDSpleen(folder).subjects()


@pytest.mark.parametrize("content", ["{", "[" * 100_000, "\ud800".encode("utf-8", "surrogatepass")])
def test_a_damaged_description_is_named(folder, content):
    path = folder / "Task09_Spleen" / "dataset.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(SpinforgeError, match=r"dataset\.json cannot be read"):
        MSDSpleen(folder).subjects()


@pytest.mark.parametrize("content", ['{"name": "Liver"}', "[]", "{}"])
def test_another_task_is_refused(folder, content):
    (folder / "Task09_Spleen" / "dataset.json").write_text(content)
    with pytest.raises(SpinforgeError, match=r"dataset\.json describes .*expected 'Spleen'"):
        MSDSpleen(folder).subjects()


def test_the_description_is_not_needed(folder):
    (folder / "Task09_Spleen" / "dataset.json").unlink()
    assert len(MSDSpleen(folder).subjects()) == 3


def test_labels_without_an_image_are_named(folder):
    (folder / "Task09_Spleen" / "imagesTr" / "spleen_2.nii.gz").unlink()
    with pytest.raises(SpinforgeError, match=r"labelsTr/spleen_2\.nii\.gz has no image"):
        MSDSpleen(folder).subjects()


def test_the_papers_patients_are_25_4_and_12(tmp_path):
    spleen(tmp_path, numbers=tuple(range(2, 43)))
    split = MSDSpleen(tmp_path, part="all").paper_split()
    assert [len(group) for group in (split.train, split.validation, split.test)] == [25, 4, 12]
    assert split.everyone == MSDSpleen(tmp_path).subjects()
    assert [*split.train, *split.validation, *split.test] == split.everyone


def test_the_papers_split_needs_everybody(folder):
    with pytest.raises(SpinforgeError, match="holds 3 of the 41"):
        MSDSpleen(folder).paper_split()
