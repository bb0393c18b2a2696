"""In which stages the networks that start from k-space are trained, and on what in each."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 (the name everyone knows it by)
from torch import Tensor, nn

from spinforge.models.networks import KSpaceNetwork
from spinforge.models.seranet.baselines import (
    FullySampledConfig,
    JointConfig,
    ReconstructThenSegment,
    TwoStepConfig,
    ZeroFillingConfig,
)
from spinforge.models.seranet.consistency import zero_filled_channels
from spinforge.models.seranet.measurement import Measurement
from spinforge.models.seranet.segnetmri import SegNetMRI, SegNetMRIConfig
from spinforge.models.seranet.seranet import SERANet, SERANetConfig
from spinforge.simulation.errors import SpinforgeError

Criterion = Callable[[Tensor, Tensor], Tensor]
"""From logits (batch, classes, ky, kx) and labels (batch, ky, kx) to the loss of a segmentation;
the papers' is the mean cross-entropy."""

Objective = Callable[[Any, Measurement, Tensor, Criterion], Tensor]
"""From a network, a measurement, its labels and the segmentation's loss to what is minimised."""


@dataclass(frozen=True)
class Stage:
    """One stage of a training, from the weights that the stage before left.

    Attributes:
        name: For records and messages.
        trained: Names of the network's children that learn. The others keep weights and running
            statistics.
        objective: What is minimised. Where it needs the fully sampled image, the measurement must
            hold all lines.
        prepare: What to do to the network once, before the stage's first step; not on resuming.
    """

    name: str
    trained: tuple[str, ...]
    objective: Objective
    prepare: Callable[[Any], None] | None = None


def training_stages(config: KSpaceNetwork) -> tuple[Stage, ...]:
    """The stages of a network, in order.

    SERANet, Joint and the networks without reconstruction learn in one stage from the labels alone;
    Two-step learns to reconstruct, then to segment what it reconstructs; SERANet++ starts from a
    reconstruction trained on fully sampled images and a segmentation trained to read them;
    SegNetMRI learns to reconstruct, then to segment with the encoders as they are, then both.

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
        case FullySampledConfig() | ZeroFillingConfig():
            return (Stage("segmentation", ("segmentation",), label_loss),)
        case JointConfig():
            return (Stage("joint", ("reconstruction", "segmentation"), label_loss),)
        case TwoStepConfig():
            return (
                Stage("reconstruction", ("reconstruction",), image_loss),
                Stage("segmentation", ("segmentation",), label_loss),
            )
        case SERANetConfig():
            return _seranet_stages(pretrained=config.pretrained)
        case SegNetMRIConfig():
            both = partial(image_and_label_loss, weight=config.segmentation_weight)
            image, labels = ("encoders", "reconstructions"), ("segmentations", "merge")
            return (
                Stage("reconstruction", image, image_loss),
                Stage("segmentation", labels, label_loss),
                Stage("fine-tuning", image + labels, both),
            )


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
    if unknown := sorted(set(stage.trained) - set(children)):
        raise SpinforgeError(
            f"stage {stage.name!r} trains {', '.join(unknown)}, but the network consists of "
            f"{', '.join(children)}; take the stages of its own configuration"
        )
    for name, child in network.named_children():
        learns = name in stage.trained
        child.train(learns).requires_grad_(learns)


def image_loss(
    network: SERANet | ReconstructThenSegment | SegNetMRI,
    measurement: Measurement,
    target: Tensor,
    criterion: Criterion,
) -> Tensor:
    """Mean squared error of the reconstruction against the image of all lines; no labels.

    Args:
        network: Whose `reconstruct` learns.
        measurement: Holds all lines of k-space, acquired or not.
        target: Labels (batch, ky, kx), not used.
        criterion: Loss of a segmentation, not used.

    Returns:
        A number.
    """
    return F.mse_loss(network.reconstruct(measurement), _full_image(measurement))


def label_loss(
    network: nn.Module, measurement: Measurement, target: Tensor, criterion: Criterion
) -> Tensor:
    """Loss of the last segmentation alone.

    Args:
        network: From a measurement to a `KSpaceSegmentation`.
        measurement: Lines outside its mask are not looked at, but for `fully_sampled`.
        target: Labels (batch, ky, kx).
        criterion: Loss of a segmentation.

    Returns:
        A number.
    """
    return criterion(network(measurement).logits[-1].float(), target)


def full_image_label_loss(
    network: SERANet | ReconstructThenSegment,
    measurement: Measurement,
    target: Tensor,
    criterion: Criterion,
) -> Tensor:
    """Loss of the segmentation of the image of all lines.

    Args:
        network: Whose `segment` learns.
        measurement: Holds all lines of k-space, acquired or not.
        target: Labels (batch, ky, kx).
        criterion: Loss of a segmentation.

    Returns:
        A number.
    """
    return criterion(network.segment(_full_image(measurement)).float(), target)


def image_and_label_loss(
    network: nn.Module,
    measurement: Measurement,
    target: Tensor,
    criterion: Criterion,
    *,
    weight: float,
) -> Tensor:
    """Mean squared error of the last image plus `weight` times the loss of the segmentation.

    Args:
        network: From a measurement to a `KSpaceSegmentation`.
        measurement: Holds all lines of k-space, acquired or not.
        target: Labels (batch, ky, kx).
        criterion: Loss of a segmentation.
        weight: Of the segmentation's loss.

    Returns:
        A number.
    """
    result = network(measurement)
    error = F.mse_loss(result.images[-1], _full_image(measurement))
    return error + weight * criterion(result.logits[-1].float(), target)


def _seranet_stages(*, pretrained: bool) -> tuple[Stage, ...]:
    """Of SERANet, or of SERANet++."""
    everything = ("reconstruction", "attention", "segmentation")
    if not pretrained:
        return (Stage("joint", everything, label_loss),)
    return (
        Stage("reconstruction", ("reconstruction",), image_loss),
        Stage("segmentation", ("segmentation",), full_image_label_loss),
        Stage(
            "fine-tuning",
            everything,
            label_loss,
            prepare=SERANet.start_attention_from_reconstruction,
        ),
    )


@torch.no_grad()
def _full_image(measurement: Measurement) -> Tensor:
    """Image of all lines, noise included, (batch, 2, ky, kx)."""
    return zero_filled_channels(measurement.with_every_line())
