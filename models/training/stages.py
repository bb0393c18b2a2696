"""In which stages a network is trained, and on what in each."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from spinforge.models.inference import final_logits
from spinforge.models.losses import mean_squared_error
from spinforge.models.networks import NetworkConfig
from spinforge.models.seranet.baselines import ReconstructThenSegment, TwoStepConfig
from spinforge.models.seranet.consistency import zero_filled_channels
from spinforge.models.seranet.measurement import Measurement
from spinforge.models.seranet.segnetmri import SegNetMRI, SegNetMRIConfig
from spinforge.models.seranet.seranet import SERANet, SERANetConfig
from spinforge.simulation.errors import SpinforgeError


class StepResult(NamedTuple):
    """What a step comes to.

    Attributes:
        loss: To be minimised.
        logits: (item, classes, ky, kx) to judge by; None where nothing was segmented.
    """

    loss: Tensor
    logits: Tensor | None


Criterion = Callable[[Tensor, Tensor], Tensor]
"""From logits (item, classes, ky, kx) and labels (item, ky, kx) to the loss of a segmentation."""

Objective = Callable[[Any, Any, Tensor, Criterion], StepResult]
"""From a network, its input, labels (item, ky, kx) and the segmentation's loss to a result."""


@dataclass(frozen=True)
class Stage:
    """One stage of a training, from the weights that the stage before left.

    Attributes:
        name: For records, folders and messages.
        objective: What is minimised. Where it needs the fully sampled image, the measurement must
            hold all lines.
        trained: Names of the network's children that learn; None for all of them. The others keep
            weights and running statistics.
        segments: Whether there is a segmentation to judge by; else it is judged by its loss.
        prepare: What to do to the network before the stage's first step. A stage that is resumed
            does it again and then takes its checkpoint's weights.
    """

    name: str
    objective: Objective
    trained: tuple[str, ...] | None = None
    segments: bool = True
    prepare: Callable[[Any], None] | None = None


def training_stages(config: NetworkConfig) -> tuple[Stage, ...]:
    """The stages of a network, in order.

    Most networks learn in one stage from the labels alone. Two-step learns to reconstruct, then to
    segment what it reconstructs; SERANet++ starts from a reconstruction trained on fully sampled
    images and a segmentation trained to read them; SegNetMRI learns to reconstruct, then to
    segment with the encoders as they are, then both.

    Args:
        config: Which network.

    Returns:
        One stage or more, to be entered one after the other.

    Source:
        Huang et al., "Brain segmentation from k-space with end-to-end recurrent attention
        network" (MICCAI 2019), sec. 4.2. It does not say which images SERANet++'s segmentation is
        trained on first; the fully sampled ones are our choice.
    """
    match config:
        case TwoStepConfig():
            return (
                Stage("reconstruction", image_loss, ("reconstruction",), segments=False),
                Stage("segmentation", label_loss, ("segmentation",)),
            )
        case SERANetConfig(pretrained=True):
            return (
                Stage("reconstruction", image_loss, ("reconstruction",), segments=False),
                Stage("segmentation", full_image_label_loss, ("segmentation",)),
                Stage(
                    "fine-tuning",
                    label_loss,
                    prepare=SERANet.start_attention_from_reconstruction,
                ),
            )
        case SegNetMRIConfig():
            both = partial(image_and_label_loss, weight=config.segmentation_weight)
            return (
                Stage(
                    "reconstruction", image_loss, ("encoders", "reconstructions"), segments=False
                ),
                Stage("segmentation", label_loss, ("segmentations", "merge")),
                Stage("fine-tuning", both),
            )
        case _:
            return (Stage("segmentation", label_loss),)


def enter_stage(network: nn.Module, stage: Stage) -> None:
    """Let the stage's children learn, and freeze the others; may be repeated.

    A frozen child is in evaluation mode: batch normalisation would else follow the new data.

    Args:
        network: Of which the stage is one.
        stage: To be entered, or resumed.

    Raises:
        SpinforgeError: If the network has no child of a name that the stage trains.
    """
    children = [name for name, _ in network.named_children()]
    if unknown := sorted(set(stage.trained or ()) - set(children)):
        raise SpinforgeError(
            f"stage {stage.name!r} trains {', '.join(unknown)}, but the network consists of "
            f"{', '.join(children)}; take the stages of its own configuration"
        )
    for name, child in network.named_children():
        learns = stage.trained is None or name in stage.trained
        child.train(learns).requires_grad_(learns)


def label_loss(network: nn.Module, inputs: Any, target: Tensor, criterion: Criterion) -> StepResult:
    """Loss of the final segmentation alone."""
    logits = final_logits(network(inputs))
    return StepResult(criterion(logits, target), logits)


def image_loss(
    network: SERANet | ReconstructThenSegment | SegNetMRI,
    inputs: Measurement,
    target: Tensor,
    criterion: Criterion,
) -> StepResult:
    """Mean squared error of the reconstruction against the image of all lines; no labels."""
    return StepResult(mean_squared_error(network.reconstruct(inputs), _full_image(inputs)), None)


def full_image_label_loss(
    network: SERANet | ReconstructThenSegment,
    inputs: Measurement,
    target: Tensor,
    criterion: Criterion,
) -> StepResult:
    """Loss of the segmentation of the image of all lines."""
    logits = final_logits(network.segment(_full_image(inputs)))
    return StepResult(criterion(logits, target), logits)


def image_and_label_loss(
    network: nn.Module,
    inputs: Measurement,
    target: Tensor,
    criterion: Criterion,
    *,
    weight: float,
) -> StepResult:
    """Mean squared error of the last image plus `weight` times the loss of the segmentation."""
    result = network(inputs)
    error = mean_squared_error(result.images[-1], _full_image(inputs))
    logits = final_logits(result)
    return StepResult(error + weight * criterion(logits, target), logits)


@torch.no_grad()
def _full_image(measurement: Measurement) -> Tensor:
    """Image of all lines, noise included, (batch, 2, ky, kx)."""
    return zero_filled_channels(measurement.with_every_line())
