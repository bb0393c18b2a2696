"""The whole pipeline once, on procedural heads of 4 mm: minutes of work in seconds."""

import subprocess
import sys

import nibabel
import numpy as np
import pandas as pd
import pytest
from finished_study import changed_recipe, network_file, predictions

from spinforge.evaluation.pooled import read_pooled
from spinforge.flows.config import load_study
from spinforge.flows.evaluate import evaluate, read_predictions
from spinforge.flows.generate import generate
from spinforge.flows.predict import Prediction, predict
from spinforge.flows.report import report
from spinforge.flows.run_folder import RunFolder
from spinforge.flows.slices import network_folder, scores_folder
from spinforge.flows.study import study as study_flow
from spinforge.flows.train import train
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.noise import Noise


def test_everything_lies_where_readme_says(finished):
    study, answer = finished
    folder = RunFolder.of(study)
    assert folder.store.complete_subjects() == ["head-000", "head-001", "head-002", "head-003"]
    assert answer["dataset"] == str(folder.path / "dataset.zarr")
    assert answer["report"] == str(folder.path / "report.html")
    for name in ("report.html", "study.yaml", "evaluation/cases.csv", "evaluation/cases.parquet"):
        assert (folder.path / name).is_file()
    names = sorted(p.name.rpartition("-")[0] for p in (folder.path / "networks").iterdir())
    assert names == ["crdn", "unet"]
    for network in (folder.path / "networks").iterdir():
        assert {p.name for p in network.iterdir()} >= {"network.pt", "history.csv", "last.ckpt"}


def test_the_resolved_study_names_its_subjects_and_asks_for_the_same_data(finished):
    study, answer = finished
    resolved = load_study(RunFolder.of(study).study_file)
    assert resolved.data.subjects.train == ("head-000", "head-001")
    assert resolved.data.subjects.test == ("head-003",)
    assert generate(resolved) == answer["dataset_digest"]


def test_networks_predict_as_they_were_evaluated(finished, tmp_path):
    """A network's file knows what it reads: nothing but it and the set is given."""
    study, answer = finished
    wanted = Prediction(
        scans=(answer["dataset"],),
        networks=(network_file(study),),
        to=tmp_path,
        subjects=("head-003",),
    )
    labels = nibabel.load(predict(wanted)["head-003"]["labels"])
    evaluated = predictions(study, study.networks[0].name)
    # (slice, ky, kx) are (z, x, y).
    np.testing.assert_array_equal(np.asarray(labels.dataobj), evaluated.transpose(1, 2, 0))


def test_scores_cover_every_network_slice_and_tissue(finished):
    study, answer = finished
    scores = pd.read_parquet(RunFolder.of(study).evaluation / "cases.parquet")
    dice = scores[(scores["metric"] == "dice") & (scores["slice"] >= 0)]
    counts = dice.groupby(["network", "tissue"]).size()
    assert set(counts) == {12}
    assert set(counts.index.get_level_values("tissue")) == {"CSF", "GM", "WM", "all"}
    tissues = dice[dice["tissue"] != "all"].groupby(["network", "tissue"])["value"].mean()
    for network, value in answer["dice"].items():
        assert value == pytest.approx(tissues[network].mean())


def test_scores_belong_to_the_stored_predictions(finished):
    study, _ = finished
    folder = RunFolder.of(study)
    target = folder.store.read("head-003", "target")
    predicted = predictions(study, "unet")
    overlap = 2 * ((predicted == 3) & (target == 3)).sum()
    expected = overlap / ((predicted == 3).sum() + (target == 3).sum())
    scores = pd.read_csv(folder.evaluation / "cases.csv")
    row = scores.query("network == 'unet' and slice == -1 and tissue == 'WM' and metric == 'dice'")
    assert row["value"].item() == pytest.approx(expected)


def test_the_report_shows_both_networks_and_the_data(finished):
    study, answer = finished
    page = RunFolder.of(study).report.read_text()
    for text in ("unet", "crdn", "head-003", answer["dataset_digest"], "GM", "10 % of the white"):
        assert text in page


def test_a_second_run_does_nothing_twice(finished):
    study, answer = finished
    folder = RunFolder.of(study)
    watched = [
        *folder.path.glob("networks/*/*"),
        *folder.path.glob("evaluation/*/*"),
        *folder.path.glob("dataset.zarr/kspace/*/zarr.json"),
    ]
    assert len(watched) > 15
    before = {path: path.stat().st_mtime_ns for path in watched}
    again = study_flow(study)
    assert {path: path.stat().st_mtime_ns for path in watched} == before
    assert again == answer


def test_a_changed_recipe_trains_beside_the_old_one(copy):
    changed = changed_recipe(copy)
    assert list(train(changed, only="unet")) == ["unet"]
    names = [p.name for p in RunFolder.of(copy).networks.iterdir()]
    assert sum(name.startswith("unet-") for name in names) == 2


def test_another_version_of_the_code_works_beside_the_old_one(copy, monkeypatch):
    network = copy.networks[0]
    before = network_folder(copy, network), scores_folder(copy, network)
    monkeypatch.setattr("spinforge.flows.slices.METRICS_VERSION", "metrics-0")
    rescored = network_folder(copy, network), scores_folder(copy, network)
    assert rescored[0] == before[0]
    assert rescored[1] != before[1]
    monkeypatch.setattr("spinforge.flows.slices.TRAINING", "training-0")
    assert network_folder(copy, network) != before[0]
    assert scores_folder(copy, network) != rescored[1]


def test_scores_of_an_older_network_are_never_shown_for_a_newer_one(copy):
    changed = changed_recipe(copy)
    train(changed, only="unet")
    with pytest.raises(SpinforgeError, match=r"has been scored. Run: spinforge evaluate"):
        report(changed)
    with pytest.raises(SpinforgeError, match=r"crdn is not trained. Run: spinforge train"):
        evaluate(changed)
    assert set(evaluate(changed, only="unet")) == {"unet"}
    report(changed)


