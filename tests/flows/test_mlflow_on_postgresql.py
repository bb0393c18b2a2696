"""A study told to a team's MLflow: its server on PostgreSQL, with everything, and with failures."""

import mlflow
import numpy as np
import pytest
from finished_study import network_file, predictions
from mlflow.tracking import MlflowClient
from postgres_server import running_servers

from spinforge.flows import whole_calls
from spinforge.flows.config import Tracking
from spinforge.flows.slices import network_folder, study_slices
from spinforge.flows.study import study as study_flow
from spinforge.flows.tracking import Tracker
from spinforge.flows.train import train
from spinforge.models.weights import load_network
from spinforge.simulation.errors import TemporaryError

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def servers():
    """PostgreSQL and MLflow."""
    with running_servers() as running:
        yield running


def told_to(study, server, experiment):
    tracking = Tracking(uri=server.uri, experiment=experiment)
    return study.model_copy(update={"tracking": tracking})


def runs_of(study):
    client = MlflowClient(study.tracking.uri)
    experiment = client.get_experiment_by_name(study.tracking.experiment)
    found = client.search_runs([experiment.experiment_id])
    assert len({run.info.run_name for run in found}) == len(found)
    return {run.info.run_name: run for run in found}


def test_a_server_on_postgresql_gets_all_of_a_study(copy, servers):
    """As much as the SQLite record of test_mlflow_records.py gets."""
    _, server = servers
    study = told_to(copy, server, "all")
    answer = study_flow(study)
    assert answer["mlflow"] == server.uri
    runs, client = runs_of(study), MlflowClient(server.uri)
    assert set(runs) == {"tiny", "unet", "crdn"}
    parent, unet = runs["tiny"], runs["unet"]
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    for name in ("unet", "crdn"):
        assert runs[name].data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert runs[name].data.tags["prefect.flow_run_id"]
        assert len(client.get_metric_history(runs[name].info.run_id, "train_loss")) == 2
        assert len(runs[name].outputs.model_outputs) == 1
    digests = {d.dataset.digest for d in parent.inputs.dataset_inputs}
    assert digests == {answer["dataset_digest"][:36]}
    assert {d.tags[0].value for d in unet.inputs.dataset_inputs} == {
        "training",
        "validation",
        "test",
    }
    assert parent.data.metrics["test/slice_mean/average_dice/unet"] == pytest.approx(
        answer["dice"]["unet"]
    )
    artifacts = {a.path for a in client.list_artifacts(parent.info.run_id)}
    assert artifacts >= {"report.html", "cases.csv", "study.yaml"}
    address = Tracker(study).address_of(network_folder(study, study.networks[0]))
    assert address.startswith(f"{server.uri}/#/experiments/")
    assert address.endswith(unet.info.run_id)


def test_the_champion_comes_from_the_server(copy, servers):
    _, server = servers
    study = told_to(copy, server, "champion")
    study_flow(study)
    version = MlflowClient(server.uri).get_model_version_by_alias(study.name, "champion")
    name = version.tags["network"].rpartition("-")[0]
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(server.uri)
    try:
        model = mlflow.pyfunc.load_model(f"models:/{study.name}@champion")
    finally:
        mlflow.set_tracking_uri(before)
    images = np.stack([item["image"].numpy() for item in study_slices(study, "test")])
    labels = model.predict({"image": images})["labels"]
    assert (labels == predictions(study, name)).mean() > 0.999


def test_what_stops_while_a_network_trains_costs_nothing_that_is_done(
    untrained, finished, servers, monkeypatch
):
    """MLflow's server is gone after the first epoch, then its database after the second.

    Each ends the run with one line; then the network is that of a run without trouble, and MLflow
    has every point of its curves once.
    """
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setattr("spinforge.flows.train.RETRIES", {})  # nobody mends it meanwhile
    postgres, server = servers
    study = told_to(untrained, server, "stopped")
    logged = whole_calls.WholeCalls.log_metrics
    for stop, start, epoch in (
        (server.stop, server.start, 0),
        (postgres.crash, postgres.start, 1),
    ):

        def log_after_stop(self, metrics, step=None, *, stop=stop, epoch=epoch):
            if metrics.get("epoch") == epoch:
                stop()
            logged(self, metrics, step)

        with monkeypatch.context() as patch:
            patch.setattr(whole_calls.WholeCalls, "log_metrics", log_after_stop)
            with pytest.raises(TemporaryError, match=r"MLflow at .* cannot be used") as caught:
                train(study, only="unet")
        assert "\n" not in str(caught.value)
        start()
    train(study, only="unet")
    run = runs_of(study)["unet"]
    assert run.info.status == "FINISHED"
    for name in ("train_loss", "validation_loss", "learning_rate"):
        points = MlflowClient(server.uri).get_metric_history(run.info.run_id, name)
        assert len(points) == len({point.step for point in points}) == 2
    assert len(run.outputs.model_outputs) == 1
    ours, theirs = (load_network(network_file(s)).network for s in (study, finished[0]))
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert one.equal(other)
