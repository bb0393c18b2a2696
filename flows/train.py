"""The train flow: every network of a study, one Prefect task each."""

from pathlib import Path

import pandas as pd

from spinforge.flows.config import Study
from spinforge.flows.flow_options import FLOW_OPTIONS
from spinforge.flows.limits import TRAIN_S, gpu_tag
from spinforge.flows.orchestration import RETRIES, Tracker, flow, found_complete, task
from spinforge.flows.progress import console, say
from spinforge.flows.run_folder import RunFolder
from spinforge.flows.slices import is_trained, network_folder, select_networks
from spinforge.flows.study_parameter import StudyParameter
from spinforge.flows.training_data import TrainingData, training_data
from spinforge.models.networks import KSpaceNetwork, NetworkConfig
from spinforge.models.training.data import count_slices
from spinforge.models.training.fit import pretraining, stage_histories, train_network
from spinforge.models.training.possible import require_possible
from spinforge.models.training.product_slices import check_trainable
from spinforge.models.training.recipes import TrainingConfig
from spinforge.models.training.resumable import require_resumable
from spinforge.models.training.sources import way_of
from spinforge.models.training.stage_fit import epochs_of
from spinforge.models.training.stages import training_stages
from spinforge.models.training.task import count_steps
from spinforge.models.weights import load_network


@flow(name="train", timeout_seconds=TRAIN_S, **FLOW_OPTIONS)
def train(
    study: StudyParameter, only: str | None = None, parent: StudyParameter | None = None
) -> dict[str, str]:
    """Train every network of a study that is not trained yet.

    Args:
        study: Networks, recipe and data.
        only: Name of the one network to train; all of them by default.
        parent: The study in whose MLflow run the networks' runs lie, if this one is a part of it:
            with another seed, or learning from a corruption set.

    Returns:
        Network name -> folder of its weights, checkpoint and history.
    """
    check_trainable(study.data, study.networks, study.training)
    networks = {network.name: network for network in select_networks(study, only)}
    folders = {name: network_folder(study, network) for name, network in networks.items()}
    for name, network in networks.items():
        if not is_trained(study, network):
            require_possible(study.training)
            require_resumable(network, study.training, folders[name], seed=study.seed)
    tracker = Tracker(parent or study)
    opened = training_data(study, networks.values())
    with opened as data_of, RunFolder.of(study).opened(study):
        # A GPU gets one copy of the set for all networks that read the same of it.
        for group in _reading_the_same(list(networks.values())):
            data = data_of(group[0])

            def train_one(name: str, data: TrainingData = data) -> object:
                if _is_done(folders[name], tracker):
                    return found_complete(None, folders[name].name)
                _train_one(study, networks[name], data, folders[name], tracker)
                data.close()
                return None

            one_network = task(
                name="train-network", task_run_name="{name}", tags=gpu_tag(study), **RETRIES
            )(train_one)
            for network in group:
                one_network(network.name)
    return {name: str(folder) for name, folder in folders.items()}


def _title(study: Study, network: NetworkConfig) -> str:
    """What MLflow's page calls a training: the network, its seed and set if there are several."""
    seed = f", seed {study.seed}" if study.robustness.seeds else ""
    return network.name + seed + (f", on {study.train_on}" if study.train_on else "")


def _reading_the_same(networks: list[NetworkConfig]) -> list[list[NetworkConfig]]:
    """Networks of images or sequences, and networks of k-space; only what there is."""
    from_kspace: list[NetworkConfig] = [n for n in networks if isinstance(n, KSpaceNetwork)]
    others: list[NetworkConfig] = [n for n in networks if not isinstance(n, KSpaceNetwork)]
    return [group for group in (others, from_kspace) if group]


def _length(recipe: TrainingConfig, network: NetworkConfig, n_slices: int) -> str:
    """How long it will take at most, for a line of the log."""
    *before, _ = training_stages(network)
    first = f"{epochs_of(pretraining(recipe), n_slices)} epochs of "
    stages = "".join(f", {first}{stage.name}" for stage in before)
    return f"{stages}, {epochs_of(recipe, n_slices)} epochs"


def _is_done(folder: Path, tracker: Tracker) -> bool:
    """Whether a network was trained and logged before."""
    if not tracker.is_logged(folder, "training") or not (folder / "network.pt").is_file():
        return False
    load_network(folder / "network.pt")  # a damaged one ends here, saying what to do
    say(f"network   {folder} (trained before)")
    return True


def _train_one(
    study: Study,
    network: NetworkConfig,
    data: TrainingData,
    folder: Path,
    tracker: Tracker,
) -> None:
    """Train one network and log it to MLflow; both only as far as not done before."""
    training, validation = data
    n_slices, title = count_slices(training), _title(study, network)
    say(f"training  {title}: {n_slices} slices{_length(study.training, network, n_slices)}")
    with tracker.network_run(folder, title, watched=True) as run:
        tracker.set_tags(run, {"seed": str(study.seed), "learned_from": study.train_on or "clean"})
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
            reads=data.reads,
            loggers=[tracker.lightning_logger(run)],
            progress=console.is_terminal,
        )
        summary = trained.summary
        tracker.log_params(run, {"parameters": summary.parameters})
        tracker.log_metrics(run, {"best_validation_dice_pooled": summary.best_validation_dice})
        steps_per_epoch = count_steps(study.training, n_slices)
        for stage, history in stage_histories(folder).items():
            tracker.log_curves(run, pd.read_csv(history), steps_per_epoch, prefix=f"{stage}/")
        tracker.log_curves(run, pd.read_csv(trained.history_file), steps_per_epoch)
        tracker.log_file(run, trained.history_file)
        tracker.log_network(run, trained.network_file, coils=len(validation[0].get("kspace", [0])))
    tracker.mark_logged(folder, "training")
    say(
        f"network   {folder} (pooled validation Dice {summary.best_validation_dice:.3f} "
        f"in epoch {summary.best_epoch})"
    )
