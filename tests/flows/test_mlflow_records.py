"""What MLflow holds of a study, also when MLflow is changed or fails."""

import json
import math
import time

import mlflow
import numpy as np
import pandas as pd
import pytest
import torch
from finished_study import changed_recipe, network_file, predictions
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_SERVER_UI_ENABLED, temporary_settings

from spinforge.flows.champion import crown_champion
from spinforge.flows.config import Tracking
from spinforge.flows.evaluate import evaluate
from spinforge.flows.flow_runs import flow_run_tags
from spinforge.flows.run_folder import RunFolder
from spinforge.flows.slices import network_folder, study_slices
from spinforge.flows.tracking import Tracker
from spinforge.flows.train import train
from spinforge.models.training.fit import TrainingSummary
from spinforge.simulation.errors import SpinforgeError


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
    assert parent.data.metrics["test/slice_mean/average_dice/unet"] == pytest.approx(
        answer["dice"]["unet"]
    )
    assert "test/slice_mean/dice/GM" in unet.data.metrics
    curve = client.get_metric_history(unet.info.run_id, "validation_dice_pooled")
    assert len(curve) == 2
    digests = {d.dataset.digest for d in parent.inputs.dataset_inputs}
    assert digests == {answer["dataset_digest"][:36]}
    contexts = {d.tags[0].value for d in unet.inputs.dataset_inputs}
    assert contexts == {"training", "validation", "test"}
    artifacts = {a.path for a in client.list_artifacts(parent.info.run_id)}
    assert artifacts >= {"report.html", "cases.csv", "study.yaml"}
    assert len(unet.outputs.model_outputs) == 1


def test_the_champion_is_best_on_validation_and_predicts_from_raw_images(finished):
    study, answer = finished
    client = MlflowClient(answer["mlflow"])
    summaries = {n.name: summary_of(study, n) for n in study.networks}
    best = max(summaries, key=lambda name: summaries[name].best_validation_dice)
    versions = client.search_model_versions(f"name = '{study.name}'")
    assert {v.tags["network"].rpartition("-")[0] for v in versions} == {"unet", "crdn"}
    champion = client.get_model_version_by_alias(study.name, "champion")
    assert champion.tags["network"].rpartition("-")[0] == best
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(answer["mlflow"])
    try:
        model = mlflow.pyfunc.load_model(f"models:/{study.name}@champion")
    finally:
        mlflow.set_tracking_uri(before)
    images = np.stack([item["image"].numpy() for item in study_slices(study, "test")])
    labels = model.predict({"image": 1000 * images})["labels"]
    # The slice is scaled a second time, by 1 to rounding; only ties may fall on the other side.
    assert (labels == predictions(study, best)).mean() > 0.999


def summary_of(study, network):
    text = (network_folder(study, network) / "training.json").read_text()
    return TrainingSummary.model_validate_json(text)


def test_a_network_is_registered_once(finished):
    study, answer = finished
    client = MlflowClient(answer["mlflow"])
    before = len(client.search_model_versions(f"name = '{study.name}'"))
    assert crown_champion(study) is not None
    assert len(client.search_model_versions(f"name = '{study.name}'")) == before == 2


def test_a_run_names_the_machine(finished):
    _, answer = finished
    tags = unet_run(answer["mlflow"]).data.tags
    assert tags["version.torch"] == torch.__version__
    assert {"system", "python", "cpu", "device"} <= tags.keys()


def test_a_run_names_the_flow_run_that_was_started(finished):
    """By what Prefect itself knows of its runs."""
    _, answer = finished
    found = {}
    for name in ("tiny", "unet"):
        tags = run_named(answer["mlflow"], name).data.tags
        with get_client(sync_client=True) as prefect:
            flow_run = prefect.read_flow_run(tags["prefect.flow_run_id"])
            found[name] = prefect.read_flow(flow_run.flow_id).name
        assert tags["prefect.flow_run_url"].endswith(f"/flow-run/{flow_run.id}")
    assert found == {"tiny": "study", "unet": "study"}


def test_no_page_is_named_where_the_server_has_none(tiny, prefect_server):
    with temporary_settings({PREFECT_SERVER_UI_ENABLED: False}):
        tags = flow(flow_run_tags)()
    assert set(tags) == {"prefect.flow_run_id"}
    assert flow_run_tags() == {}


