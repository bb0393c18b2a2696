"""Speed of training as ratios: our step to a plain one, real data to one cached batch.

    python benchmarks/training.py [NAME ...] [--device cuda] [--size 64x64] [--width 8] [--compile]

NAME is a network of the catalogue or a family of it; all without one, on the processor a few.

1. Training: images a second of a plain loop (PyTorch's eager float32 and Adam) and of ours (the
   objective of the network's last stage, compiled; bfloat16; channels-last; one fused kernel for
   Adam; CUDA graphs where the paper's batch is a single slice), each in the same run on a batch
   that lies on the device, and the peak of what PyTorch's allocator held. Then the time of our
   step with the real data path over its time with the one cached batch: for k-space
   `DeviceSlices`, which draws masks, fills with zeros and scales; for images and sequences the
   loader of `train_network`, from memory.
2. Inference: milliseconds for one image of 240 x 240 with three contrasts through CRDN, from an
   idle device to an idle device.

Sizes and batches are the papers', unless said otherwise. On the processor they are small, so that
it ends in a minute, nothing is compiled without --compile, and times are CPU times of one thread.
Steps follow each other as in a training; the best mean of a few rounds counts.

Needs torch, numpy, pydantic and jaxtyping of what Spinforge depends on, lightning for compiled
objectives, zarr for the data path of k-space.
"""

import argparse
import dataclasses
import gc
import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from networks import BATCHES, KEPT_LINES, chosen_entries, loss_of, size_of
from timing import is_gpu, seconds_in_a_row, seconds_of_calls, usable_device
from torch import Tensor, nn

from spinforge.models.catalogue import CATALOGUE, CatalogueEntry
from spinforge.models.inference import final_logits, flat_target, network_input
from spinforge.models.networks import KSpaceNetwork, build_network
from spinforge.models.training.compiling import compiled_objective
from spinforge.models.training.data import training_loader
from spinforge.models.training.stages import enter_stage, training_stages
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.sampling import Gaussian1D

Batch = dict[str, Any]

FEW = ["crdn-unet-rnn", "zero-filling", "seranet-1-a", "hle-net"]
"""Networks that are tried on the processor."""
SMALL_SIZE, SMALL_WIDTH = (32, 32), 8
"""On the processor."""
INFERRED = "crdn-unet-rnn"
INFERRED_SIZE = (240, 240)
BATCHES_AN_EPOCH = 8


@dataclass(frozen=True)
class Cost:
    """Seconds a step, and peak memory [GB]; none on the processor, where it cannot be told."""

    seconds: float
    gigabytes: float | None


def narrowed(entry: CatalogueEntry, width: int | None) -> CatalogueEntry:
    """With so many channels at full size, where the network has a width."""
    changes: dict[str, Any] = {}
    fields = type(entry.config).model_fields
    if width is not None and "width" in fields:
        changes["width"] = width
    if width is not None and "reconstruction" in fields:
        changes["reconstruction"] = entry.config.reconstruction.model_copy(update={"width": width})
    return dataclasses.replace(entry, config=entry.config.model_copy(update=changes))


def build(entry: CatalogueEntry, device: str) -> nn.Module:
    return build_network(
        entry.config, in_channels=entry.in_channels, n_classes=entry.n_classes, seed=0
    ).to(device)


