"""Networks as files of `torch.export`: PyTorch runs them without Spinforge."""

import io
import json
from pathlib import Path

import torch

from spinforge.datasets.storage.files import replacing
from spinforge.models.export.prepared import (
    PreparedExport,
    prepare_images,
    prepare_kspace,
    traced,
)
from spinforge.models.export.preprocessing import Preprocessing
from spinforge.models.export.quiet import quiet_export
from spinforge.models.export.trials import Agreement, require_agreement
from spinforge.models.weights import LoadedNetwork
from spinforge.simulation.errors import SpinforgeError

DESCRIPTION = "spinforge.json"
"""Name, inside the file, of what it says of itself."""


def export_program(
    loaded: LoadedNetwork,
    path: Path,
    *,
    size: tuple[int, int],
    preprocessing: Preprocessing,
    times: int | None = None,
    class_names: tuple[str, ...] | None = None,
) -> Agreement:
    """Write a network of images with its preprocessing as a program of `torch.export`.

    The program takes `image`, float32 (batch, channel, ky, kx) with any batch, or (batch, time,
    channel, ky, kx) for a sequence network; for the scaling "volume" also `scale`, (batch, channel)
    or (batch, time, channel). It returns labels, uint8 (batch, ky, kx) or (batch, time, ky, kx),
    and probabilities, float32 with an axis of classes before ky.

    `torch.export.load` may run code that a forged file holds: load files of people you trust.

    Args:
        loaded: The network; it stays as it is.
        path: File to write, with the ending .pt2; replaced in one step if it exists.
        size: Height and width of the images [pixel].
        preprocessing: What images went through in training.
        times: Time points of a sequence network; None for others.
        class_names: Noted in the file; one a class.

    Returns:
        How close the file's answer to other images is to the network's own.

    Raises:
        SpinforgeError: If the ending is another, the network starts from k-space, the images are
            too small for it, an option does not fit it, the file would answer otherwise than the
            network, or it cannot be written. There is then no new file.
    """
    require_ending(path, ".pt2")
    prepared = prepare_images(
        loaded, size=size, preprocessing=preprocessing, times=times, class_names=class_names
    )
    return _write(prepared, path)


def export_kspace_program(
    loaded: LoadedNetwork,
    path: Path,
    *,
    size: tuple[int, int],
    coils: int = 1,
    class_names: tuple[str, ...] | None = None,
) -> Agreement:
    """Write a network that starts from k-space as a program of `torch.export`.

    The program takes `kspace`, complex64 (batch, coil, ky, kx), centred and orthonormal, at any
    gain; `mask`, bool (batch, ky); and for several coils `sensitivities`, complex64 like k-space.
    It returns what `export_program`'s does.

    Args:
        loaded: The network; it stays as it is.
        path: File to write, with the ending .pt2; replaced in one step if it exists.
        size: Points along ky and kx.
        coils: Coils of k-space.
        class_names: Noted in the file; one a class.

    Returns:
        How close the file's answer to other k-space is to the network's own.

    Raises:
        SpinforgeError: If the ending is another, the network takes images, there is no coil,
            k-space is too small for it, the names are not one a class, the file would answer
            otherwise than the network, or it cannot be written. There is then no new file.
    """
    require_ending(path, ".pt2")
    return _write(prepare_kspace(loaded, size=size, coils=coils, class_names=class_names), path)


def require_ending(path: Path, ending: str) -> None:
    """Refuse names under which other programs would not know the file.

    Raises:
        SpinforgeError: If `path` ends otherwise.
    """
    if path.suffix != ending:
        raise SpinforgeError(f"{path} must end in {ending}, by which programs know such files")


def _write(prepared: PreparedExport, path: Path) -> Agreement:
    """Trace, write, read back and compare; the file appears only if all of it went well."""
    with replacing(path) as file:
        memory = io.BytesIO()
        with quiet_export():
            program = traced(prepared)
            program.example_inputs = None  # not needed, and the only pickle in the file
            extra = {DESCRIPTION: json.dumps(prepared.description, indent=1)}
            torch.export.save(program, memory, extra_files=extra)
            file.write_bytes(memory.getbuffer())
            with file.open("rb") as stream:
                again = torch.export.load(stream).module()
        with torch.inference_mode():
            found = again(*prepared.trial.values())
        return require_agreement(found, prepared.expected, may_jump=prepared.may_jump)
