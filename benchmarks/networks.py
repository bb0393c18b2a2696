"""A training step of every network at its paper's size: its time, and the memory it needs.

    python benchmarks/networks.py [NAME ...] [--device cuda] [--size 64x64] [--steps 10]

NAME is a network of the catalogue or a family of it, such as seranet-3-a or HLE-Net; all without
one. A step is forward, loss, backward and Adam, on random images that lie on the device:

* eager: float32, as PyTorch runs it;
* compiled: torch.compile of the whole network as one graph, forward in bfloat16 (autocast), weights
  and images channels-last.

The batch is the paper's where it gives one (CRDN 1, SERANet 12, HLE-Net 6), and one sequence for
FCSLSTM, or as many single slices. Time is the median of the steps after a few that warm up, with
the least and the largest; on a GPU wall time from an idle device to an idle device, on the
processor CPU time of one thread. Memory is the peak of what PyTorch's allocator held during these
steps: weights, gradients, Adam's two moments, and everything in between; a GPU's only, the
processor's cannot be told apart from the rest of the process.

Needs torch, numpy, pydantic and jaxtyping of what Spinforge depends on.
"""

import argparse
import gc
import platform
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from timing import is_gpu, seconds_of_calls, usable_device

from spinforge.models.catalogue import CATALOGUE, CatalogueEntry
from spinforge.models.networks import KSpaceNetwork, build_network
from spinforge.models.seranet.measurement import Measurement
from spinforge.simulation.errors import SpinforgeError

BATCHES = {"CRDN": 1, "FCSLSTM": 5, "SERANet": 12, "HLE-Net": 6}
"""Slices a step; FCSLSTM's are one sequence."""

WARM_UP = 3
"""Steps before those that are timed: the very first, and the one `seconds_of_calls` begins with,
are among them."""

KEPT_LINES = 0.3


@dataclass(frozen=True)
class Cost:
    """Of one way to train.

    Attributes:
        seconds: Of each step.
        first: Seconds of the very first step, compilation included.
        gigabytes: Peak memory; None on the processor.
    """

    seconds: list[float]
    first: float
    gigabytes: float | None


def training_step(
    entry: CatalogueEntry, size: tuple[int, int], device: str, *, compiled: bool
) -> Callable[[], None]:
    """One step of a fresh network on the device, ready to be timed."""
    network = build_network(
        entry.config, in_channels=entry.in_channels, n_classes=entry.n_classes, seed=0
    ).to(device)
    given, target = random_batch(entry, size, device)
    if compiled:
        network = network.to(memory_format=torch.channels_last)
        if isinstance(given, torch.Tensor) and given.ndim == 4:
            given = given.contiguous(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4)
    run = torch.compile(network, fullgraph=True, dynamic=False) if compiled else network
    kind = torch.device(device).type

    def step() -> None:
        optimizer.zero_grad()
        with torch.autocast(kind, torch.bfloat16, enabled=compiled):
            found = run(given)
        logits = found.logits[-1] if isinstance(entry.config, KSpaceNetwork) else found
        loss_of(logits.float().flatten(0, -4), target).backward()
        optimizer.step()

    return step


def random_batch(
    entry: CatalogueEntry, size: tuple[int, int], device: str
) -> tuple[torch.Tensor | Measurement, torch.Tensor]:
    """Noise for the network's input, and labels (slice, ky, kx)."""
    generator = torch.Generator().manual_seed(0)
    slices = BATCHES[entry.family]
    batch = slices // (entry.times or 1)
    classes = max(2, entry.n_classes)
    target = torch.randint(classes, (slices, *size), generator=generator).to(device)
    if isinstance(entry.config, KSpaceNetwork):
        kspace = torch.randn(batch, 1, *size, dtype=torch.complex64, generator=generator)
        mask = torch.rand(batch, size[0], generator=generator) < KEPT_LINES
        return Measurement(kspace.to(device), mask.to(device)), target
    times_if_any = () if entry.times is None else (entry.times,)
    shape = (batch, *times_if_any, entry.in_channels, *size)
    return torch.randn(shape, generator=generator).to(device), target


