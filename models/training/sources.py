"""Which way to read a set for training: the fastest that its size allows.

On the processor a set lies in memory, or is streamed where it does not fit: the same slices bit for
bit, so that the memory that happens to be free never changes a result. On a GPU it lies there where
it fits, else as on the processor; Fourier transforms of batches may round differently there, as
other computations on a GPU do anyway.
"""

from pathlib import Path
from typing import Any, Literal, TypeVar

import torch

from spinforge.datasets.reading.device_images import DeviceImages, nbytes_of
from spinforge.datasets.reading.device_resident import DeviceSlices
from spinforge.datasets.reading.image_slices import ImageSlices
from spinforge.datasets.reading.loading import ZeroFilledSlices
from spinforge.datasets.reading.longitudinal import LongitudinalSlices
from spinforge.datasets.reading.memory import fits
from spinforge.datasets.reading.simulated_slices import SimulatedSlices
from spinforge.datasets.reading.streaming import StreamedSlices
from spinforge.datasets.storage.store import DatasetStore
from spinforge.models.training.data import ReadyBatches, SliceDataset
from spinforge.simulation.noise import Noise
from spinforge.simulation.sampling import LineSampling

STREAMING_WORKERS = 2

Source = SliceDataset | ReadyBatches

Slices = TypeVar("Slices", bound=SliceDataset)


def kspace_bytes(path: Path | str, subjects: tuple[str, ...]) -> int:
    """Memory that k-space, targets and coil maps of these subjects take [byte]; reads no array.

    Raises:
        SpinforgeError: If the store or a subject is missing.
    """
    store = DatasetStore(path)
    groups = [store.open_subject(subject) for subject in subjects]
    names = ("full", "target", "coil_maps")
    arrays: list[Any] = [group[name] for group in groups for name in names]
    return sum(array.nbytes for array in arrays)


def open_slices(
    path: Path | str,
    subjects: tuple[str, ...],
    *,
    sampling: LineSampling,
    masks: Literal["fixed", "fresh"],
    seed: int = 0,
    noise: Literal["stored", "fresh"] = "stored",
    noise_on_read: Noise | None = None,
    variant: str | None = None,
) -> ZeroFilledSlices:
    """Slices in memory, or streamed if they do not fit there; the same either way, bit for bit.

    Arguments are those of `ZeroFilledSlices`.

    Raises:
        SpinforgeError: If the store or a subject is missing, or the set is too large for the memory
            and not in a folder.
    """
    in_memory = fits(kspace_bytes(path, subjects), torch.device("cpu"))
    kind = ZeroFilledSlices if in_memory else StreamedSlices
    return kind(
        path,
        subjects,
        sampling=sampling,
        masks=masks,
        seed=seed,
        noise=noise,
        noise_on_read=noise_on_read,
        variant=variant,
    )


def training_source(
    slices: Slices, *, device: torch.device, batch_size: int, seed: int, processes: int = 1
) -> Slices | DeviceSlices | DeviceImages:
    """What `train_network` is to be given: ready batches on a GPU that has room, else the slices.

    Both show the same slices in the same order.

    Args:
        slices: What to learn from.
        device: Where the network will be trained.
        batch_size: Slices in a batch, that of the recipe.
        seed: Seed of the order, that of the training.
        processes: Processes that will train together; each of several reads for its own device,
            which is not this process' business.
    """
    if processes > 1:
        return slices
    if device.type == "cpu" or isinstance(slices, StreamedSlices):
        return slices
    if isinstance(slices, ImageSlices | LongitudinalSlices):
        if not fits(nbytes_of(slices), device):
            return slices
        return DeviceImages(slices, device=device, batch_size=batch_size, order_seed=seed)
    if not isinstance(slices, ZeroFilledSlices):
        return slices  # simulated there already, or whatever a program has made
    if not fits(kspace_bytes(slices.path, slices.subjects), device):
        return slices
    return DeviceSlices(slices, device=device, batch_size=batch_size, order_seed=seed)


def before_sampling(source: Source) -> Source:
    """The same slices as k-space with all its lines, of which images are made later.

    What a scanner does to a head comes before lines are left out. Sets of images stay as they are.
    """
    if isinstance(source, ZeroFilledSlices | DeviceSlices | SimulatedSlices):
        return source.showing("measurement")
    return source


def way_of(source: Source) -> Literal["device", "memory", "streamed", "simulated"]:
    """How slices are read, for the record."""
    if isinstance(source, SimulatedSlices):
        return "simulated"
    if isinstance(source, StreamedSlices):
        return "streamed"
    return "memory" if isinstance(source, SliceDataset) else "device"


def workers_for(source: SliceDataset, device: torch.device) -> int:
    """Processes that read: none for what is in memory, or where the processor itself trains."""
    streams_to_gpu = device.type != "cpu" and isinstance(source, StreamedSlices)
    return STREAMING_WORKERS if streams_to_gpu else 0
