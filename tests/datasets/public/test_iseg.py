"""iSeg: Analyze pairs, label values, parts."""

import numpy as np
import pytest
from public_miniatures import SPACING, image, iseg, labels, write_volume

from spinforge.datasets.public.iseg import ISeg2017, ISeg2019
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.tissue import TARGET_NAMES


@pytest.fixture
def folder(tmp_path):
    iseg(tmp_path, 2017)
    return tmp_path


def test_label_values_are_csf_gm_and_wm(folder):
    volume = ISeg2017(folder).load("subject-2")
    of_value = {0: "background", 10: "CSF", 150: "GM", 250: "WM"}
    expected = np.vectorize(lambda value: TARGET_NAMES.index(of_value[value]))
    np.testing.assert_array_equal(volume.labels, expected(labels((0, 10, 150, 250, 250))))


def test_images_are_t1_and_t2_and_of_unknown_orientation(folder):
    volume = ISeg2017(folder).load("subject-2")
    np.testing.assert_array_equal(volume.contrasts["T1"], image(2))
    np.testing.assert_array_equal(volume.contrasts["T2"], image(52))
    np.testing.assert_allclose(volume.spacing_mm, SPACING, rtol=1e-6)  # float32 in the header
    assert volume.parameters["orientation_verified"] is False


@pytest.mark.parametrize("source", [ISeg2017, ISeg2019])
def test_test_subjects_have_no_labels_in_either_spelling(tmp_path, source):
    iseg(tmp_path, source.year)
    both = source(tmp_path, part="all")
    assert both.subjects() == ["subject-1", "subject-10", "subject-2", "subject-24"]
    volume = both.load("subject-24")
    assert volume.labels is None
    np.testing.assert_array_equal(volume.contrasts["T1"], image(24))
    np.testing.assert_array_equal(volume.contrasts["T2"], image(25))
    assert volume.parameters["part"] == "test"


def test_one_part_may_be_named_alone(folder):
    assert ISeg2017(folder / "iSeg-2017-Training").subjects() == ISeg2017(folder).subjects()


def test_another_edition_is_refused(folder):
    with pytest.raises(SpinforgeError, match=r"(?s)is not iSeg-2019.*iSeg-2017-Training/"):
        ISeg2019(folder).subjects()


@pytest.mark.parametrize("name", ["subject-1-T2.img", "subject-1-T1.hdr", "subject-1-label.img"])
def test_half_a_pair_is_named(folder, name):
    (folder / "iSeg-2017-Training" / name).unlink()
    with pytest.raises(SpinforgeError, match=rf"{name} is missing.*There: .*subject-1-"):
        ISeg2017(folder).check("subject-1")


def test_a_subject_in_two_parts_is_refused(folder):
    write_volume(folder / "iSeg-2017-Validation" / "subject-24-T1.hdr", image(), axes=4)
    with pytest.raises(SpinforgeError, match=r"subject-24 lies in .* and in .*: take one"):
        ISeg2017(folder, part="all").subjects()
    assert ISeg2017(folder, part="test").subjects() == ["subject-24"]
