"""Fixtures of the flows: one Prefect server for all, one tiny finished study."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from prefect.settings import PREFECT_API_URL
from prefect.testing.utilities import prefect_test_harness

from spinforge.flows.config import Study, load_study
from spinforge.flows.run_folder import RunFolder
from spinforge.flows.study import study as study_flow

TINY = """
name: tiny
data:
  phantom: procedural
  spacing_mm: 4
  subjects: {train: 2, validation: 1, test: 1}
  slices: {thickness_mm: 12, count: 12}
  sampling: {acs_lines: 4}
networks:
  - {kind: unet, width: 4}
  - {kind: crdn}
training: {epochs: 2, batch_size: 6}
"""


@pytest.fixture(scope="session")
def prefect_server():
    """A temporary Prefect server; its address, for other processes too."""
    with prefect_test_harness(server_startup_timeout=120):
        yield PREFECT_API_URL.value()


@pytest.fixture(scope="session")
def tiny_file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("studies") / "tiny.yaml"
    path.write_text(TINY)
    return path


@pytest.fixture
def tiny(tiny_file, tmp_path) -> Study:
    """The tiny study in a fresh folder."""
    return load_study(tiny_file, [f"out={tmp_path}"])


@pytest.fixture(scope="session")
def finished(prefect_server, tiny_file, tmp_path_factory) -> tuple[Study, dict]:
    """The tiny study, run from phantom to report, and the flow's answer."""
    study = load_study(tiny_file, [f"out={tmp_path_factory.mktemp('runs')}"])
    return study, study_flow(study)


@pytest.fixture
def copy(finished, tmp_path):
    """The finished study in a folder of its own, to be changed."""
    study, _ = finished
    shutil.copytree(RunFolder.of(study).path, tmp_path / study.name)
    return study.model_copy(update={"out": tmp_path})


@pytest.fixture
def untrained(finished, tmp_path):
    """The finished study's set in a run's folder where nothing is trained."""
    study, _ = finished
    shutil.copytree(RunFolder.of(study).store.path, tmp_path / study.name / "dataset.zarr")
    return study.model_copy(update={"out": tmp_path})


@pytest.fixture
def spinforge(prefect_server):
    """Start the command in another process."""

    def start(*arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-c", "from spinforge.flows.cli import main; main()", *arguments],
            env=os.environ | {"PREFECT_API_URL": prefect_server},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    return start
