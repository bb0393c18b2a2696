"""One way to apply any network to a batch, whatever it takes and gives."""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float, Integer
from torch import Tensor

from spinforge.models.networks import KSpaceNetwork, NetworkConfig, SequenceNetwork
from spinforge.models.seranet.measurement import KSpaceSegmentation, Measurement
from spinforge.simulation.errors import SpinforgeError


def network_input(config: NetworkConfig, batch: Mapping[str, Any]) -> Tensor | Measurement:
    """What a network is called with.

    A network of single images sees the frames of sequences one by one.

    Args:
        config: The network.
        batch: "image" (batch, channel, ky, kx), or of sequences (batch, time, channel, ky, kx);
            or for networks that start from k-space "kspace", "mask" and perhaps "sensitivities",
            as in `Measurement`.

    Returns:
        Images are in the memory format "channels last".

    Raises:
        SpinforgeError: If the batch is not of the kind that the network reads.
    """
    if isinstance(config, KSpaceNetwork):
        if "kspace" not in batch:
            raise SpinforgeError(
                f"network {config.name!r} ({config.kind}) starts from k-space, and these slices "
                f"are images; train it on a product with k-space"
            )
        return Measurement(batch["kspace"], batch["mask"], batch.get("sensitivities"))
    image: Tensor = batch["image"]
    if isinstance(config, SequenceNetwork):
        if image.ndim != 5:
            raise SpinforgeError(
                f"network {config.name!r} ({config.kind}) reads sequences of images, and these are "
                f"single slices; train it on a longitudinal product"
            )
        return image
    if image.ndim == 5:
        image = image.flatten(0, 1)
    return image.contiguous(memory_format=torch.channels_last)


def final_logits(output: Tensor | KSpaceSegmentation) -> Float[Tensor, "item classes ky kx"]:
    """The answer of a network in float32, whatever it computed in; each frame is an item.

    There are two classes or more: of a foreground alone, with logit z, they are (0, z), whose
    softmax is the logistic function of z.
    """
    logits = output.logits[-1] if isinstance(output, KSpaceSegmentation) else output
    logits = (logits.flatten(0, 1) if logits.ndim == 5 else logits).float()
    if logits.shape[1] == 1:
        return torch.cat([torch.zeros_like(logits), logits], dim=1)
    return logits


def flat_target(target: Integer[Tensor, "*batch ky kx"]) -> Integer[Tensor, "item ky kx"]:
    """Labels of each slice; the frames of sequences one after the other, as `final_logits`."""
    return target.flatten(0, -3)
