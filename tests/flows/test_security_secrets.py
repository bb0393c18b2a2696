"""Passwords are refused in studies, taken from the environment, and written nowhere."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from planted_server import free_port
from pydantic import ValidationError
from typer.testing import CliRunner

from spinforge.datasets.storage.addresses import holds_secret, redacted
from spinforge.flows.cli import app
from spinforge.flows.config import Study, Tracking, load_study
from spinforge.flows.tracking import Tracker
from spinforge.simulation.errors import SpinforgeError

SECRET = "hunter2-4f9a"


@pytest.mark.parametrize(
    "address",
    [
        f"https://me:{SECRET}@host/x",
        f"https://{SECRET}@host/x",
        f"http://me:a/{SECRET}@host",
        f"postgresql://me:{SECRET}@host/db",
        f"postgresql+psycopg2://me:{SECRET}@host/db",
        f"postgresql:///db?password={SECRET}",
        f"s3://KEY:{SECRET}@bucket/set.zarr",
        f"http://host/x?token={SECRET}",
        f"https://host/x?X-Amz-Signature={SECRET}",
        f"tcp://me:{SECRET}@127.0.0.1:8786",
    ],
)
def test_addresses_with_secrets(address):
    assert holds_secret(address)
    assert SECRET not in redacted(f"cannot open '{address}' and, {address}")


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1:5000",
        "http://[::1]:5000/x?y=1",
        "postgresql://me@host:5432/db",
        "sqlite:////home/me:x@y/mlflow.db",
        "s3://bucket/set.zarr",
        "tcp://10.0.0.1:8786",
        "/data/a:b@c/set.zarr",
        "http://host:80/a@b",
    ],
)
def test_addresses_without(address):
    assert not holds_secret(address)


def test_text_without_secrets_stays_as_it_is():
    text = "s3://bucket/a.zarr at http://host:80/x?y=1, me@host, sqlite:////a/b@c.db"
    assert redacted(text) == text


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("tracking.uri", f"http://me:{SECRET}@host:5000"),
        ("tracking.uri", f"postgresql://me:{SECRET}@host/mlflow"),
        ("tracking.uri", f"http://host?token={SECRET}"),
        ("dataset", f"s3://KEY:{SECRET}@bucket/set.zarr"),
    ],
)
def test_a_study_with_a_password_is_refused_without_showing_it(key, value, tmp_path):
    """By the command line, in the file, and as a parameter of a deployment."""
    file = tmp_path / "s.yaml"
    file.write_text("name: s\n")
    result = CliRunner().invoke(
        app, ["study", str(file), "--set", f"{key}={value}", "--set", f"out={tmp_path}"]
    )
    assert result.exit_code == 2
    lines = [line for line in result.output.splitlines() if f"  {key}" in line]
    assert len(lines) == 1
    assert "give the rights in the environment" in lines[0]
    assert "AWS_ACCESS_KEY_ID" in lines[0]
    assert "MLFLOW_TRACKING_PASSWORD" in lines[0]
    assert SECRET not in result.output
    first, _, second = key.partition(".")
    content = {first: {second: value} if second else value}
    file.write_text(json.dumps({"name": "s"} | content))
    with pytest.raises(SpinforgeError) as raised:
        load_study(file)
    assert SECRET not in str(raised.value)
    with pytest.raises(ValidationError, match="holds a user, password or token") as refused:
        Study.model_validate({"name": "s"} | content)
    assert SECRET not in str(refused.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s.yaml"]


MARKERS = {
    "MLFLOW_TRACKING_PASSWORD": "marker-password-7c",
    "MLFLOW_TRACKING_TOKEN": "marker-token-2d",
    "AWS_ACCESS_KEY_ID": "marker-key-8e",
    "AWS_SECRET_ACCESS_KEY": "marker-secret-3f",
    "AWS_SESSION_TOKEN": "marker-session-9a",
    "PGPASSWORD": "marker-postgres-4b",
}


def holders(folder: Path) -> list[str]:
    """Files below a folder that hold one of the markers, and which."""
    return [
        f"{path}: {name}"
        for path in folder.rglob("*")
        if path.is_file()
        for name, marker in MARKERS.items()
        if marker.encode() in path.read_bytes()
    ]


@pytest.mark.slow
def test_a_whole_run_writes_no_secret_of_its_environment(tiny_file, tmp_path):
    """Not into studies, notes, logs, Prefect's or MLflow's databases, pages or standard output."""
    environment = {k: v for k, v in os.environ.items() if k != "PREFECT_API_URL"}
    command = [
        sys.executable,
        "-c",
        "from spinforge.flows.cli import main; main()",
        "study",
        str(tiny_file),
        "--set",
        f"out={tmp_path / 'runs'}",
    ]
    done = subprocess.run(
        command,
        env=environment
        | MARKERS
        | {"PREFECT_HOME": str(tmp_path / "prefect"), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "runs" / "mlflow.db").is_file()
    assert list((tmp_path / "prefect").glob("*.db"))
    assert holders(tmp_path) == []
    said = done.stdout + done.stderr
    assert [name for name, marker in MARKERS.items() if marker in said] == []
    (tmp_path / "planted").write_text(MARKERS["PGPASSWORD"])
    assert len(holders(tmp_path)) == 1  # the search finds what is there


def test_a_server_that_does_not_answer_is_named_without_the_password(
    tiny, tmp_path, monkeypatch, caplog, capfd
):
    for name, marker in (MARKERS | {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}).items():
        monkeypatch.setenv(name, marker)
    address = f"http://127.0.0.1:{free_port()}"
    study = tiny.model_copy(update={"tracking": Tracking(uri=address)})
    with pytest.raises(SpinforgeError, match=f"MLflow at {address} cannot be used") as raised:
        Tracker(study)
    said = f"{raised.value} {caplog.text} {capfd.readouterr()}"
    assert [name for name, marker in MARKERS.items() if marker in said] == []
    assert holders(tmp_path) == []
