"""Same content whatever the workers, the order, or what killed the run before."""

import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest

from spinforge.datasets.storage.store import DatasetStore
from spinforge.flows.generate import generate
from spinforge.flows.run_folder import RunFolder
from spinforge.simulation.errors import SpinforgeError


def wait_for(condition, seconds=120.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


def complete(folder: Path) -> list[str]:
    return DatasetStore(folder / "tiny" / "dataset.zarr").complete_subjects()


def leftovers(folder: Path) -> list[str]:
    return [p.name for p in (folder / "tiny" / "dataset.zarr" / "kspace").glob(".*")]


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_do_not_change_the_content(finished, tiny, workers):
    _, answer = finished
    assert generate(tiny.model_copy(update={"workers": workers})) == answer["dataset_digest"]


def test_a_whole_set_starts_no_process(copy, finished, monkeypatch):
    def refuse(*_, **__):
        pytest.fail("everything is there")

    monkeypatch.setattr(sys.modules["spinforge.flows.generate"], "started_cluster", refuse)
    assert generate(copy) == finished[1]["dataset_digest"]


def test_killed_and_resumed_gives_the_same_content(finished, spinforge, tiny_file, tmp_path):
    _, answer = finished
    run = spinforge("generate", str(tiny_file), "--set", f"out={tmp_path}", "--set", "workers=1")
    wait_for(lambda: len(complete(tmp_path)) >= 1)
    os.killpg(run.pid, signal.SIGKILL)
    run.communicate()
    kept = complete(tmp_path)
    assert 1 <= len(kept) < 4
    store = DatasetStore(tmp_path / "tiny" / "dataset.zarr")
    created = store.subject_attributes(kept[0])["created"]

    again = spinforge("generate", str(tiny_file), "--set", f"out={tmp_path}", "--json")
    out, err = again.communicate(timeout=180)
    assert again.returncode == 0, err
    assert json.loads(out)["dataset_digest"] == answer["dataset_digest"]
    assert store.subject_attributes(kept[0])["created"] == created
    assert leftovers(tmp_path) == []


def test_ctrl_c_stops_at_once_keeps_what_is_whole_and_goes_on(
    finished, spinforge, tiny_file, tmp_path
):
    _, answer = finished
    run = spinforge("generate", str(tiny_file), "--set", f"out={tmp_path}", "--set", "workers=1")
    wait_for(lambda: len(complete(tmp_path)) >= 1)
    os.killpg(run.pid, signal.SIGINT)
    _, err = run.communicate(timeout=240)
    assert run.returncode == 130, err
    assert "run the same command again to go on" in err
    assert "Traceback" not in err
    assert len(complete(tmp_path)) < 4

    again = spinforge("generate", str(tiny_file), "--set", f"out={tmp_path}", "--json")
    out, err = again.communicate(timeout=180)
    assert json.loads(out)["dataset_digest"] == answer["dataset_digest"]
    assert leftovers(tmp_path) == []


def test_workers_end_when_the_run_is_killed(spinforge, tiny_file, tmp_path):
    run = spinforge("generate", str(tiny_file), "--set", f"out={tmp_path}", "--set", "workers=1")
    wait_for(lambda: len(complete(tmp_path)) >= 1)
    group = run.pid
    os.kill(group, signal.SIGKILL)  # the parent only, not its workers
    run.communicate()

    def all_gone() -> bool:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        return False

    wait_for(all_gone, seconds=30)


def test_another_configuration_is_refused_and_overwrite_replaces_it(tiny):
    generate(tiny)
    noisier = tiny.model_copy(
        update={
            "data": tiny.data.model_copy(update={"noise": tiny.data.noise.__class__(percent=20)})
        }
    )
    with pytest.raises(SpinforgeError) as error:
        generate(noisier)
    for text in (tiny.data.config_hash, noisier.data.config_hash, "--overwrite"):
        assert text in str(error.value)
    before = RunFolder.of(tiny).store.subject_attributes("head-000")["content_sha256"]
    generate(noisier, overwrite=True)
    after = RunFolder.of(tiny).store.subject_attributes("head-000")["content_sha256"]
    assert before != after


@pytest.mark.slow
def test_ctrl_c_in_training_goes_on_to_the_same_weights(finished, spinforge, tiny_file, tmp_path):
    straight, _ = finished
    stopped = RunFolder.of(straight.model_copy(update={"out": tmp_path}))
    shutil.copytree(RunFolder.of(straight).store.path, stopped.store.path)

    def train():
        return spinforge("train", str(tiny_file), "--set", f"out={tmp_path}")

    def networks(folder: RunFolder) -> dict[str, bytes]:
        return {p.parent.name: p.read_bytes() for p in folder.networks.glob("*/network.pt")}

    run = train()
    wait_for(lambda: any(stopped.networks.glob("*/last.ckpt")))
    os.killpg(run.pid, signal.SIGINT)
    _, err = run.communicate(timeout=240)
    assert run.returncode == 130, err
    assert "run the same command again to go on" in err
    assert "Traceback" not in err
    assert len(networks(stopped)) < 2

    run = train()
    _, err = run.communicate(timeout=280)
    assert run.returncode == 0, err
    assert networks(stopped) == networks(RunFolder.of(straight))
