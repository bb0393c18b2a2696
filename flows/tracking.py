"""What MLflow is told: one parent run a study, one child run a network."""

import json
import uuid
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import mlflow
import mlflow.pyfunc
import pandas as pd
from filelock import FileLock
from lightning.pytorch.loggers import MLFlowLogger
from matplotlib.figure import Figure
from mlflow.entities import Dataset, DatasetInput, InputTag, Param
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from spinforge.datasets.storage.files import readable_errors as folder_errors
from spinforge.flows.config import Study
from spinforge.flows.curves import METRICS_PER_BATCH, missing_points, named_curves
from spinforge.flows.flow_runs import flow_run_tags, log_to_flow_run
from spinforge.flows.machine import machine_facts
from spinforge.flows.model_registry import crown, mlflow_model, register
from spinforge.flows.progress import say
from spinforge.flows.run_folder import RunFolder
from spinforge.flows.run_notes import read_note, read_request, write_note, write_request
from spinforge.flows.tracking_errors import asked_once, readable_errors
from spinforge.flows.whole_calls import WholeCalls
from spinforge.models.training.possible import available_device
from spinforge.models.weights import load_network
from spinforge.simulation.config import content_hash

# MLflow accepts at most 36 characters; its own digest looks at the first 10 000 numbers only.
_DIGEST_LENGTH = 36
_LONGEST_PARAM = 500

_REQUEST = "spinforge.request"
"""Tag of a run: by which request it was made."""