def test_scoring_one_network_keeps_the_others_in_the_table(copy):
    evaluate(copy, only="unet")
    scores = pd.read_csv(RunFolder.of(copy).evaluation / "cases.csv")
    assert set(scores["network"]) == {"unet", "crdn"}


@pytest.mark.parametrize("flow", [train, evaluate, report])
def test_data_of_another_configuration_are_refused_by_every_flow(copy, flow):
    data = copy.data.model_copy(update={"noise": Noise(percent=20)})
    with pytest.raises(SpinforgeError, match="was made with another configuration"):
        flow(copy.model_copy(update={"data": data}))


def test_a_folder_is_used_by_one_run_at_a_time(copy):
    """Another process holds the lock; a flow within a flow takes it again."""
    folder = RunFolder.of(copy)
    with folder.opened(copy), folder.opened(copy):
        held = subprocess.run(
            [sys.executable, "-c", LOCK, str(folder.path / ".lock")], capture_output=True, text=True
        )
    assert held.stdout == "held\n"
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder.path / ".lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert other.stdout.readline() == "have it\n"
    with pytest.raises(SpinforgeError, match="another run works in"), folder.opened(copy):
        pass
    other.communicate("")
    with folder.opened(copy):
        pass


LOCK = """
import sys, filelock
try:
    filelock.FileLock(sys.argv[1], timeout=0).acquire()
    print("free")
except filelock.Timeout:
    print("held")
"""

HOLD = """
import sys, filelock
lock = filelock.FileLock(sys.argv[1])
lock.acquire()
print("have it", flush=True)
sys.stdin.read()
"""


def test_untrained_networks_and_unknown_names_say_what_to_do(finished):
    study, _ = finished
    changed = study.model_copy(update={"seed": 99})
    with pytest.raises(SpinforgeError, match=r"unet is not trained. Run: spinforge train"):
        evaluate(changed)
    with pytest.raises(
        SpinforgeError, match=r"no network is named 'vnet'; the study has unet, crdn"
    ):
        train(changed, only="vnet")


@pytest.mark.parametrize("flow", [train, evaluate, report])
def test_a_flow_that_cannot_start_leaves_the_study_file(copy, flow, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    before = RunFolder.of(copy).study_file.read_text()
    tracking = copy.tracking.model_copy(update={"uri": "http://127.0.0.1:9"})
    with pytest.raises(SpinforgeError, match=r"tracking.uri: MLflow at"):
        flow(copy.model_copy(update={"tracking": tracking}))
    with pytest.raises(SpinforgeError, match=r"scored|trained|no network"):
        flow(copy.model_copy(update={"seed": 99}), **({"only": "vnet"} if flow is train else {}))
    assert RunFolder.of(copy).study_file.read_text() == before


def test_damaged_predictions_are_named(copy):
    network = copy.networks[0]
    (scores_folder(copy, network) / "predictions.npz").write_bytes(b"PK\x03\x04 no archive")
    with pytest.raises(SpinforgeError, match=r"predictions.npz cannot be read"):
        report(copy)


def test_a_network_that_is_damaged_or_gone_is_never_taken_for_trained(copy):
    train(copy, only="unet")  # logged to this folder's MLflow now
    before = network_file(copy).read_bytes()
    network_file(copy).write_bytes(b"PK\x03\x04 no archive")
    with pytest.raises(SpinforgeError, match=r"network.pt is damaged .*delete it and train again"):
        train(copy, only="unet")
    network_file(copy).unlink()
    train(copy, only="unet")
    assert network_file(copy).read_bytes() == before


def test_a_damaged_checkpoint_of_the_last_network_is_found_before_the_first_starts(copy):
    folders = [network_folder(copy, network) for network in copy.networks]
    for folder in folders:
        (folder / "network.pt").unlink()
    (folders[-1] / "last.ckpt").write_bytes(b"PK\x03\x04 no archive")
    with pytest.raises(SpinforgeError, match=r"crdn-.*last.ckpt is damaged"):
        train(copy)
    assert not (folders[0] / "network.pt").exists()


def test_damaged_scores_are_made_again_by_evaluate(copy):
    table = scores_folder(copy, copy.networks[0]) / "cases.parquet"
    before = pd.read_parquet(table)
    table.write_bytes(table.read_bytes()[:200])
    with pytest.raises(SpinforgeError, match=r"cannot be read .*Run: spinforge evaluate"):
        report(copy)
    evaluate(copy)
    pd.testing.assert_frame_equal(pd.read_parquet(table), before)


@pytest.mark.parametrize("name", ["pooled.json", "predictions.npz"])
def test_evaluate_scores_again_what_is_damaged_though_it_was_logged(name, copy, capsys):
    evaluate(copy, only="unet")  # logged to this folder's MLflow now
    folder = scores_folder(copy, copy.networks[0])
    before = read_predictions(folder / "predictions.npz"), read_pooled(folder)
    (folder / name).write_text("{")
    evaluate(copy, only="unet")
    assert "is damaged or not complete: scoring again" in " ".join(capsys.readouterr().err.split())
    np.testing.assert_array_equal(read_predictions(folder / "predictions.npz"), before[0])
    assert read_pooled(folder) == before[1]


def test_a_damaged_pooled_score_is_told_in_one_line(tmp_path):
    (tmp_path / "pooled.json").write_text("{")
    with pytest.raises(SpinforgeError, match=r"pooled.json cannot be read \(.*\)") as error:
        read_pooled(tmp_path)
    assert "\n" not in str(error.value)
