"""Files of a segmentation: whole, of one run, and never in the place of what they come from."""

import json

import numpy as np
import pytest
from planted import Levels, asymmetric, planted, write_stored

from spinforge.datasets.scans.nifti_scan import read_nifti_scan
from spinforge.datasets.scans.scan import Place
from spinforge.models.prediction.ensemble import ensemble_of
from spinforge.models.prediction.files import write_segmentation
from spinforge.models.prediction.slices import Asked
from spinforge.models.prediction.volume import segment_volume
from spinforge.simulation.errors import SpinforgeError

LEVELS = ensemble_of({"levels": planted(Levels(), is_brain_only=True)})
EVERYTHING = Asked(probabilities=True, uncertainty=True)


@pytest.fixture
def scan(tmp_path):
    values = asymmetric().astype(np.float32)
    write_stored(tmp_path / "T1.nii", values, "LPS", (1.0, 1.0, 3.0))
    write_stored(tmp_path / "brain.nii", values > 0, "LPS", (1.0, 1.0, 3.0))
    return read_nifti_scan({"T1": tmp_path / "T1.nii"}, brain=tmp_path / "brain.nii")


def written(folder, scan, asked):
    found = segment_volume(LEVELS, scan, asked=asked)
    return write_segmentation(folder, scan, found, LEVELS.class_names, networks=[])


def test_maps_of_an_earlier_run_go(scan, tmp_path):
    folder = tmp_path / "out"
    assert len(written(folder, scan, EVERYTHING)) == 5
    (folder / "other_probseg.nii.gz").write_text("another scan's")
    files = written(folder, scan, Asked())
    assert {path.name for path in folder.iterdir()} == {
        "T1_dseg.nii.gz", "T1_dseg.json", "other_probseg.nii.gz"
    }  # fmt: skip
    assert set(json.loads(files["description"].read_text())["maps"]) == {"labels"}


def test_a_run_that_ends_early_leaves_no_description_of_an_earlier_one(scan, tmp_path, monkeypatch):
    folder = tmp_path / "out"
    written(folder, scan, EVERYTHING)
    write = Place.write

    def killed(self, path, values):
        if path.name == "T1_dseg.nii.gz":
            raise KeyboardInterrupt
        write(self, path, values)

    monkeypatch.setattr(Place, "write", killed)
    with pytest.raises(KeyboardInterrupt):
        written(folder, scan, EVERYTHING)
    assert not (folder / "T1_dseg.json").exists()
    assert not (folder / "T1_dseg.nii.gz").exists()


@pytest.mark.parametrize("asked", [Asked(), EVERYTHING])
@pytest.mark.parametrize("link", [False, True])
@pytest.mark.parametrize("name", ["T1_dseg.nii.gz", "T1_probseg.nii.gz"])
def test_what_was_read_is_never_replaced(name, link, asked, scan, tmp_path):
    brain = tmp_path / name
    write_stored(brain, asymmetric() > 0, "LPS", (1.0, 1.0, 3.0))
    given = tmp_path / "given.nii.gz"
    if link:
        given.symlink_to(brain)
    scan = read_nifti_scan({"T1": tmp_path / "T1.nii"}, brain=given if link else brain)
    before = brain.read_bytes()
    with pytest.raises(SpinforgeError, match=r"would be replaced by a result of the same name"):
        written(tmp_path, scan, asked)
    assert brain.read_bytes() == before
