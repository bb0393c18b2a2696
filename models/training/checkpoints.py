"""The checkpoint after each epoch: everything to go on from, and the best weights so far."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO
from torch import Tensor

from spinforge.models.training.task import SegmentationTask
from spinforge.models.weights import read_torch_file, write_torch_file
from spinforge.simulation.errors import SpinforgeError

IDENTITY = "spinforge_training"
"""Key in the checkpoint under which it says which training it belongs to."""


class CheckpointFiles(TorchCheckpointIO):
    """Writes checkpoints beside their final place, in one step.

    Lightning's own way leads over the folder for temporary files, often on a smaller disk.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: object = None
    ) -> None:
        """Write a checkpoint; the options are for remote storage and not used."""
        write_torch_file(Path(path), checkpoint)


class Checkpoints(Checkpoint):
    """Writes `path` after each epoch, the weights to keep inside.

    One file holds both, so that they can never disagree however a training is killed. The best
    epoch is the one of the highest Dice; of a stage that does not segment, of the lowest loss.

    Args:
        path: The checkpoint.
        identity: Which training this is, as plain data; checked before a resume.
        keep: Which epoch's weights.
        patience: Epochs without a better one after which to stop; None never stops.

    Attributes:
        kept_epoch: The epoch whose weights are kept, counted from 1.
        kept_score: Its Dice, or minus its loss.
        kept_weights: Those weights, on the processor.
    """

    def __init__(
        self,
        path: Path,
        identity: dict[str, Any],
        *,
        keep: Literal["best", "last"] = "best",
        patience: int | None = None,
    ) -> None:
        self.kept_epoch = 0
        self.kept_score = -math.inf
        self.kept_weights: dict[str, Tensor] = {}
        self._best_epoch, self._best_score = 0, -math.inf
        self._epochs = 0
        self._path, self._identity = path, identity
        self._keep, self._patience = keep, patience

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Go no further where a training was killed after its last epoch.

        Only now has Lightning taken over all of the checkpoint.
        """
        trainer.should_stop = self._is_over()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep the weights if they are the best, and write the checkpoint.

        Lightning calls this after the other callbacks', so the history is complete.
        """
        assert isinstance(pl_module, SegmentationTask)
        epoch, score = trainer.current_epoch + 1, _score(trainer, pl_module)
        self._epochs = epoch
        is_best = score > self._best_score
        if is_best:
            self._best_epoch, self._best_score = epoch, score
        if is_best or self._keep == "last":
            self.kept_epoch, self.kept_score = epoch, score
            weights = pl_module.network.state_dict()
            self.kept_weights = {name: value.cpu().clone() for name, value in weights.items()}
        trainer.save_checkpoint(self._path)
        trainer.should_stop = self._is_over()

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Write down which training this is."""
        checkpoint[IDENTITY] = self._identity

    def state_dict(self) -> dict[str, Any]:
        """What goes into the checkpoint."""
        return {
            "kept_epoch": self.kept_epoch,
            "kept_score": self.kept_score,
            "kept_weights": self.kept_weights,
            "best": (self._best_epoch, self._best_score),
            "epochs": self._epochs,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over the best so far."""
        self.kept_epoch = state_dict["kept_epoch"]
        self.kept_score = state_dict["kept_score"]
        self.kept_weights = state_dict["kept_weights"]
        self._best_epoch, self._best_score = state_dict["best"]
        self._epochs = state_dict["epochs"]

    def _is_over(self) -> bool:
        """Whether nothing became better for too long."""
        return self._patience is not None and self._epochs - self._best_epoch >= self._patience


def _score(trainer: Trainer, task: SegmentationTask) -> float:
    """How good the last epoch is; more is better."""
    metrics = trainer.callback_metrics
    if task.segments:
        return float(metrics[task.prefix + "validation_dice_pooled"])
    return -float(metrics[task.prefix + "validation_loss"])


def find_resumable(path: Path, identity: dict[str, Any]) -> Path | None:
    """Return the checkpoint if there is one, checked to be whole and of this training.

    Raises:
        SpinforgeError: If it is damaged or belongs to another training.
    """
    if not path.exists():
        return None
    require_same_training(path, read_torch_file(path).get(IDENTITY, {}), identity)
    return path


def require_same_training(path: Path, found: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Refuse to go on with the files of another training.

    Raises:
        SpinforgeError: If they differ; names in what.
    """
    differing = list(_differences(found, wanted))
    if differing:
        raise SpinforgeError(
            f"{path} belongs to another training: {', '.join(differing)}; "
            "choose another folder or delete this one"
        )


def _differences(found: dict[str, Any], wanted: dict[str, Any], where: str = "") -> Iterator[str]:
    """Every value that is not as wanted, with its name and both values."""
    for key in wanted:
        there, here = found.get(key), wanted[key]
        if isinstance(there, dict) and isinstance(here, dict):
            yield from _differences(there, here, f"{where}{key}.")
        elif there != here:
            yield f"{where}{key} was {there}, now {here}"
