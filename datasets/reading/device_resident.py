"""The whole set in the memory of the device, and ready batches from it.

The default where it fits: every slice is copied to the device once; masks, zero-filling, scaling
and, if wanted, fresh noise are then computed there for whole batches, and nothing waits for the
device in between.
"""

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Complex, Int64
from torch import Tensor

from spinforge.datasets.reading.loading import ZeroFilledSlices
from spinforge.simulation.arrays import CoilMaps
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.philox import noise_on_lines, sample_keys
from spinforge.simulation.reconstruction import intensity_scale, real_channels, zero_filled_combined
from spinforge.simulation.rng import SampleRng

FREE_SHARE = 0.5
"""Share of the free memory a set may take; the rest is for the network and its gradients."""


def free_bytes(device: torch.device) -> int:
    """Memory that is free on a device, or in this machine for the processor [byte]."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def fits(n_bytes: int, device: torch.device) -> bool:
    """Whether a set of this size leaves a device enough memory to train on it."""
    return n_bytes <= FREE_SHARE * free_bytes(device)


class DeviceSlices:
    """Batches of zero-filled slices from the memory of a device; a loader for training.

    A batch holds what a `DataLoader` makes of `ZeroFilledSlices`: "image", "target", "subject",
    "slice". The order of the slices is that of `EpochSampler`: by seed and epoch alone, or the
    set's own order if there is no seed.

    Args:
        slices: The set in memory; it may be dropped afterwards.
        device: Where to keep it and to compute.
        batch_size: Slices in a batch; the last one may be smaller.
        order_seed: Seed of the order; None for the order of the set.
        fresh_noise: Standard deviation of noise that is drawn anew for each epoch, on each of the
            real and imaginary channel; for a set made without noise. The numbers are those of
            `philox.py`, keyed by the seed of the masks, the subject, the slice and the epoch.

    Raises:
        SpinforgeError: If the set does not fit into the device's memory.
    """

    def __init__(
        self,
        slices: ZeroFilledSlices,
        *,
        device: torch.device,
        batch_size: int,
        order_seed: int | None = None,
        fresh_noise: float = 0.0,
    ) -> None:
        size = slices.kspace.nbytes + slices.target.nbytes
        if not fits(size, device):
            raise SpinforgeError(
                f"the set takes {size / 2**30:.1f} GiB, more than {FREE_SHARE:.0%} of the "
                f"{free_bytes(device) / 2**30:.1f} GiB that are free on {device}; stream it instead"
            )
        self.n_channels, self.n_classes = slices.n_channels, slices.n_classes
        self.batch_size = batch_size
        self._source = slices
        self._order_seed = order_seed
        self._fresh_noise = fresh_noise
        self._device = device
        self._kspace = slices.kspace.to(device)
        self._target = slices.target.to(device)
        self._maps, self._map_of = _stacked_maps(slices)
        self._maps = self._maps.to(device)
        self._epoch = 0
        # Where Lightning looks for whom to tell the epoch.
        self.sampler = self

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the next iteration."""
        self._epoch = epoch

    def __len__(self) -> int:
        """Number of batches."""
        return -(-len(self._source) // self.batch_size)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self.batches(self._epoch)

    def order(self, epoch: int) -> list[int]:
        """Positions of the slices in the order of an epoch."""
        if self._order_seed is None:
            return list(range(len(self._source)))
        rng = SampleRng(self._order_seed, "training", "order", epoch)
        return [int(position) for position in rng.permutation(len(self._source))]

    def batches(self, epoch: int) -> Iterator[dict[str, Any]]:
        """The batches of one epoch; any epoch may be asked for at any time."""
        order = self.order(epoch)
        self._source.set_epoch(epoch)
        for start in range(0, len(order), self.batch_size):
            yield self._batch(order[start : start + self.batch_size], epoch)

    def _batch(self, positions: list[int], epoch: int) -> dict[str, Any]:
        """One batch; nothing here waits for the device."""
        index = self._sent(torch.tensor(positions))
        masks = torch.stack([self._source.line_mask(position) for position in positions])
        kspace = self._kspace.index_select(0, index)
        if self._fresh_noise:
            self._add_noise(kspace, masks, positions, epoch)
        maps = self._maps.index_select(0, self._sent(self._map_of[positions]))
        image = zero_filled_combined(kspace, self._sent(masks), maps)
        scale = intensity_scale(image)[:, None, None]
        owners = [self._source.index[position] for position in positions]
        return {
            "image": real_channels(image / scale),
            "target": self._target.index_select(0, index).long(),
            "subject": [subject for subject, _ in owners],
            "slice": torch.tensor([number for _, number in owners]),
        }

    def _add_noise(
        self,
        kspace: Complex[Tensor, "sample coil ky kx"],
        masks: Bool[Tensor, "sample ky"],
        positions: list[int],
        epoch: int,
    ) -> None:
        """Add noise in place, only to the lines that are acquired: the others will be left out."""
        paths = []
        for position in positions:
            subject, number = self._source.index[position]
            paths.append(("training", subject, f"slice-{number:03d}", f"epoch-{epoch}", "noise"))
        keys = sample_keys(paths, seed=self._source.seed)
        noise = noise_on_lines(keys, masks, (kspace.shape[1], kspace.shape[3]), self._device)
        sample, line = (self._sent(part) for part in masks.nonzero().unbind(1))
        kspace[sample, :, line] += self._fresh_noise * noise

    def _sent(self, values: Tensor) -> Tensor:
        """A small tensor on the device, without waiting for it."""
        if self._device.type != "cuda":
            return values
        return values.pin_memory().to(self._device, non_blocking=True)


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
