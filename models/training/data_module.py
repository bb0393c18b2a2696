"""Data sets as Lightning wants them: one module with the loaders of all three groups."""

from collections.abc import Iterable, Mapping
from typing import Any

from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader

from spinforge.models.training.data import (
    SliceDataset,
    require_matching,
    training_loader,
    validation_loader,
)
from spinforge.simulation.errors import SpinforgeError

Batches = Iterable[Mapping[str, Any]]


class SliceDataModule(LightningDataModule):
    """Training, validation and test slices with the loaders that `train_network` uses.

    Nothing of it needs to be saved to go on with a training: order, masks and noise of an epoch
    follow from the seeds and the number of the epoch, which Lightning tells the sampler. The
    epoch is kept in the checkpoint all the same, so that what was resumed can be seen.

    Args:
        train: Slices to learn from, or batches that are ready on the device (`DeviceSlices`).
        validation: Slices to choose the best epoch by.
        test: Slices to judge by, if there are any.
        batch_size: Slices in a batch.
        seed: Seed of the order of the training slices.
        workers: Processes that read; 0 for slices that are in memory.

    Raises:
        SpinforgeError: If a set is empty, or they do not fit together.
    """

    def __init__(
        self,
        train: SliceDataset | Batches,
        validation: SliceDataset,
        test: SliceDataset | None = None,
        *,
        batch_size: int,
        seed: int,
        workers: int = 0,
    ) -> None:
        super().__init__()
        if isinstance(train, SliceDataset):
            require_matching(train, validation)
        if test is not None:
            require_matching(test, validation)
        self._train, self._validation, self._test = train, validation, test
        self._batch_size, self._seed, self._workers = batch_size, seed, workers

    def train_dataloader(self) -> DataLoader[Mapping[str, Any]] | Batches:
        """Batches in an order that changes each epoch."""
        if not isinstance(self._train, SliceDataset):
            return self._train
        return training_loader(
            self._train, batch_size=self._batch_size, seed=self._seed, workers=self._workers
        )

    def val_dataloader(self) -> DataLoader[Mapping[str, Any]]:
        """Batches in the order of the set."""
        return self._in_order(self._validation)

    def test_dataloader(self) -> DataLoader[Mapping[str, Any]]:
        """Batches in the order of the set.

        Raises:
            SpinforgeError: If there is no test set.
        """
        if self._test is None:
            raise SpinforgeError("this data module was made without test slices")
        return self._in_order(self._test)

    def _in_order(self, data: SliceDataset) -> DataLoader[Mapping[str, Any]]:
        return validation_loader(data, batch_size=self._batch_size, workers=self._workers)

    def state_dict(self) -> dict[str, int]:
        """The epoch, which is all the state there is."""
        return {"epoch": self.trainer.current_epoch if self.trainer else 0}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Nothing to restore: Lightning tells the sampler the epoch."""
