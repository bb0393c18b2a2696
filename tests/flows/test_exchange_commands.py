"""spinforge export and card: what they write, and what they say when they cannot."""

import json
from pathlib import Path

import hand_made_sets
import pytest
from typer.testing import CliRunner

from spinforge.datasets.products.making import make_subject
from spinforge.datasets.storage.store import DatasetStore
from spinforge.flows.cli import app
from spinforge.flows.config import load_study, study_yaml
from spinforge.flows.run_folder import RunFolder

STUDY = """
name: tiny
data:
  spacing_mm: 4
  subjects: {train: 1, validation: 1, test: 1}
  slices: {thickness_mm: 12, count: 12}
  sampling: {acs_lines: 4}
"""


@pytest.fixture(scope="module")
def study_file(tmp_path_factory) -> Path:
    """A study whose first two subjects are there, beside its resolved study file."""
    folder = tmp_path_factory.mktemp("exchange")
    path = folder / "tiny.yaml"
    path.write_text(STUDY + f"out: {folder}\n")
    study = load_study(path)
    run = RunFolder.of(study)
    run.path.mkdir()
    run.study_file.write_text(study_yaml(study))
    run.store.create(study.data.recipe())
    for subject in ("head-000", "head-002"):
        make_subject(study.data, subject, run.store)
    return path


def called(*arguments: object) -> tuple[int, str]:
    """Exit code, and all the command said."""
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return done.exit_code, done.output


def test_a_set_is_exported_by_its_study(study_file, tmp_path):
    code, said = called("export", "bids", study_file, "--to", tmp_path / "bids", "--json")
    assert code == 0, said
    files = json.loads(said)["files"]
    assert len(files) == 2 * (1 + 4)
    assert all(Path(file).is_file() for file in files)
    rows = (tmp_path / "bids" / "participants.tsv").read_text().splitlines()
    assert rows[1:] == ["sub-head000\thead-000\ttrain", "sub-head002\thead-002\ttest"]


@pytest.mark.parametrize("form", ["ismrmrd", "fastmri"])
def test_raw_data_are_exported_by_the_sets_folder(study_file, tmp_path, form):
    path = study_file.parent / "tiny" / "dataset.zarr"
    code, said = called("export", form, path, "--to", tmp_path, "--mask", "fixed", "--json")
    assert code == 0, said
    assert json.loads(said)["files"] == [
        str(tmp_path / f"{s}.h5") for s in ("head-000", "head-002")
    ]


def test_a_card_knows_the_split_from_the_study_beside_the_set(study_file, tmp_path):
    path = study_file.parent / "tiny" / "dataset.zarr"
    code, said = called("card", path, "--to", tmp_path / "card.html")
    assert code == 0, said
    text = (tmp_path / "card.md").read_text()
    assert text.startswith("# tiny/dataset.zarr")
    assert "- test: head-002 (12 slices)" in text
    assert (tmp_path / "card.html").stat().st_size > 10_000


def test_a_card_of_a_set_alone_is_written(tmp_path):
    hand_made_sets.images_set(tmp_path / "set.zarr")
    code, said = called("card", tmp_path / "set.zarr", "--to", tmp_path / "only.md")
    assert code == 0, said
    assert "the study that made it says" in (tmp_path / "only.md").read_text()
    assert not (tmp_path / "only.html").exists()


def test_what_cannot_be_exported_is_said_in_one_message(study_file, tmp_path):
    hand_made_sets.images_set(tmp_path / "set.zarr")
    refused = {
        "holds images, no k-space": ("export", "ismrmrd", tmp_path / "set.zarr", "--to", tmp_path),
        "is not a Spinforge dataset": ("export", "bids", tmp_path / "none.zarr", "--to", tmp_path),
        "group corrupt/noise/3 has no complete subject": (
            *("export", "bids", study_file, "--to", tmp_path / "b", "--group", "corrupt/noise/3"),
        ),
        "is not an empty folder": ("export", "bids", study_file, "--to", tmp_path),
        "a BIDS image is always fully sampled": (
            *("export", "bids", study_file, "--to", tmp_path / "b", "--mask", "fixed"),
        ),
        "--set changes a study, but": ("card", tmp_path / "set.zarr", "--set", "seed=1"),
    }
    for message, arguments in refused.items():
        code, said = called(*arguments)
        assert code == 2, said
        assert message in " ".join(said.split()), said


def test_own_label_maps_are_generated_by_the_example_study(tmp_path):
    """The study file in studies/, on small maps of one's own."""
    import nibabel
    import numpy as np

    maps = tmp_path / "maps"
    maps.mkdir()
    values = np.zeros((40, 50, 40), dtype=np.uint8)
    for label, margin in ((1, 4), (2, 8), (3, 12)):
        values[margin:-margin, margin:-margin, margin:-margin] = label
    for name in ("anna", "bert", "carl"):
        nibabel.save(nibabel.Nifti1Image(values, np.diag([4, 4, 4, 1])), maps / f"{name}.nii.gz")
    study = load_study(
        Path(__file__).parents[2] / "studies" / "own-labels.yaml",
        [
            f"out={tmp_path}",
            f"data.path={maps}",
            "data.spacing_mm=4",
            "data.subjects={train: 1, validation: 1, test: 1}",
            "data.slices={thickness_mm: 12, count: 14}",
            "data.sampling.acs_lines=4",
        ],
    )
    store = DatasetStore(tmp_path / "set.zarr")
    store.create(study.data.recipe())
    make_subject(study.data, "anna", store)
    target = store.read("anna", "target")
    assert [int((target == code).sum()) > 0 for code in range(4)] == [True] * 4
    assert target.shape == (14, 45, 54)
