"""The commands and the Python of docs/offline.md and of docs/export.md's parts about commands."""

import re
import shlex
from pathlib import Path

import mlflow
import numpy as np
import pytest
from typer.testing import CliRunner

from spinforge.flows.cli import app
from spinforge.flows.offline.run import write_results
from spinforge.flows.run_folder import RunFolder
from spinforge.flows.slices import study_slices

DOCS = Path(__file__).parents[3] / "docs"


def commands(page):
    """Every line of a page that calls spinforge."""
    text = (DOCS / page).read_text(encoding="utf-8").replace("\\\n", " ")
    return [shlex.split(line)[1:] for line in re.findall(r"^spinforge .*$", text, re.MULTILINE)]


def run(command, study, folder):
    """A page's command on another study, whose results go elsewhere."""
    there = {"studies/quickstart.yaml": str(RunFolder.of(study).study_file)}
    words = [there.get(word, word) for word in command]
    for option in ("--to", "--from"):
        if option in words:
            place = words.index(option) + 1
            words[place] = str(folder / words[place])
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output


@pytest.mark.slow
def test_the_commands_of_the_page_about_machines_without_network(finished, tmp_path):
    study, answer = finished
    write_results(study, answer["dataset_digest"], tmp_path)
    called = commands("offline.md")
    assert [command[0] for command in called] == ["generate", "pack", "collect", "report"]
    for command in called:
        run(command, study, tmp_path)
    assert (tmp_path / "pack.tar").is_file()


@pytest.mark.slow
def test_the_commands_of_the_page_about_files_for_other_programs(finished, tmp_path):
    study, _ = finished
    called = [command for command in commands("export.md") if command[0] == "export-network"]
    assert len(called) == 2
    for command in called:
        run(command, study, tmp_path)
    names = {path.name for path in (tmp_path / "exported").iterdir()}
    assert names == {"unet.onnx", "crdn.onnx", "unet.pt2"}


def test_the_python_about_mlflow(finished):
    study, answer = finished
    text = (DOCS / "export.md").read_text(encoding="utf-8")
    (code,) = (
        block for block in re.findall(r"```python\n(.*?)```", text, re.S) if "mlflow" in block
    )
    code = code.replace("sqlite:///runs/mlflow.db", answer["mlflow"]).replace("quickstart", "tiny")
    image = study_slices(study, "test")[0]["image"][None].numpy()
    names = {"image": image}
    before = mlflow.get_tracking_uri()
    try:
        exec(compile(code, "docs/export.md", "exec"), names)
    finally:
        mlflow.set_tracking_uri(before)
    assert names["labels"].shape == image.shape[:1] + image.shape[-2:]
    assert names["labels"].dtype == np.uint8
