"""Loss, metric and optimiser of one training, as a Lightning module."""

from typing import Any

import torch
from jaxtyping import Float, Integer
from lightning.pytorch import LightningModule
from torch import Tensor, nn

from spinforge.datasets.reading.network_input import IGNORE_INDEX
from spinforge.models.losses import segmentation_loss
from spinforge.models.training.recipes import TrainingConfig, learning_rate_factor
from spinforge.simulation.errors import SpinforgeError

Batch = dict[str, Any]


class SegmentationTask(LightningModule):
    """The recipe's loss, checked to be finite; pooled Dice of the tissues for validation.

    Logs `train_loss`, `validation_loss`, `validation_dice_pooled` and `learning_rate`, each once an
    epoch.

    Args:
        network: From (batch, channel, ky, kx) to logits (batch, class, ky, kx).
        recipe: Learning rate, its schedule, weight decay.
        n_classes: Classes, background (0) included.
        steps_per_epoch: Batches in an epoch.
    """

    confusion: Tensor

    def __init__(
        self, network: nn.Module, recipe: TrainingConfig, *, n_classes: int, steps_per_epoch: int
    ) -> None:
        super().__init__()
        self.network = network
        self._recipe = recipe
        self._steps_per_epoch = steps_per_epoch
        confusion = torch.zeros(n_classes, n_classes, dtype=torch.int64)
        self.register_buffer("confusion", confusion, persistent=False)

    def forward(
        self, image: Float[Tensor, "batch channel ky kx"]
    ) -> Float[Tensor, "batch classes ky kx"]:
        """Logits in float32, whatever precision the network computes in."""
        return self.network(image.contiguous(memory_format=torch.channels_last)).float()

    def on_train_epoch_start(self) -> None:
        """Log the learning rate of the epoch's first step."""
        self.log("learning_rate", self.learning_rate, on_step=False, on_epoch=True)

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """Loss of a batch.

        Raises:
            SpinforgeError: If it is not a finite number; names the epoch and the slices.
        """
        loss = segmentation_loss(self._recipe.loss, self(batch["image"]), batch["target"])
        if not torch.isfinite(loss):
            raise SpinforgeError(
                f"the training loss became {loss.item()} in epoch {self.current_epoch + 1}, "
                f"batch {index + 1}{_slice_names(batch)}; check these images, or lower the "
                "learning rate"
            )
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=len(batch["target"]))
        return loss

    def validation_step(self, batch: Batch, index: int) -> None:
        """Add a batch to the mean loss and to the confusion matrix."""
        target = batch["target"]
        logits = self(batch["image"])
        loss = segmentation_loss(self._recipe.loss, logits, target)
        self.log("validation_loss", loss, on_epoch=True, batch_size=len(target))
        self.confusion += count_confusion(target, logits.argmax(dim=1), len(self.confusion))

    def on_validation_epoch_end(self) -> None:
        """Log the Dice of all slices together, and forget them."""
        self.log("validation_dice_pooled", mean_tissue_dice(self.confusion))
        self.confusion.zero_()

    @property
    def learning_rate(self) -> float:
        """The learning rate of the next step."""
        return float(self.trainer.optimizers[0].param_groups[0]["lr"])

    def configure_optimizers(self) -> Any:
        """Adam, with the learning rate set anew before each step."""
        recipe = self._recipe
        optimizer = torch.optim.Adam(
            self.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
        )
        scheduler = torch.optim.lr_scheduler.LambdaLR(
            optimizer,
            lambda step: learning_rate_factor(
                recipe.schedule, step / self._steps_per_epoch, recipe.epochs
            ),
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }


def count_confusion(
    target: Integer[Tensor, "*shape"], predicted: Integer[Tensor, "*shape"], n_classes: int
) -> Integer[Tensor, "true predicted"]:
    """Pixels of true class j that were given class k, at [j, k], but for `IGNORE_INDEX`."""
    known = target != IGNORE_INDEX
    pairs = target[known] * n_classes + predicted[known]
    return torch.bincount(pairs, minlength=n_classes**2).reshape(n_classes, n_classes)


def mean_tissue_dice(confusion: Integer[Tensor, "true predicted"]) -> Float[Tensor, ""]:
    r"""Mean Dice of all classes but the background, from pooled pixels.

    $D_k = 2 n_{kk} / (\sum_j n_{jk} + \sum_j n_{kj})$, averaged over the k > 0 that occur in the
    truth or in the prediction.

    Args:
        confusion: Pixels of true class j and predicted class k, at [j, k].

    Returns:
        One number from 0 to 1.

    Raises:
        SpinforgeError: If there is no tissue at all.
    """
    counts = confusion.double()
    sizes = (counts.sum(0) + counts.sum(1))[1:]
    present = sizes > 0
    if not present.any():
        raise SpinforgeError("the validation slices hold background only; choose others")
    return (2 * counts.diagonal()[1:][present] / sizes[present]).mean().float()


def _slice_names(batch: Batch) -> str:
    """Which slices a batch holds, where it says so."""
    keys = [key for key in ("subject", "slice") if key in batch]
    if not keys:
        return ""
    columns = [
        batch[key].tolist() if isinstance(batch[key], Tensor) else batch[key] for key in keys
    ]
    rows = (" ".join(map(str, row)) for row in zip(*columns, strict=True))
    return f" ({'/'.join(keys)}: {', '.join(rows)})"
