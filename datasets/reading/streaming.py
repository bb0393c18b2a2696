"""Zero-filled slices read from the compressed store as they are asked for."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import default_collate, get_worker_info

from spinforge.datasets.reading.loading import ZeroFilledSlices
from spinforge.datasets.reading.shards import SubjectShards
from spinforge.datasets.storage.store import DatasetStore
from spinforge.simulation.arrays import CoilImages, CoilKSpace, CoilMaps, Labels
from spinforge.simulation.errors import SpinforgeError


def _local(store: DatasetStore, subject: str) -> Path:
    """Folder of a subject, whose shards can only be read by hand where they are files.

    Raises:
        SpinforgeError: If the set is in an object store.
    """
    folder = store.subject_path(subject)
    if isinstance(folder, Path):
        return folder
    raise SpinforgeError(
        f"{store.path} is no folder, so its slices cannot be streamed. Read it into memory, or "
        f"copy it to a folder first."
    )


class StreamedSlices(ZeroFilledSlices):
    """The same slices as `ZeroFilledSlices`, for sets that do not fit into memory.

    Kept are only masks, and coil maps where one serves all slices of a subject. May be read by
    several worker processes: each opens the shards for itself, and all of them follow the epoch
    that is set in the process that owns them.
    Arguments and errors are those of `ZeroFilledSlices`.

    Asked for several slices at once, as PyTorch's loaders do, it gives a batch that is put together
    already; `training_loader` and `validation_loader` know that. Another `DataLoader` needs a
    `collate_fn` that passes it on.
    """

    def _open(self, store: DatasetStore) -> None:
        """Open the shards; their content is not checked against the digests."""
        self.shared_epoch = torch.zeros((), dtype=torch.int64).share_memory_()

        def shards(name: str, store: DatasetStore = store) -> SubjectShards:
            return SubjectShards([_local(store, s) / name for s in self.subjects])

        self._full, self._targets = shards("full", self._shown), shards("target")
        self._maps = {s: SubjectShards([_local(store, s) / "coil_maps"]) for s in self.subjects}
        self._kept_maps = {s: maps.read([0])[0] for s, maps in self._maps.items() if len(maps) == 1}

    @property
    def epoch(self) -> int:
        """The epoch whose masks are drawn, also in the workers."""
        return int(self.shared_epoch)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose masks are drawn, here and in the workers."""
        self.shared_epoch.fill_(epoch)

    def slice_kspace(self, position: int) -> CoilImages:
        """Fully sampled k-space of one slice, (coil, ky, kx); stored noise included, fresh not."""
        return self.batch_kspace([position])[0]

    def slice_target(self, position: int) -> Labels:
        """Labels of one slice, (ky, kx) uint8."""
        return self._targets.read([position])[0]

    def coil_maps(self, position: int) -> torch.Tensor:
        """Receive sensitivities of one slice, (coil, ky, kx)."""
        subject, number = self.index[position]
        if subject in self._kept_maps:
            return self._kept_maps[subject]
        return self._maps[subject].read([number])[0]

    def subject_coil_maps(self, subject: str) -> CoilMaps:
        """Receive sensitivities of one subject, (slice or 1, coil, ky, kx)."""
        maps = self._maps[subject]
        return maps.read(range(len(maps)))

    def __getitems__(self, positions: Sequence[int]) -> dict[str, Any]:
        """A batch, as the loaders would put it together."""
        if self.content != "kspace" or self.fresh_noise is not None:
            batch: dict[str, Any] = default_collate([self[position] for position in positions])
            return batch
        # Decompressed into the memory that a worker shares with the loader, without a copy.
        shared = get_worker_info() is not None
        owners = [self.index[position] for position in positions]
        return {
            "kspace": self.batch_kspace(positions, shared=shared),
            "target": self.batch_target(positions, shared=shared),
            "subject": [subject for subject, _ in owners],
            "slice": torch.tensor([number for _, number in owners]),
        }

    def batch_kspace(self, positions: Sequence[int], *, shared: bool = False) -> CoilKSpace:
        """Fully sampled k-space of some slices, (slice, coil, ky, kx); fresh noise not included."""
        kspace = self._full.read(positions, shared=shared)
        for values, position in zip(kspace.numpy(), positions, strict=True):
            subject, number = self.index[position]
            if subject in self._noise:
                values += self._noise[subject].of_slice(number, values.shape)
        return kspace

    def batch_target(self, positions: Sequence[int], *, shared: bool = False) -> Labels:
        """Labels of some slices, (slice, ky, kx) uint8."""
        return self._targets.read(positions, shared=shared)
