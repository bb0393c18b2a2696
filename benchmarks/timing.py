"""What the benchmarks share: clocks, and the lower bound they compare with."""

import argparse
import re
import resource
import time
from collections.abc import Callable

import torch

MATRIX = (180, 216)
"""Lines and samples of a slice of 1 mm voxels."""


def is_gpu(device: str) -> bool:
    return torch.device(device).type == "cuda"


def usable_device(name: str) -> str:
    """The device's name, unless it is none that PyTorch can use: nothing falls back silently."""
    if not re.fullmatch(r"cpu|cuda(:\d+)?", name):
        raise argparse.ArgumentTypeError(f"{name} is neither cpu, cuda nor like cuda:1")
    if is_gpu(name) and (torch.device(name).index or 0) >= torch.cuda.device_count():
        raise argparse.ArgumentTypeError(
            f"{name}: PyTorch {torch.__version__} finds {torch.cuda.device_count()} GPUs it can "
            f"use. Install a PyTorch built for CUDA and its driver, or leave --device out"
        )
    return name


def seconds_of_calls(
    function: Callable[[], object], device: str = "cpu", *, repeats: int = 3
) -> list[float]:
    """CPU time of each call after one that warms up; on a GPU wall time, until it is idle."""
    clock = time.perf_counter if is_gpu(device) else time.process_time
    function()
    seconds = []
    for _ in range(repeats):
        _wait_until_idle(device)
        start = clock()
        function()
        _wait_until_idle(device)
        seconds.append(clock() - start)
    return seconds


def seconds_in_a_row(
    function: Callable[[], object], device: str = "cpu", *, calls: int, repeats: int = 3
) -> float:
    """Least mean time of some calls with no wait in between, as in a training; after one warms up.

    CPU time; on a GPU wall time from idle to idle.
    """
    clock = time.perf_counter if is_gpu(device) else time.process_time
    function()
    means = []
    for _ in range(repeats):
        _wait_until_idle(device)
        start = clock()
        for _ in range(calls):
            function()
        _wait_until_idle(device)
        means.append((clock() - start) / calls)
    return min(means)


def best_seconds(function: Callable[[], object], device: str = "cpu", *, repeats: int = 3) -> float:
    """Least of `seconds_of_calls`."""
    return min(seconds_of_calls(function, device, repeats=repeats))


def _wait_until_idle(device: str) -> None:
    if is_gpu(device):
        torch.cuda.synchronize(device)


def bare_transform(n_coils: int, n_slices: int, device: str = "cpu") -> Callable[[], None]:
    """The lower bound: one 2-D FFT a slice and coil."""
    images = torch.randn(n_coils, *MATRIX, dtype=torch.complex64, device=device)

    def run() -> None:
        for _ in range(n_slices):
            torch.fft.fft2(images)

    return run


def cpu_seconds_of_children() -> float:
    """CPU time of all processes that this one started and that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
