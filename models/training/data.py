"""What training asks of a data set, and the order in which it visits the slices."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Sampler, SequentialSampler, default_collate

from spinforge.datasets.reading.epoch_order import epoch_order
from spinforge.models.training.sharing import ALONE, DealtBatches, Share, SharedBatches
from spinforge.simulation.errors import SpinforgeError


@runtime_checkable
class SliceDataset(Protocol):
    """Slices with their labels, ready in memory."""

    @property
    def n_channels(self) -> int:
        """Channels of each image."""
        ...

    @property
    def n_classes(self) -> int:
        """Classes in the labels, background (0) included."""
        ...

    def __len__(self) -> int:
        """Number of slices."""
        ...

    def __getitem__(self, index: int, /) -> Mapping[str, Any]:
        """One slice.

        Returns:
            "image": float32 (n_channels, ky, kx); "target": int64 (ky, kx), from 0 to
            n_classes - 1, or -100 where a pixel is not to count. Any other keys, such as "subject"
            and "slice", only name the slice in messages.
        """
        ...

    def set_epoch(self, epoch: int, /) -> None:
        """Draw what changes between epochs, such as sampling masks; epochs count from 0."""
        ...


@runtime_checkable
class ReadyBatches(Protocol):
    """Batches of slices that need no loader, such as `DeviceSlices`; in a new order each epoch.

    `sampler.set_epoch` is called before each epoch, as that of a loader's `EpochSampler`.
    """

    @property
    def n_channels(self) -> int:
        """Channels of each image."""
        ...

    @property
    def n_classes(self) -> int:
        """Classes in the labels, background (0) included."""
        ...

    @property
    def n_slices(self) -> int:
        """Number of slices in all batches."""
        ...

    @property
    def batch_size(self) -> int:
        """Slices in a batch; the last one may be smaller."""
        ...

    @property
    def sampler(self) -> Any:
        """Has a method `set_epoch`; epochs count from 0."""
        ...

    def __len__(self) -> int:
        """Number of batches."""
        ...

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        """Batches of what `SliceDataset` gives, stacked."""
        ...


class SharedReadyBatches:
    """The piece of each ready batch that belongs to one process; made whole, then cut.

    Args:
        whole: The batches, the same in each process.
        share: Which piece.
    """

    def __init__(self, whole: ReadyBatches, share: Share) -> None:
        self._whole, self._share = whole, share
        self.n_channels, self.n_classes = whole.n_channels, whole.n_classes
        self.n_slices, self.batch_size = whole.n_slices, whole.batch_size
        self.sampler = whole.sampler

    def __len__(self) -> int:
        """Number of batches."""
        return len(self._whole)

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        for batch in self._whole:
            piece = self._share.of(len(batch["target"]))
            yield {
                name: value[piece] if isinstance(value, Tensor | Sequence) else value
                for name, value in batch.items()
            }


class EpochSampler(Sampler[int]):
    """A new order each epoch that depends on the seed and the epoch alone.

    Lightning calls `set_epoch` before each epoch, the first after a resume included; the data
    set is told here, so that it and the order can never disagree.

    Args:
        data: Visited once an epoch.
        seed: Seed of the order.
    """

    def __init__(self, data: SliceDataset, *, seed: int) -> None:
        self._data = data
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Prepare epoch `epoch`, counted from 0."""
        self._epoch = epoch
        self._data.set_epoch(epoch)

    def __len__(self) -> int:
        return len(self._data)

    def __iter__(self) -> Iterator[int]:
        # A generator: the epoch is looked up at the first slice, when it is certainly set.
        yield from epoch_order(self._seed, self._epoch, len(self._data))


def training_loader(
    data: SliceDataset,
    *,
    batch_size: int,
    seed: int,
    workers: int = 0,
    share: Share = ALONE,
    pinned: bool = False,
) -> DataLoader[Mapping[str, Any]]:
    """Batches in an order that changes each epoch; the last batch may be smaller.

    Args:
        data: The slices.
        batch_size: Slices in a batch, of all processes together.
        seed: Seed of the order.
        workers: Processes that read; 0 for this one, which is best if the slices are in memory.
            They live from epoch to epoch where the data set tells them its epoch
            (`shared_epoch`, as `StreamedSlices` does), else they are started for each.
        share: Piece of each batch to read, where several processes train together.
        pinned: Put batches where a GPU copies them from while it computes.
    """
    order = EpochSampler(data, seed=seed)
    batches: dict[str, Any] = {"sampler": order, "batch_size": batch_size}
    if share != ALONE:
        batches = {"batch_sampler": SharedBatches(order, batch_size=batch_size, share=share)}
    return _loader(
        data,
        batches,
        workers=workers,
        live_on=hasattr(data, "shared_epoch"),
        pinned=pinned,
    )


def validation_loader(
    data: SliceDataset,
    *,
    batch_size: int,
    workers: int = 0,
    share: Share = ALONE,
    pinned: bool = False,
) -> DataLoader[Mapping[str, Any]]:
    """Batches in the order of the data set, whose epoch is never set: always the same slices."""
    order = SequentialSampler(data)
    batches: dict[str, Any] = {"sampler": order, "batch_size": batch_size}
    if share != ALONE:
        batches = {"batch_sampler": DealtBatches(order, batch_size=batch_size, share=share)}
    return _loader(
        data,
        batches,
        workers=workers,
        live_on=True,
        pinned=pinned,
    )


def _loader(
    data: SliceDataset,
    batches: Mapping[str, Any],
    *,
    workers: int,
    live_on: bool,
    pinned: bool,
) -> DataLoader[Mapping[str, Any]]:
    """Loader in this process or in others; the batches are the same.

    Args:
        data: The slices.
        batches: Which of them make a batch, in the loader's terms.
        workers: Processes that read.
        live_on: Whether these processes outlive an epoch.
        pinned: As for `training_loader`.
    """
    # Not forked: a fork copies locks that other threads hold, and CUDA does not survive it.
    apart: dict[str, Any] = {
        "multiprocessing_context": "forkserver",
        # What starts anew is told the epoch by the copy of the data set that it gets.
        "persistent_workers": live_on,
        "prefetch_factor": 4,
        "worker_init_fn": _one_thread,
    }
    return DataLoader(
        data,  # type: ignore[arg-type]  # only its length and items are used
        **batches,
        num_workers=workers,
        pin_memory=pinned,
        generator=torch.Generator(),  # else the loader advances torch's global generator
        collate_fn=_collate,
        **(apart if workers else {}),
    )


def _collate(items: Any) -> Any:
    """Stack items, unless the data set's `__getitems__` has made a batch of them already."""
    return items if isinstance(items, Mapping) else default_collate(items)


def _one_thread(worker: int) -> None:
    """The parallelism is over workers."""
    torch.set_num_threads(1)


def count_slices(source: SliceDataset | ReadyBatches) -> int:
    """Number of slices to learn from in an epoch."""
    return len(source) if isinstance(source, SliceDataset) else source.n_slices


def require_matching(train: SliceDataset | ReadyBatches, validation: SliceDataset) -> None:
    """Refuse empty data sets and those that one network cannot serve.

    Raises:
        SpinforgeError: If there are no slices, or channels or classes differ.
    """
    for name, data in (("training", train), ("validation", validation)):
        if len(data) == 0:
            raise SpinforgeError(f"the {name} set holds no slices")
    for name in ("n_channels", "n_classes"):
        ours, theirs = getattr(train, name), getattr(validation, name)
        if ours != theirs:
            raise SpinforgeError(f"{name} is {ours} in the training set, {theirs} in validation")
