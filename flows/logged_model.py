"""A trained network as an MLflow model: plain data, and this module to load it with.

MLflow imports the module by name and hands it the network's file. Nothing is pickled: the file
holds weights and configuration, and whoever loads the model has Spinforge installed.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spinforge.models.export.prepared import OUTPUTS
from spinforge.models.export.preprocessing import Preprocessing
from spinforge.models.export.segmenters import ImageSegmenter, KSpaceSegmenter
from spinforge.models.export.trials import image_inputs, kspace_inputs
from spinforge.models.networks import KSpaceNetwork, SequenceNetwork
from spinforge.models.weights import LoadedNetwork, load_network
from spinforge.simulation.errors import SpinforgeError

_COMPLEX = ("kspace", "sensitivities")
"""Inputs whose last axis holds real and imaginary part: HTTP and JSON know no complex numbers."""

_TIMES = 2
"""Time points of a sequence network's example; it takes any number."""


class RawScanModel:
    """From raw images, or raw k-space, to labels and probabilities; on the processor.

    Inputs and outputs are those of exported files (`docs/export.md`), but for k-space, whose
    numbers are pairs of floats.

    Args:
        loaded: The network, whose file must say what it reads.

    Raises:
        SpinforgeError: If it does not.
    """

    def __init__(self, loaded: LoadedNetwork) -> None:
        if loaded.reads is None:
            raise SpinforgeError(
                f"the file of network {loaded.config.name!r} does not say what its slices looked "
                f"like; train it again with this version of Spinforge"
            )
        self._segmenter = (
            KSpaceSegmenter(loaded.network)
            if isinstance(loaded.config, KSpaceNetwork)
            else ImageSegmenter(loaded.network, Preprocessing.of(loaded.reads))
        )

    def predict(self, data: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Segment a batch.

        Args:
            data: `image` and, for the scaling "volume", `scale`; or `kspace`, `mask` and, for
                several coils, `sensitivities`.

        Returns:
            `labels` and `probabilities`.
        """
        inputs = {name: torch.from_numpy(np.ascontiguousarray(x)) for name, x in data.items()}
        for name in _COMPLEX:
            if name in inputs:
                inputs[name] = torch.view_as_complex(inputs[name])
        with torch.inference_mode():
            answers = self._segmenter(**inputs)
        return {name: x.numpy() for name, x in zip(OUTPUTS, answers, strict=True)}


def _load_pyfunc(path: str) -> RawScanModel:
    """What MLflow calls.

    Args:
        path: The network's file in the model's folder.
    """
    return RawScanModel(load_network(Path(path)))


def example_of(loaded: LoadedNetwork, *, coils: int = 1) -> dict[str, NDArray[Any]]:
    """Small made-up inputs of a network, one slice: nobody's scan.

    Args:
        loaded: The network, whose file says what it reads.
        coils: Coils of its k-space.
    """
    assert loaded.reads is not None
    size = int(loaded.network.minimum_size)  # type: ignore[arg-type]  # every network has one
    if isinstance(loaded.config, KSpaceNetwork):
        found = kspace_inputs((1, coils, size, size), seed=0)
        return {name: _as_floats(values) for name, values in found.items()}
    frames = (_TIMES,) if isinstance(loaded.config, SequenceNetwork) else ()
    preprocessing = Preprocessing(scaling=loaded.reads.scaling, window=loaded.reads.window)
    shape = (1, *frames, loaded.in_channels, size, size)
    return {name: x.numpy() for name, x in image_inputs(shape, preprocessing, seed=0).items()}


def _as_floats(values: Tensor) -> NDArray[Any]:
    found: NDArray[Any] = (torch.view_as_real(values) if values.is_complex() else values).numpy()
    return found


def fixed_axes(loaded: LoadedNetwork, name: str, values: NDArray[Any]) -> tuple[int, ...]:
    """Shape of an input or output in the signature: -1 where any length will do.

    Args:
        loaded: The network.
        name: Of the input or output.
        values: An example of it.
    """
    free: dict[str, tuple[int, ...]] = {
        "image": (0, -1, -2),
        "scale": (0,),
        "kspace": (0, 2, 3),
        "sensitivities": (0, 2, 3),
        "probabilities": (0, -1, -2),
    }
    axes = set(free.get(name, range(values.ndim)))  # of labels and masks any
    if isinstance(loaded.config, SequenceNetwork):
        axes.add(1)
    return tuple(
        -1 if axis in axes or axis - values.ndim in axes else length
        for axis, length in enumerate(values.shape)
    )