class RandomSlices:
    """Noise with labels, as the training's data: images, sequences, or k-space for DeviceSlices."""

    def __init__(self, entry: CatalogueEntry, size: tuple[int, int], count: int) -> None:
        self.n_channels, self.n_classes = entry.in_channels, max(2, entry.n_classes)
        self.size, self.digest, self.seed = size, "", 0
        draw = torch.Generator().manual_seed(0)
        times = () if entry.times is None else (entry.times,)
        self.target = torch.randint(self.n_classes, (count, *times, *size), generator=draw)
        self.index = [("head-000", number) for number in range(count)]
        self.subjects = ("head-000",)
        if isinstance(entry.config, KSpaceNetwork):
            self.content = "measurement"
            shape = (count, 1, *size)
            self.kspace = torch.randn(shape, dtype=torch.complex64, generator=draw)
        else:
            self.images = torch.randn(count, *times, entry.in_channels, *size, generator=draw)

    @property
    def masks(self):
        from spinforge.datasets.reading.loading import LineMasks

        stored = torch.zeros(len(self), self.size[0], dtype=torch.bool)
        lines = min(16, self.size[0] // 4)
        return LineMasks(self.index, stored, Gaussian1D(keep=KEPT_LINES, acs_lines=lines), 0)

    def subject_coil_maps(self, subject: str) -> Tensor:
        return torch.ones(1, 1, *self.size, dtype=torch.complex64)

    def __len__(self) -> int:
        return len(self.index)

    def set_epoch(self, epoch: int) -> None:
        pass

    def __getitem__(self, number: int) -> Batch:
        return {"image": self.images[number], "target": self.target[number]}


def real_batches(entry: CatalogueEntry, slices: RandomSlices, device: str) -> Iterator[Batch]:
    """Batches as a training gets them, for ever."""
    size = BATCHES[entry.family] // (entry.times or 1)
    source: Any
    if isinstance(entry.config, KSpaceNetwork):
        from spinforge.datasets.reading.device_resident import DeviceSlices

        place = torch.device(device)
        source = DeviceSlices(slices, device=place, batch_size=size, order_seed=0)
    else:
        source = training_loader(slices, batch_size=size, seed=0, pinned=is_gpu(device))
    epoch = 0
    while True:
        source.sampler.set_epoch(epoch)
        for batch in source:
            yield {
                name: value.to(device, non_blocking=True)
                for name, value in batch.items()
                if isinstance(value, Tensor)
            }
        epoch += 1


def plain_step(entry: CatalogueEntry, device: str) -> Callable[[Batch], None]:
    network = build(entry, device)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4)

    def step(batch: Batch) -> None:
        optimizer.zero_grad()
        found = network(network_input(entry.config, batch))
        loss_of(final_logits(found), flat_target(batch["target"])).backward()
        optimizer.step()

    return step


def our_step(entry: CatalogueEntry, device: str, *, compiled: bool) -> Callable[[Batch], None]:
    network = build(entry, device).to(memory_format=torch.channels_last)
    stage = training_stages(entry.config)[-1]
    enter_stage(network, stage)
    objective = stage.objective
    if compiled:
        graphs = is_gpu(device) and BATCHES[entry.family] == 1
        objective = compiled_objective(objective, cuda_graphs=graphs)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4, fused=is_gpu(device))
    kind = torch.device(device).type

    def step(batch: Batch) -> None:
        given, target = network_input(entry.config, batch), flat_target(batch["target"])
        with torch.autocast(kind, torch.bfloat16):
            loss = objective(network, given, target, loss_of).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def cost(step: Callable[[Batch], None], batch: Batch, device: str, *, steps: int) -> Cost:
    step(batch)  # compiles
    if is_gpu(device):
        torch.cuda.reset_peak_memory_stats(device)
    seconds = seconds_in_a_row(lambda: step(batch), device, calls=steps)
    peak = torch.cuda.max_memory_allocated(device) / 1e9 if is_gpu(device) else None
    return Cost(seconds, peak)


def forget(device: str) -> None:
    """Free what the last network held."""
    torch.compiler.reset()
    gc.collect()
    if is_gpu(device):
        torch.cuda.empty_cache()


def training_row(
    entry: CatalogueEntry, size: tuple[int, int], device: str, *, steps: int, compiled: bool
) -> str:
    count = BATCHES_AN_EPOCH * BATCHES[entry.family] // (entry.times or 1)
    slices = RandomSlices(entry, size, count)
    batches = real_batches(entry, slices, device)
    cached = next(batches)
    forget(device)
    plain = cost(plain_step(entry, device), cached, device, steps=steps)
    forget(device)
    step = our_step(entry, device, compiled=compiled)
    ours = cost(step, cached, device, steps=steps)
    real = seconds_in_a_row(lambda: step(next(batches)), device, calls=steps)
    per_step = BATCHES[entry.family]
    cells = [
        entry.name,
        f"{per_step} x {size[0]} x {size[1]}",
        f"{per_step / plain.seconds:.1f}",
        f"{per_step / ours.seconds:.1f}",
        f"{plain.seconds / ours.seconds:.2f}",
        *("-" if one.gigabytes is None else f"{one.gigabytes:.2f}" for one in (plain, ours)),
        f"{1e3 * ours.seconds:.2f}",
        f"{real / ours.seconds:.3f}",
    ]
    return f"| {' | '.join(cells)} |"


