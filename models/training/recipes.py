"""How long, how fast and how precisely to train."""

from typing import Literal

from pydantic import Field

from spinforge.models.losses import LossName
from spinforge.simulation.config import Config

Schedule = Literal["constant", "poly", "halve"]

TRAINING = "training-1"
"""Version of networks and training; whatever changes a trained weight, from how slices are loaded
to the last step, changes it."""

POLY_POWER = 0.9
HALVE_EVERY = 20
"""Epochs between two halvings, as SERANet was trained."""


class TrainingConfig(Config):
    """Training by Adam.

    SERANet was trained with a learning rate of 1e-4 and the schedule "halve" for 50 epochs of
    batches of 12; CRDN with 6e-4, a schedule that "gradually decays" (here "poly"), a weight
    decay of 1e-4 and batches of 1; both on the cross-entropy alone. The defaults are for few
    epochs: a higher learning rate that falls to 0.
    """

    epochs: int = Field(20, ge=1, le=10_000, description="passes over the training slices")
    batch_size: int = Field(12, ge=1, le=4096, description="slices in each step")
    learning_rate: float = Field(3e-3, gt=0, le=1, description="Adam's learning rate at the start")
    schedule: Schedule = Field(
        "poly",
        description="learning rate over time: constant; poly falls to 0 as (1 - progress)^0.9; "
        "halve is halved every 20 epochs",
    )
    loss: LossName = Field(
        "cross_entropy",
        description="cross_entropy of the pixels, or cross_entropy_dice: plus the Dice loss of "
        "each slice and tissue, which minds small regions",
    )
    weight_decay: float = Field(
        0.0, ge=0, le=1, description="L2 penalty added to the gradient by Adam"
    )
    precision: Literal["32", "bf16"] = Field(
        "32",
        description="32: float32 (a GPU's convolutions in TF32); bf16: convolutions in bfloat16, "
        "weights and loss in float32; faster on processors with AVX512-BF16 or AMX, slower on "
        "others",
    )
    device: Literal["auto", "cpu", "gpu"] = Field(
        "auto", description="auto takes an NVIDIA GPU where there is one, else the processor"
    )


def learning_rate_factor(schedule: Schedule, epoch: float, epochs: int) -> float:
    """Factor on the initial learning rate.

    Args:
        schedule: constant: 1; poly: (1 - epoch / epochs)^0.9; halve: 0.5^floor(epoch / 20).
        epoch: Epochs done, with the fraction of the present one; 0 at the start.
        epochs: Epochs in all.

    Source:
        poly: Chen et al., "DeepLab" (TPAMI 2018), sec. 4.1.2; halve: Huang et al. (MICCAI 2019).
    """
    match schedule:
        case "constant":
            return 1.0
        case "poly":
            return max(0.0, 1 - epoch / epochs) ** POLY_POWER
        case "halve":
            return 0.5 ** int(epoch / HALVE_EVERY)
