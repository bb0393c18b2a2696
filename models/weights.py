"""The file of a trained network: weights, configuration, sizes; plain data, no code."""

import io
import pickle
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor, nn

from spinforge.datasets.reading.slice_format import SliceFormat
from spinforge.datasets.storage.files import replacing
from spinforge.models.networks import NetworkConfig, build_network
from spinforge.simulation.errors import SpinforgeError

FORMAT = "spinforge-network"
"""What says that a file holds a network; never raised or changed."""

VERSION = 1
"""Of the file's layout. To be raised by any change after which an older Spinforge would misread a
file, or this one an older file: other keys, or weights of other names or meaning in a network.
Not by a key that may be missing, such as `reads`: older ones pass over it."""

_MOST_CHANNELS = 1024
"""Of images, and classes: labels are bytes, and no scan has so many contrasts."""

_NETWORK_CONFIG: TypeAdapter[NetworkConfig] = TypeAdapter(NetworkConfig)


@dataclass(frozen=True)
class LoadedNetwork:
    """A trained network, ready to predict.

    Attributes:
        network: In evaluation mode, on the CPU.
        config: What it was built from.
        in_channels: Channels its images must have.
        n_classes: Its outputs: classes with the background, or 1 of a foreground alone, which
            tells two classes apart.
        reads: What its slices looked like in training; None in files of before that was noted, and
            of networks that were trained on slices without a `SliceFormat`.
    """

    network: nn.Module
    config: NetworkConfig
    in_channels: int
    n_classes: int
    reads: SliceFormat | None = None


def save_network(
    path: Path,
    weights: dict[str, Tensor],
    config: NetworkConfig,
    *,
    in_channels: int,
    n_classes: int,
    reads: SliceFormat | None = None,
) -> None:
    """Write a network file; an existing one is replaced in one step, never half overwritten.

    Args:
        path: File to write.
        weights: The network's `state_dict()`.
        config: What the network was built from.
        in_channels: Channels of its images.
        n_classes: Its outputs: classes with the background, or 1 of a foreground alone.
        reads: What its slices looked like in training, if that is known.

    Raises:
        SpinforgeError: If the disk is full or the folder may not be written.
    """
    content = {
        "format": FORMAT,
        "version": VERSION,
        "config": config.model_dump(mode="json"),
        "in_channels": in_channels,
        "n_classes": n_classes,
        **({} if reads is None else {"reads": reads.model_dump(mode="json")}),
        "state_dict": weights,
    }
    write_torch_file(path, content)


def load_network(path: Path) -> LoadedNetwork:
    """Read a network file.

    Args:
        path: A file that `save_network` wrote.

    Returns:
        The network, on the CPU and in evaluation mode, with its configuration.

    Raises:
        SpinforgeError: If the file is missing, damaged, of another format or version, or its
            weights do not fit its configuration.
    """
    content = read_torch_file(path)
    if "pytorch-lightning_version" in content:
        raise SpinforgeError(
            f"{path} is a checkpoint to go on training from, not a trained network; take the "
            f"network.pt that training leaves beside it"
        )
    if content.get("format") != FORMAT:
        raise SpinforgeError(f"{path} is not a trained network: it has no format {FORMAT!r}")
    if content.get("version") != VERSION:
        raise SpinforgeError(
            f"{path} has version {content.get('version')!r} of the network format; "
            f"this Spinforge reads version {VERSION}"
        )
    try:
        config = _NETWORK_CONFIG.validate_python(content["config"])
        in_channels = _count(content, "in_channels")
        n_classes = _count(content, "n_classes")
        network = build_network(config, in_channels=in_channels, n_classes=n_classes, seed=0)
        _fill(network, content["state_dict"])
        reads = SliceFormat.model_validate(content["reads"]) if "reads" in content else None
    except (
        KeyError,
        TypeError,
        ValueError,  # a ValidationError is one
        AttributeError,
        RuntimeError,
    ) as error:
        reason = _in_a_line(error)
        raise SpinforgeError(
            f"{path} does not describe a network of Spinforge: {reason}"
        ) from error
    except SpinforgeError as error:
        raise SpinforgeError(f"{path}: {error}") from error
    return LoadedNetwork(network.eval(), config, in_channels, n_classes, reads)


def _count(content: dict[str, Any], name: str) -> int:
    """A number of channels or classes; what it asks for is allocated before weights are compared.

    Raises:
        ValueError: If it is none.
    """
    value = content[name]
    if type(value) is not int or not 1 <= value <= _MOST_CHANNELS:
        raise ValueError(f"{name} is {value!r}, not a number from 1 to {_MOST_CHANNELS}")
    return value


def _fill(network: nn.Module, weights: dict[str, Tensor]) -> None:
    """Load weights, or raise RuntimeError in one line; PyTorch's own may list hundreds."""
    expected = network.state_dict()
    ours = {name: tuple(value.shape) for name, value in expected.items()}
    theirs = {name: tuple(value.shape) for name, value in weights.items()}
    if differing := sorted(
        name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)
    ):
        first = differing[0]
        raise RuntimeError(
            f"its weights are those of another one than its configuration says, {len(differing)} "
            f"differ, such as {first}: {theirs.get(first, 'none')}, not {ours.get(first, 'none')}"
        )
    for name, value in weights.items():
        if value.is_floating_point() != expected[name].is_floating_point() or value.is_complex():
            raise RuntimeError(f"weight {name} is {value.dtype}, not {expected[name].dtype}")
        if not value.isfinite().all():
            raise RuntimeError(f"weight {name} holds NaN or infinite values; train it again")
    network.load_state_dict(weights)


def _in_a_line(error: Exception) -> str:
    """What is wrong first of all."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    if isinstance(error, KeyError):
        return f"it has no {error}"
    return str(error)


def write_torch_file(path: Path, content: dict[str, Any]) -> None:
    """Write plain types and tensors to a file; an existing one is replaced in one step.

    PyTorch first writes to memory: on a full disk its own writer raises a RuntimeError about file
    positions, from which nobody can tell what happened.

    Raises:
        SpinforgeError: If the disk is full or the folder may not be written.
    """
    memory = io.BytesIO()
    torch.save(content, memory)
    with replacing(path) as file:
        file.write_bytes(memory.getbuffer())


def read_torch_file(path: Path) -> dict[str, Any]:
    """Read a dictionary of plain types and tensors, onto the CPU, running no code from the file.

    Raises:
        SpinforgeError: If the file is missing, damaged, or holds anything else.
    """
    if path.is_dir():
        raise SpinforgeError(f"{path} is a folder; give {path / 'network.pt'}")
    if not path.is_file():
        raise SpinforgeError(f"{path} does not exist; train the network first")
    damaged = f"{path} is damaged or not a PyTorch file; delete it and train again"
    if not _is_whole(path):
        raise SpinforgeError(damaged)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # PyTorch's text says how to run what such a file holds.
        raise SpinforgeError(
            f"{path} is damaged, or holds code or objects, which Spinforge never loads"
        ) from error
    except (RuntimeError, EOFError, ValueError, LookupError) as error:
        raise SpinforgeError(f"{damaged} ({error})") from error
    if not isinstance(content, dict):
        raise SpinforgeError(damaged)
    return content


def _is_whole(path: Path) -> bool:
    """Whether each part of the archive has the checksum noted in it, which PyTorch never looks at.

    Without it a network with a few changed weights would be applied without a word.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError, OSError):
        return False
