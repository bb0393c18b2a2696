"""Networks as ONNX files: other programs and languages run them."""

import importlib
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from spinforge.datasets.storage.files import replacing
from spinforge.models.export.prepared import OUTPUTS, PreparedExport, prepare_images, traced
from spinforge.models.export.preprocessing import Preprocessing
from spinforge.models.export.program_file import require_ending
from spinforge.models.export.quiet import quiet_export
from spinforge.models.export.segmenters import Segmentation
from spinforge.models.export.trials import Agreement, require_agreement
from spinforge.models.weights import LoadedNetwork
from spinforge.simulation.errors import SpinforgeError

OPSET = 20
"""Version of ONNX's operators; ONNX Runtime reads such files since 1.18."""

LARGEST = 2_000_000_000
"""Weights that one file can hold [byte]: its format ends at 2 GiB, graph included."""


def export_onnx(
    loaded: LoadedNetwork,
    path: Path,
    *,
    size: tuple[int, int],
    preprocessing: Preprocessing,
    times: int | None = None,
    class_names: tuple[str, ...] | None = None,
) -> Agreement:
    """Write a network of images with its preprocessing as one ONNX file.

    Inputs and outputs are those of `export_program`: `image` and, for the scaling "volume",
    `scale`; `labels` and `probabilities`. The file's metadata describe it.

    Args:
        loaded: The network; it stays as it is.
        path: File to write, with the ending .onnx; replaced in one step if it exists.
        size: Height and width of the images [pixel].
        preprocessing: What images went through in training.
        times: Time points of a sequence network; None for others.
        class_names: Noted in the file; one a class.

    Returns:
        How close ONNX Runtime's answer to other images is to the network's own.

    Raises:
        SpinforgeError: If the ending is another; if the network starts from k-space, for whose
            complex Fourier transforms ONNX has no operator that it could use, or is too large for
            one file; if the images are too small or an option does not fit it; if the file would
            answer otherwise than the network, or cannot be written; if a package of the extra
            `onnx` is not installed. There is then no new file.
    """
    require_ending(path, ".onnx")
    _require_packages()
    _require_small(loaded.network)
    prepared = prepare_images(
        loaded, size=size, preprocessing=preprocessing, times=times, class_names=class_names
    )
    content = _onnx_bytes(prepared)
    with replacing(path) as file:
        file.write_bytes(content)
        found = _run(file, prepared.trial)
        return require_agreement(found, prepared.expected, may_jump=prepared.may_jump)


def _require_packages() -> None:
    """Import late: the three packages are an extra.

    Raises:
        SpinforgeError: If one is missing.
    """
    try:
        for package in ("onnx", "onnxscript", "onnxruntime"):
            importlib.import_module(package)
    except ImportError as error:
        raise SpinforgeError(
            f"ONNX files need the package {error.name}, which is not installed. Run: "
            'pip install "spinforge[onnx]"'
        ) from error


def _require_small(network: nn.Module) -> None:
    """Refuse what would need a second file of weights beside the first.

    Raises:
        SpinforgeError: If the weights are larger than `LARGEST`.
    """
    n_bytes = sum(weight.nbytes for weight in (*network.parameters(), *network.buffers()))
    if n_bytes > LARGEST:
        raise SpinforgeError(
            f"the network's weights take {n_bytes / 1e9:.1f} GB, but an ONNX file holds at most "
            f"{LARGEST / 1e9:.1f} GB; use export_program instead, or a narrower network"
        )


def _onnx_bytes(prepared: PreparedExport) -> bytes:
    """The checked file."""
    import onnx

    with quiet_export():
        made = torch.onnx.export(
            traced(prepared),
            dynamo=True,
            opset_version=OPSET,
            input_names=list(prepared.inputs),
            output_names=list(OUTPUTS),
            external_data=False,
            verbose=False,
        )
    assert made is not None  # as it is with dynamo
    model = made.model_proto
    _remove_traces(model)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"  # the exporter's name is a number
    onnx.helper.set_model_props(model, prepared.description)
    model.producer_name, model.doc_string = "spinforge", prepared.description["preprocessing"]
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString()


def _remove_traces(model: Any) -> None:
    """Drop what the exporter notes of its own run, this machine's source files among it."""
    graph = model.graph
    for function in model.functions:
        for part in (function, *function.node):
            part.ClearField("metadata_props")
    for part in (graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    graph.ClearField("value_info")


def _run(file: Path, inputs: dict[str, Tensor]) -> Segmentation:
    """The file's answer in ONNX Runtime, with as many threads as PyTorch uses."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    answers = session.run(list(OUTPUTS), {name: x.numpy() for name, x in inputs.items()})
    labels, probabilities = (torch.from_numpy(answer) for answer in answers)
    return labels, probabilities
