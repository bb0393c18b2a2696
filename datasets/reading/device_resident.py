"""The whole set in the memory of the device, and ready batches from it.

What the flows train from on a GPU where it fits: every slice is copied there once; masks,
zero-filling, scaling and, if wanted, fresh noise are then computed there for whole batches, and
nothing waits for the device in between. Fourier transforms of a batch may round differently than
those of one slice, so on the processor, where results must not depend on the memory that is free,
the flows do without.
"""

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from spinforge.datasets.reading.epoch_order import epoch_order
from spinforge.datasets.reading.fresh_noise import sent
from spinforge.datasets.reading.loading import Content, ZeroFilledSlices
from spinforge.simulation.arrays import CoilMaps
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.reconstruction import intensity_scale, real_channels, zero_filled_combined


class DeviceSlices:
    """Batches of zero-filled slices from the memory of a device; a loader for training.

    A batch holds what a `DataLoader` makes of these `ZeroFilledSlices`, whatever their content. The
    order of the slices is that of `EpochSampler`: by seed and epoch alone, or the set's own order
    if there is no seed.

    Args:
        slices: The set in memory; nothing of it but index and masks is kept.
        device: Where to keep it and to compute.
        batch_size: Slices in a batch; the last one may be smaller.
        order_seed: Seed of the order; None for the order of the set.

    Raises:
        SpinforgeError: If the device's memory is full; `memory.fits` tells beforehand.
    """

    def __init__(
        self,
        slices: ZeroFilledSlices,
        *,
        device: torch.device,
        batch_size: int,
        order_seed: int | None = None,
    ) -> None:
        self.n_channels, self.n_classes = slices.n_channels, slices.n_classes
        self.n_slices, self.digest, self.format = len(slices), slices.digest, slices.format
        self.batch_size = batch_size
        self._content: Content = slices.content
        self._index, self._masks = slices.index, slices.masks
        self._numbers = torch.tensor([number for _, number in slices.index])
        self._order_seed = order_seed
        self._fresh_noise = slices.fresh_noise
        self._device = device
        maps, self._map_of = _stacked_maps(slices)
        try:
            self._kspace = slices.kspace.to(device)
            self._target = slices.target.to(device)
            self._maps = maps.to(device)
        except torch.OutOfMemoryError as error:
            size = slices.kspace.nbytes + slices.target.nbytes + maps.nbytes
            raise SpinforgeError(
                f"the set takes {size / 2**30:.1f} GiB, more than is free on {device}; train from "
                f"memory (`ZeroFilledSlices`) or stream it (`StreamedSlices`) instead"
            ) from error
        self._epoch = 0
        # Where Lightning looks for whom to tell the epoch.
        self.sampler = self

    def showing(self, content: Content) -> "DeviceSlices":
        """The same slices with another content; the arrays are shared."""
        other = copy.copy(self)
        other._content = content
        other.sampler = other
        return other

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the next iteration; one that has begun keeps its own."""
        self._epoch = epoch

    def __len__(self) -> int:
        """Number of batches."""
        return -(-self.n_slices // self.batch_size)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self.batches(self._epoch)

    def order(self, epoch: int) -> list[int]:
        """Positions of the slices in the order of an epoch."""
        if self._order_seed is None:
            return list(range(self.n_slices))
        return epoch_order(self._order_seed, epoch, self.n_slices)

    def batches(self, epoch: int) -> Iterator[dict[str, Any]]:
        """The batches of one epoch; any epoch may be asked for at any time."""
        order = self.order(epoch)
        for start in range(0, len(order), self.batch_size):
            yield self._batch(order[start : start + self.batch_size], epoch)

    def _batch(self, positions: list[int], epoch: int) -> dict[str, Any]:
        """One batch; nothing here waits for the device."""
        chosen = torch.tensor(positions)
        index = sent(chosen, self._device)
        where = {
            "subject": [self._index[position][0] for position in positions],
            "slice": self._numbers.index_select(0, chosen),
        }
        kspace = self._kspace.index_select(0, index)
        target = self._target.index_select(0, index)
        if self._content == "kspace" and self._fresh_noise is None:
            return {"kspace": kspace, "target": target, **where}
        masks = torch.stack([self._masks.of(position, epoch) for position in positions])
        if self._fresh_noise is not None:
            # A zero-filled image does not show the other lines.
            lines = masks if self._content == "image" else torch.ones_like(masks)
            self._fresh_noise.add(kspace, lines, positions, epoch)
        if self._content == "kspace":
            return {"kspace": kspace, "target": target, **where}
        # The maps of a single coil are not used.
        is_single = kspace.shape[1] == 1
        rows = sent(self._map_of[positions], self._device)
        maps = kspace if is_single else self._maps.index_select(0, rows)
        image = zero_filled_combined(kspace, sent(masks, self._device), maps)
        scale = intensity_scale(image)[:, None, None]
        if self._content == "image":
            return {"image": real_channels(image / scale), "target": target.long(), **where}
        shown = {"kspace": kspace / scale[:, None], "mask": sent(masks, self._device)}
        if not is_single:
            shown["sensitivities"] = maps
        return {**shown, "target": target.long(), **where}


def _stacked_maps(slices: ZeroFilledSlices) -> tuple[CoilMaps, Int64[Tensor, " sample"]]:
    """The coil maps of all subjects, each once, and which of them belongs to each slice."""
    maps, rows, first = [], [], 0
    for subject in slices.subjects:
        of_subject = slices.subject_coil_maps(subject)
        count = sum(owner == subject for owner, _ in slices.index)
        if len(of_subject) > 1:
            rows += list(range(first, first + count))
        else:
            rows += [first] * count
        maps.append(of_subject)
        first += len(of_subject)
    return torch.cat(maps), torch.from_numpy(np.array(rows, dtype=np.int64))
