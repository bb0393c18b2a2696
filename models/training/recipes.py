"""How long, how fast and how precisely to train: one recipe a paper, and a quick one."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from spinforge.models.augmentation.settings import Augmentation
from spinforge.models.losses import LossName
from spinforge.simulation.config import Config

Schedule = Literal["constant", "poly", "halve", "tenth", "decay"]

TRAINING = "training-3"
"""Version of networks and training; whatever changes a trained weight, from how slices are loaded
to the last step, changes it."""

MACHINE_FIELDS = {"device", "devices", "nodes", "compile", "cuda_graphs", "deterministic"}
"""Fields of recipes that say where and how it is computed: results are the same up to rounding."""

POLY_POWER = 0.9
HALVE_EVERY = 20
"""Epochs between two halvings, as SERANet was trained."""
TENTH_EVERY = 15
"""Epochs between two divisions by ten, as HLE-Net was trained."""
SMALLEST_CROP = 0.8
"""Share of height and width that random crops keep at least."""
DECAY, DECAY_AFTER = 0.97, 20
"""Factor an epoch, and the epochs before it sets in, as FCSLSTM was trained."""


Epochs = Annotated[int, Field(ge=1, le=10_000, description="passes over the training slices")]
Steps = Annotated[
    int | None,
    Field(
        ge=1,
        le=10_000_000,
        description="stop after the epoch that reaches this many steps, if `epochs` are not over",
    ),
]
BatchSize = Annotated[int, Field(ge=1, le=4096, description="slices, or sequences, in each step")]
LearningRate = Annotated[float, Field(gt=0, le=1, description="learning rate at the start")]
WeightDecay = Annotated[
    float, Field(ge=0, le=1, description="L2 penalty added to the gradient by the optimiser")
]
Optimizer = Annotated[
    Literal["adam", "rmsprop"], Field(description="adam, or rmsprop with a smoothing of 0.95")
]
LearningRateSchedule = Annotated[
    Schedule,
    Field(
        description="learning rate over time: constant; poly falls to 0 as (1 - progress)^0.9; "
        "halve is halved every 20 epochs; tenth is divided by 10 every 15; decay is multiplied by "
        "0.97 each epoch after the 20th"
    ),
]
Loss = Annotated[
    LossName,
    Field(
        description="cross_entropy of the pixels; weighted_cross_entropy: classes weighted by the "
        "inverse of their pixels; cross_entropy_dice: plus the Dice loss of each slice and tissue, "
        "which minds small regions; batch_dice: Dice loss of the foreground of the whole batch"
    ),
]


Keep = Annotated[
    Literal["best", "last"],
    Field(description="weights kept: of the best epoch on the validation slices, or the last"),
]


TrainingAugmentation = Annotated[
    Augmentation,
    Field(description="changes of the training slices, other ones in each epoch; null for none"),
]
Fresh = Annotated[
    Literal["masks", "noise", "scans", "anatomy"],
    Field(
        description="what each epoch of a k-space set draws anew: line masks; noise as well; whole "
        "scans of the set's heads (TR, TE, phase, noise, masks), simulated where the network is "
        "trained; or the heads, too, as many as the set trains with"
    ),
]


class TrainingConfig(Config):
    """Training by Adam for few epochs: a high learning rate that falls to 0.

    The other recipes have the same fields with the defaults of their paper.
    """

    recipe: Literal["quick"] = Field("quick", description="whose defaults the others are")
    epochs: Epochs = 20
    steps: Steps = None
    pretraining_epochs: int | None = Field(
        None,
        ge=1,
        le=10_000,
        description="epochs of each stage before the last, for networks trained in several; as "
        "many as `epochs` by default",
    )
    batch_size: BatchSize = 12
    accumulate: int = Field(
        1, ge=1, le=1024, description="batches whose gradients are averaged in one step"
    )
    optimizer: Optimizer = "adam"
    learning_rate: LearningRate = 3e-3
    schedule: LearningRateSchedule = "poly"
    weight_decay: WeightDecay = 0.0
    gradient_clip: float | None = Field(
        None, gt=0, description="largest norm of a step's gradient; longer ones are shortened"
    )
    loss: Loss = "cross_entropy"
    keep: Keep = "best"
    patience: int | None = Field(
        None, ge=1, description="stop after this many epochs without a better one"
    )
    augmentation: TrainingAugmentation = Augmentation()
    fresh: Fresh = "masks"
    precision: Literal["32", "bf16", "16"] = Field(
        "32",
        description="32: float32 (a GPU's convolutions in TF32); bf16: convolutions in bfloat16, "
        "weights and loss in float32; faster on processors with AVX512-BF16 or AMX, slower on "
        "others; 16: float16 with scaled gradients, on a GPU",
    )
    compile: bool = Field(
        False,
        description="compile the network first: minutes at the start, faster steps; in one process",
    )
    cuda_graphs: bool = Field(
        False,
        description="record a step's work for the GPU once and replay it; for small batches, whose "
        "kernels are too short to keep it busy; compiles, too",
    )
    deterministic: bool = Field(
        False, description="only algorithms that give equal bits each time, also on a GPU"
    )
    device: Literal["auto", "cpu", "gpu"] = Field(
        "auto", description="auto takes an NVIDIA GPU where there is one, else the processor"
    )
    devices: int = Field(
        1,
        ge=1,
        le=64,
        description="processes on each machine, with a GPU each or a part of the processor; they "
        "share every batch",
    )
    nodes: int = Field(
        1, ge=1, le=4096, description="machines, on each of which torchrun starts `devices`"
    )

    @property
    def processes(self) -> int:
        """Processes on all machines together."""
        return self.devices * self.nodes

    @field_validator("augmentation", mode="before")
    @classmethod
    def _changes_of_the_default(cls, value: Any) -> Any:
        """Settings that are given change the recipe's own; null is none at all."""
        if value is None:
            return Augmentation()
        if isinstance(value, dict):
            return cls.model_fields["augmentation"].default.model_dump() | value
        return value

    @model_validator(mode="after")
    def _timing_needs_a_scan(self) -> "TrainingConfig":
        if self.augmentation.timing_percent and self.fresh not in ("scans", "anatomy"):
            raise ValueError(
                "augmentation.timing_percent: stored slices hold no tissues, of which another TR "
                "or TE could be simulated; set fresh to scans or anatomy, or leave it out"
            )
        return self


