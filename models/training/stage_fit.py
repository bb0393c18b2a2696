"""One stage of a training: Lightning's loop, from the start or from where it was stopped."""

import inspect
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import RichProgressBar
from lightning.pytorch.loggers import Logger
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from spinforge.datasets.reading.network_input import IGNORE_INDEX
from spinforge.datasets.reading.simulated_slices import SimulatedSlices
from spinforge.datasets.storage.files import remove_abandoned
from spinforge.models.augmentation.augmenter import augmenter_for
from spinforge.models.collective import process_number
from spinforge.models.losses import inverse_frequency
from spinforge.models.networks import NetworkConfig
from spinforge.models.training.checkpoints import (
    CheckpointFiles,
    Checkpoints,
    find_resumable,
)
from spinforge.models.training.data import (
    ReadyBatches,
    SharedReadyBatches,
    SliceDataset,
    count_slices,
    training_loader,
    validation_loader,
)
from spinforge.models.training.history import History
from spinforge.models.training.normalisation import GlobalStatistics
from spinforge.models.training.outcome import StageOutcome, read_outcome, write_outcome
from spinforge.models.training.quiet import quiet_lightning, stopping_reaches_the_caller
from spinforge.models.training.recipes import TrainingConfig
from spinforge.models.training.sharing import ALONE, Share
from spinforge.models.training.sources import training_source, workers_for
from spinforge.models.training.stages import Stage
from spinforge.models.training.task import SegmentationTask, count_steps
from spinforge.simulation.errors import SpinforgeError

_NEW_NAME = "forward_sync_buffers" in inspect.signature(DistributedDataParallel).parameters
_NO_SYNCED_BUFFERS: dict[str, Any] = {
    # PyTorch 2.13 has another name for it.
    "forward_sync_buffers" if _NEW_NAME else "broadcast_buffers": False
}


@dataclass(frozen=True)
class StageJob:
    """One stage to be trained.

    Attributes:
        stage: What is trained.
        is_last: Whether the network is finished with it; other stages leave `weights.pt`, and
            their names are put in front of what is logged.
        config: What the network was built from.
        recipe: How to train.
        train: Slices to learn from, or ready batches of them.
        validation: Slices to judge by.
        folder: For `last.ckpt`, `history.csv` and, last of all, `weights.pt`.
        device: Where, for this process.
        seed: Seed of the order of the slices and of dropout.
        identity: Which training this is, as plain data.
        loggers: Receive the losses.
        progress: Show a progress bar.
    """

    stage: Stage
    is_last: bool
    config: NetworkConfig
    recipe: TrainingConfig
    train: SliceDataset | ReadyBatches
    validation: SliceDataset
    folder: Path
    device: torch.device
    seed: int
    identity: dict[str, Any]
    loggers: Sequence[Logger]
    progress: bool

    @property
    def epochs(self) -> int:
        """Epochs in all."""
        return epochs_of(self.recipe, count_slices(self.train))


def fit_stage(network: nn.Module, job: StageJob) -> StageOutcome:
    """Train what the stage trains; a stage that is finished in its folder is returned at once.

    Args:
        network: With the weights of the stage before; changed.
        job: The stage.

    Raises:
        SpinforgeError: As `train_network`.
    """
    folder, recipe, device = job.folder, job.recipe, job.device
    finished = folder / "weights.pt"
    if finished.exists():
        return read_outcome(finished, job.identity)
    batches = _batches(job)
    resumable = find_resumable(folder / "last.ckpt", job.identity)
    folder.mkdir(parents=True, exist_ok=True)
    if process_number() == 0:
        remove_abandoned(folder)
    task = _task(network, job)
    history = History(folder / "history.csv")
    checkpoints = Checkpoints(
        folder / "last.ckpt", job.identity, keep=recipe.keep, patience=recipe.patience
    )
    # On standard error: standard output belongs to the answer of a command.
    progress_bar = [RichProgressBar(console_kwargs={"stderr": True})] if job.progress else []
    with quiet_lightning(), stopping_reaches_the_caller(), _settings_put_back(device):
        trainer = Trainer(
            **_trainer_options(recipe, device),
            max_epochs=job.epochs,
            logger=list(job.loggers) or False,
            callbacks=[history, checkpoints, *progress_bar],
            default_root_dir=folder,
            enable_progress_bar=job.progress,
        )
        judged = _validation_batches(job)
        trainer.fit(task, batches, judged, ckpt_path=resumable, weights_only=True)
    outcome = StageOutcome(
        checkpoints.kept_weights,
        epochs=len(history.rows),
        kept_epoch=checkpoints.kept_epoch,
        score=checkpoints.kept_score,
        seconds=sum(row["seconds"] for row in history.rows),
    )
    # The last stage ends with the network's own file.
    if not job.is_last and process_number() == 0:
        write_outcome(finished, outcome, job.identity)
    return outcome


