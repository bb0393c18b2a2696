"""How any network is applied: to one batch, to many on a device, and what its logits mean."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol, TypeVar, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Float32, Integer, UInt8
from torch import Tensor, nn

from spinforge.models.networks import KSpaceNetwork, NetworkConfig, SequenceNetwork
from spinforge.models.seranet.baselines import FullySampledConfig
from spinforge.models.seranet.consistency import complex_image
from spinforge.models.seranet.measurement import KSpaceSegmentation, Measurement
from spinforge.models.weights import LoadedNetwork
from spinforge.simulation.errors import SpinforgeError

_INPUTS = ("image", "kspace", "mask", "sensitivities")
"""What networks look at; the rest of an item only names it, or is its truth."""

Found = TypeVar("Found")


@runtime_checkable
class Slices(Protocol):
    """Slices that are read one by one, such as a data set's."""

    def __len__(self) -> int:
        """Number of slices."""
        ...

    def __getitem__(self, index: int, /) -> Mapping[str, Any]:
        """One slice, see `network_input`."""
        ...


class SlicePredictions(NamedTuple):
    """What a network makes of slices.

    Attributes:
        labels: The class with the largest logit of each pixel.
        confidence: The probability of that class, from 1 / classes to 1; not a number where a logit
            is none.
        images: Magnitude of the image that was segmented, as the network reconstructed it, in the
            scale of its measurement. None of networks that are given the image, which are those of
            images and the one that sees all lines.
    """

    labels: UInt8[np.ndarray, "slice *time ky kx"]
    confidence: Float32[np.ndarray, "slice *time ky kx"]
    images: Float32[np.ndarray, "slice ky kx"] | None


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

    Args:
        output: Logits (..., classes, ky, kx), or stages of a network of k-space, of which the last
            counts.

    Returns:
        (item, classes, ky, kx).
    """
    logits = output.logits[-1] if isinstance(output, KSpaceSegmentation) else output
    logits = (logits.flatten(0, 1) if logits.ndim == 5 else logits).float()
    if logits.shape[1] == 1:
        return torch.cat([torch.zeros_like(logits), logits], dim=1)
    return logits


def flat_target(target: Integer[Tensor, "*batch ky kx"]) -> Integer[Tensor, "item ky kx"]:
    """Labels of each slice; the frames of sequences one after the other, as `final_logits`."""
    return target.flatten(0, -3)


def apply_to_batches(
    networks: Sequence[nn.Module],
    batches: Iterable[Mapping[str, Tensor]],
    ask: Callable[[dict[str, Tensor]], Found],
    *,
    device: torch.device | str = "cpu",
) -> list[Found]:
    """Show networks batch after batch, as they predict: in evaluation mode, without gradients.

    Args:
        networks: Moved to the device meanwhile; then each is where it was, in the mode it was in.
        batches: What they look at; read one by one.
        ask: From a batch on the device to what is kept of it.
        device: Where to compute.

    Returns:
        What `ask` gave, in the order of the batches.
    """
    # Moved outside of inference mode, whose tensors could not be trained any more.
    with _predicting(networks, device), torch.inference_mode():
        return [ask({name: v.to(device) for name, v in batch.items()}) for batch in batches]


@contextmanager
def _predicting(networks: Sequence[nn.Module], device: torch.device | str) -> Iterator[None]:
    """Networks on a device meanwhile, in evaluation mode."""
    before = [(network.training, _place_of(network)) for network in networks]
    for network in networks:
        network.eval().to(device)
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # stub lacks it
    try:
        yield
    finally:
        for network, (was_training, place) in zip(networks, before, strict=True):
            network.train(was_training).to(place)


def _place_of(network: nn.Module) -> torch.device:
    """Where a network's weights are; the processor, if it has none."""
    weights = next(network.parameters(), None)
    return torch.device("cpu") if weights is None else weights.device


def predict_labels(
    loaded: LoadedNetwork,
    slices: Slices | Iterable[Mapping[str, Any]],
    *,
    batch_size: int = 12,
    device: torch.device | str = "cpu",
) -> UInt8[np.ndarray, "slice *time ky kx"]:
    """Labels alone, (slice, ky, kx) or of sequences (slice, time, ky, kx); see `predict_slices`."""
    return predict_slices(loaded, slices, batch_size=batch_size, device=device).labels


def predict_slices(
    loaded: LoadedNetwork,
    slices: Slices | Iterable[Mapping[str, Any]],
    *,
    batch_size: int = 12,
    device: torch.device | str = "cpu",
) -> SlicePredictions:
    """Label of each pixel, its probability, and the reconstruction, where there is one.

    Labels are those of the largest logit, in float32, see `labels_of`: not of the largest
    probability, which rounding may make equal to another. Probabilities are those that every loss
    of `losses.py` takes the logits for: their softmax over the classes.

    On a GPU convolutions round their factors to TF32, PyTorch's default: near a tie the label may
    differ from the processor's.

    A slice's labels do not depend on the others in its batch: the network predicts in evaluation
    mode. Then it is where it was before, in the mode it came in.

    Args:
        loaded: The network.
        slices: A data set, or items such as one gives; all of one shape.
        batch_size: Slices a batch; 1 or more.
        device: Where to compute; `find_device` and, of a recipe, `device_of` tell.

    Returns:
        In the order given.

    Raises:
        SpinforgeError: If there are no slices, they differ in shape, or the network reads others.
    """

    def ask(batch: dict[str, Tensor]) -> SlicePredictions:
        output = loaded.network(network_input(loaded.config, batch))
        logits = final_logits(output)
        # The frames of a sequence belong together again.
        items = batch["image"].shape[:-3] if "image" in batch else logits.shape[:1]
        shape = (*items, *logits.shape[-2:])
        confidence = probabilities_of(logits).amax(dim=1)
        return SlicePredictions(
            labels_of(logits).reshape(shape).cpu().numpy(),
            confidence.reshape(shape).cpu().numpy(),
            _reconstructed(loaded.config, output),
        )

    found = apply_to_batches([loaded.network], _batches(slices, batch_size), ask, device=device)
    if not found:
        raise SpinforgeError("there are no images to segment")
    if len({batch.labels.shape[1:] for batch in found}) > 1:
        raise SpinforgeError("the images to segment differ in size")
    images = [batch.images for batch in found if batch.images is not None]
    return SlicePredictions(
        np.concatenate([batch.labels for batch in found]),
        np.concatenate([batch.confidence for batch in found]),
        np.concatenate(images) if images else None,
    )


def _reconstructed(
    config: NetworkConfig, output: Tensor | KSpaceSegmentation
) -> Float32[np.ndarray, "item ky kx"] | None:
    """Magnitude of a network's last image; None if it was given one."""
    if not isinstance(output, KSpaceSegmentation) or isinstance(config, FullySampledConfig):
        return None
    return complex_image(output.images[-1]).abs().cpu().numpy()


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


def _batches(
    source: Slices | Iterable[Mapping[str, Any]], size: int
) -> Iterator[dict[str, Tensor]]:
    """Batches of items, which are read only when they are asked for."""
    remaining = (
        iter(source)
        if not isinstance(source, Slices)
        else map(source.__getitem__, range(len(source)))
    )
    while items := list(itertools.islice(remaining, size)):
        yield _stack(items)


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
