"""The train flow: every network of a study, one Prefect task each."""

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from spinforge.datasets.products.kspace_settings import KSpaceProduct
from spinforge.datasets.reading.device_images import DeviceImages
from spinforge.datasets.reading.device_resident import DeviceSlices
from spinforge.datasets.reading.fresh_heads import FreshHeads
from spinforge.datasets.reading.simulated_slices import SimulatedSlices
from spinforge.flows.config import Study
from spinforge.flows.orchestration import Tracker, flow, task
from spinforge.flows.progress import console, say
from spinforge.flows.run_folder import RunFolder
from spinforge.flows.slices import network_folder, study_slices
from spinforge.flows.workers import worker_processes
from spinforge.models.networks import KSpaceNetwork, NetworkConfig
from spinforge.models.training.data import count_slices
from spinforge.models.training.fit import pretraining, train_network
from spinforge.models.training.fresh import simulated_source, simulates
from spinforge.models.training.possible import device_of
from spinforge.models.training.product_slices import (
    StudySlices,
    check_fits,
    check_trainable,
    showing,
)
from spinforge.models.training.recipes import TrainingConfig
from spinforge.models.training.sources import training_source, way_of
from spinforge.models.training.stage_fit import epochs_of
from spinforge.models.training.stages import training_stages
from spinforge.models.training.task import count_steps
from spinforge.models.weights import load_network
from spinforge.simulation.errors import SpinforgeError

TrainingSource = StudySlices | DeviceSlices | DeviceImages | SimulatedSlices


@flow(name="train")
def train(study: Study, only: str | None = None) -> dict[str, str]:
    """Train every network of a study that is not trained yet.

    Args:
        study: Networks, recipe and data.
        only: Name of the one network to train; all of them by default.

    Returns:
        Network name -> folder of its weights, checkpoint and history.
    """
    check_trainable(study.data, study.networks, study.training)
    networks = {network.name: network for network in select_networks(study, only)}
    folders = {name: network_folder(study, network) for name, network in networks.items()}
    tracker = Tracker(study)
    validation = study_slices(study, "validation")
    check_fits(validation, networks.values())
    training = None if simulates(study.training) else study_slices(study, "train")
    with RunFolder.of(study).opened(study), _head_makers(study) as executor:
        # A GPU gets one copy of the set for all networks that read the same of it.
        for group in _reading_the_same(list(networks.values())):
            source = _source(study, training, group[0], executor)
            shown = showing(validation, group[0])

            def train_one(
                name: str, source: TrainingSource = source, shown: StudySlices = shown
            ) -> None:
                _train_one(study, networks[name], source, shown, folders[name], tracker)
                if isinstance(source, FreshHeads):
                    source.close()

            for network in group:
                task(name="train-network", task_run_name="{name}")(train_one)(network.name)
    return {name: str(folder) for name, folder in folders.items()}


@contextmanager
def _head_makers(study: Study) -> Iterator[Executor | None]:
    """Processes that make new heads, where each epoch wants some."""
    if study.training.fresh != "anatomy":
        yield None
        return
    with worker_processes(study.workers) as executor:
        yield executor


def _source(
    study: Study, training: StudySlices | None, network: NetworkConfig, executor: Executor | None
) -> TrainingSource:
    """What networks that read the same as this one learn from."""
    device = device_of(study.training)
    if training is None:
        assert isinstance(study.data, KSpaceProduct)  # `check_trainable` saw to it
        return simulated_source(
            study.data,
            study.training,
            network,
            seed=study.seed,
            device=device,
            executor=executor,
        )
    return training_source(
        showing(training, network),
        device=device,
        processes=study.training.processes,
        batch_size=study.training.batch_size,
        seed=study.seed,
    )


def _reading_the_same(networks: list[NetworkConfig]) -> list[list[NetworkConfig]]:
    """Networks of images or sequences, and networks of k-space; only what there is."""
    from_kspace: list[NetworkConfig] = [n for n in networks if isinstance(n, KSpaceNetwork)]
    others: list[NetworkConfig] = [n for n in networks if not isinstance(n, KSpaceNetwork)]
    return [group for group in (others, from_kspace) if group]


def select_networks(study: Study, only: str | None) -> tuple[NetworkConfig, ...]:
    """The study's networks, or the one with this name.

    Raises:
        SpinforgeError: If there is none with this name.
    """
    chosen = tuple(n for n in study.networks if only in (None, n.name))
    if not chosen:
        names = ", ".join(network.name for network in study.networks)
        raise SpinforgeError(f"no network is named {only!r}; the study has {names}.")
    return chosen


def _length(recipe: TrainingConfig, network: NetworkConfig, n_slices: int) -> str:
    """How long it will take at most, for a line of the log."""
    *before, _ = training_stages(network)
    first = f"{epochs_of(pretraining(recipe), n_slices)} epochs of "
    stages = "".join(f", {first}{stage.name}" for stage in before)
    return f"{stages}, {epochs_of(recipe, n_slices)} epochs"


def _train_one(
    study: Study,
    network: NetworkConfig,
    training: TrainingSource,
    validation: StudySlices,
    folder: Path,
    tracker: Tracker,
) -> None:
    """Train one network and log it to MLflow; both only as far as not done before."""
    if tracker.is_logged(folder, "training") and (folder / "network.pt").is_file():
        load_network(folder / "network.pt")  # a damaged one ends here, saying what to do
        say(f"network   {folder} (trained before)")
        return
    n_slices = count_slices(training)
    say(
        f"training  {network.name} on {n_slices} slices{_length(study.training, network, n_slices)}"
    )
    with tracker.network_run(folder, network.name, watched=True) as run:
        tracker.log_params(run, {"network": network.model_dump(mode="json")})
        tracker.log_params(run, {"training": study.training.model_dump(mode="json")})
        tracker.log_params(run, {"reading": way_of(training)})
        tracker.log_dataset(run, study.data.product, training.digest, "training")
        tracker.log_dataset(run, study.data.product, validation.digest, "validation")
        trained = train_network(
            network,
            study.training,
            training,
            validation,
            folder,
            seed=study.seed,
            # Simulated slices look as those that validate.
            reads=(validation if isinstance(training, SimulatedSlices) else training).format,
            loggers=[tracker.lightning_logger(run)],
            progress=console.is_terminal,
        )
        summary = trained.summary
        tracker.log_params(run, {"parameters": summary.parameters})
        tracker.log_metrics(run, {"best_validation_dice_pooled": summary.best_validation_dice})
        steps_per_epoch = count_steps(study.training, n_slices)
        tracker.log_curves(run, pd.read_csv(trained.history_file), steps_per_epoch)
        tracker.log_file(run, trained.history_file)
        tracker.log_network(run, trained.network_file, coils=len(validation[0].get("kspace", [0])))
    tracker.mark_logged(folder, "training")
    say(
        f"network   {folder} (pooled validation Dice {summary.best_validation_dice:.3f} "
        f"in epoch {summary.best_epoch})"
    )