def loss_of(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    if logits.shape[1] == 1:
        return F.binary_cross_entropy_with_logits(logits[:, 0], target.float())
    return F.cross_entropy(logits, target)


def cost(
    entry: CatalogueEntry, size: tuple[int, int], device: str, *, steps: int, compiled: bool
) -> Cost:
    """Of the network trained in one of the two ways, and nothing else on the device."""
    torch.compiler.reset()
    gc.collect()
    if is_gpu(device):
        torch.cuda.empty_cache()
    step = training_step(entry, size, device, compiled=compiled)
    start = time.perf_counter()
    step()
    if is_gpu(device):
        torch.cuda.synchronize(device)
    first = time.perf_counter() - start
    for _ in range(WARM_UP - 2):
        step()
    if is_gpu(device):
        torch.cuda.reset_peak_memory_stats(device)
    seconds = seconds_of_calls(step, device, repeats=steps)
    peak = torch.cuda.max_memory_allocated(device) / 1e9 if is_gpu(device) else None
    return Cost(seconds, first, peak)


def print_row(entry: CatalogueEntry, size: tuple[int, int], eager: Cost, compiled: Cost) -> None:
    target = f"{BATCHES[entry.family]} x {size[0]} x {size[1]}"
    medians = [statistics.median(one.seconds) for one in (eager, compiled)]
    cells = [
        entry.name,
        target,
        *(shown_time(one.seconds) for one in (eager, compiled)),
        f"{medians[0] / medians[1]:.2f}",
        *(shown_memory(one) for one in (eager, compiled)),
        f"{compiled.first:.0f}",
    ]
    print(f"| {' | '.join(cells)} |", flush=True)


def shown_time(seconds: list[float]) -> str:
    least, median, most = (
        1e3 * value for value in (min(seconds), statistics.median(seconds), max(seconds))
    )
    return f"{median:.1f} ({least:.1f} - {most:.1f})"


def shown_memory(one: Cost) -> str:
    return "-" if one.gigabytes is None else f"{one.gigabytes:.2f}"


def chosen_entries(names: list[str]) -> list[CatalogueEntry]:
    """In the catalogue's order.

    Raises:
        ValueError: If a name is neither a network's nor a family's.
    """
    known = {entry.name for entry in CATALOGUE} | set(BATCHES)
    if unknown := sorted(set(names) - known):
        raise ValueError(f"no network or family: {', '.join(unknown)}")
    return [e for e in CATALOGUE if not names or e.name in names or e.family in names]


def size_of(text: str) -> tuple[int, int]:
    rows, columns = text.split("x")
    return int(rows), int(columns)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", metavar="NAME", help="network or family; else all")
    parser.add_argument(
        "--device", type=usable_device, default="cpu", help="cpu, cuda or like cuda:1"
    )
    parser.add_argument(
        "--size", type=size_of, help="height x width [pixel] instead of the paper's"
    )
    parser.add_argument("--steps", type=int, default=10, help="steps that are timed")
    parser.add_argument(
        "--no-tf32", action="store_true", help="round no factors of float32 convolutions to TF32"
    )
    chosen = parser.parse_args()
    try:
        entries = chosen_entries(chosen.networks)
    except ValueError as error:
        parser.error(str(error))
    torch.set_num_threads(1)
    torch.backends.cudnn.allow_tf32 = not chosen.no_tf32
    name = f"{platform.processor() or platform.machine()}, one thread"
    if is_gpu(chosen.device):
        tf32 = "off" if chosen.no_tf32 else "on, PyTorch's default"
        name = f"{torch.cuda.get_device_name(chosen.device)}, TF32 in float32 convolutions {tf32}"
    print(f"torch {torch.__version__}, {name}\n")
    columns = ["network", "slices [pixel]", "eager float32 [ms]", "compiled bfloat16 [ms]"]
    columns += ["times faster", "eager [GB]", "compiled [GB]", "first step [s]"]
    print(f"| {' | '.join(columns)} |\n|{' --- |' * len(columns)}")
    failed = False
    for entry in entries:
        size = chosen.size or entry.size
        try:
            costs = [
                cost(entry, size, chosen.device, steps=chosen.steps, compiled=compiled)
                for compiled in (False, True)
            ]
        except (RuntimeError, SpinforgeError, ValueError) as error:
            # No memory left, the compiler gave up; the images are too small, for the network or,
            # with one slice a step, for batch normalisation.
            failed = True
            print(f"| {entry.name} | FAILED: {str(error).splitlines()[0]} |", flush=True)
        else:
            print_row(entry, size, *costs)
    sys.exit(failed)


if __name__ == "__main__":
    main()
