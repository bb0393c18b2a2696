"""`spinforge verify`: what it answers, its exit code, and sets that were killed in the making."""

import json
import os
import random
import shutil
import signal
import time
from pathlib import Path

import fsspec
import pytest
from s3_server import environment, s3_server
from small_sets import small_set
from typer.testing import CliRunner

from spinforge.datasets.storage.store import DatasetStore
from spinforge.datasets.storage.verify import verify_store
from spinforge.flows.cli import app
from spinforge.flows.generate import generate
from spinforge.flows.run_folder import RunFolder
from spinforge.flows.verify import verify


@pytest.fixture
def path(tmp_path) -> Path:
    return Path(small_set(tmp_path / "set.zarr").path)


@pytest.fixture
def command(prefect_server):
    def run(*arguments: str):
        return CliRunner().invoke(app, ["verify", *map(str, arguments)])

    return run


def test_a_whole_set_answers_none_and_0(command, path):
    result = command(path)
    assert (result.exit_code, result.stdout.split()) == (
        0,
        ["dataset:", str(path), "problems:", "none"],
    )
    result = command(path, "--json")
    assert (result.exit_code, json.loads(result.stdout)["problems"]) == (0, [])


def test_problems_are_one_line_each_and_exit_code_1(command, path):
    (path / "kspace/a/te/c/0").unlink()
    shutil.rmtree(path / "kspace/b")
    result = command(path)
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert [line.partition(":")[0] for line in lines] == [
        str(path / "kspace/a/te/c/0"),
        str(path / "kspace/b"),
        str(path / "manifest.json"),  # the size of a
    ]
    assert all("spinforge generate" in line for line in lines)
    result = command(path, "--json")
    assert (result.exit_code, json.loads(result.stdout)["problems"]) == (1, lines)


@pytest.mark.parametrize("place", ["nothing.zarr", "nonsense://a/b", "s3://key:secret@b/c.zarr"])
def test_what_is_no_set_ends_with_exit_code_2(command, tmp_path, monkeypatch, place):
    monkeypatch.chdir(tmp_path)
    result = command(place)
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert "secret" not in result.output


def test_the_flow_finds_what_the_function_finds(prefect_server, path):
    (path / "kspace/a/te/c/0").write_bytes(b"")
    (path / "corrupt/noise/3/a/zarr.json").write_text("{}")
    found = verify(path)
    assert found == sorted(verify_store(path), key=lambda problem: problem.where)
    assert found


def test_a_generated_set_verifies(finished):
    study, _ = finished
    assert verify(RunFolder.of(study).store.path) == []


@pytest.mark.slow
def test_four_workers_make_the_same_content(finished, tiny):
    _, answer = finished
    assert generate(tiny.model_copy(update={"workers": 4})) == answer["dataset_digest"]


@pytest.mark.slow
def test_a_second_run_is_refused_and_harms_nothing(finished, copy, spinforge, tiny_file):
    _, answer = finished
    options = ["generate", str(tiny_file), "--set", f"out={copy.out}", "--json"]
    with RunFolder.of(copy).opened(copy):
        second = spinforge(*options)
        out, err = second.communicate(timeout=180)
    assert (second.returncode, out) == (2, "")
    assert "another run works in" in err
    free = spinforge(*options)
    out, err = free.communicate(timeout=180)
    assert free.returncode == 0, err
    assert json.loads(out)["dataset_digest"] == answer["dataset_digest"]
    assert verify_store(RunFolder.of(copy).store.path) == []


@pytest.mark.slow
def test_three_kills_of_the_command_lose_nothing(finished, spinforge, tiny_file, tmp_path):
    _, answer = finished
    store = DatasetStore(tmp_path / "tiny" / "dataset.zarr")
    options = ["generate", str(tiny_file), "--set", f"out={tmp_path}", "--set", "workers=2"]
    draw = random.Random(0)

    def state() -> dict[str, tuple[int, int]]:
        paths = {s: store.subject_path(s) / "zarr.json" for s in store.complete_subjects()}
        return {s: (p.stat().st_ino, p.stat().st_mtime_ns) for s, p in paths.items()}

    def partial() -> set[Path]:
        """Subjects being written, and those that earlier kills left behind."""
        return set(store.path.glob("kspace/.*.tmp-*"))

    killed = 0
    for _ in range(3):
        before, left = state(), partial()
        run = spinforge(*options)
        deadline = time.monotonic() + 120
        while run.poll() is None and partial() <= left:
            assert time.monotonic() < deadline
            time.sleep(0.001)
        time.sleep(draw.uniform(0, 0.1))
        if run.poll() is None:  # a fast machine may have ended the small set by now
            os.killpg(run.pid, signal.SIGKILL)
            killed += 1
        run.communicate()
        after = state()
        assert {name: after[name] for name in before} == before
        assert run.returncode in (0, -signal.SIGKILL)
    assert killed
    before = state()
    run = spinforge(*options, "--json")
    out, err = run.communicate(timeout=180)
    assert run.returncode == 0, err
    assert json.loads(out)["dataset_digest"] == answer["dataset_digest"]
    after = state()
    assert {name: after[name] for name in before} == before
    assert verify_store(store.path) == []


@pytest.mark.slow
def test_a_study_may_keep_its_set_in_an_object_store(finished, tiny, monkeypatch):
    pytest.importorskip("s3fs")
    pytest.importorskip("moto")
    _, answer = finished
    with s3_server("bucket") as endpoint:
        for name, value in environment(endpoint).items():
            monkeypatch.setenv(name, value)
        study = tiny.model_copy(update={"dataset": "s3://bucket/tiny.zarr", "workers": 2})
        assert generate(study) == answer["dataset_digest"]
        assert verify("s3://bucket/tiny.zarr") == []
        assert generate(study) == answer["dataset_digest"]  # nothing is left to do
        fsspec.get_filesystem_class("s3").clear_instance_cache()