class CRDNTraining(TrainingConfig):
    """As CRDN was trained: 30 000 steps of one slice each.

    Its learning rate "gradually decays": "poly" is our reading. The authors' code keeps the best of
    every 300 steps on the test slices; here it is the best epoch on validation slices. Their
    configuration has a weight decay of 5e-4, the paper 1e-4.

    Source:
        Wen et al. (AAAI 2020), "Implementation details"; the number of steps from the authors'
        code.
    """

    recipe: Literal["crdn"]  # type: ignore[assignment]  # the base is a recipe, too
    epochs: Epochs = 10_000
    steps: Steps = 30_000
    batch_size: BatchSize = 1
    learning_rate: LearningRate = 6e-4
    weight_decay: WeightDecay = 1e-4


class FCSLSTMTraining(TrainingConfig):
    """As FCSLSTM was trained; epochs and batch size, which the paper leaves open, are ours.

    The first author's code flips and crops each age by itself, to windows of 8 to 100 % of the area
    with sides of 3:4 to 4:3. Here all ages of a sequence move together, as the structured LSTM
    compares them pixel by pixel, and windows keep at least `SMALLEST_CROP` of height and width. The
    sets have no slices to choose an epoch by, so the last one is kept.

    Source:
        Gao et al. (ISBI 2018), sec. 3.
    """

    recipe: Literal["fcslstm"]  # type: ignore[assignment]
    epochs: Epochs = 100
    batch_size: BatchSize = 2
    keep: Keep = "last"
    optimizer: Optimizer = "rmsprop"
    learning_rate: LearningRate = 1e-3
    schedule: LearningRateSchedule = "decay"
    loss: Loss = "weighted_cross_entropy"
    augmentation: TrainingAugmentation = Augmentation(flip_horizontal=0.5, crop=SMALLEST_CROP)


