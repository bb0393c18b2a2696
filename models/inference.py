"""From images to label maps, and from logits to labels and probabilities."""

import itertools
from collections.abc import Iterable, Iterator

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from torch import Tensor, nn

from spinforge.models.training.data import SliceDataset
from spinforge.simulation.errors import SpinforgeError


def predict_labels(
    network: nn.Module,
    images: SliceDataset | Iterable[Float[Tensor, "channel ky kx"]],
    *,
    batch_size: int = 12,
    device: torch.device | str = "cpu",
) -> UInt8[np.ndarray, "slice ky kx"]:
    """Label of each pixel: the class with the largest logit, in float32; see `labels_of`.

    On a GPU convolutions round their factors to TF32, PyTorch's default: near a tie the label may
    differ from the processor's.

    A slice's labels do not depend on the others in its batch: the network predicts in evaluation
    mode. It is left on `device`, in the mode it came in.

    Args:
        network: From (batch, channel, ky, kx) to logits (batch, class, ky, kx), class < 256.
        images: A data set, or the images themselves (a tensor of four axes will do); all of one
            shape.
        batch_size: Slices a batch; 1 or more.
        device: Where to compute; `device_of` tells where the network was trained.

    Returns:
        (slice, ky, kx), in the order given.

    Raises:
        SpinforgeError: If there are no images or they differ in shape.
    """
    was_training = network.training
    network.eval().to(device)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # stub lacks it
    remaining = _images(images)
    labels = []
    try:
        with torch.inference_mode():
            while batch := list(itertools.islice(remaining, batch_size)):
                stacked = _stack(batch).to(device, memory_format=torch.channels_last)
                labels.append(labels_of(network(stacked)).cpu().numpy())
    finally:
        network.train(was_training)
    if not labels:
        raise SpinforgeError("there are no images to segment")
    if len({batch.shape[1:] for batch in labels}) > 1:
        raise SpinforgeError("the images to segment differ in size")
    return np.concatenate(labels)


def labels_of(logits: Float[Tensor, "*batch classes ky kx"]) -> UInt8[Tensor, "*batch ky kx"]:
    """The class with the largest logit, of equal ones the first.

    Of a network that knows the foreground alone: 1 where it is likelier than not, else 0.

    Args:
        logits: (..., classes, ky, kx), at most 256 classes.

    Returns:
        (..., ky, kx).
    """
    if logits.shape[-3] == 1:
        return (logits[..., 0, :, :] > 0).to(torch.uint8)
    return logits.argmax(dim=-3).to(torch.uint8)


def probabilities_of(
    logits: Float[Tensor, "*batch classes ky kx"],
) -> Float32[Tensor, "*batch classes ky kx"]:
    """Softmax over the classes, or the logistic function of a foreground alone; in float32.

    Args:
        logits: (..., classes, ky, kx).

    Returns:
        Same shape, between 0 and 1; of several classes they sum to 1.
    """
    if logits.shape[-3] == 1:
        return torch.sigmoid(logits.float())
    return torch.softmax(logits.float(), dim=-3)


def _images(source: SliceDataset | Iterable[Tensor]) -> Iterator[Tensor]:
    """Images one by one, read only when asked for."""
    if isinstance(source, SliceDataset):
        return (source[index]["image"] for index in range(len(source)))
    return iter(source)


def _stack(images: list[Tensor]) -> Float[Tensor, "batch channel ky kx"]:
    """One batch."""
    shapes = {tuple(image.shape) for image in images}
    if len(shapes) > 1:
        raise SpinforgeError(f"the images to segment differ in shape: {sorted(shapes)}")
    return torch.stack(images)
