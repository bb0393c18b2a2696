"""What every corruption acts on and leaves behind."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar, Protocol, TypeVar, runtime_checkable

import torch
from jaxtyping import Bool, Shaped
from pydantic import Field, model_validator
from torch import Tensor

from spinforge.simulation.arrays import KSpace
from spinforge.simulation.config import Config
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.fourier import image_to_kspace, kspace_to_image
from spinforge.simulation.rng import SampleRng

Value = TypeVar("Value")

Image = Shaped[Tensor, "slice ky kx"]
"""A stack of slices: complex, or real for magnitudes; float32 or complex64."""

Record = dict[str, float | int | str | list[float] | list[int]]
"""Drawn parameters as plain data."""


@dataclass(frozen=True)
class SamplePath:
    """Where a sample's random numbers come from.

    Attributes:
        seed: Root seed of the data set.
        parts: Such as ("robustness", "head-003", "T1", "0-motion", "3").
    """

    seed: int
    parts: tuple[str, ...]

    def rng(self, *more: str) -> SampleRng:
        """Random numbers of a part of the sample."""
        return SampleRng(self.seed, *self.parts, *more)

    def below(self, *more: str) -> "SamplePath":
        """The path of a part of the sample."""
        return replace(self, parts=(*self.parts, *more))

    def __str__(self) -> str:
        return "/".join(self.parts)


@dataclass(frozen=True)
class Volume:
    """One contrast of one subject.

    Attributes:
        image: Complex or magnitude slices.
        reference_signal: What 100 % noise is, in the units of the image.
        brain: Where the tissues to be segmented are, over which a bias field has its range.
        head: All of the object; its bounding box carries the bias field.
        voxel_mm: Distance of the slices, and size of the pixels along ky and kx [mm].
        contrast: Such as "T1"; empty where nothing depends on it.
        is_photographs: Whether its slices are pictures that have nothing to do with each other, and
            its contrast is one of their colours.
    """

    image: Image
    reference_signal: float
    brain: Bool[Tensor, "slice ky kx"]
    head: Bool[Tensor, "slice ky kx"]
    voxel_mm: tuple[float, float, float]
    contrast: str = ""
    is_photographs: bool = False


@runtime_checkable
class Drawn(Protocol):
    """A corruption with all its random numbers: applied again, it does the same again."""

    def apply(self, image: Image) -> Image:
        """The corrupted image, of the same shape and type."""

    def record(self) -> Record:
        """What was drawn."""


class LevelledConfig(Config):
    """What all corruptions share: a severity of 1 to 5, and 0 for none.

    Attributes:
        of_each_colour: Whether the colours of a photograph draw random numbers of their own.
    """

    of_each_colour: ClassVar[bool] = False

    level: int | None = Field(
        None,
        ge=0,
        le=5,
        description="severity, 1 to 5; 0 leaves the image as it is; by default that of its set",
    )

    @property
    def has_strength(self) -> bool:
        """Whether it says how strong it is."""
        return self.level is not None

    @property
    def is_nothing(self) -> bool:
        """Whether it leaves the image as it is, to the bit."""
        return self.level == 0

    @property
    def strength(self) -> str:
        """Part of the random numbers' path that tells one strength from another."""
        return f"level-{self.level}"

    def of(self, table: tuple[Value, ...]) -> Value:
        """Value of this level, from a table of levels 1 to 5.

        Raises:
            SpinforgeError: If no level was chosen.
        """
        if not self.level:
            kind = getattr(self, "kind", "")
            raise SpinforgeError(f"corruption {kind} has level {self.level}; choose 1 to 5.")
        return table[self.level - 1]


class PercentConfig(LevelledConfig):
    """A corruption whose strength may be given in percent instead."""

    percent: float | None = Field(
        None, ge=0, le=100, description="strength itself [%], instead of a level"
    )

    @model_validator(mode="after")
    def _one_strength(self) -> "PercentConfig":
        if self.level is not None and self.percent is not None:
            raise ValueError("give either level or percent, not both")
        return self

    @property
    def has_strength(self) -> bool:
        """Whether it says how strong it is."""
        return self.percent is not None or super().has_strength

    @property
    def is_nothing(self) -> bool:
        """Whether it leaves the image as it is, to the bit."""
        return self.percent == 0 or super().is_nothing

    @property
    def strength(self) -> str:
        """Part of the random numbers' path that tells one strength from another."""
        return super().strength if self.percent is None else f"percent-{self.percent:g}"

    def percent_of(self, table: tuple[float, ...]) -> float:
        """The percentage given, or that of the level.

        Raises:
            SpinforgeError: If neither was chosen.
        """
        return self.of(table) if self.percent is None else self.percent


def through_kspace(image: Image, change: Callable[[KSpace], KSpace]) -> Image:
    """Change an image's k-space; of a magnitude image, the magnitude of what comes back."""
    changed = kspace_to_image(change(image_to_kspace(image.to(torch.complex64))))
    return changed if image.is_complex() else changed.abs()
