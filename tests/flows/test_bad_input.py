"""Every bad input ends with one message and exit code 2, before any work starts."""

import json
import os
from collections import namedtuple
from pathlib import Path

import pytest
from minc import write_minc
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from prefect.settings import PREFECT_API_URL, temporary_settings
from typer.testing import CliRunner

from spinforge.datasets.storage.store import DatasetStore
from spinforge.flows import describe, preflight
from spinforge.flows.cli import app
from spinforge.flows.run_folder import RunFolder
from spinforge.flows.tracking import Tracker
from spinforge.simulation.errors import SpinforgeError

runner = CliRunner()


@pytest.fixture
def run(tiny_file, tmp_path):
    """Start `spinforge study` on the tiny study; it must stop before Prefect starts."""

    def start(*overrides: str, expect: int = 2) -> str:
        arguments = ["study", str(tiny_file), "--set", f"out={tmp_path / 'runs'}"]
        for override in overrides:
            arguments += ["--set", override]
        result = runner.invoke(app, arguments)
        assert result.exit_code == expect, result.output
        assert not (tmp_path / "runs").exists()
        assert "Traceback" not in result.output
        return " ".join(result.output.split())

    return start


def test_unknown_key(run):
    text = run("training.epoch=3")
    assert "training.epoch: unknown key. Did you mean `epochs`?" in text


def test_value_out_of_range(run):
    assert "data.noise.percent = 300" in run("data.noise.percent=300")


def test_missing_study_file(tmp_path):
    result = runner.invoke(app, ["study", str(tmp_path / "nothing.yaml")])
    assert result.exit_code == 2
    assert "nothing.yaml does not exist" in result.output


def test_missing_folder_of_models(run, tmp_path):
    text = run("data.phantom=brainweb20", "data.spacing_mm=1", f"data.path={tmp_path / 'none'}")
    assert "is not a folder" in text
    assert "spinforge download brainweb20" in text


@pytest.fixture
def models(tmp_path):
    """A folder with four small files in place of BrainWeb's."""
    import numpy as np

    folder = tmp_path / "models"
    folder.mkdir()
    for name in ("subject04", "subject05", "subject06", "subject18"):
        write_minc(folder / f"{name}_crisp_v.mnc.gz", np.ones((3, 4, 5), dtype=np.uint8))
    return folder


BRAINWEB = ("data.phantom=brainweb20", "data.spacing_mm=1")


def test_missing_model(run, models):
    (models / "subject06_crisp_v.mnc.gz").unlink()
    text = run(*BRAINWEB, f"data.path={models}")
    assert "asks for 4 subjects, but there are only 3: subject04, subject05, subject18" in text


def test_truncated_model(run, models):
    path = models / "subject04_crisp_v.mnc.gz"
    path.write_bytes(path.read_bytes()[:-20])
    text = run(*BRAINWEB, f"data.path={models}")
    assert "subject04_crisp_v.mnc.gz is truncated or damaged" in text


def test_model_of_wrong_shape(run, models):
    text = run(*BRAINWEB, f"data.path={models}")
    assert "has shape (3, 4, 5) (z, y, x), expected (362, 434, 362)" in text


def test_downloading_defers_only_the_missing_files(run, models):
    download = (*BRAINWEB, f"data.path={models}", "data.download=true")
    assert "The most is 60" in run(*download, "data.slices.count=61", "data.slices.thickness_mm=3")
    (models / "subject04_crisp_v.mnc.gz").write_bytes(b"<html>")
    assert "subject04_crisp_v.mnc.gz is a web page" in run(*download)


def test_another_configuration_is_refused_before_downloading(tiny_file, tmp_path, monkeypatch):
    monkeypatch.delattr("spinforge.flows.generate.download_missing")
    DatasetStore(tmp_path / "tiny" / "dataset.zarr").create({"seed": 1})
    overrides = [f"out={tmp_path}", *BRAINWEB, f"data.path={tmp_path}", "data.download=true"]
    overrides += ["data.slices={}", "data.sampling={}"]
    arguments = [word for override in overrides for word in ("--set", override)]
    result = runner.invoke(app, ["generate", str(tiny_file), *arguments])
    assert result.exit_code == 2
    assert "was made with another configuration" in result.output


def test_dataset_made_with_another_configuration(finished, tiny_file):
    study, _ = finished
    arguments = ["generate", str(tiny_file), "--set", f"out={study.out}"]
    result = runner.invoke(app, [*arguments, "--set", "data.noise.percent=20"])
    text = " ".join(result.output.split())
    assert result.exit_code == 2
    assert f"its hash: {study.data.config_hash}" in text
    assert "this study: " in text
    assert "noise.percent 10.0 -> 20.0" in text
    assert "--overwrite" in text


