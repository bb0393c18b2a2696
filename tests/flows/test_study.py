"""The whole pipeline once, on procedural heads of 4 mm: minutes of work in seconds."""

import json
import os

import numpy as np
import pandas as pd
import pytest
import torch
from mlflow.tracking import MlflowClient

from spinforge.flows.config import load_study
from spinforge.flows.evaluate import evaluate, read_predictions
from spinforge.flows.report import report
from spinforge.flows.run_folder import RunFolder
from spinforge.flows.study import study as study_flow
from spinforge.flows.train import train
from spinforge.simulation.errors import SpinforgeError


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


def test_the_resolved_study_reproduces_the_run(finished):
    study, _ = finished
    assert load_study(RunFolder.of(study).study_file) == study


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
    predicted = read_predictions(folder.predictions("unet"))
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


def test_mlflow_holds_params_metrics_data_model_and_report(finished):
    _, answer = finished
    client = MlflowClient(answer["mlflow"])
    experiment = client.get_experiment_by_name("spinforge")
    runs = {r.info.run_name: r for r in client.search_runs([experiment.experiment_id])}
    assert set(runs) == {"tiny", "unet", "crdn"}
    assert {r.info.status for r in runs.values()} == {"FINISHED"}
    parent, unet = runs["tiny"], runs["unet"]
    assert unet.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert parent.data.params["data.noise.percent"] == "10.0"
    assert unet.data.params["network.width"] == "4"
    assert unet.data.params["training.epochs"] == "2"
    assert parent.data.metrics["dice/unet"] == pytest.approx(answer["dice"]["unet"])
    assert "test/dice/GM" in unet.data.metrics
    curve = client.get_metric_history(unet.info.run_id, "validation_dice")
    assert len(curve) == 2
    digests = {d.dataset.digest for d in parent.inputs.dataset_inputs}
    assert digests == {answer["dataset_digest"][:36]}
    contexts = {d.tags[0].value for d in unet.inputs.dataset_inputs}
    assert contexts == {"training", "validation", "test"}
    artifacts = {a.path for a in client.list_artifacts(parent.info.run_id)}
    assert artifacts >= {"report.html", "cases.csv", "study.yaml"}
    assert len(unet.outputs.model_outputs) == 1


def test_the_logged_model_predicts_like_the_network(finished):
    import mlflow

    from spinforge.flows.evaluate import scored_slices

    study, answer = finished
    mlflow.set_tracking_uri(answer["mlflow"])
    client = MlflowClient(answer["mlflow"])
    experiment = client.get_experiment_by_name("spinforge")
    (run,) = client.search_runs([experiment.experiment_id], "attributes.run_name = 'unet'")
    model = mlflow.pytorch.load_model(f"models:/{run.outputs.model_outputs[0].model_id}")
    images = torch.stack([item["image"] for item in scored_slices(study)])
    labels = model(images).argmax(1).numpy().astype(np.uint8)
    stored = read_predictions(RunFolder.of(study).predictions("unet"))
    # The exported program rounds differently; only ties may fall on the other side.
    assert (labels == stored).mean() > 0.999


def test_a_second_run_does_nothing_twice(finished):
    study, answer = finished
    folder = RunFolder.of(study)
    watched = [*folder.path.glob("networks/*/network.pt"), folder.store.subject_path("head-000")]
    before = {path: path.stat().st_mtime_ns for path in watched}
    again = study_flow(study)
    assert {path: path.stat().st_mtime_ns for path in watched} == before
    assert again == answer


def test_a_changed_recipe_trains_beside_the_old_one(finished):
    study, _ = finished
    recipe = study.training.model_copy(update={"epochs": 1})
    changed = study.model_copy(update={"training": recipe})
    folders = train(changed, only="unet")
    assert list(folders) == ["unet"]
    names = [p.name for p in (RunFolder.of(study).path / "networks").iterdir()]
    assert sum(name.startswith("unet-") for name in names) == 2


def test_untrained_networks_and_missing_scores_say_what_to_run(finished):
    study, _ = finished
    changed = study.model_copy(update={"seed": 99})
    with pytest.raises(SpinforgeError, match=r"unet is not trained. Run: spinforge train"):
        evaluate(changed)
    with pytest.raises(
        SpinforgeError, match=r"no network is named 'vnet'; the study has unet, crdn"
    ):
        train(changed, only="vnet")


def test_report_without_scores_says_what_to_run(finished, tmp_path):
    study, _ = finished
    os.symlink(RunFolder.of(study).store.path, _folder(tmp_path) / "dataset.zarr")
    moved = study.model_copy(update={"out": tmp_path})
    with pytest.raises(SpinforgeError, match="spinforge evaluate"):
        report(moved)


def _folder(path):
    (path / "tiny").mkdir()
    return path / "tiny"


def test_provenance_in_the_run_folder_names_the_mlflow_run(finished):
    study, answer = finished
    note = json.loads((RunFolder.of(study).path / "mlflow.json").read_text())
    assert note["uri"] == answer["mlflow"]
