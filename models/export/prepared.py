"""What both kinds of file need: a segmenter, inputs to trace and try it with, a description."""

import copy
import importlib.metadata
import json
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from spinforge.models.crdn.baselines import EncoderDecoderConfig
from spinforge.models.export.preprocessing import Preprocessing
from spinforge.models.export.segmenters import ImageSegmenter, KSpaceSegmenter, Segmentation
from spinforge.models.export.trials import image_inputs, kspace_inputs
from spinforge.models.networks import KSpaceNetwork, SequenceNetwork
from spinforge.models.weights import LoadedNetwork
from spinforge.simulation.errors import SpinforgeError

OUTPUTS = ("labels", "probabilities")
"""Names of what comes out, in this order."""


MAY_JUMP = 1e-2
"""For SegNet, which puts values back where the encoder's maxima were: of two maxima equal to
rounding either may be taken, in PyTorch too, and the pixels around it then change at once."""


@dataclass(frozen=True)
class PreparedExport:
    """All that is known before a file is made.

    Attributes:
        segmenter: On the CPU, in evaluation mode, apart from the network it was copied from.
        inputs: Names and examples of what goes in, a batch of two.
        trial: Others, a batch of three: what was traced must hold for any batch.
        expected: The segmenter's answer to `trial`.
        description: What the file says of itself, plain text.
        may_jump: Fraction of the pixels whose answer rounding may change; see `MAY_JUMP`.
    """

    segmenter: nn.Module
    inputs: dict[str, Tensor]
    trial: dict[str, Tensor]
    expected: Segmentation
    description: dict[str, str]
    may_jump: float


def prepare_images(
    loaded: LoadedNetwork,
    *,
    size: tuple[int, int],
    preprocessing: Preprocessing,
    times: int | None,
    class_names: tuple[str, ...] | None,
) -> PreparedExport:
    """For a network of images or of sequences of them.

    Raises:
        SpinforgeError: If the network starts from k-space, if the images are too small for it, or
            if an option does not fit it.
    """
    if isinstance(loaded.config, KSpaceNetwork):
        raise SpinforgeError(
            f"network {loaded.config.kind!r} takes k-space, not images. "
            "Use export_kspace_program instead"
        )
    _check_options(loaded, size, preprocessing, times)
    frames = (loaded.in_channels, *size) if times is None else (times, loaded.in_channels, *size)
    inputs, trial = (image_inputs((batch, *frames), preprocessing, seed=batch) for batch in (2, 3))
    words = {
        "preprocessing": preprocessing.in_words,
        "size": f"{size[0]} x {size[1]} pixels (ky, kx)",
        **({} if times is None else {"time_points": str(times)}),
    }
    segmenter = ImageSegmenter(_own_copy(loaded.network), preprocessing)
    return _prepared(loaded, segmenter, inputs, trial, _description(loaded, class_names) | words)


def prepare_kspace(
    loaded: LoadedNetwork,
    *,
    size: tuple[int, int],
    coils: int,
    class_names: tuple[str, ...] | None,
) -> PreparedExport:
    """For a network that starts from k-space.

    Raises:
        SpinforgeError: If the network takes images, if there is no coil or the size is too small
            for it, or if there are more or fewer names than classes.
    """
    if not isinstance(loaded.config, KSpaceNetwork):
        raise SpinforgeError(
            f"network {loaded.config.kind!r} takes images, not k-space. "
            "Use export_program or export_onnx instead"
        )
    if coils < 1:
        raise SpinforgeError(f"coils is {coils}; k-space has 1 or more")
    inputs, trial = (kspace_inputs((batch, coils, *size), seed=batch) for batch in (2, 3))
    words = {
        "preprocessing": "k-space is divided by the 99th percentile of the magnitude of its "
        "slice's zero-filled image; centred and orthonormal Fourier transforms",
        "size": f"{size[0]} x {size[1]} points (ky, kx)",
        "coils": str(coils),
    }
    segmenter = KSpaceSegmenter(_own_copy(loaded.network))
    return _prepared(loaded, segmenter, inputs, trial, _description(loaded, class_names) | words)


def traced(prepared: PreparedExport) -> torch.export.ExportedProgram:
    """The segmenter as a graph for any batch, without the paths of this machine's source files."""
    batch = torch.export.Dim("batch", min=1)
    program = torch.export.export(
        prepared.segmenter,
        tuple(prepared.inputs.values()),
        dynamic_shapes=tuple({0: batch} for _ in prepared.inputs),
    )
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)
    return program


def _check_options(
    loaded: LoadedNetwork, size: tuple[int, int], preprocessing: Preprocessing, times: int | None
) -> None:
    """Refuse what does not fit the network.

    Raises:
        SpinforgeError: See `prepare_images`.
    """
    kind = loaded.config.kind
    if isinstance(loaded.config, SequenceNetwork):
        if times is None or times < 1:
            raise SpinforgeError(
                f"network {kind!r} reads sequences: set times, the number of their time points, "
                f"to 1 or more (it is {times})"
            )
    elif times is not None:
        raise SpinforgeError(f"times is {times}, but network {kind!r} reads single slices")
    if preprocessing.scaling == "slice" and loaded.in_channels > 2:
        raise SpinforgeError(
            "scaling 'slice' is for an image, or its real and imaginary part: 1 or 2 channels, "
            f"not {loaded.in_channels}; contrasts are scaled by 'volume'"
        )
    if (wanted := preprocessing.padded_to) and (size[0] > wanted[0] or size[1] > wanted[1]):
        raise SpinforgeError(
            f"images of {size[0]} x {size[1]} pixels do not fit into padded_to, "
            f"{wanted[0]} x {wanted[1]}"
        )


def _description(loaded: LoadedNetwork, class_names: tuple[str, ...] | None) -> dict[str, str]:
    """What every file says of itself.

    Raises:
        SpinforgeError: If there are more or fewer names than classes.
    """
    described = {
        "spinforge_version": importlib.metadata.version("spinforge"),
        "network": json.dumps(loaded.config.model_dump(mode="json")),
        "in_channels": str(loaded.in_channels),
        "n_classes": str(loaded.n_classes),
        "labels": "1 where the foreground is likelier than not, else 0"
        if loaded.n_classes == 1
        else "the class with the largest logit, of equal ones the first",
    }
    if loaded.reads is not None:
        described["reads"] = loaded.reads.model_dump_json()
        described["expects"] = loaded.reads.in_words
    if class_names is None:
        return described
    if len(class_names) != loaded.n_classes:
        raise SpinforgeError(
            f"class_names has {len(class_names)} names, the network {loaded.n_classes} classes"
        )
    return described | {"class_names": json.dumps(class_names)}


def _own_copy(network: nn.Module) -> nn.Module:
    """The caller may have it on a GPU, in training, or in another order of memory."""
    return (
        copy.deepcopy(network).cpu().eval().to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # stub lacks it
    )


def _prepared(
    loaded: LoadedNetwork,
    segmenter: nn.Module,
    inputs: dict[str, Tensor],
    trial: dict[str, Tensor],
    description: dict[str, str],
) -> PreparedExport:
    """Answer the trial before anything is traced, so that errors are the network's own."""
    with torch.inference_mode():
        expected: Segmentation = segmenter(**trial)
    config = loaded.config
    jumps = isinstance(config, EncoderDecoderConfig) and config.decoder == "segnet"
    return PreparedExport(
        segmenter, inputs, trial, expected, description, MAY_JUMP if jumps else 0.0
    )