def test_full_disk(run, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(preflight.shutil, "disk_usage", lambda path: usage(10**9, 10**9, 10**5))
    text = run()
    assert "the disk is full" in text
    assert "--set out=..." in text


def test_disk_estimate_covers_what_is_written_and_leaves_out_what_is_there(finished):
    study, _ = finished
    folder = RunFolder.of(study)
    written = [
        path.stat().st_size
        for place in (folder.store.path, folder.networks, study.out / "mlartifacts")
        for path in place.rglob("*")
        if path.is_file()
    ]
    everyone = folder.store.complete_subjects()
    assert sum(written) < preflight.disk_needed(study, everyone)
    assert preflight.disk_needed(study, []) == 0
    retrained = study.model_copy(update={"seed": 99})
    largest = max(path.stat().st_size for path in folder.networks.rglob("network.pt"))
    # Four times the weights for the second checkpoint, and six times all that stay.
    assert preflight.disk_needed(retrained, []) == pytest.approx(10 * largest, rel=0.1)


def test_no_write_permission(tiny, tmp_path):
    tmp_path.chmod(0o555)
    user = os.geteuid()
    if user == 0:  # root may write everywhere: act as a user who may not
        os.seteuid(65534)
    try:
        with pytest.raises(SpinforgeError, match=r"no permission to write .*tiny") as error:
            preflight.check_study(tiny)
    finally:
        os.seteuid(user)
        tmp_path.chmod(0o755)
    assert "--set out=..." in str(error.value)


def test_out_folder_is_a_file(run, tmp_path):
    (tmp_path / "file").write_text("")
    assert "is a file" in run(f"out={tmp_path / 'file'}")


def test_echo_after_the_repetition(run):
    assert "the echo must fit in the repetition" in run("data.scan.tr_ms=50")


def test_gpu_that_is_not_there(run, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert "gpu" in run("training.device=gpu")


def test_slices_that_do_not_fit(run):
    assert "The most is 15" in run("data.slices.count=16")


def test_unreachable_tracking_server(finished, tiny_file, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    study, _ = finished
    arguments = ["train", str(tiny_file), "--set", f"out={study.out}", "--set", "training.epochs=1"]
    result = runner.invoke(app, [*arguments, "--set", "tracking.uri=http://127.0.0.1:9"])
    assert result.exit_code == 2
    assert "tracking.uri: MLflow at http://127.0.0.1:9 cannot be used" in result.output


@pytest.mark.parametrize(
    "error", ["database or disk is full", "attempt to write a readonly database"]
)
def test_an_mlflow_record_that_cannot_be_written(tiny, monkeypatch, error):
    """One clear error, not SQLAlchemy's."""

    def fails(*_, **__):
        raise MlflowException(f"(sqlite3.OperationalError) {error}\n[SQL: UPDATE runs SET ...]")

    tracker = Tracker(tiny)
    monkeypatch.setattr(MlflowClient, "create_run", fails)
    with pytest.raises(SpinforgeError, match="record sqlite:") as caught, tracker.study_run():
        pass
    assert f"cannot be written: {error}. Free some space or change its rights" in str(caught.value)
    assert "SQL:" not in str(caught.value)


def test_a_record_without_write_permission_is_found_first(tiny, monkeypatch):
    tiny.out.mkdir(parents=True, exist_ok=True)
    record = tiny.out / "mlflow.db"
    record.touch()
    allowed = os.access
    monkeypatch.setattr(
        "os.access", lambda path, *a, **k: path != record and allowed(path, *a, **k)
    )
    with pytest.raises(SpinforgeError, match=r"no permission to write .*mlflow\.db, where MLflow"):
        preflight.check_study(tiny)


def test_a_folder_that_may_not_be_read(tmp_path, monkeypatch):
    def denied(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "iterdir", denied)
    study = tmp_path / "study.yaml"
    study.write_text(f"data: {{phantom: brainweb20, path: {tmp_path}}}")
    result = runner.invoke(app, ["generate", str(study), "--set", f"out={tmp_path / 'runs'}"])
    assert result.exit_code == 2
    assert f"no permission for {tmp_path}. Change its rights" in " ".join(result.output.split())


def test_train_without_a_dataset_says_what_to_run(prefect_server, tiny_file, tmp_path):
    result = runner.invoke(app, ["train", str(tiny_file), "--set", f"out={tmp_path}"])
    assert result.exit_code == 2
    assert "Make one with: spinforge generate" in " ".join(result.output.split())


def test_info_answers_scripts(finished, tiny_file):
    study, answer = finished
    result = runner.invoke(app, ["info", answer["dataset"], "--json"])
    content = json.loads(result.stdout)
    assert content["digest"] == answer["dataset_digest"]
    assert content["slices"] == 48
    plan = runner.invoke(
        app, ["info", str(tiny_file), "--set", f"out={study.out}", "--json"]
    )  # fmt: skip
    assert json.loads(plan.stdout)["simulated"] == "4 of 4"
    assert json.loads(plan.stdout)["parameters"]["crdn"] == 1_230_560
    machine = json.loads(runner.invoke(app, ["info", "--json"]).stdout)
    assert machine["packages"]["zarr"]


def test_help_of_every_command_shows_its_options():
    for command in ("study", "generate", "train", "evaluate", "report", "download", "info"):
        result = runner.invoke(app, [command, "--help"])
        assert result.exit_code == 0
        assert "--json" in result.output


def test_machine_names_the_server_of_a_prefect_profile(monkeypatch):
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:4200/api"}):
        assert describe.machine()["prefect"] == "http://127.0.0.1:4200/api"
    with temporary_settings(restore_defaults={PREFECT_API_URL}):
        assert describe.machine()["prefect"] == "temporary server"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")  # which no flow reads
    assert "tracking.uri" in describe.machine()["mlflow"]


def test_report_needs_no_folder_to_say_that_there_is_none(prefect_server, tiny_file, tmp_path):
    result = runner.invoke(app, ["report", str(tiny_file), "--set", f"out={tmp_path / 'typo'}"])
    assert result.exit_code == 2
    assert "is not a Spinforge dataset" in " ".join(result.output.split())
    assert not (tmp_path / "typo").exists()


def test_report_is_written_again_by_its_own_command(copy, tiny_file, monkeypatch):
    """Without the device of the training, too."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    page = copy.out / copy.name / "report.html"
    page.unlink()
    arguments = ["report", str(tiny_file), "--set", f"out={copy.out}", "--json"]
    result = runner.invoke(app, [*arguments, "--set", "training.device=gpu"])
    assert json.loads(result.stdout) == {"report": str(page)}
    assert page.is_file()
