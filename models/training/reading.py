"""Which way to read a set for training: the fastest that its size allows."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from spinforge.datasets.reading.device_resident import DeviceSlices, fits
from spinforge.datasets.reading.loading import ZeroFilledSlices
from spinforge.datasets.reading.streaming import StreamedSlices
from spinforge.datasets.storage.store import DatasetStore
from spinforge.models.training.data import training_loader
from spinforge.simulation.noise import Noise
from spinforge.simulation.sampling import LineSampling

STREAMING_WORKERS = 2


def kspace_bytes(path: Path, subjects: tuple[str, ...]) -> int:
    """Memory that k-space and targets of these subjects take [byte]; reads no array.

    Raises:
        SpinforgeError: If the store or a subject is missing.
    """
    store = DatasetStore(path)
    groups = [store.open_subject(subject) for subject in subjects]
    arrays: list[Any] = [group[name] for group in groups for name in ("full", "target")]
    return sum(array.nbytes for array in arrays)


def training_batches(
    path: Path,
    subjects: tuple[str, ...],
    *,
    sampling: LineSampling,
    device: torch.device,
    batch_size: int,
    seed: int,
    noise_on_read: Noise | None = None,
) -> Iterable[Mapping[str, Any]]:
    """Training batches with fresh masks, from the device, else from memory, else from the store.

    All three show the same slices in the same order; those from the device are made in batches,
    whose Fourier transforms may round differently in the last bit. Lightning tells any of them the
    epoch, by its `sampler`.

    Raises:
        SpinforgeError: If the store or a subject is missing.
    """
    size = kspace_bytes(path, subjects)
    # The set is loaded first and copied then; the processor's memory holds both for a moment.
    in_memory = fits(2 * size if device.type == "cpu" else size, torch.device("cpu"))
    kind = ZeroFilledSlices if in_memory else StreamedSlices
    slices = kind(
        path, subjects, sampling=sampling, masks="fresh", seed=seed, noise_on_read=noise_on_read
    )
    if in_memory and fits(size, device):
        return DeviceSlices(slices, device=device, batch_size=batch_size, order_seed=seed)
    workers = 0 if in_memory else STREAMING_WORKERS
    return training_loader(slices, batch_size=batch_size, seed=seed, workers=workers)
