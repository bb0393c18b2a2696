"""HVSMR 2016: views, parts, and the edition that is another one."""

import numpy as np
import pytest
from public_miniatures import hvsmr, image, labels, write_volume

from spinforge.datasets.public.hvsmr import HVSMR
from spinforge.simulation.errors import SpinforgeError


@pytest.fixture
def folder(tmp_path):
    hvsmr(tmp_path)
    return tmp_path


def test_labels_are_those_of_the_file(folder):
    volume = HVSMR(folder).load("pat1")
    np.testing.assert_array_equal(volume.contrasts["MR"], image(1))
    np.testing.assert_array_equal(volume.labels, labels((0, 0, 1, 2, 2)))


def test_test_volumes_have_no_labels(folder):
    # Somebody's results, not the makers' labels.
    for name in ("testing_axial_crop_pat10-label", "testing_axial_crop_pat11-label"):
        write_volume(folder / "mine" / f"{name}.nii.gz", labels((0, 7)))
    source = HVSMR(folder, part="all")
    assert source.subjects() == ["pat0", "pat1", "pat10", "pat2"]
    assert source.load("pat10").labels is None
    assert HVSMR(folder, part="test").subjects() == ["pat10"]
    assert HVSMR(folder).subjects() == ["pat0", "pat1", "pat2"]


def test_views_are_separate_collections(folder):
    write_volume(folder / "sa" / "training_sa_crop_pat5.nii", image(5))
    write_volume(folder / "sa" / "training_sa_crop_pat5-label.nii", labels((0, 1, 2)))
    source = HVSMR(folder, view="sa_crop")
    assert source.subjects() == ["pat5"]
    assert source.load("pat5").parameters["view"] == "sa_crop"
    with pytest.raises(SpinforgeError, match=r"training_axial_full_pat0\.nii\.gz"):
        HVSMR(folder, view="axial_full").subjects()


def test_labels_without_an_image_are_named(folder):
    (folder / "Training dataset" / "training_axial_crop_pat2.nii.gz").unlink()
    with pytest.raises(
        SpinforgeError, match=r"pat2-label\.nii\.gz has no image: training_axial_crop_pat2\.nii\.gz"
    ):
        HVSMR(folder).subjects()


def test_a_volume_that_is_there_twice_is_refused(folder):
    write_volume(folder / "copy" / "training_axial_crop_pat1.nii.gz", image(1))
    with pytest.raises(SpinforgeError, match="should be one and the same"):
        HVSMR(folder).check("pat1")


def test_links_are_followed_and_may_lead_back(folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    (other / "data").symlink_to(folder)
    (folder / "Ground truth" / "back").symlink_to(folder)
    assert HVSMR(other).subjects() == ["pat0", "pat1", "pat2"]
    assert HVSMR(other).digest("pat0") == HVSMR(folder).digest("pat0")


def test_the_second_edition_is_refused(tmp_path):
    write_volume(tmp_path / "cropped" / "pat0_cropped.nii.gz", image())
    write_volume(tmp_path / "cropped" / "pat0_cropped_seg.nii.gz", labels(tuple(range(9))))
    with pytest.raises(
        SpinforgeError, match=r"pat0_cropped\.nii\.gz is of another edition\. HVSMR-2"
    ):
        HVSMR(tmp_path).subjects()


def test_labels_of_the_second_edition_are_refused(folder):
    path = folder / "Ground truth" / "training_axial_crop_pat1-label.nii.gz"
    write_volume(path, labels(tuple(range(9))))
    with pytest.raises(SpinforgeError, match=r"values 3, 4, 5, 6, 7, 8, .*HVSMR-2\.0 labels eight"):
        HVSMR(folder).load("pat1")


def test_the_papers_subjects_are_six_and_four():
    split = HVSMR.paper_split()
    assert split.train == ("pat0", "pat1", "pat2", "pat3", "pat4", "pat5")
    assert split.validation == ()
    assert split.test == ("pat6", "pat7", "pat8", "pat9")
