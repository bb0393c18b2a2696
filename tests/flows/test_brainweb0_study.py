"""Subject 0 in a study: simulated and drawn, but never trained on; its models are one head."""

import json

import numpy as np
import pytest
from minc import write_minc
from typer.testing import CliRunner

from spinforge.datasets.brainweb import subject0 as brainweb_subject0
from spinforge.datasets.products.kspace import check_split
from spinforge.datasets.products.making import split_of
from spinforge.flows.cli import app
from spinforge.flows.config import load_study
from spinforge.flows.run_folder import RunFolder
from spinforge.flows.study import study as study_flow
from spinforge.flows.train import train as train_flow
from spinforge.simulation.errors import SpinforgeError

STUDY = """
name: zero
workers: 1
data:
  phantom: brainweb0
  slices: {thickness_mm: 30, count: 2}
"""


@pytest.fixture
def file(tmp_path):
    """A study of a folder with one model: blocks of every label on BrainWeb's own grid."""
    labels = np.zeros(brainweb_subject0.SHAPE_ZYX, dtype=np.uint8)
    labels[20:160, 20:200, 20:160] = (np.arange(140) // 14).astype(np.uint8)
    folder = tmp_path / "models"
    folder.mkdir()
    write_minc(folder / "phantom_1.0mm_normal_crisp.mnc.gz", labels, step=1.0)
    path = tmp_path / "zero.yaml"
    path.write_text(f"{STUDY}  path: {folder}\nout: {tmp_path / 'runs'}\n")
    return path


@pytest.fixture
def lesions(file):
    """The moderate MS model beside the normal one."""
    labels = np.full(brainweb_subject0.SHAPE_ZYX, 10, dtype=np.uint8)
    labels[:90] = 3
    path = file.parent / "models" / "phantom_1.0mm_msles2_crisp.mnc.gz"
    write_minc(path, labels, step=1.0)
    return path


def command(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def test_every_model_that_is_there_is_one_group(file, lesions):
    split = split_of(load_study(file).data)
    assert (split.train, split.validation, split.test) == (("msles2", "normal"), (), ())
    only = load_study(file, ["data.subjects.train=[msles2]"]).data
    assert split_of(only).everyone == ["msles2"]
    lesions.unlink()
    assert split_of(load_study(file).data).everyone == ["normal"]
    with pytest.raises(SpinforgeError, match=r"subjects.train: msles2 not found; there are normal"):
        split_of(only)


def test_one_model_is_enough_to_generate_and_the_resolved_study_runs_again(prefect_server, file):
    made = command("generate", file, "--json")
    assert made.exit_code == 0, made.output
    folder = RunFolder.of(load_study(file))
    assert folder.store.complete_subjects() == ["normal"]
    assert folder.store.subject_attributes("normal")["phantom"]["source"] == "brainweb0"
    again = load_study(folder.study_file)
    assert again.data.subjects.train == ("normal",)
    assert not again.data.subjects.is_split
    digest = json.loads(made.stdout)["dataset_digest"]
    repeated = command("generate", folder.study_file, "--json")
    assert json.loads(repeated.stdout)["dataset_digest"] == digest
    for use in (study_flow, train_flow):
        with pytest.raises(SpinforgeError, match="the same head"):
            use(again)
    for words in (["evaluate", file], ["report", file]):
        result = command(*words)
        assert result.exit_code == 2, result.output
        assert "Traceback" not in result.output


def test_study_and_train_are_refused_before_any_work(prefect_server, file):
    for words in (["study", file], ["train", file]):
        result = command(*words)
        assert result.exit_code == 2
        text = " ".join(result.output.split())
        assert "subject 0 and its MS models are the same head" in text
        assert "train and test on brainweb20 or procedural" in text
    assert not RunFolder.of(load_study(file)).path.exists()
    with pytest.raises(SpinforgeError, match="the same head"):
        check_split(load_study(file).data)


@pytest.mark.parametrize("group", ["validation", "test"])
def test_a_split_by_models_is_refused_by_name(file, lesions, group):
    with pytest.raises(SpinforgeError, match=r"same head four times.*under train only"):
        load_study(file, [f"data.subjects.{group}=[msles2]"])


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.download=true", "download brainweb0 --to FOLDER"),
        ("data.scanner.supersample=2", "subject 0 has 1 mm voxels"),
        ("data.spacing_mm=2", "spacing_mm is for procedural heads"),
        ("data.path=null", "phantom brainweb0 needs `path`"),
    ],
)
def test_what_subject_0_does_not_have_is_refused(file, override, message):
    with pytest.raises(SpinforgeError, match=message):
        load_study(file, [override])


def test_other_phantoms_are_split(file):
    with pytest.raises(SpinforgeError, match="validation and test need at least one subject each"):
        load_study(
            file,
            [
                "data.phantom=procedural",
                "data.path=null",
                "data.subjects={train: 3, validation: 0, test: 0}",
            ],
        )


def test_info_shows_one_group(file):
    answer = json.loads(command("info", file, "--json").stdout)
    assert answer["subjects"] == {"train": ["normal"], "validation": [], "test": []}