@pytest.mark.slow
def test_system_metrics_are_logged_while_a_network_trains(tiny, monkeypatch):
    pytest.importorskip("psutil", reason="system metrics need psutil")
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.1")
    tracker = Tracker(tiny)
    with tracker.network_run(tiny.out / "unet", "unet", watched=True) as run:
        time.sleep(1)
    metrics = tracker._client.get_run(run).data.metrics
    assert 0 <= metrics["system/cpu_utilization_percentage"] <= 100


def test_a_changed_study_is_another_run_in_mlflow(copy):
    tracker = Tracker(copy)
    with tracker.study_run() as first, tracker.study_run() as again:
        pass
    with Tracker(changed_recipe(copy)).study_run() as other:
        pass
    assert first == again != other
    (RunFolder.of(copy).path / "mlflow.json").write_text("")  # cut by a power failure
    with tracker.study_run() as fresh:
        assert fresh not in (first, other)


def test_provenance_in_the_run_folder_names_the_mlflow_run(finished):
    study, answer = finished
    note = json.loads((RunFolder.of(study).path / "mlflow.json").read_text())
    assert note["uri"] == answer["mlflow"]


def test_a_new_mlflow_gets_all_of_a_finished_network(copy, finished):
    """Nothing is trained again; not even for a run that somebody deleted."""
    _, answer = finished
    uri = Tracker(copy).uri
    assert uri != answer["mlflow"]
    before = network_file(copy).stat().st_mtime_ns
    for _ in range(2):
        train(copy, only="unet")
        evaluate(copy, only="unet")
        old, new = unet_run(answer["mlflow"]), unet_run(uri)
        assert new.data.metrics == pytest.approx(old.data.metrics, rel=1e-6)  # CSV: seven digits
        assert inputs(new) == inputs(old)
        for name in ("train_loss", "validation_loss", "learning_rate"):
            expected = curve(answer["mlflow"], old, name)
            assert len(expected) == 2
            assert np.allclose(curve(uri, new, name), expected, rtol=1e-6)
        MlflowClient(uri).delete_run(new.info.run_id)
    assert network_file(copy).stat().st_mtime_ns == before


def unet_run(uri):
    return run_named(uri, "unet")


def run_named(uri, name):
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("spinforge")
    (run,) = client.search_runs([experiment.experiment_id], f"attributes.run_name = '{name}'")
    return run


def inputs(run):
    return sorted(d.tags[0].value + d.dataset.digest for d in run.inputs.dataset_inputs)


def curve(uri, run, name):
    points = MlflowClient(uri).get_metric_history(run.info.run_id, name)
    return [(point.step, point.value) for point in points]


def test_mlflow_that_fails_later_is_named(copy):
    tracker = Tracker(copy)
    with pytest.raises(SpinforgeError, match=r"MLflow's record sqlite:.*the server is gone"):
        fail_within(tracker.study_run())
    with pytest.raises(SpinforgeError, match=r"MLflow's record sqlite:.*the server is gone"):
        fail_within(tracker.network_run(network_file(copy).parent, "unet"))
    server = copy.model_copy(update={"tracking": Tracking(uri=f"sqlite:///{copy.out}/other.db")})
    with pytest.raises(SpinforgeError, match=r"tracking.uri: MLflow at sqlite:.*cannot be used"):
        fail_within(Tracker(server).study_run())


def fail_within(run):
    with run:
        raise MlflowException("the server is gone")


def test_points_that_a_kill_kept_from_mlflow_are_logged_later(copy):
    """The middle epoch's losses are missing; a stage's own curves have its name in front."""
    tracker = Tracker(copy)
    history = pd.DataFrame(
        {
            "epoch": [1, 2, 3],
            "train_loss": [0.3, 0.2, 0.1],
            "validation_loss": [0.4, 0.3, 0.2],
            "validation_dice_pooled": [math.nan] * 3,
            "learning_rate": [1e-3] * 3,
            "seconds": [1.0] * 3,
        }
    )
    client = MlflowClient(tracker.uri)
    with tracker.network_run(copy.out / "planted", "planted") as run:
        for step, value in ((4, 0.3), (14, 0.1)):
            client.log_metric(run, "train_loss", value, step=step)
        tracker.log_curves(run, history, 5)
        tracker.log_curves(run, history, 5, prefix="reconstruction/")

        def points(name):
            found = client.get_metric_history(run, name)
            return sorted((point.step, point.value) for point in found)

        expected = [(4, 0.3), (9, 0.2), (14, 0.1)]
        assert points("train_loss") == expected
        assert points("reconstruction/train_loss") == expected
        assert points("epoch") == [(4, 0), (9, 1), (14, 2)]
        assert not points("validation_dice_pooled")
