"""One row of numbers per epoch, kept with the checkpoint and written as CSV."""

import math
import time
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from spinforge.datasets.storage.files import replacing
from spinforge.models.collective import process_number
from spinforge.models.training.columns import HISTORY_COLUMNS
from spinforge.models.training.task import SegmentationTask


class History(Callback):
    """Rows of a training so far; a resumed training continues the same table.

    `epoch` counts from 1; `learning_rate` is that of the epoch's first step; `seconds` is the
    wall time of training and validation. `validation_dice_pooled` is "nan" of a stage that does
    not segment.

    Args:
        path: CSV file, replaced in one step after each epoch.
    """

    def __init__(self, path: Path) -> None:
        self.rows: list[dict[str, float]] = []
        self._path = path
        self._learning_rate = 0.0
        self._started = 0.0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note the time and the learning rate."""
        self._started = time.perf_counter()
        self._learning_rate = trainer.optimizers[0].param_groups[0]["lr"]

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Add a row and write the table."""
        assert isinstance(pl_module, SegmentationTask)
        prefix, metrics = pl_module.prefix, trainer.callback_metrics
        dice = metrics[prefix + "validation_dice_pooled"] if pl_module.segments else math.nan
        self.rows.append(
            {
                "epoch": trainer.current_epoch + 1,
                "train_loss": float(metrics[prefix + "train_loss"]),
                "validation_loss": float(metrics[prefix + "validation_loss"]),
                "validation_dice_pooled": float(dice),
                "learning_rate": float(self._learning_rate),
                "seconds": time.perf_counter() - self._started,
            }
        )
        self._write()

    def state_dict(self) -> dict[str, Any]:
        """What goes into the checkpoint."""
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue a table; its file is written anew, for the last one may never have been."""
        self.rows = state_dict["rows"]
        self._write()

    def _write(self) -> None:
        if process_number() != 0:
            return
        lines = [",".join(HISTORY_COLUMNS)]
        lines += [",".join(f"{row[name]:.7g}" for name in HISTORY_COLUMNS) for row in self.rows]
        with replacing(self._path) as file:
            file.write_text("\n".join(lines) + "\n")