def _task(network: nn.Module, job: StageJob) -> SegmentationTask:
    """What Lightning trains, with the network as the stage begins."""
    if job.stage.prepare is not None:
        job.stage.prepare(network)
    return SegmentationTask(
        network.to(memory_format=torch.channels_last),  # type: ignore[call-overload]
        job.config,
        job.recipe,
        job.stage,
        n_classes=job.train.n_classes,
        n_slices=count_slices(job.train),
        n_validated=len(job.validation),
        epochs=job.epochs,
        seed=job.seed,
        prefix="" if job.is_last else f"{job.stage.name}/",
        class_weights=_class_weights(job.train, job.recipe),
        augmenter=augmenter_for(job.recipe.augmentation, job.config, seed=job.seed),
    )


def _validation_batches(job: StageJob) -> Iterable[Mapping[str, Any]]:
    """A loader of this process' batches of the validation slices."""
    return validation_loader(
        job.validation,
        batch_size=job.recipe.batch_size,
        workers=workers_for(job.validation, job.device),
        share=Share.own(),
        pinned=job.device.type == "cuda",
    )


def _batches(job: StageJob) -> Iterable[Mapping[str, Any]]:
    """A loader of the slices, or the batches that are there; of this process' pieces.

    Raises:
        SpinforgeError: If these have another size than the recipe's.
    """
    train, recipe, device, seed = job.train, job.recipe, job.device, job.seed
    share = Share.own()
    if share != ALONE and isinstance(train, SliceDataset):
        # Each process has a device of its own, where nobody could put the set before.
        train = training_source(train, device=device, batch_size=recipe.batch_size, seed=seed)
    if isinstance(train, SliceDataset):
        return training_loader(
            train,
            batch_size=recipe.batch_size,
            seed=seed,
            workers=workers_for(train, device),
            share=share,
            # What is simulated is on the device already.
            pinned=device.type == "cuda" and not isinstance(train, SimulatedSlices),
        )
    if train.batch_size != recipe.batch_size:
        raise SpinforgeError(
            f"the ready batches hold {train.batch_size} slices, but training.batch_size is "
            f"{recipe.batch_size}; make them of the recipe's size"
        )
    return train if share == ALONE else SharedReadyBatches(train, share)


def epochs_of(recipe: TrainingConfig, n_slices: int) -> int:
    """Epochs to train on so many slices: whole ones, also where the recipe counts steps."""
    if recipe.steps is None:
        return recipe.epochs
    return min(recipe.epochs, math.ceil(recipe.steps / count_steps(recipe, n_slices)))


def _class_weights(
    train: SliceDataset | ReadyBatches, recipe: TrainingConfig
) -> Float[Tensor, " classes"] | None:
    """Weights of the classes, where the recipe's loss has some; reads every label once."""
    if recipe.loss != "weighted_cross_entropy":
        return None
    if isinstance(train, SimulatedSlices):
        train.set_epoch(0)  # whichever heads were seen last; those of new heads differ
    items = (train[i] for i in range(len(train))) if isinstance(train, SliceDataset) else train
    counts = torch.zeros(train.n_classes, dtype=torch.int64)
    for item in items:
        target = item["target"]
        codes = target[target != IGNORE_INDEX].long().cpu()
        counts += torch.bincount(codes, minlength=train.n_classes)
    return inverse_frequency(counts)


def _trainer_options(recipe: TrainingConfig, device: torch.device) -> dict[str, Any]:
    """Options of Lightning's trainer that follow from the recipe or are always the same."""
    precisions = {"32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed"}
    options: dict[str, Any] = {
        "accelerator": device.type,
        "devices": 1,
        "plugins": [CheckpointFiles()],
        "precision": precisions[recipe.precision],
        "accumulate_grad_batches": recipe.accumulate,
        "gradient_clip_val": recipe.gradient_clip,
        "deterministic": recipe.deterministic,
        "num_sanity_val_steps": 0,
        "log_every_n_steps": 1,  # an epoch may be a single step; nothing is logged by the step
        "enable_model_summary": False,
    }
    if recipe.processes > 1:
        options |= {
            "devices": recipe.devices,
            "num_nodes": recipe.nodes,
            # Running statistics are the same in each process; the sums of an epoch are its own.
            "strategy": DDPStrategy(**_NO_SYNCED_BUFFERS),
            "use_distributed_sampler": False,
            "sync_batchnorm": device.type == "cuda",
        }
        if device.type == "cpu":
            options["plugins"].append(GlobalStatistics())
    return options


@contextmanager
def _settings_put_back(device: torch.device) -> Iterator[None]:
    """Leave PyTorch's generators and its choice of algorithms as they were.

    Lightning sets the latter for good, and dropout draws from the former.
    """
    deterministic = torch.are_deterministic_algorithms_enabled()
    benchmark = torch.backends.cudnn.benchmark
    try:
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            yield
    finally:
        torch.use_deterministic_algorithms(deterministic)
        torch.backends.cudnn.benchmark = benchmark
