"""Train one network in one folder, from the start or from where it was stopped."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from pydantic import ValidationError
from torch import Tensor

from spinforge.datasets.reading.slice_format import SliceFormat
from spinforge.datasets.storage.files import replacing
from spinforge.models.collective import process_number
from spinforge.models.networks import NetworkConfig, build_network, count_parameters, output_classes
from spinforge.models.training.checkpoints import require_same_training
from spinforge.models.training.data import (
    ReadyBatches,
    SliceDataset,
    count_slices,
    require_matching,
)
from spinforge.models.training.outcome import StageOutcome
from spinforge.models.training.possible import device_of, require_possible
from spinforge.models.training.processes import is_one_of_several, joined, start_together
from spinforge.models.training.recipes import TrainingConfig
from spinforge.models.training.resumable import settings_identity, stage_folders
from spinforge.models.training.sharing import require_a_piece_for_each
from spinforge.models.training.sources import before_sampling
from spinforge.models.training.stage_fit import StageJob, fit_stage
from spinforge.models.weights import save_network
from spinforge.simulation.config import Config
from spinforge.simulation.errors import SpinforgeError


class TrainingSummary(Config):
    """What `training.json` holds.

    Attributes:
        epochs: Epochs trained, in the last stage if there were several.
        best_epoch: The epoch whose weights were kept, counted from 1; the last one if the recipe
            says so.
        best_validation_dice: Its Dice, from the pixels of all validation slices together.
        seconds: Wall time of all epochs, in all stages.
        parameters: Trainable weights of the network.
        identity: Which training this was: network, recipe, seed and data sizes.
    """

    epochs: int
    best_epoch: int
    best_validation_dice: float
    seconds: float
    parameters: int
    identity: dict[str, Any]


@dataclass(frozen=True)
class TrainedNetwork:
    """A finished training.

    Attributes:
        folder: Holds `network.pt`, `training.json`, `history.csv` and `last.ckpt`.
        summary: What came of it.
    """

    folder: Path
    summary: TrainingSummary

    @property
    def network_file(self) -> Path:
        """The best epoch's network, for `load_network`."""
        return self.folder / "network.pt"

    @property
    def summary_file(self) -> Path:
        """The summary, as JSON."""
        return self.folder / "training.json"

    @property
    def history_file(self) -> Path:
        """One row per epoch."""
        return self.folder / "history.csv"


def train_network(
    network: NetworkConfig,
    recipe: TrainingConfig,
    train: SliceDataset | ReadyBatches,
    validation: SliceDataset,
    folder: Path,
    *,
    seed: int,
    reads: SliceFormat | None = None,
    loggers: Sequence[Logger] = (),
    progress: bool = True,
) -> TrainedNetwork:
    """Train, in as many stages as the network needs, and keep the weights the recipe asks for.

    A training that is already finished in `folder` is returned at once, whatever this machine can
    do; one that was stopped or killed goes on after its last whole epoch, in the stage it was in.
    Both give the weights of an uninterrupted training, bit for bit on one processor with one thread
    count.

    For several `devices` as many processes are started, unless torchrun has started this one among
    others (`processes.py`); they give the weights of one process up to rounding. A program that
    calls this then needs the usual `if __name__ == "__main__":`, and data that can be pickled.

    Args:
        network: What to train.
        recipe: How.
        train: Slices to learn from, whose `set_epoch` is called before each epoch; or ready batches
            of them, of the recipe's size and in the order of `seed`. Each stage counts its epochs
            from 0.
        validation: Slices to choose the best epoch by.
        folder: Where to write `network.pt` (last of all), `training.json`, `history.csv` and
            `last.ckpt`, and those of earlier stages in folders such as `1-reconstruction`; made if
            missing.
        seed: Seed of the initial weights and of the order of the slices.
        reads: What the slices look like; kept in the network's file, so that it can be applied to
            other scans.
        loggers: Receive `train_loss`, `validation_loss`, `validation_dice_pooled` and
            `learning_rate`, those of earlier stages with the stage's name in front.
        progress: Show a progress bar.

    Returns:
        The files and a summary.

    Raises:
        SpinforgeError: If this machine cannot do what the recipe asks for, the data sets do not fit
            together or not the network, ready batches have another size than the recipe's,
            `folder` holds another training or a damaged checkpoint, or the loss becomes NaN or
            infinite.
        KeyboardInterrupt: On Ctrl-C; call again to go on.
        SystemExit: On SIGTERM, after the batch, with code 143; likewise.
    """
    require_matching(train, validation)
    if recipe.augmentation.is_physical:
        train = before_sampling(train)
    identity = _identity(network, recipe, train, validation, seed)
    # Before this machine is asked for anything: it may have been trained on another one.
    if (finished := _find_finished(folder, identity)) is not None:
        return finished
    require_possible(recipe)
    require_a_piece_for_each(count_slices(train), recipe.batch_size, recipe.processes)
    job = _Job(network, recipe, train, validation, folder, seed, identity, reads, loggers, progress)
    if recipe.processes == 1 or is_one_of_several():
        return _train(job)
    start_together(_train, job, count=recipe.devices)
    if (finished := _find_finished(folder, identity)) is None:
        raise SpinforgeError(f"the training in {folder} was stopped; run again to go on")
    return finished


