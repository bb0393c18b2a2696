"""The train flow: every network of a study, one Prefect task each."""

from pathlib import Path

from prefect import flow, task

from spinforge.datasets.loading import ZeroFilledSlices
from spinforge.datasets.products.kspace import split_of
from spinforge.flows.config import Study
from spinforge.flows.progress import console, say
from spinforge.flows.run_folder import RunFolder, network_fingerprint
from spinforge.flows.tracking import Tracker
from spinforge.models.networks import NetworkConfig
from spinforge.models.training.fit import train_network
from spinforge.models.weights import load_network
from spinforge.simulation.errors import SpinforgeError


@flow(name="train")
def train(study: Study, only: str | None = None) -> dict[str, str]:
    """Train every network of a study that is not trained yet.

    Args:
        study: Networks, recipe and data.
        only: Name of the one network to train; all of them by default.

    Returns:
        Network name -> folder of its weights, checkpoints and history.
    """
    networks = select_networks(study, only)
    training, validation = training_slices(study)
    tracker = Tracker(study)
    folders = {n.name: network_folder(study, n, training, validation) for n in networks}

    def train_one(name: str) -> None:
        network = next(n for n in networks if n.name == name)
        _train_one(study, network, training, validation, folders[name], tracker)

    for name in folders:
        task(name="train-network", task_run_name="{name}")(train_one)(name)
    return {name: str(folder) for name, folder in folders.items()}


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


def training_slices(study: Study) -> tuple[ZeroFilledSlices, ZeroFilledSlices]:
    """Training slices with fresh masks each epoch, validation slices with fixed ones."""
    path = RunFolder.of(study).store.path
    split = split_of(study.data)
    sampling = study.data.sampling
    training = ZeroFilledSlices(
        path, split.train, sampling=sampling, masks="fresh", seed=study.seed
    )
    validation = ZeroFilledSlices(path, split.validation, sampling=sampling, masks="fixed")
    return training, validation


def network_folder(
    study: Study,
    network: NetworkConfig,
    training: ZeroFilledSlices,
    validation: ZeroFilledSlices,
) -> Path:
    """Folder that belongs to exactly these slices, this recipe and this network."""
    seen = [training.fingerprint(), validation.fingerprint()]
    fingerprint = network_fingerprint(study, network, seen)
    return RunFolder.of(study).network(network.name, fingerprint)


def _train_one(
    study: Study,
    network: NetworkConfig,
    training: ZeroFilledSlices,
    validation: ZeroFilledSlices,
    folder: Path,
    tracker: Tracker,
) -> None:
    """Train one network inside its MLflow run; return at once if it is trained already."""
    if (folder / "network.pt").is_file():
        say(f"network   {folder} (trained before)")
        return
    say(f"training  {network.name} on {len(training)} slices, {study.training.epochs} epochs")
    with tracker.network_run(folder, network.name) as run:
        tracker.log_params(run, {"network": network.model_dump(mode="json")})
        tracker.log_params(run, {"training": study.training.model_dump(mode="json")})
        tracker.log_dataset(run, study.data.phantom, training.digest, "training")
        tracker.log_dataset(run, study.data.phantom, validation.digest, "validation")
        trained = train_network(
            network,
            study.training,
            training,
            validation,
            folder,
            seed=study.seed,
            loggers=[tracker.lightning_logger(run)],
            progress=console.is_terminal,
        )
        summary = trained.summary
        tracker.log_params(run, {"parameters": summary.parameters})
        tracker.log_metrics(run, {"best_validation_dice": summary.best_validation_dice})
        tracker.log_file(run, trained.history_file)
        example = training[0]["image"].expand(2, -1, -1, -1).numpy()
        tracker.log_model(run, load_network(trained.network_file).network, example)
    say(
        f"network   {folder} (validation Dice {summary.best_validation_dice:.3f} "
        f"in epoch {summary.best_epoch})"
    )