class SERANetTraining(TrainingConfig):
    """As SERANet and its baselines were trained.

    Ours, as the paper does not say: the best epoch on two of its 17 heads is kept, and every stage
    of those that learn in several has all epochs and the schedule from its start.

    Source:
        Huang et al. (MICCAI 2019), sec. 4.1.
    """

    recipe: Literal["seranet"]  # type: ignore[assignment]
    epochs: Epochs = 50
    learning_rate: LearningRate = 1e-4
    schedule: LearningRateSchedule = "halve"


class HLENetTraining(TrainingConfig):
    """As HLE-Net was trained; the number of epochs, which the paper leaves open, is ours.

    It has "random cropping and flipping" without saying how: either flip every other time, and
    windows of at least `SMALLEST_CROP` enlarged to the whole, are ours. The best epoch is that of
    the highest Dice; the authors' later code takes Jaccard's index, which orders single values the
    same way.

    Source:
        Wang et al. (MLMI 2019), sec. 3.1.
    """

    recipe: Literal["hlenet"]  # type: ignore[assignment]
    epochs: Epochs = 45
    batch_size: BatchSize = 6
    learning_rate: LearningRate = 1e-4
    schedule: LearningRateSchedule = "tenth"
    loss: Loss = "batch_dice"
    augmentation: TrainingAugmentation = Augmentation(
        flip_vertical=0.5, flip_horizontal=0.5, crop=SMALLEST_CROP
    )


def _recipe_of(value: Any) -> str:
    """Whose defaults a mapping or a recipe asks for; "quick" where it does not say."""
    if isinstance(value, dict):
        return str(value.get("recipe", "quick"))
    return str(getattr(value, "recipe", "quick"))


Recipe = Annotated[
    Annotated[TrainingConfig, Tag("quick")]
    | Annotated[CRDNTraining, Tag("crdn")]
    | Annotated[FCSLSTMTraining, Tag("fcslstm")]
    | Annotated[SERANetTraining, Tag("seranet")]
    | Annotated[HLENetTraining, Tag("hlenet")],
    Discriminator(_recipe_of),
]
"""Any recipe, told apart by `recipe`; "quick" where it is left out."""


def learning_rate_factor(schedule: Schedule, epoch: float, epochs: int) -> float:
    """Factor on the initial learning rate.

    Args:
        schedule: constant: 1; poly: (1 - epoch / epochs)^0.9; halve: 0.5^floor(epoch / 20); tenth:
            0.1^floor(epoch / 15); decay: 1 for 20 epochs, 0.97 in the 21st, 0.97^2 in the 22nd.
        epoch: Epochs done, with the fraction of the present one; 0 at the start.
        epochs: Epochs in all.

    Source:
        poly: Chen et al., "DeepLab" (TPAMI 2018), sec. 4.1.2; halve: Huang et al. (MICCAI 2019);
        tenth: Wang et al. (MLMI 2019); decay: Gao et al. (ISBI 2018).
    """
    match schedule:
        case "constant":
            return 1.0
        case "poly":
            return max(0.0, 1 - epoch / epochs) ** POLY_POWER
        case "halve":
            return 0.5 ** int(epoch / HALVE_EVERY)
        case "tenth":
            return 0.1 ** int(epoch / TENTH_EVERY)
        case "decay":
            return DECAY ** max(0, int(epoch) + 1 - DECAY_AFTER)
