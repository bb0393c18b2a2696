"""Every network of the catalogue as a file, at its paper's size: does it answer the same, how fast.

    python benchmarks/export.py [NAME ...] [--repeats 3]

For each network the exported program and, where there can be one, the ONNX file: megabytes, seconds
to export and check, largest difference of a probability from the network's own, pixels that jumped
(SegNet alone; `Agreement` says what that is), pixels so close to a tie that either label is right,
pixels with another label. Then the time of a slice, or sequence, in ONNX Runtime over PyTorch's:
processor time on one thread. Weights are fresh, with the batch statistics of one batch, as after a
first step: what is compared is arithmetic. Ends with exit status 1 if a file fails.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import onnxruntime
import torch
from timing import best_seconds

from spinforge.models.catalogue import CATALOGUE, CatalogueEntry
from spinforge.models.export.onnx_file import export_onnx
from spinforge.models.export.preprocessing import Preprocessing
from spinforge.models.export.program_file import export_kspace_program, export_program
from spinforge.models.export.segmenters import ImageSegmenter
from spinforge.models.export.trials import Agreement, image_inputs, kspace_inputs
from spinforge.models.networks import KSpaceNetwork, build_network
from spinforge.models.seranet.measurement import Measurement
from spinforge.models.weights import LoadedNetwork
from spinforge.simulation.errors import SpinforgeError

VOLUME = Preprocessing(scaling="volume")

COLUMNS = "       MB  seconds   difference  jumped    ties  other labels"


def exported(export: Callable[[], Agreement], path: Path) -> tuple[str, bool]:
    """Cells of one file, and whether it is there."""
    start = time.perf_counter()
    try:
        agreement = export()
    except SpinforgeError as error:
        return f"failed: {error}", False
    seconds = time.perf_counter() - start
    return (
        f"{path.stat().st_size / 1e6:9.1f} {seconds:8.1f} {agreement.difference:12.1e} "
        f"{agreement.jumped:7.3%} {agreement.undecided:7.3%} {agreement.different:13.3%}"
    ), True


def speed_ratio(loaded: LoadedNetwork, entry: CatalogueEntry, path: Path, repeats: int) -> float:
    """Time of one slice or sequence in ONNX Runtime over PyTorch's; preprocessing included."""
    frames = (entry.in_channels, *entry.size)
    shape = (1, *frames) if entry.times is None else (1, entry.times, *frames)
    inputs = image_inputs(shape, VOLUME, seed=0)
    segmenter = ImageSegmenter(loaded.network, VOLUME)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # threads that wait for others burn processor time too
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    arrays = {name: value.numpy() for name, value in inputs.items()}
    with torch.inference_mode():
        eager = best_seconds(lambda: segmenter(**inputs), repeats=repeats)
    return best_seconds(lambda: session.run(None, arrays), repeats=repeats) / eager


def settled(entry: CatalogueEntry) -> LoadedNetwork:
    """A fresh network whose batch normalisation knows its input, or its signals would die out."""
    network = build_network(
        entry.config, in_channels=entry.in_channels, n_classes=entry.n_classes, seed=0
    )
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None  # the mean of all batches so far: of this one
    with torch.no_grad():
        if isinstance(entry.config, KSpaceNetwork):
            inputs = kspace_inputs((2, 1, *entry.size), seed=1)
            network(Measurement(inputs["kspace"] / 1000, inputs["mask"]))
        else:
            frames = (entry.in_channels, *entry.size)
            shape = (2, *frames) if entry.times is None else (1, entry.times, *frames)
            network(image_inputs(shape, Preprocessing(scaling="none"), seed=1)["image"])
    return LoadedNetwork(network.eval(), entry.config, entry.in_channels, entry.n_classes)


def report(entry: CatalogueEntry, folder: Path, repeats: int) -> bool:
    """Print the lines of one network; whether all went well."""
    loaded = settled(entry)
    program, onnx = folder / "network.pt2", folder / "network.onnx"
    if isinstance(entry.config, KSpaceNetwork):
        cells, well = exported(
            lambda: export_kspace_program(loaded, program, size=entry.size), program
        )
        print(f"{entry.name:20} program {cells}", flush=True)
        print(f"{'':20} ONNX    none: starts from k-space", flush=True)
        return well
    options = {"size": entry.size, "preprocessing": VOLUME, "times": entry.times}
    cells, program_well = exported(lambda: export_program(loaded, program, **options), program)
    print(f"{entry.name:20} program {cells}", flush=True)
    cells, onnx_well = exported(lambda: export_onnx(loaded, onnx, **options), onnx)
    ratio = f"  time x {speed_ratio(loaded, entry, onnx, repeats):.2f}" if onnx_well else ""
    print(f"{'':20} ONNX    {cells}{ratio}", flush=True)
    return program_well and onnx_well


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="networks of the catalogue; all by default")
    parser.add_argument("--repeats", type=int, default=3, help="of each timing; the best counts")
    arguments = parser.parse_args()
    print(f"{'':28}{COLUMNS}")
    torch.set_num_threads(1)
    well = True
    for entry in CATALOGUE:
        if arguments.names and entry.name not in arguments.names:
            continue
        with tempfile.TemporaryDirectory() as folder:
            well &= report(entry, Path(folder), arguments.repeats)
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
