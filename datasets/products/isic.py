"""HLE-Net's skin set: photographs of lesions with their outlines, in ISIC 2017's three parts."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from spinforge.datasets.products.volumes import VolumeProduct
from spinforge.datasets.public.isic import ISIC2017, PART_SIZES
from spinforge.datasets.public.layout import Part
from spinforge.datasets.slice_table import by_subject
from spinforge.datasets.splits import Group, Split, Subjects
from spinforge.datasets.standins.skins import Skins
from spinforge.datasets.volumes import LabelledVolume, VolumeSource
from spinforge.simulation.config import content_hash
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.phantoms.skin import LARGEST_ASPECT

PARTS: Mapping[str, Part] = {"train": "training", "validation": "validation", "test": "test"}


class Photographs(VolumeSource, Protocol):
    """A collection of photographs in parts; each is a volume of one slice."""

    def subjects_of(self, part: Part) -> list[str]:
        """Every photograph of a part, sorted."""


@dataclass(frozen=True)
class PhotographBatches:
    """Photographs of one size, many together along z: training-000, ..., test-011.

    Attributes:
        photographs: The collection.
        size: Photographs of a batch; the last of a part may have fewer.
    """

    photographs: Photographs
    size: int

    def subjects(self) -> list[str]:
        """Every batch there is, sorted."""
        return sorted(name for part in PART_SIZES for name in self.subjects_of(part))

    def subjects_of(self, part: Part) -> list[str]:
        """Every batch of a part, sorted."""
        count = len(self.photographs.subjects_of(part))
        return [f"{part}-{number:03d}" for number in range(math.ceil(count / self.size))]

    def check(self, subject: str) -> None:
        """Check every photograph of a batch."""
        for name in self._members(subject):
            self.photographs.check(name)

    def digest(self, subject: str) -> str:
        """Digest of the photographs, in order."""
        members = self._members(subject)
        return content_hash({"photographs": [[n, self.photographs.digest(n)] for n in members]})

    def load(self, subject: str) -> LabelledVolume:
        """Put the photographs of a batch on top of each other."""
        volumes = [self.photographs.load(name) for name in self._members(subject)]
        first, labels = volumes[0], [volume.labels for volume in volumes]
        # Of all alike; said once.
        shared = {k: v for k, v in first.parameters.items() if k in ("source", "collection")}
        own = {
            volume.subject: {k: v for k, v in volume.parameters.items() if k not in shared}
            for volume in volumes
        }
        return replace(
            first,
            subject=subject,
            contrasts={
                name: np.concatenate([volume.contrasts[name] for volume in volumes])
                for name in first.contrasts
            },
            labels=np.concatenate([label for label in labels if label is not None]),
            parameters={**shared, "photographs": own},
        )

    def _members(self, subject: str) -> list[str]:
        part, _, number = subject.rpartition("-")
        start = self.size * int(number)
        names = self.photographs.subjects_of(PARTS["train" if part == "training" else part])
        return names[start : start + self.size]


class ISICSubjects(Subjects):
    """Batches of 50 photographs: all of ISIC 2017's 2000, 150 and 600."""

    train: Group = Field(40, description="number or names of batches of the training part")
    validation: Group = Field(3, description="number or names of batches of the validation part")
    test: Group = Field(12, description="number or names of batches of the test part")


class ISICLike(VolumeProduct):
    """Photographs as bytes; a grey channel is made of them when they are read.

    Networks take red, green, blue and their luma (`datasets.reading.photographs`), each 0 to 1.
    Luma is not stored, so that it belongs to the colours of a corrupted set too.
    """

    product: Literal["isic_like"] = Field(description="photographs of skin lesions (HLE-Net)")
    height: int = Field(192, ge=16, le=1024, description="rows all photographs are brought to")
    width: int = Field(256, ge=16, le=1024, description="columns all photographs are brought to")
    batch: int = Field(
        50, ge=1, le=500, description="photographs that are stored together as a subject"
    )
    subjects: ISICSubjects = ISICSubjects()

    classes: ClassVar = ("background", "lesion")
    references: ClassVar = {"red": 1.0, "green": 1.0, "blue": 1.0}
    has_grey_channel: ClassVar = True
    slices_are: ClassVar = "photographs"

    @model_validator(mode="after")
    def _not_too_wide(self) -> "ISICLike":
        if self.path is None and self.width > LARGEST_ASPECT * self.height:
            raise ValueError(
                f"width = {self.width} must be at most {LARGEST_ASPECT} times height = "
                f"{self.height}: our stand-ins reach no further"
            )
        return self

    def recipe(self) -> dict[str, Any]:
        """What determines one subject's bytes, and that its slices are photographs.

        Sets that do not say so were corrupted as if a batch were one volume.
        """
        return super().recipe() | {"slices_are": self.slices_are}

    def source(self) -> PhotographBatches:
        """ISIC 2017, or our photographs."""
        size = (self.height, self.width)
        if self.path is not None:
            return PhotographBatches(ISIC2017(self.path, size), self.batch)
        return PhotographBatches(Skins(self._counts(), self.seed, size), self.batch)

    def _counts(self) -> dict[Part, int]:
        """Photographs of our own in each part: as many as ISIC has, or as are asked for."""
        return {
            part: max(PART_SIZES[part], self.batch * group if isinstance(group, int) else 0)
            for part, (_, group) in zip(PARTS.values(), self.subjects, strict=True)
        }

    def choose(self) -> Split:
        """The first batches of each official part, or the named ones of it.

        Raises:
            SpinforgeError: If a part has too few, or not the one that is named.
        """
        source = self.source()
        return Split.model_validate(
            {name: _of_part(name, group, source) for name, group in self.subjects}
        )

    def shape_zyx(self) -> tuple[int, int, int]:
        """A batch."""
        return self.batch, self.height, self.width

    def slice_tables(self, areas: pd.DataFrame, split: Split) -> dict[str, pd.DataFrame]:
        """Every photograph is used where its part says."""
        used = np.ones(len(areas), dtype=np.bool_)
        return {"official_parts": by_subject(areas, used, split)}


def _of_part(name: str, group: Group, source: PhotographBatches) -> tuple[str, ...]:
    """Batches of one group."""
    available = source.subjects_of(PARTS[name])
    if isinstance(group, int):
        if group > len(available):
            raise SpinforgeError(
                f"data.subjects.{name} = {group}: the {PARTS[name]} part has {len(available)} "
                f"batches of {source.size} photographs."
            )
        return tuple(available[:group])
    if unknown := sorted(set(group) - set(available)):
        there = f"{available[0]} to {available[-1]}" if available else "none"
        raise SpinforgeError(
            f"data.subjects.{name}: {', '.join(unknown)} not found in the {PARTS[name]} part; "
            f"there are {there}."
        )
    return group
