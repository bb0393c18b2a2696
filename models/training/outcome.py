"""What a finished stage leaves for the next one."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from spinforge.models.training.checkpoints import require_same_training
from spinforge.models.weights import read_torch_file, write_torch_file
from spinforge.simulation.errors import SpinforgeError


@dataclass(frozen=True)
class StageOutcome:
    """What came of a stage.

    Attributes:
        weights: The network's weights to go on with.
        epochs: Epochs trained.
        kept_epoch: The epoch of these weights, counted from 1.
        score: Its Dice from the pixels of all validation slices together; of a stage that does not
            segment minus its loss.
        seconds: Wall time of all epochs.
    """

    weights: dict[str, Tensor]
    epochs: int
    kept_epoch: int
    score: float
    seconds: float


def write_outcome(path: Path, outcome: StageOutcome, identity: dict[str, Any]) -> None:
    """Write the file that says that a stage is finished."""
    write_torch_file(
        path,
        {
            "identity": identity,
            "weights": outcome.weights,
            "epochs": outcome.epochs,
            "kept_epoch": outcome.kept_epoch,
            "score": outcome.score,
            "seconds": outcome.seconds,
        },
    )


def read_outcome(path: Path, identity: dict[str, Any]) -> StageOutcome:
    """A finished stage.

    Raises:
        SpinforgeError: If the file is damaged or of another training.
    """
    content = read_torch_file(path)
    require_same_training(path, content.pop("identity", {}), identity)
    try:
        return StageOutcome(**content)
    except TypeError as error:
        raise SpinforgeError(f"{path} is damaged; delete it to train this stage again") from error
