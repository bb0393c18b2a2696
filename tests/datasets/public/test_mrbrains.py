"""MRBrainS: which structure becomes which tissue, and which label file is believed."""

import numpy as np
import pytest
from public_miniatures import SHAPE, image, labels, mrbrains13, mrbrains18, write_volume

from spinforge.datasets.public.mrbrains import MRBrainS13, MRBrainS18
from spinforge.datasets.volumes import IGNORE
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.tissue import TARGET_NAMES

STRUCTURES = labels(tuple(range(9)))
BACKGROUND, CSF, GM, WM = (TARGET_NAMES.index(name) for name in ("background", "CSF", "GM", "WM"))
# Cortex, basal ganglia; white matter, its lesions; outer CSF, ventricles; cerebellum, brainstem.
TISSUES = np.array([BACKGROUND, GM, GM, WM, WM, CSF, CSF, IGNORE, IGNORE])


@pytest.fixture
def thirteen(tmp_path):
    mrbrains13(tmp_path)
    return tmp_path


@pytest.fixture
def testing(thirteen):
    """Subject 1 has LabelsForTesting alone; a function writes it and a T1 of given intensities."""
    folder = thirteen / "TrainingData" / "1"
    (folder / "LabelsForTraining.nii").unlink()

    def write(t1_of_label: tuple[float, ...]) -> np.ndarray:
        values = labels(tuple(range(len(t1_of_label))))
        write_volume(folder / "LabelsForTesting.nii", values)
        write_volume(folder / "T1.nii", np.array(t1_of_label, dtype=np.float32)[values])
        return values

    return write


def test_structures_are_merged_to_the_targets(thirteen):
    volume = MRBrainS13(thirteen).load("training-1")
    np.testing.assert_array_equal(volume.labels, TISSUES[STRUCTURES])
    assert volume.parameters["label_file"] == "LabelsForTraining"


def test_structures_may_stay_apart(thirteen):
    np.testing.assert_array_equal(
        MRBrainS13(thirteen, merge=False).load("training-1").labels, STRUCTURES
    )


def test_merging_is_part_of_the_digest(thirteen):
    apart = MRBrainS13(thirteen, merge=False)
    assert apart.digest("training-1") != MRBrainS13(thirteen).digest("training-1")


def test_the_contrasts_are_the_three_registered_scans(thirteen):
    volume = MRBrainS13(thirteen).load("training-2")
    assert list(volume.contrasts) == ["T1", "T1-IR", "FLAIR"]
    for seed, contrast in enumerate(volume.contrasts.values()):
        np.testing.assert_array_equal(contrast, image(20 + seed))


def test_labels_for_testing_are_read_where_there_are_no_others(thirteen, testing):
    values = testing((10, 20, 30, 40))
    volume = MRBrainS13(thirteen).load("training-1")
    np.testing.assert_array_equal(volume.labels, values)
    assert volume.parameters["label_file"] == "LabelsForTesting"


@pytest.mark.parametrize(
    "t1", [(0, 40, 30, 20), (0, 30, 20, 40), (0, 20, 40, 30), (0, 20, 20, 30), (0, 20, 30)], ids=str
)
def test_labels_for_testing_in_another_order_are_refused(thirteen, testing, t1):
    testing(t1)
    MRBrainS13(thirteen).check("training-1")
    with pytest.raises(SpinforgeError, match=r"LabelsForTesting\.nii: labels 1, 2 and 3 have mean"):
        MRBrainS13(thirteen).load("training-1")


def test_labels_for_testing_have_no_structures_to_keep_apart(thirteen, testing):
    testing((10, 20, 30, 40))
    with pytest.raises(SpinforgeError, match=r"merge is false.*LabelsForTraining\.nii, which is"):
        MRBrainS13(thirteen, merge=False).check("training-1")


def test_test_subjects_have_no_labels_unless_they_are_there(thirteen):
    source = MRBrainS13(thirteen, part="all")
    assert source.subjects() == ["test-1", "training-1", "training-2"]
    assert MRBrainS13(thirteen, part="test").subjects() == ["test-1"]
    assert source.load("test-1").labels is None
    write_volume(thirteen / "TestData" / "1" / "LabelsForTraining.nii", STRUCTURES)
    np.testing.assert_array_equal(source.load("test-1").labels, TISSUES[STRUCTURES])


def test_a_volume_that_is_there_twice_is_refused(thirteen):
    write_volume(thirteen / "TrainingData" / "1" / "T1.nii.gz", image())
    with pytest.raises(SpinforgeError, match=r"T1\.nii\.gz and .*T1\.nii should be one"):
        MRBrainS13(thirteen).check("training-1")


def test_the_papers_slices_are_104_and_70(tmp_path):
    train, test = MRBrainS13(tmp_path).paper_slices()
    assert (len(train), len(test)) == (104, 70)
    assert not set(train) & set(test)
    assert train[:3] == [("training-1", 7), ("training-1", 9), ("training-1", 11)]
    assert test[:3] == [("training-1", 8), ("training-1", 10), ("training-1", 13)]
    assert max(slice_ for _, slice_ in train + test) == 42


@pytest.mark.parametrize("merge", [True, False])
def test_infarcts_and_other_lesions_are_not_scored(tmp_path, merge):
    mrbrains18(tmp_path)
    codes = TISSUES if merge else np.arange(9)
    expected = np.append(codes, [IGNORE, IGNORE])[labels(tuple(range(11)))]
    volume = MRBrainS18(tmp_path, merge=merge).load("070")
    np.testing.assert_array_equal(volume.labels, expected)


def test_images_are_corrected_or_as_acquired(tmp_path):
    mrbrains18(tmp_path)
    for seed, images in enumerate(("pre", "orig")):
        volume = MRBrainS18(tmp_path, images=images).load("1")
        assert list(volume.contrasts) == ["T1", "T1-IR", "FLAIR"]
        np.testing.assert_array_equal(volume.contrasts["FLAIR"], image(1 + seed))
        assert volume.contrasts["T1"].shape == SHAPE
        assert volume.parameters["images"] == images


def test_eighteen_may_lie_without_the_training_folder(tmp_path):
    mrbrains18(tmp_path)
    assert MRBrainS18(tmp_path / "training").subjects() == ["070", "1"]
    (tmp_path / "training").rename(tmp_path / "mine")
    assert MRBrainS18(tmp_path / "mine").subjects() == ["070", "1"]


def test_a_missing_kind_of_images_is_named(tmp_path):
    mrbrains18(tmp_path)
    (tmp_path / "training" / "1" / "orig").rename(tmp_path / "training" / "1" / "raw")
    with pytest.raises(SpinforgeError, match=r"orig/reg_T1\.nii is missing.*There: nothing"):
        MRBrainS18(tmp_path, images="orig").check("1")
