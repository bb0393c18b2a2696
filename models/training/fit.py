"""Train one network in one folder, from the start or from where it was stopped."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import RichProgressBar
from lightning.pytorch.loggers import Logger
from pydantic import ValidationError
from torch import Tensor

from spinforge.datasets.storage.files import replacing
from spinforge.models.devices import device_of
from spinforge.models.networks import NetworkConfig, build_network, count_parameters
from spinforge.models.training.checkpoints import (
    CheckpointFiles,
    Checkpoints,
    find_resumable,
    require_same_training,
)
from spinforge.models.training.data import (
    ReadyBatches,
    SliceDataset,
    count_slices,
    require_matching,
    training_loader,
    validation_loader,
)
from spinforge.models.training.history import History
from spinforge.models.training.quiet import quiet_lightning, stopping_reaches_the_caller
from spinforge.models.training.reading import workers_for
from spinforge.models.training.recipes import TrainingConfig
from spinforge.models.training.task import SegmentationTask
from spinforge.models.weights import save_network
from spinforge.simulation.config import Config
from spinforge.simulation.errors import SpinforgeError


class TrainingSummary(Config):
    """What `training.json` holds.

    Attributes:
        epochs: Epochs trained.
        best_epoch: The epoch whose weights were kept, counted from 1.
        best_validation_dice: Its Dice, from the pixels of all validation slices together.
        seconds: Wall time of all epochs.
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
    loggers: Sequence[Logger] = (),
    progress: bool = True,
) -> TrainedNetwork:
    """Train and keep the weights of the epoch with the best validation Dice.

    A training that is already finished in `folder` is returned at once; one that was stopped or
    killed goes on after its last whole epoch. Both give the weights of an uninterrupted training,
    bit for bit on one processor with one thread count.

    Args:
        network: What to train.
        recipe: How.
        train: Slices to learn from, whose `set_epoch` is called before each epoch; or ready batches
            of them, of the recipe's size and in the order of `seed`.
        validation: Slices to choose the best epoch by.
        folder: Where to write `network.pt` (last of all), `training.json`, `history.csv` and
            `last.ckpt`; made if missing.
        seed: Seed of the initial weights and of the order of the slices.
        loggers: Receive `train_loss`, `validation_loss`, `validation_dice_pooled`, `learning_rate`.
        progress: Show a progress bar.

    Returns:
        The files and a summary.

    Raises:
        SpinforgeError: If the data sets do not fit together, ready batches have another size than
            the recipe's, `folder` holds another training or a damaged checkpoint, the loss becomes
            NaN or infinite, or there is no GPU to be had.
        KeyboardInterrupt: On Ctrl-C; call again to go on.
        SystemExit: On SIGTERM, after the batch, with code 143; likewise.
    """
    require_matching(train, validation)
    n_slices = count_slices(train)
    batches = _batches(train, recipe, seed)
    identity = _identity(network, recipe, train, validation, seed)
    if (finished := _find_finished(folder, identity)) is not None:
        return finished
    checkpoint_file = folder / "last.ckpt"
    resumable = find_resumable(checkpoint_file, identity)
    folder.mkdir(parents=True, exist_ok=True)

    task = SegmentationTask(
        build_network(
            network, in_channels=train.n_channels, n_classes=train.n_classes, seed=seed
        ).to(memory_format=torch.channels_last),  # type: ignore[call-overload]
        recipe,
        n_classes=train.n_classes,
        steps_per_epoch=math.ceil(n_slices / recipe.batch_size),
    )
    history = History(folder / "history.csv")
    checkpoints = Checkpoints(checkpoint_file, identity)
    # On standard error: standard output belongs to the answer of a command.
    progress_bar = [RichProgressBar(console_kwargs={"stderr": True})] if progress else []
    with quiet_lightning(), stopping_reaches_the_caller():
        trainer = Trainer(
            **_trainer_options(recipe),
            logger=list(loggers) or False,
            callbacks=[history, checkpoints, *progress_bar],
            default_root_dir=folder,
            enable_progress_bar=progress,
        )
        trainer.fit(
            task,
            batches,
            validation_loader(
                validation,
                batch_size=recipe.batch_size,
                workers=workers_for(validation, device_of(recipe)),
            ),
            ckpt_path=resumable,
            weights_only=True,
        )
    summary = TrainingSummary(
        epochs=len(history.rows),
        best_epoch=checkpoints.best_epoch,
        best_validation_dice=checkpoints.best_dice,
        seconds=sum(row["seconds"] for row in history.rows),
        parameters=count_parameters(task.network),
        identity=identity,
    )
    trained = TrainedNetwork(folder, summary)
    _write_result(trained, network, checkpoints.best_weights)
    return trained


def _batches(
    train: SliceDataset | ReadyBatches, recipe: TrainingConfig, seed: int
) -> Iterable[Mapping[str, Any]]:
    """A loader of the slices, or the batches that are there.

    Raises:
        SpinforgeError: If these have another size than the recipe's.
    """
    if isinstance(train, SliceDataset):
        workers = workers_for(train, device_of(recipe))
        return training_loader(train, batch_size=recipe.batch_size, seed=seed, workers=workers)
    if train.batch_size != recipe.batch_size:
        raise SpinforgeError(
            f"the ready batches hold {train.batch_size} slices, but training.batch_size is "
            f"{recipe.batch_size}; make them of the recipe's size"
        )
    return train


def _identity(
    network: NetworkConfig,
    recipe: TrainingConfig,
    train: SliceDataset | ReadyBatches,
    validation: SliceDataset,
    seed: int,
) -> dict[str, Any]:
    """All that decides the result and is known here; not the device, which may change."""
    return {
        "network": network.model_dump(mode="json"),
        "recipe": recipe.model_dump(mode="json", exclude={"device"}),
        "seed": seed,
        "channels": train.n_channels,
        "classes": train.n_classes,
        "training slices": count_slices(train),
        "validation slices": len(validation),
    }


def _trainer_options(recipe: TrainingConfig) -> dict[str, Any]:
    """Options of Lightning's trainer that follow from the recipe or are always the same."""
    return {
        "accelerator": device_of(recipe).type,
        "devices": 1,
        "plugins": CheckpointFiles(),
        "precision": "bf16-mixed" if recipe.precision == "bf16" else "32-true",
        "max_epochs": recipe.epochs,
        "num_sanity_val_steps": 0,
        "log_every_n_steps": 1,  # an epoch may be a single step; nothing is logged by the step
        "enable_model_summary": False,
    }


def _find_finished(folder: Path, identity: dict[str, Any]) -> TrainedNetwork | None:
    """Return the finished training of this folder, if there is one."""
    path = folder / "training.json"
    if not (path.exists() and (folder / "network.pt").exists()):
        return None
    try:
        summary = TrainingSummary.model_validate_json(path.read_text())
    except ValidationError as error:
        raise SpinforgeError(f"{path} is damaged; delete it to have it written anew") from error
    require_same_training(path, summary.identity, identity)
    return TrainedNetwork(folder, summary)


def _write_result(
    trained: TrainedNetwork, network: NetworkConfig, weights: dict[str, Tensor]
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
        n_classes=identity["classes"],
    )
