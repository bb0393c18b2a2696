"""Image slices and sequences from the memory of a device, in whole batches."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import default_collate

from spinforge.datasets.reading.epoch_order import epoch_order
from spinforge.datasets.reading.fresh_noise import sent
from spinforge.datasets.reading.image_slices import ImageSlices
from spinforge.datasets.reading.longitudinal import LongitudinalSlices
from spinforge.simulation.errors import SpinforgeError

NAMES = ("subject", "view", "slice", "ages_months")
"""What only names a slice stays on the processor: fetching it would make a step wait."""

PUT_TOGETHER = 64
"""Slices that are stacked and sent at a time, so that the set is never twice in memory."""


class DeviceImages:
    """Batches of slices that are the same in each epoch; a loader for training.

    A batch holds what a `DataLoader` makes of the slices, bit for bit, in the order of
    `EpochSampler`.

    Args:
        slices: The set in memory; nothing of it is kept.
        device: Where to keep it.
        batch_size: Slices in a batch; the last one may be smaller.
        order_seed: Seed of the order.

    Raises:
        SpinforgeError: If the device's memory is full; `nbytes_of` and `memory.fits` tell
            beforehand.
    """

    def __init__(
        self,
        slices: ImageSlices | LongitudinalSlices,
        *,
        device: torch.device,
        batch_size: int,
        order_seed: int,
    ) -> None:
        self.n_channels, self.n_classes = slices.n_channels, slices.n_classes
        self.n_slices, self.digest, self.format = len(slices), slices.digest, slices.format
        self.batch_size = batch_size
        self._order_seed, self._device, self._epoch = order_seed, device, 0
        self._names: list[dict[str, Any]] = []
        parts: list[dict[str, Tensor]] = []
        try:
            for start in range(0, len(slices), PUT_TOGETHER):
                chunk = range(start, min(start + PUT_TOGETHER, len(slices)))
                items = [slices[position] for position in chunk]
                self._names += [{k: item[k] for k in NAMES if k in item} for item in items]
                stacked = default_collate([_values(item) for item in items])
                parts.append({name: value.to(device) for name, value in stacked.items()})
            self._values = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
        except torch.OutOfMemoryError as error:
            raise SpinforgeError(
                f"the set takes {nbytes_of(slices) / 2**30:.1f} GiB, more than is free on "
                f"{device}; train from memory (`{type(slices).__name__}`) instead"
            ) from error
        # Where Lightning looks for whom to tell the epoch.
        self.sampler = self

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the next iteration; one that has begun keeps its own."""
        self._epoch = epoch

    def __len__(self) -> int:
        """Number of batches."""
        return -(-self.n_slices // self.batch_size)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        order = epoch_order(self._order_seed, self._epoch, self.n_slices)
        for start in range(0, len(order), self.batch_size):
            yield self._batch(order[start : start + self.batch_size])

    def _batch(self, positions: list[int]) -> dict[str, Any]:
        """One batch; nothing here waits for the device."""
        index = sent(torch.tensor(positions), self._device)
        batch: dict[str, Any] = {
            name: value.index_select(0, index) for name, value in self._values.items()
        }
        batch["target"] = batch["target"].long()
        names: dict[str, Any] = default_collate([self._names[position] for position in positions])
        return batch | names


def nbytes_of(slices: ImageSlices | LongitudinalSlices) -> int:
    """Memory of a device that a set takes [byte], as all its slices have one size."""
    return len(slices) * sum(value.nbytes for value in _values(slices[0]).values())


def _values(item: dict[str, Any]) -> dict[str, Tensor]:
    """What a network reads; labels take two bytes: codes, or below 0."""
    values = {name: value for name, value in item.items() if name not in NAMES}
    return values | {"target": values["target"].to(torch.int16)}
