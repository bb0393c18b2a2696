"""One number for all scored pixels together, and what it is compared with."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from jaxtyping import Int64
from pydantic import ValidationError

from spinforge.datasets.storage.files import replacing
from spinforge.evaluation.overlap import (
    Confusion,
    LabelSlices,
    Scored,
    confusion_matrices,
    dice,
    jaccard,
    mean_pixel_accuracy,
    pixel_accuracy,
)
from spinforge.simulation.config import Config
from spinforge.simulation.errors import SpinforgeError


class Pooled(Config):
    """Scores of all scored pixels of a test set together.

    Attributes:
        dice: Mean Dice of all classes, the background included.
        jaccard: Likewise the Jaccard index.
        accuracy: Fraction of the pixels whose class is right.
        mean_accuracy: Mean recall of all classes, the background included.
        majority_dice: The Dice of calling every pixel the most frequent true class.
        majority_accuracy: Likewise the accuracy.
    """

    dice: float
    jaccard: float
    accuracy: float
    mean_accuracy: float
    majority_dice: float
    majority_accuracy: float

    @property
    def beats_majority(self) -> bool:
        """Whether it says more than the most frequent class does.

        By both measures: labels drawn at random as often as they occur have the larger Dice, but
        fewer pixels right.
        """
        return self.dice > self.majority_dice and self.accuracy > self.majority_accuracy

    @classmethod
    def of(cls, confusion: Confusion) -> "Pooled":
        """From the pixels of every pair of classes."""
        true = confusion.sum(axis=1)
        majority = np.zeros_like(confusion)
        majority[:, true.argmax()] = true
        return cls(
            dice=mean_class_dice(confusion),
            jaccard=float(np.nanmean(jaccard(confusion))),
            accuracy=float(pixel_accuracy(confusion)),
            mean_accuracy=float(mean_pixel_accuracy(confusion)),
            majority_dice=mean_class_dice(majority),
            majority_accuracy=float(pixel_accuracy(majority)),
        )


def pooled_confusion(
    volumes: Iterable[tuple[LabelSlices, LabelSlices, Scored]], *, classes: int
) -> Int64[np.ndarray, "classes classes"]:
    """Pixels of every (true, predicted) pair of classes, of all scored slices together.

    Args:
        volumes: Predicted and true label maps, and the pixels that count, of some slices each.
        classes: How many, the background included.
    """
    found = np.zeros((classes, classes), dtype=np.int64)
    for predicted, target, scored in volumes:
        found += confusion_matrices(predicted, target, classes=classes, scored=scored).sum(axis=0)
    return found


def mean_class_dice(confusion: Confusion) -> float:
    """Mean Dice of all classes, the background included; classes in neither map left out.

    Source:
        What CRDN's paper calls Dice (Wen et al., AAAI 2020), by the authors' code.
    """
    return float(np.nanmean(dice(confusion)))


def write_pooled(pooled: Pooled, folder: Path) -> None:
    """Write `pooled.json`."""
    with replacing(folder / "pooled.json") as temporary:
        temporary.write_text(pooled.model_dump_json(indent=2) + "\n", encoding="utf-8")


def read_pooled(folder: Path) -> Pooled:
    """What `write_pooled` wrote.

    Raises:
        SpinforgeError: If it is missing or damaged.
    """
    path = folder / "pooled.json"
    try:
        return Pooled.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValidationError) as error:
        reason = " ".join(str(error).split())  # pydantic's takes several lines
        raise SpinforgeError(
            f"{path} cannot be read ({reason}). Delete its folder and run: spinforge evaluate"
        ) from error
