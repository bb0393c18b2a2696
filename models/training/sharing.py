"""Which slices each process reads where several train together.

A batch is the one that a single process would take; each process has a piece of it. Batches for
validation, where no process waits for another, are dealt out whole.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from torch.utils.data import BatchSampler, Sampler

from spinforge.models.collective import n_processes, process_number
from spinforge.simulation.errors import SpinforgeError


@dataclass(frozen=True)
class Share:
    """Piece `number`, counted from 0, of `count` pieces."""

    number: int
    count: int

    @classmethod
    def own(cls) -> "Share":
        """That of this process."""
        return cls(process_number(), n_processes())

    def of(self, length: int) -> slice:
        """Where the piece of a batch lies; the first ones are longer by one if need be."""
        size, longer = divmod(length, self.count)
        start = self.number * size + min(self.number, longer)
        return slice(start, start + size + (self.number < longer))


ALONE = Share(0, 1)
"""All of every batch."""


class SharedBatches(BatchSampler):
    """The piece of each batch that belongs to one process.

    Args:
        sampler: Order of the slices, the same in each process.
        batch_size: Slices in a whole batch; the last one may be smaller.
        share: Which piece.
    """

    def __init__(self, sampler: Sampler[int], *, batch_size: int, share: Share) -> None:
        super().__init__(sampler, batch_size, drop_last=False)
        self._share = share

    def __iter__(self) -> Iterator[list[int]]:
        for batch in super().__iter__():
            yield batch[self._share.of(len(batch))]


class DealtBatches(BatchSampler):
    """Every N-th batch, whole; filled up with the first one, so that each process has as many.

    `SegmentationTask` leaves out what was filled up, by its position.

    Args:
        sampler: Order of the slices, the same in each process.
        batch_size: Slices in a batch; the last one may be smaller.
        share: Which of N processes.
    """

    def __init__(self, sampler: Sampler[int], *, batch_size: int, share: Share) -> None:
        super().__init__(sampler, batch_size, drop_last=False)
        self._share = share

    def __len__(self) -> int:
        return -(-super().__len__() // self._share.count)

    def __iter__(self) -> Iterator[list[int]]:
        batches = list(super().__iter__())
        own = batches[self._share.number :: self._share.count]
        yield from islice([*own, batches[0]], len(self))


def require_a_piece_for_each(n_slices: int, batch_size: int, count: int) -> None:
    """Refuse batches of which a process would get nothing.

    Raises:
        SpinforgeError: If the last batch of an epoch has fewer slices than there are processes.
    """
    last = n_slices % batch_size or batch_size
    if last < count:
        raise SpinforgeError(
            f"the last batch of {n_slices} training slices has {last} at training.batch_size "
            f"{batch_size}, fewer than the {count} processes of training.devices times "
            f"training.nodes; choose another batch size or fewer devices"
        )