class Tracker:
    """Connection of one study to MLflow.

    Runs are found again by what is noted in the run's folder, so a resumed study goes on in the
    same runs; a changed study starts a new one.

    Args:
        study: For the URI, the experiment and the folders.

    Raises:
        TemporaryError: If the server does not answer, here or in any method.
        SpinforgeError: If the tracking store cannot be used.
    """

    def __init__(self, study: Study) -> None:
        self.study = study
        self.uri = study.tracking.uri or default_uri(study)
        self._artifacts = None if study.tracking.uri else (study.out / "mlartifacts").resolve()
        with self._readable_errors(), self._alone():
            self._client = MlflowClient(tracking_uri=self.uri)
            self._experiment = self._find_experiment()

    @contextmanager
    def study_run(self) -> Iterator[str]:
        """Run of the whole study; goes on where it was if there is one.

        Raises:
            SpinforgeError: If MLflow fails, here or in the block.
        """
        with self._readable_errors(), self._open(self._find_or_create_study_run()) as run:
            yield run

    @contextmanager
    def network_run(self, folder: Path, name: str, *, watched: bool = False) -> Iterator[str]:
        """Run of one network, a child of the study's; goes on where it was if there is one.

        It stays the child of the run it was first made for, also when a changed study, with a new
        run of its own, uses the same trained network.

        Args:
            folder: Of the network.
            name: Of the network.
            watched: Whether to log how busy processor, memory and GPU are meanwhile, every ten
                seconds; needs psutil, and for the GPU nvidia-ml-py.

        Raises:
            SpinforgeError: If MLflow fails, here or in the block.
        """
        with self._readable_errors():
            parent = self._find_or_create_study_run()
            with self._open(self._find_or_create(folder, name, "", parent)) as run:
                with self._system_metrics(run) if watched else nullcontext():
                    yield run

    def is_logged(self, folder: Path, what: str) -> bool:
        """Whether `what` was logged to the run of the network in `folder`, and is there still."""
        note = read_note(folder)
        same = note.get("uri") == self.uri and note.get("experiment") == self._experiment
        if not same or what not in note.get("logged", []):
            return False
        with self._readable_errors():
            return self._exists(note["run_id"])

    def mark_logged(self, folder: Path, what: str) -> None:
        """Note that all of `what` is in the run of the network in `folder`."""
        note = read_note(folder)
        write_note(folder, note | {"logged": [*note.get("logged", []), what]})

    def lightning_logger(self, run: str) -> MLFlowLogger:
        """Logger that sends Lightning's metrics to a run."""
        return WholeCalls(
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

    def log_curves(
        self, run: str, history: pd.DataFrame, steps_per_epoch: int, *, prefix: str = ""
    ) -> None:
        """The points of a stage's curves that Lightning has not logged to this run.

        There are some if the run is younger than the training, or a kill came between an epoch's
        checkpoint and its logging.

        Args:
            run: Of the network.
            history: Rows of `history.csv`.
            steps_per_epoch: Steps of the optimiser.
            prefix: What stands before the names, as in `train_network`.
        """
        history_of = self._client.get_metric_history
        points = [
            point
            for name, values in named_curves(history, steps_per_epoch, prefix).items()
            for point in missing_points(name, values, history_of(run, name))
        ]
        for start in range(0, len(points), METRICS_PER_BATCH):
            self._client.log_batch(run, metrics=points[start : start + METRICS_PER_BATCH])

    def log_dataset(self, run: str, name: str, digest: str, context: str) -> None:
        """The data a run used, with our own content digest."""
        source = json.dumps({"spinforge.content_sha256": digest})
        data = Dataset(name, digest[:_DIGEST_LENGTH], source_type="spinforge", source=source)
        tags = [InputTag("mlflow.data.context", context)]
        self._client.log_inputs(run, datasets=[DatasetInput(data, tags)])

    def set_tags(self, run: str, tags: Mapping[str, str]) -> None:
        """Facts to find runs by; later ones replace earlier ones."""
        for key, value in tags.items():
            self._client.set_tag(run, key, value)

    def log_file(self, run: str, path: Path) -> None:
        """Copy a file into a run's artifacts."""
        self._client.log_artifact(run, str(path))

    def log_table(self, run: str, table: pd.DataFrame, name: str) -> None:
        """A table that MLflow's page shows; `name` ends in .json. It replaces an earlier one."""
        content = json.loads(table.to_json(orient="split", index=False))
        self._client.log_dict(run, {"columns": content["columns"], "data": content["data"]}, name)

    def log_figure(self, run: str, figure: Figure, name: str) -> None:
        """A matplotlib figure as a picture; `name` ends in .png."""
        self._client.log_figure(run, figure, name)

    def log_network(self, run: str, file: Path, *, coils: int = 1) -> None:
        """A network's file as a model that MLflow loads and serves; see `model_registry.py`.

        The bare file if it does not say what it reads, as old ones do not.

        Args:
            run: Of the network.
            file: Of the network.
            coils: Coils of the k-space that it reads, if it does.
        """
        loaded = load_network(file)
        if loaded.reads is None:
            self.log_file(run, file)
            return
        with self._current(run):
            mlflow.pyfunc.log_model(name="network", **mlflow_model(loaded, file, coils=coils))

    def register(self, folder: Path) -> None:
        """Make the logged model of the network in `folder` a version of the study's, once."""
        with self._readable_errors(), self._as_default():
            if (run := self._run_of(folder)) is not None:
                register(self._client, self.study.name, run, folder.name)

    def crown(self, folder: Path) -> None:
        """Give the registered network in `folder` the alias `champion`, and take it from others."""
        with self._readable_errors():
            if (run := self._run_of(folder)) is not None:
                crown(self._client, self.study.name, run)

    def address_of(self, folder: Path) -> str:
        """Page of the run of the network in `folder`, or its id where no server shows it, or ""."""
        with self._readable_errors():
            if (run := self._run_of(folder)) is None:
                return ""
        return self._address(run)

    def _address(self, run: str) -> str:
        if not self.uri.startswith("http"):
            return run
        return f"{self.uri.rstrip('/')}/#/experiments/{self._experiment}/runs/{run}"

    def _run_of(self, folder: Path) -> str | None:
        """Run of the network in `folder`, if it is there still."""
        run = read_note(folder).get("run_id")
        return run if run is not None and self._exists(run) else None

    @contextmanager
    def _open(self, run: str) -> Iterator[str]:
        """Close a run as what it came to; it and Prefect's flow name each other."""
        self._client.update_run(run, status="RUNNING")
        self.set_tags(run, flow_run_tags())
        log_to_flow_run(f"MLflow run {self._address(run)}")
        try:
            yield run
        except KeyboardInterrupt:
            # Stopping is what was asked for: a record that fails now must not hide it. Stopped
            # inside one of MLflow's transactions, the process may hold the lock of its own file.
            with asked_once():
                self._client.set_terminated(run, status="KILLED")
            raise
        except BaseException:
            with asked_once():  # nor must it hide what went wrong
                self._client.set_terminated(run, status="FAILED")
            raise
        self._client.set_terminated(run, status="FINISHED")

    @contextmanager
    def _system_metrics(self, run: str) -> Iterator[None]:
        """Log system metrics to `run`, where there is a package to measure them."""
        try:  # late: it needs psutil
            from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor
        except ModuleNotFoundError:
            yield
            return
        monitor = SystemMetricsMonitor(run, resume_logging=True, tracking_uri=self.uri)
        monitor.start()
        try:
            yield
        finally:
            monitor.finish()

    @contextmanager
    def _current(self, run: str) -> Iterator[None]:
        """Make `run` MLflow's current run, for the calls that know no other."""
        with self._as_default(), mlflow.start_run(run_id=run, log_system_metrics=False):
            yield

    @contextmanager
    def _as_default(self) -> Iterator[None]:
        """Make this MLflow the process's own, for the calls that know no other."""
        before = mlflow.get_tracking_uri()
        mlflow.set_tracking_uri(self.uri)
        try:
            yield
        finally:
            mlflow.set_tracking_uri(before)

    def _readable_errors(self) -> AbstractContextManager[None]:
        """Turn MLflow's exceptions into ours."""
        return readable_errors(self.uri, own_record=self.study.tracking.uri is None)

    def _alone(self) -> AbstractContextManager[object]:
        """Keep others out while tables are made: MLflow does that in as many steps as tables."""
        if self.study.tracking.uri:
            return nullcontext()
        with folder_errors(self.study.out):
            self.study.out.mkdir(parents=True, exist_ok=True)
        return FileLock(self.study.out / ".mlflow.lock")

    def _find_experiment(self) -> str:
        """The study's experiment; made if there is none."""
        name = self.study.tracking.experiment
        if self._artifacts is None:
            return self._experiment_named(name, None)
        here = self._artifacts.as_uri()
        found = self._client.get_experiment_by_name(name)
        if found is None or found.artifact_location == here:
            return self._experiment_named(name, here)
        # Of a record that was copied or moved MLflow would go on to write files to the old place.
        moved = f"{name}, moved to {self._artifacts.parent}"
        if self._client.get_experiment_by_name(moved) is None:
            say(
                f"mlflow    {self.uri} comes from elsewhere: files of its runs so far are looked "
                f"for in {found.artifact_location}, new runs are logged to experiment {moved!r}"
            )
        return self._experiment_named(moved, here)

    def _experiment_named(self, name: str, location: str | None) -> str:
        if found := self._client.get_experiment_by_name(name):
            return str(found.experiment_id)
        try:
            return str(self._client.create_experiment(name, artifact_location=location))
        except MlflowException:  # of a server: somebody else was faster
            if found := self._client.get_experiment_by_name(name):
                return str(found.experiment_id)
            raise

    def _find_or_create_study_run(self) -> str:
        content = self.study.model_dump(mode="json", exclude={"out", "workers", "tracking"})
        folder = RunFolder.of(self.study).path
        return self._find_or_create(folder, self.study.name, content_hash(content), None)

    def _find_or_create(self, folder: Path, name: str, content: str, parent: str | None) -> str:
        """The run noted in `folder` for this content if MLflow still knows it, else a new one."""
        note = read_note(folder)
        wanted = {"uri": self.uri, "experiment": self._experiment, "content": content}
        same = all(note.get(key) == value for key, value in wanted.items())
        if same and self._exists(note["run_id"]):
            return str(note["run_id"])
        run = self._requested(folder, wanted) or self._create(folder, name, wanted, parent)
        write_note(folder, wanted | {"run_id": run})
        return run

    def _requested(self, folder: Path, wanted: Mapping[str, str]) -> str | None:
        """The run that was made for `folder`, if we were stopped before it was noted there."""
        request = read_request(folder)
        if any(request.get(key) != value for key, value in wanted.items()):
            return None
        found = self._client.search_runs(
            [self._experiment], f"tags.`{_REQUEST}` = '{request[_REQUEST]}'"
        )
        return str(found[0].info.run_id) if found else None

    def _create(
        self, folder: Path, name: str, wanted: Mapping[str, str], parent: str | None
    ) -> str:
        """A new run; that it is wanted is noted before, so that none is made twice."""
        request = {_REQUEST: uuid.uuid4().hex}
        write_request(folder, {**wanted, **request})
        tags = dict(request)
        if parent:
            tags |= machine_facts(available_device(self.study.training))
            tags["mlflow.parentRunId"] = parent
        run = self._client.create_run(self._experiment, run_name=name, tags=tags)
        return str(run.info.run_id)

    def _exists(self, run: str) -> bool:
        try:
            return self._client.get_run(run).info.lifecycle_stage == "active"
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
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
