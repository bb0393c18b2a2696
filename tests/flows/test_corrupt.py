"""The corrupt flow and command: complete, resumable, refused before any work."""

import csv
import json
import os
import signal
import sys
import time

import pytest

from spinforge.datasets.corruption.sets import sets_in
from spinforge.datasets.corruption.settings import Corruptions
from spinforge.datasets.storage.verify import verify_store
from spinforge.flows.config import load_study
from spinforge.flows.corrupt import check_corruptions, corrupt
from spinforge.flows.run_folder import RunFolder
from spinforge.simulation.errors import SpinforgeError

corrupt_module = sys.modules["spinforge.flows.corrupt"]  # not the flow of the same name
SETS = {"sets": ["motion", {"name": "n", "chain": ["noise_gauss"], "percent": [0, 5]}]}


def with_sets(study, content=None, **changes):
    corruptions = Corruptions.model_validate(SETS if content is None else content)
    return study.model_copy(update={"corruptions": corruptions} | changes)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_run_goes_on_to_the_same_content(copy, workers):
    """A subject that is missing or half written is made again, the others are left alone."""
    study = with_sets(copy, workers=workers)
    answer = corrupt(study)
    store = RunFolder.of(study).store
    assert answer["corrupted_sets"] == 7
    assert sets_in(store) == {"motion": ["1", "2", "3", "4", "5"], "n": ["0", "5"]}

    (subject,) = answer["subjects"]
    half = store.within("corrupt/motion/2").subject_path(subject)
    half.rename(half.with_name(f".{subject}.tmp-999999999"))
    kept = store.within("corrupt/motion/3").subject_path(subject) / "zarr.json"
    inode = kept.stat().st_ino
    assert corrupt(study) == answer
    assert kept.stat().st_ino == inode
    assert [p.name for p in half.parent.iterdir() if p.is_dir()] == [subject]


def test_a_set_made_otherwise_is_refused_and_overwritten(copy):
    ghost = with_sets(copy, [{"name": "a", "chain": ["ghost"], "levels": [1]}])
    blur = with_sets(copy, [{"name": "a", "chain": ["blur"], "levels": [1]}])
    first = corrupt(ghost)
    with pytest.raises(SpinforgeError, match="--overwrite"):
        corrupt(blur)
    assert corrupt(blur, overwrite=True)["corruption_digest"] != first["corruption_digest"]


def test_without_a_clean_set_there_is_nothing_to_corrupt(tiny):
    with pytest.raises(SpinforgeError, match="is not a Spinforge dataset"):
        check_corruptions(with_sets(tiny))


def test_an_incomplete_clean_set_is_named(copy):
    study = with_sets(copy)
    store = RunFolder.of(study).store
    path = store.subject_path("head-003")
    path.rename(path.with_name("gone"))
    with pytest.raises(SpinforgeError, match=r"no complete subject 'head-003'.*generate"):
        check_corruptions(study)


def test_the_command_answers_in_json_and_a_study_without_corruptions_is_told_so(
    copy, spinforge, tiny_file
):
    common = ["corrupt", str(tiny_file), "--set", f"out={copy.out}", "--json"]
    run = spinforge(*common, "--set", "corruptions=[{name: g, chain: [ghost], levels: [1]}]")
    out, err = run.communicate(timeout=120)
    assert run.returncode == 0, err
    assert json.loads(out)["corrupted_sets"] == 1
    run = spinforge(*common)
    _, err = run.communicate(timeout=240)
    assert run.returncode == 2
    assert "the study says no corruptions" in err


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("corruptions=[snow]", r"corruptions.sets.0.chain.0.kind = 'snow': unknown kind"),
        (
            "corruptions=[{name: a, chain: [{kind: noise, percent: 300}]}]",
            r"corruptions.sets.0.chain.0.percent = 300.*<= 100",
        ),
        ("corruptions={preset: every}", "corruptions.preset = 'every': must be 'all' or 'brain"),
        ("corruptions={sett: [noise]}", "corruptions.sett: unknown key. Did you mean `sets`"),
        # Some kinds of corruption are also names of fields.
        ("data.noise.percent=-1", "data.noise.percent = -1"),
        ("data.scanner.b0=strong", "data.scanner.b0 = 'strong'"),
    ],
)
def test_bad_settings_are_named_where_they_stand(tiny_file, setting, message):
    with pytest.raises(SpinforgeError, match=message):
        load_study(tiny_file, [setting])


def test_ctrl_c_stops_keeps_what_is_whole_and_goes_on(copy, tiny_file, spinforge, tmp_path):
    """Two processes with many sets to go: jobs that never started must not be waited for."""
    command = ["corrupt", str(tiny_file), "--json", "--set", f"out={tmp_path}"]
    command += ["--set", "corruptions={preset: all, subjects: [all]}"]
    folder = RunFolder.of(copy).path / "dataset.zarr" / "corrupt"
    run = spinforge(*command)
    deadline = time.monotonic() + 120
    while len(list(folder.glob("*/*/head-*/zarr.json"))) < 3:
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)
    os.killpg(run.pid, signal.SIGINT)
    _, err = run.communicate(timeout=240)
    assert run.returncode == 130, err
    assert "Traceback" not in err
    kept = {path: path.stat().st_ino for path in folder.glob("*/*/head-*/zarr.json")}

    again = spinforge(*command)
    out, err = again.communicate(timeout=300)
    assert again.returncode == 0, err
    assert {path: path.stat().st_ino for path in kept} == kept
    assert json.loads(out)["corrupted_sets"] * 4 == len(list(folder.glob("*/*/head-*/zarr.json")))
    assert verify_store(folder.parent) == []


def test_the_table_says_how_far_each_set_is_and_is_kept_while_the_images_are(copy, monkeypatch):
    """Noise of 0 % is a copy; a second run starts no process and leaves the file alone."""
    study = with_sets(copy, [{"name": "n", "chain": ["noise_gauss"], "percent": [0, 5, 10]}])
    corrupt(study)
    table = RunFolder.of(study).corruption_table
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert [(row["strength"], row["contrast"], row["subjects"]) for row in rows] == [
        (strength, "full", "1") for strength in ("0", "5", "10")
    ]
    assert (rows[0]["nrmse"], rows[0]["psnr_db"]) == ("0", "inf")
    five, ten = (float(row["nrmse"]) for row in rows[1:])
    assert 0 < five < ten
    text, inode = table.read_text(), table.stat().st_ino

    def refuse(*_, **__):
        pytest.fail("everything is there")

    with monkeypatch.context() as patch:
        patch.setattr(corrupt_module, "started_cluster", refuse)
        corrupt(study)
    assert table.stat().st_ino == inode
    table.unlink()
    corrupt(study.model_copy(update={"workers": 2}))
    assert table.read_text() == text
