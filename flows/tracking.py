"""What MLflow is told: one parent run a study, one child run a network."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mlflow
import mlflow.pytorch
import numpy as np
import torch
from lightning.pytorch.loggers import MLFlowLogger
from mlflow.data.code_dataset_source import CodeDatasetSource
from mlflow.data.meta_dataset import MetaDataset
from mlflow.entities import Param
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from numpy.typing import NDArray

from spinforge.flows.config import Study
from spinforge.flows.run_folder import RunFolder
from spinforge.simulation.errors import SpinforgeError

# MLflow accepts at most 36 characters; its own digest looks at the first 10 000 numbers only.
_DIGEST_LENGTH = 36
_LONGEST_PARAM = 500


class Tracker:
    """Connection of one study to MLflow.

    Runs are found again by what is written in the run's folder, so a resumed study goes on
    in the same runs.

    Args:
        study: For the URI, the experiment and the folders.

    Raises:
        SpinforgeError: If the tracking store cannot be reached.
    """

    def __init__(self, study: Study) -> None:
        self.study = study
        self.uri = study.tracking.uri or default_uri(study)
        self._artifacts = None if study.tracking.uri else (study.out / "mlartifacts").resolve()
        self._client = MlflowClient(tracking_uri=self.uri)
        try:
            self._experiment = self._find_experiment()
        except MlflowException as error:
            raise SpinforgeError(
                f"tracking.uri: MLflow at {self.uri} cannot be used: {error}. Start the server, "
                f"or leave tracking.uri out to use an SQLite file."
            ) from error

    @contextmanager
    def study_run(self) -> Iterator[str]:
        """Run of the whole study; goes on where it was if there is one."""
        folder = RunFolder.of(self.study).path
        with self._open(self._find_or_create(folder, self.study.name, None)) as run:
            yield run

    @contextmanager
    def network_run(self, folder: Path, name: str) -> Iterator[str]:
        """Run of one network, a child of the study's; goes on where it was if there is one."""
        study_run = self._find_or_create(RunFolder.of(self.study).path, self.study.name, None)
        with self._open(self._find_or_create(folder, name, study_run)) as run:
            yield run

    def lightning_logger(self, run: str) -> MLFlowLogger:
        """Logger that sends Lightning's metrics to a run."""
        return MLFlowLogger(
            experiment_name=self.study.tracking.experiment, tracking_uri=self.uri, run_id=run
        )

    def log_params(self, run: str, params: Mapping[str, Any]) -> None:
        """Parameters as dotted keys."""
        flat = [Param(key, value[:_LONGEST_PARAM]) for key, value in flatten(params).items()]
        known = self._client.get_run(run).data.params
        self._client.log_batch(run, params=[p for p in flat if p.key not in known])

    def log_metrics(self, run: str, metrics: Mapping[str, float]) -> None:
        """Final figures of a run."""
        for key, value in metrics.items():
            self._client.log_metric(run, key, value)

    def log_dataset(self, run: str, name: str, digest: str, context: str) -> None:
        """The data a run used, with our own content digest."""
        with self._current(run):
            source = CodeDatasetSource(tags={"spinforge.content_sha256": digest})
            # MLflow leaves `profile` abstract in its own class for data without columns.
            dataset = MetaDataset(source, name=name, digest=digest[:_DIGEST_LENGTH])  # type: ignore[abstract]
            mlflow.log_input(dataset, context=context)

    def log_file(self, run: str, path: Path, folder: str | None = None) -> None:
        """Copy a file into a run's artifacts."""
        self._client.log_artifact(run, str(path), artifact_path=folder)

    def set_tags(self, run: str, tags: Mapping[str, str]) -> None:
        """Short texts to search runs by."""
        for key, value in tags.items():
            self._client.set_tag(run, key, value)

    def log_model(self, run: str, network: torch.nn.Module, example: NDArray[np.float32]) -> None:
        """The network as an exported program, which MLflow loads without running our code."""
        with self._current(run):
            mlflow.pytorch.log_model(
                network,
                name="network",
                input_example=example,
                pip_requirements=[f"torch=={torch.__version__.partition('+')[0]}"],
            )

    @contextmanager
    def _open(self, run: str) -> Iterator[str]:
        """Close a run as what it came to."""
        self._client.update_run(run, status="RUNNING")
        try:
            yield run
        except KeyboardInterrupt:
            self._client.set_terminated(run, status="KILLED")
            raise
        except BaseException:
            self._client.set_terminated(run, status="FAILED")
            raise
        self._client.set_terminated(run, status="FINISHED")

    @contextmanager
    def _current(self, run: str) -> Iterator[None]:
        """Make `run` MLflow's current run, for the calls that know no other."""
        before = mlflow.get_tracking_uri()
        mlflow.set_tracking_uri(self.uri)
        try:
            with mlflow.start_run(run_id=run, log_system_metrics=False):
                yield
        finally:
            mlflow.set_tracking_uri(before)

    def _find_experiment(self) -> str:
        name = self.study.tracking.experiment
        if experiment := self._client.get_experiment_by_name(name):
            return str(experiment.experiment_id)
        location = self._artifacts.as_uri() if self._artifacts else None
        return str(self._client.create_experiment(name, artifact_location=location))

    def _find_or_create(self, folder: Path, name: str, parent: str | None) -> str:
        """The run noted in `folder` if MLflow still knows it, else a new one."""
        note = folder / "mlflow.json"
        if note.is_file():
            written = json.loads(note.read_text())
            if written["uri"] == self.uri and self._exists(written["run_id"]):
                return str(written["run_id"])
        tags = {"mlflow.parentRunId": parent} if parent else {}
        run = self._client.create_run(self._experiment, run_name=name, tags=tags)
        folder.mkdir(parents=True, exist_ok=True)
        note.write_text(json.dumps({"uri": self.uri, "run_id": run.info.run_id}) + "\n")
        return str(run.info.run_id)

    def _exists(self, run: str) -> bool:
        try:
            return self._client.get_run(run).info.lifecycle_stage == "active"
        except MlflowException:
            return False


def default_uri(study: Study) -> str:
    """The SQLite file in the out folder, shared by all studies there."""
    return f"sqlite:///{(study.out / 'mlflow.db').resolve()}"


def flatten(content: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested mapping to dotted keys and texts."""
    flat: dict[str, str] = {}
    for key, value in content.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = str(value)
    return flat