def inference_rows(device: str, *, steps: int, compiled: bool) -> Iterator[str]:
    (entry,) = chosen_entries([INFERRED])
    network = build(entry, device).eval()
    image = torch.randn(1, 3, *INFERRED_SIZE).to(device)
    modes = {"compiled": "default"} if compiled else {}
    if compiled and is_gpu(device):
        modes["CUDA graph"] = "reduce-overhead"
    runs: dict[str, Callable[[Tensor], Tensor]] = {"eager": network}
    runs |= {name: torch.compile(network, mode=mode) for name, mode in modes.items()}
    for dtype in (torch.float32, torch.bfloat16):
        half = dtype is torch.bfloat16
        if half:
            network.to(memory_format=torch.channels_last)
            image = image.contiguous(memory_format=torch.channels_last)
        for name, run in runs.items():
            with (
                torch.inference_mode(),
                torch.autocast(torch.device(device).type, torch.bfloat16, enabled=half),
            ):
                call = partial(run, image)
                for _ in range(3):
                    call()
                seconds = sorted(seconds_of_calls(call, device, repeats=steps))
            kind = "bfloat16, channels-last" if half else "float32"
            yield f"| {name} | {kind} | {1e3 * seconds[len(seconds) // 2]:.3f} |"


def table(*columns: str) -> None:
    print(f"\n| {' | '.join(columns)} |\n|{' --- |' * len(columns)}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", metavar="NAME", help="network or family; else all")
    parser.add_argument("--device", type=usable_device, help="cpu, cuda or like cuda:1")
    parser.add_argument("--size", type=size_of, help="height x width [pixel]")
    parser.add_argument("--width", type=int, help="channels at full size, where there is a width")
    parser.add_argument("--steps", type=int, help="steps in each of three rounds")
    parser.add_argument("--compile", action="store_true", help="compile on the processor as well")
    chosen = parser.parse_args()
    device = chosen.device or ("cuda" if torch.cuda.is_available() else "cpu")
    small, compiled = not is_gpu(device), chosen.compile or is_gpu(device)
    steps = chosen.steps or (3 if small else 30)
    torch.set_num_threads(1)
    try:
        names = chosen.networks or ([FEW, []][is_gpu(device)])
        entries = chosen_entries(names)
    except ValueError as error:
        parser.error(str(error))
    where = torch.cuda.get_device_name(device) if is_gpu(device) else platform.machine()
    print(f"torch {torch.__version__}, {where}; {len(entries)} of {len(CATALOGUE)} networks")
    table(
        *("network", "slices [pixel]", "plain [images/s]", "ours [images/s]", "times faster"),
        *("plain [GB]", "ours [GB]", "our step [ms]", "with real data / cached"),
    )
    failed = False
    for whole in entries:
        entry = narrowed(whole, chosen.width or (SMALL_WIDTH if small else None))
        size = chosen.size or (SMALL_SIZE if small else entry.size)
        try:
            row = training_row(entry, size, device, steps=steps, compiled=compiled)
        except (RuntimeError, SpinforgeError, ValueError) as error:
            # No memory left, the compiler gave up, or images too small for the network.
            failed, row = True, f"| {entry.name} | FAILED: {str(error).splitlines()[0]} |"
        print(row, flush=True)
    forget(device)
    table("CRDN, one image of 3 x 240 x 240", "precision", "time [ms]")
    for row in inference_rows(device, steps=3 * steps, compiled=compiled):
        print(row, flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
