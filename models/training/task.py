"""Loss, metric and optimiser of one stage of a training, as a Lightning module."""

import math
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from lightning.pytorch import LightningModule
from lightning_utilities.core.apply_func import apply_to_collection
from torch import Tensor, nn

from spinforge.models.augmentation.augmenter import Augmenter
from spinforge.models.collective import (
    each_alone,
    n_processes,
    process_number,
    sum_over_processes,
)
from spinforge.models.inference import flat_target, network_input
from spinforge.models.losses import segmentation_loss
from spinforge.models.networks import NetworkConfig
from spinforge.models.training.compiling import compiled_objective
from spinforge.models.training.confusion import count_confusion, mean_tissue_dice
from spinforge.models.training.finite import NAMES, UncheckedLosses
from spinforge.models.training.recipes import TrainingConfig, learning_rate_factor
from spinforge.models.training.stages import Stage, StepResult, enter_stage
from spinforge.simulation.rng import SampleRng

Batch = dict[str, Any]

CHECK_EVERY = 50
"""Steps between two looks at the loss on a GPU: each look waits for it."""


class SegmentationTask(LightningModule):
    """The stage's loss, checked to be finite; pooled Dice of the tissues for validation.

    Nothing in a training step waits for a GPU, but for PyTorch's own look at the scaled gradients
    of float16 where they are clipped or RMSprop's: what is logged is summed up there and fetched
    once an epoch, the loss is looked at once in `CHECK_EVERY` steps, batches come from pinned
    memory or lie there already. The progress bar shows no number that would have to be fetched.

    Logs `train_loss`, `validation_loss`, `learning_rate`, and where the stage segments
    `validation_dice_pooled`, each once an epoch; before the last stage with the stage's name in
    front, such as `reconstruction/train_loss`.

    Args:
        network: What is trained.
        config: What it was built from.
        recipe: Learning rate, its schedule, weight decay.
        stage: What is minimised and which parts learn.
        n_classes: Classes, background (0) included.
        n_slices: Slices in an epoch, and
        n_validated: those to validate by, in all processes together.
        epochs: Epochs in all, for the schedule.
        seed: Of what the network draws while it learns, which is dropout.
        prefix: Put in front of the names of what is logged.
        class_weights: For the loss "weighted_cross_entropy".
        augmenter: Changes the training batches; the validation's never.
    """

    confusion: Tensor
    class_weights: Tensor | None
    validation_loss: Tensor
    validated: Tensor

    def __init__(
        self,
        network: nn.Module,
        config: NetworkConfig,
        recipe: TrainingConfig,
        stage: Stage,
        *,
        n_classes: int,
        n_slices: int,
        n_validated: int,
        epochs: int,
        seed: int = 0,
        prefix: str = "",
        class_weights: Float[Tensor, " classes"] | None = None,
        augmenter: Augmenter | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.prefix = prefix
        self._config, self._recipe, self._stage = config, recipe, stage
        self._n_slices, self._n_validated = n_slices, n_validated
        self._epochs, self._seed = epochs, seed
        self._objective = stage.objective
        if recipe.compile or recipe.cuda_graphs:
            self._objective = compiled_objective(stage.objective, cuda_graphs=recipe.cuda_graphs)
        self._augmenter = augmenter
        self._losses = UncheckedLosses()
        confusion = torch.zeros(n_classes, n_classes, dtype=torch.int64)
        self.register_buffer("confusion", confusion, persistent=False)
        self.register_buffer("validation_loss", torch.tensor(0.0), persistent=False)
        self.register_buffer("validated", torch.tensor(0), persistent=False)
        self.register_buffer("class_weights", class_weights, persistent=False)
        enter_stage(network, stage)

    @property
    def segments(self) -> bool:
        """Whether there is a Dice to judge an epoch by."""
        return self._stage.segments

    def on_train_epoch_start(self) -> None:
        """Log the learning rate of the epoch's first step; begin its dropout."""
        enter_stage(self.network, self._stage)
        self._seed_dropout()
        self._log("learning_rate", self.learning_rate)

    def on_before_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Draw what changes a training batch, while its names are still on the processor."""
        if self._augmenter is None or not self.trainer.training:
            return batch
        return self._augmenter.drawn(batch, self.current_epoch)

    def transfer_batch_to_device(
        self, batch: Batch, device: torch.device, dataloader_idx: int
    ) -> Batch:
        """Send a batch without waiting for it; what only names it stays on the processor.

        A name that had to be fetched for a message would make each step wait for the GPU, as would
        a copy from memory that is not pinned.
        """
        if device.type == "cpu":
            return batch
        names = {key: batch[key] for key in NAMES if key in batch}
        rest = {key: value for key, value in batch.items() if key not in names}
        if device.type == "cuda":
            rest = apply_to_collection(rest, Tensor, _pinned)
        sent: Batch = super().transfer_batch_to_device(rest, device, dataloader_idx)
        return sent | names

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Change a training batch on the device."""
        return batch if self._augmenter is None else self._augmenter.applied(batch)

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """Loss of a batch.

        Raises:
            SpinforgeError: If the loss of this batch, or on a GPU of one of the last, is not a
                finite number; names the epoch and the slices.
        """
        loss = self._step(batch).loss
        self._losses.add(loss, batch, f"batch {index + 1}")
        if loss.device.type == "cpu" or len(self._losses) == CHECK_EVERY:
            self._losses.require_finite("training", self.current_epoch, self.device)
        # It is the loss of all processes' pieces together, and so counts as the whole batch.
        self._log("train_loss", loss, batch_size=self._batch_length(index, self._n_slices))
        return loss

    def on_train_epoch_end(self) -> None:
        """Look at the losses that were not looked at yet."""
        self._losses.require_finite("training", self.current_epoch, self.device)

    def validation_step(self, batch: Batch, index: int) -> None:
        """Add a batch to the mean loss and to the confusion matrix."""
        number = index * n_processes() + process_number()  # dealt out whole
        length = self._batch_length(number, self._n_validated)
        if length <= 0:
            return  # there only so that each process has as many
        with each_alone():  # another process may have no batch left
            loss, logits = self._step(batch)
        self._losses.add(loss, batch, f"batch {number + 1}")
        self.validation_loss += loss * length
        self.validated += length
        if logits is not None:
            target = flat_target(batch["target"])
            self.confusion += count_confusion(target, logits.argmax(dim=1), len(self.confusion))

    def on_validation_epoch_end(self) -> None:
        """Log mean loss and Dice of all slices together, and forget them.

        Raises:
            SpinforgeError: If the loss of a batch is not a finite number; names its slices.
        """
        loss, count = sum_over_processes(self.validation_loss), sum_over_processes(self.validated)
        self._losses.require_finite("validation", self.current_epoch, self.device)
        self._log("validation_loss", loss / count)
        if self.segments:
            self._log(
                "validation_dice_pooled", mean_tissue_dice(sum_over_processes(self.confusion))
            )
        for total in (self.validation_loss, self.validated, self.confusion):
            total.zero_()

    @property
    def learning_rate(self) -> float:
        """The learning rate of the next step."""
        return float(self.trainer.optimizers[0].param_groups[0]["lr"])

    def configure_optimizers(self) -> Any:
        """The recipe's optimiser of what learns, with the learning rate set before each step."""
        recipe = self._recipe
        learning = [weight for weight in self.network.parameters() if weight.requires_grad]
        options: dict[str, Any] = {"lr": recipe.learning_rate, "weight_decay": recipe.weight_decay}
        if recipe.optimizer == "rmsprop":
            optimizer: torch.optim.Optimizer = torch.optim.RMSprop(learning, alpha=0.95, **options)
        else:
            # One kernel for all weights; the bits of a processor stay what they are. It takes the
            # scale of float16 out of the gradients itself, too late for them to be clipped.
            clips_scaled = recipe.precision == "16" and recipe.gradient_clip is not None
            is_fused = self.device.type == "cuda" and not clips_scaled
            optimizer = torch.optim.Adam(learning, fused=is_fused, **options)
        steps_per_epoch = count_steps(recipe, self._n_slices)
        scheduler = torch.optim.lr_scheduler.LambdaLR(
            optimizer,
            lambda step: learning_rate_factor(
                recipe.schedule, step / steps_per_epoch, self._epochs
            ),
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }

    def _step(self, batch: Batch) -> StepResult:
        inputs = network_input(self._config, batch)
        criterion = partial(segmentation_loss, self._recipe.loss, class_weights=self.class_weights)
        return self._objective(self.network, inputs, flat_target(batch["target"]), criterion)

    def _batch_length(self, index: int, count: int) -> int:
        """Items in a whole batch, of all processes; 0 or less beyond the last one."""
        return min(self._recipe.batch_size, count - index * self._recipe.batch_size)

    def _seed_dropout(self) -> None:
        """Let what is drawn depend on the epoch alone, not on what was drawn before a resume.

        Whoever trains puts the generators back afterwards.
        """
        path = ("training", "dropout", self._stage.name, self.current_epoch, process_number())
        seed = int(SampleRng(self._seed, *path).uniforms(1)[0] * 2**52)
        torch.default_generator.manual_seed(seed)
        if self.device.type == "cuda":
            torch.cuda.manual_seed(seed)

    def _log(self, name: str, value: Tensor | float, batch_size: int | None = None) -> None:
        self.log(self.prefix + name, value, on_step=False, on_epoch=True, batch_size=batch_size)


def count_steps(recipe: TrainingConfig, n_slices: int) -> int:
    """Steps in an epoch of so many slices."""
    return math.ceil(math.ceil(n_slices / recipe.batch_size) / recipe.accumulate)


def _pinned(values: Tensor) -> Tensor:
    """In memory that a GPU reads while the processor goes on; where it lies already, as it is."""
    return values.pin_memory() if values.device.type == "cpu" else values
