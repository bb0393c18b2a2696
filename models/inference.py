"""From slices to label maps with any network, and from logits to labels and probabilities."""

import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from torch import Tensor

from spinforge.models.applying import final_logits, network_input
from spinforge.models.training.data import SliceDataset
from spinforge.models.weights import LoadedNetwork
from spinforge.simulation.errors import SpinforgeError

_INPUTS = ("image", "kspace", "mask", "sensitivities")
"""What networks look at; the rest of an item only names it, or is its truth."""


def predict_labels(
    loaded: LoadedNetwork,
    slices: SliceDataset | Iterable[Mapping[str, Any]],
    *,
    batch_size: int = 12,
    device: torch.device | str = "cpu",
) -> UInt8[np.ndarray, "slice *time ky kx"]:
    """Label of each pixel: the class with the largest logit, in float32; see `labels_of`.

    On a GPU convolutions round their factors to TF32, PyTorch's default: near a tie the label may
    differ from the processor's.

    A slice's labels do not depend on the others in its batch: the network predicts in evaluation
    mode. It is left on `device`, in the mode it came in.

    Args:
        loaded: The network.
        slices: A data set, or items such as one gives; all of one shape.
        batch_size: Slices a batch; 1 or more.
        device: Where to compute; `device_of` tells where the network was trained.

    Returns:
        (slice, ky, kx) in the order given, of sequences (slice, time, ky, kx).

    Raises:
        SpinforgeError: If there are no slices, they differ in shape, or the network reads others.
    """
    network = loaded.network
    was_training = network.training
    network.eval().to(device)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # stub lacks it
    remaining = _items(slices)
    labels = []
    try:
        with torch.inference_mode():
            while items := list(itertools.islice(remaining, batch_size)):
                batch = {name: values.to(device) for name, values in _stack(items).items()}
                found = labels_of(final_logits(network(network_input(loaded.config, batch))))
                if "image" in batch:  # the frames of a sequence belong together again
                    found = found.reshape(*batch["image"].shape[:-3], *found.shape[-2:])
                labels.append(found.cpu().numpy())
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


def _items(source: SliceDataset | Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Items one by one, read only when asked for."""
    if isinstance(source, SliceDataset):
        return (source[index] for index in range(len(source)))
    return iter(source)


def _stack(items: list[Mapping[str, Any]]) -> dict[str, Tensor]:
    """One batch of what networks look at."""
    batch = {}
    for name in (name for name in _INPUTS if name in items[0]):
        values = [item[name] for item in items]
        shapes = {tuple(value.shape) for value in values}
        if len(shapes) > 1:
            raise SpinforgeError(f"the images to segment differ in shape: {sorted(shapes)}")
        batch[name] = torch.stack(values)
    return batch
