"""The checkpoint after each epoch: everything to go on from, and the best weights so far."""

from pathlib import Path
from typing import Any

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
    """Writes `path` after each epoch, the best epoch's weights inside.

    One file holds both, so that they can never disagree however a training is killed.

    Args:
        path: The checkpoint.
        identity: Which training this is, as plain data; checked before a resume.
    """

    def __init__(self, path: Path, identity: dict[str, Any]) -> None:
        self.best_epoch = 0
        self.best_dice = -1.0
        self.best_weights: dict[str, Tensor] = {}
        self._path = path
        self._identity = identity

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep the weights if they are the best, and write the checkpoint.

        Lightning calls this after the other callbacks', so the history is complete.
        """
        assert isinstance(pl_module, SegmentationTask)
        dice = float(trainer.callback_metrics["validation_dice_pooled"])
        if dice > self.best_dice:
            self.best_epoch, self.best_dice = trainer.current_epoch + 1, dice
            weights = pl_module.network.state_dict()
            self.best_weights = {name: value.cpu().clone() for name, value in weights.items()}
        trainer.save_checkpoint(self._path)

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Write down which training this is."""
        checkpoint[IDENTITY] = self._identity

    def state_dict(self) -> dict[str, Any]:
        """What goes into the checkpoint."""
        return {
            "best_epoch": self.best_epoch,
            "best_dice": self.best_dice,
            "best_weights": self.best_weights,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over the best so far."""
        self.best_epoch = state_dict["best_epoch"]
        self.best_dice = state_dict["best_dice"]
        self.best_weights = state_dict["best_weights"]


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
    differing = [key for key in wanted if found.get(key) != wanted[key]]
    if differing:
        raise SpinforgeError(
            f"{path} belongs to another training: {', '.join(differing)} differ; "
            "choose another folder or delete this one"
        )