@dataclass(frozen=True)
class _Job:
    """What `train_network` is called with, and which training it is."""

    network: NetworkConfig
    recipe: TrainingConfig
    train: SliceDataset | ReadyBatches
    validation: SliceDataset
    folder: Path
    seed: int
    identity: dict[str, Any]
    reads: SliceFormat | None
    loggers: Sequence[Logger]
    progress: bool


def _train(job: _Job) -> TrainedNetwork:
    """`train_network` in one process, alone or together with others."""
    network, recipe, train, folder = job.network, job.recipe, job.train, job.folder
    with joined(device_of(recipe)) as device:
        built = build_network(
            network,
            in_channels=train.n_channels,
            n_classes=output_classes(network, train.n_classes),
            seed=job.seed,
        )
        outcomes: list[StageOutcome] = []
        for stage, place in stage_folders(network, folder):
            is_last = place == folder
            stage_job = StageJob(
                stage,
                is_last,
                network,
                recipe if is_last else pretraining(recipe),
                train,
                job.validation,
                place,
                device=device,
                seed=job.seed,
                identity=job.identity | {"stage": stage.name},
                loggers=job.loggers,
                progress=job.progress,
            )
            outcome = fit_stage(built, stage_job)
            built.load_state_dict(outcome.weights)
            outcomes.append(outcome)
        summary = TrainingSummary(
            epochs=outcomes[-1].epochs,
            best_epoch=outcomes[-1].kept_epoch,
            best_validation_dice=outcomes[-1].score,
            seconds=sum(outcome.seconds for outcome in outcomes),
            parameters=count_parameters(built.requires_grad_()),
            identity=job.identity,
        )
        trained = TrainedNetwork(folder, summary)
        if process_number() == 0:
            _write_result(trained, network, outcomes[-1].weights, job.reads)
        return trained


def pretraining(recipe: TrainingConfig) -> TrainingConfig:
    """The recipe of the stages before the last."""
    return recipe.model_copy(update={"epochs": recipe.pretraining_epochs or recipe.epochs})


def _identity(
    network: NetworkConfig,
    recipe: TrainingConfig,
    train: SliceDataset | ReadyBatches,
    validation: SliceDataset,
    seed: int,
) -> dict[str, Any]:
    """All that decides the result and is known here."""
    return {
        **settings_identity(network, recipe, seed),
        "channels": train.n_channels,
        "classes": train.n_classes,
        "training slices": count_slices(train),
        "validation slices": len(validation),
    }


def _find_finished(folder: Path, identity: dict[str, Any]) -> TrainedNetwork | None:
    """Return the finished training of this folder, if there is one."""
    path = folder / "training.json"
    if not (path.exists() and (folder / "network.pt").exists()):
        return None
    summary = read_summary(folder)
    require_same_training(path, summary.identity, identity)
    return TrainedNetwork(folder, summary)


def stage_histories(folder: Path) -> dict[str, Path]:
    """The tables of the stages before the last one, by the stage's name, in order."""
    found = sorted(folder.glob("[0-9]*-*/history.csv"))
    return {path.parent.name.partition("-")[2]: path for path in found}


def read_summary(folder: Path) -> TrainingSummary:
    """What came of the finished training in a folder.

    Raises:
        SpinforgeError: If its summary is missing or damaged.
    """
    path = folder / "training.json"
    if not path.exists():
        raise SpinforgeError(f"{path} is missing; run: spinforge train")
    try:
        return TrainingSummary.model_validate_json(path.read_text())
    except ValidationError as error:
        raise SpinforgeError(
            f"{path} is damaged; delete it and run: spinforge train, which writes it anew"
        ) from error


def _write_result(
    trained: TrainedNetwork,
    network: NetworkConfig,
    weights: dict[str, Tensor],
    reads: SliceFormat | None,
) -> None:
    """Write the summary, then the network: its presence says that all is done."""
    identity = trained.summary.identity
    text = trained.summary.model_dump_json(indent=2) + "\n"
    with replacing(trained.summary_file) as file:
        file.write_text(text)
    save_network(
        trained.network_file,
        weights,
        network,
        in_channels=identity["channels"],
        n_classes=output_classes(network, identity["classes"]),
        reads=reads,
    )
