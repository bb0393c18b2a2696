"""Photographs of skin lesions: our stand-in for ISIC 2017, in the same three parts."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from spinforge.datasets.public.isic import CHANNELS, PART_SIZES
from spinforge.datasets.public.layout import Part
from spinforge.datasets.volumes import LabelledVolume
from spinforge.simulation.phantoms.skin import generate_skin, skin_digest
from spinforge.simulation.phantoms.threads import one_thread


@dataclass(frozen=True)
class Skins:
    """Made-up photographs, named training-0000, ..., validation-0000, ..., test-0000, ...

    Attributes:
        counts: Number of photographs in each part.
        seed: Of everything in them.
        size: Rows and columns.
    """

    counts: Mapping[Part, int] = field(default_factory=lambda: PART_SIZES)
    seed: int = 0
    size: tuple[int, int] = (192, 256)

    def subjects(self) -> list[str]:
        """Every photograph, sorted."""
        return sorted(name for part in self.counts for name in self.subjects_of(part))

    def subjects_of(self, part: Part) -> list[str]:
        """Every photograph of a part, sorted."""
        return [f"{part}-{index:04d}" for index in range(self.counts.get(part, 0))]

    def check(self, subject: str) -> None:
        """Nothing to check: the generator needs no file."""

    def digest(self, subject: str) -> str:
        """Digest of the generator's version and arguments."""
        rows, columns = self.size
        return skin_digest(subject, seed=self.seed, height=rows, width=columns)

    def load(self, subject: str) -> LabelledVolume:
        """Make one photograph, (1, rows, columns) uint8 a colour; label 1 is the lesion."""
        rows, columns = self.size
        with one_thread():
            skin = generate_skin(subject, seed=self.seed, height=rows, width=columns)
        colours = (skin.image * 255).round().byte().numpy()
        return LabelledVolume(
            subject=subject,
            contrasts={name: _one(colour) for name, colour in zip(CHANNELS, colours, strict=True)},
            labels=_one(skin.mask.numpy()),
            spacing_mm=(1.0, 1.0, 1.0),
            affine=np.eye(4),
            parameters={"source": "procedural skin", "anatomy": skin.parameters},
        )


def _one(plane: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(plane[None])
