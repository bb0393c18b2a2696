import json
from pathlib import Path

import numpy as np
import pytest
from minc import write_minc
from PIL import Image
from typer.testing import CliRunner

from spinforge.datasets.brainweb import subject0 as brainweb_subject0
from spinforge.datasets.products.catalogue import kspace_product
from spinforge.datasets.products.isic import ISICLike
from spinforge.datasets.products.making import make_subject, split_of
from spinforge.flows import inspect_study, inspect_training
from spinforge.flows.cli import app
from spinforge.flows.config import load_study
from spinforge.flows.run_folder import RunFolder
from spinforge.simulation.errors import SpinforgeError

TINY = """
name: tiny
data:
  spacing_mm: 4
  slices: {thickness_mm: 12, count: 14}
  sampling: {acs_lines: 4}
  subjects: {train: 1, validation: 1, test: 1}
"""


def run(folder: Path, *options: str):
    study = folder / "tiny.yaml"
    study.write_text(TINY)
    return CliRunner().invoke(
        app, ["inspect", str(study), "--to", str(folder / "pictures"), "--json", *options]
    )


def test_pictures_of_one_subject_are_drawn(tmp_path):
    result = run(tmp_path)
    assert result.exit_code == 0, result.output
    paths = [Path(p) for p in json.loads(result.stdout)["pictures"]]
    assert [p.name for p in paths] == [
        f"head-000-{what}.png" for what in ("tissues", "acquisition", "fields", "contrasts")
    ]
    for path in paths:
        with Image.open(path) as picture:
            assert min(picture.size) > 200
    assert {p.name for p in (tmp_path / "pictures").iterdir()} == {p.name for p in paths}


def made(folder: Path, options: list[str]):
    """The set of the study, without Prefect."""
    (folder / "tiny.yaml").write_text(TINY)
    study = load_study(folder / "tiny.yaml", [f"out={folder}", *options])
    store = RunFolder.of(study).store
    store.create(study.data.recipe())
    for subject in split_of(study.data).everyone:
        make_subject(study.data, subject, store)
    return study


@pytest.mark.slow
def test_slices_of_several_epochs_are_drawn_for_either_kind_of_network(tmp_path, monkeypatch):
    monkeypatch.setattr(inspect_training, "_EPOCHS", 2)
    networks = "networks=[{kind: unet, width: 2}, {kind: crdn}, {kind: zero_filling, width: 2}]"
    options = [networks, "training.augmentation={flip_vertical: 0.5, noise_percent: 5}"]
    made(tmp_path, options)
    sets = [part for option in (*options, f"out={tmp_path}") for part in ("--set", option)]
    result = run(tmp_path, "--training", *sets)
    assert result.exit_code == 0, result.output
    paths = [Path(p) for p in json.loads(result.stdout)["pictures"]]
    assert [p.name for p in paths] == ["training-images.png", "training-kspace.png"]
    for path in paths:
        with Image.open(path) as picture:
            values = np.asarray(picture.convert("RGB"))
            assert min(picture.size) > 200
        # Black air, white page, grey heads and coloured outlines.
        assert len(np.unique(values.reshape(-1, 3), axis=0)) > 200


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--subject", "head-000"], "--subject does not go with --training"),
        (["--set", "training.fresh=noise", "--set", "data.noise.percent=0"], "none to draw anew"),
        ([], "generate"),
    ],
)
def test_training_slices_that_cannot_be_shown_are_told(tmp_path, options, message):
    result = run(tmp_path, "--training", "--set", f"out={tmp_path}", *options)
    assert result.exit_code == 2
    assert message in result.output
    assert not (tmp_path / "pictures").exists()


def test_a_subject_that_is_not_there_is_named(tmp_path):
    result = run(tmp_path, "--subject", "head-9")
    assert result.exit_code == 2
    assert "'head-9' is not in the study; it has head-000, head-001, head-002" in result.output
    assert not (tmp_path / "pictures").exists()


def test_a_file_in_the_way_of_the_pictures_is_named(tmp_path):
    (tmp_path / "pictures").write_text("a file")
    result = run(tmp_path)
    assert result.exit_code == 2
    assert "pictures is a file" in result.output
    assert "Choose another one with --to" in result.output


@pytest.fixture
def subject0(tmp_path):
    """A study of subject 0: white matter in the left half of the head, and no image of it."""
    labels = np.zeros(brainweb_subject0.SHAPE_ZYX, dtype=np.uint8)
    labels[:, 40:180, 20:90] = 3
    folder = tmp_path / "models"
    folder.mkdir()
    write_minc(folder / "phantom_1.0mm_normal_crisp.mnc.gz", labels, step=1.0)
    study = tmp_path / "zero.yaml"
    study.write_text(
        f"data: {{phantom: brainweb0, path: {folder}, slices: {{thickness_mm: 30, count: 2}}}}"
    )
    return study


@pytest.mark.parametrize("has_image", [True, False])
def test_subject_0_is_drawn_beside_brainwebs_own_image(subject0, monkeypatch, has_image):
    """The same slice: the second of 30 mm has its centre at 44.5 mm, where plane 9 of 5 mm is."""
    if has_image:
        image = np.zeros((36, 217, 181), dtype=np.uint8)
        image[:, 40:180, 20:90] = 100
        image += np.arange(36, dtype=np.uint8)[:, None, None]
        path = subject0.parent / "models" / "t1_icbm_normal_5mm_pn0_rf0.rawb"
        path.write_bytes(image.tobytes())
    drawn = []
    figure = inspect_study.contrast_figure

    def remembering(images, beside):
        drawn.extend([images, beside])
        return figure(images, beside)

    monkeypatch.setattr(inspect_study, "contrast_figure", remembering)
    to = str(subject0.parent / "pictures")
    result = CliRunner().invoke(app, ["inspect", str(subject0), "--to", to])
    assert result.exit_code == 0, result.output
    ours, beside = drawn
    if not has_image:
        assert beside == []
        return
    (title, theirs), t2, pd = beside
    assert title == "BrainWeb's T1, 5 mm\nnoise 0 %, INU 0 %"
    assert t2 is pd is None
    assert theirs.shape == ours[0][1].shape == (180, 216)
    assert theirs.unique().tolist() == [9, 109]
    # The same half of the same grid.
    assert ((theirs == 109) == (ours[0][1] > 0.01)).all()


def test_sets_of_images_are_pointed_to_the_pictures_of_training():
    with pytest.raises(SpinforgeError, match=r"k-space sets only .*spinforge inspect --training"):
        kspace_product(ISICLike(product="isic_like"))
