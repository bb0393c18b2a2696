"""Corruptions in a row, each with random numbers of its own.

Their names in study files and records (`kind`) are those of robustness studies; docs/datasets.md
says what each does at which level.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, get_args

from pydantic import Field

from spinforge.simulation.corruption.coils import CoilStack, Sensitivities, apply_to_coils
from spinforge.simulation.corruption.intensity import Gamma, NonUniformity, SplineBias
from spinforge.simulation.corruption.kspace import Ghost, Spike, Truncation, Undersampling
from spinforge.simulation.corruption.motion import Motion
from spinforge.simulation.corruption.noise import ComplexNoise, RicianNoise
from spinforge.simulation.corruption.rescan import (
    NarrowBandwidth,
    OtherTiming,
    Rescan,
    StrongerB0,
)
from spinforge.simulation.corruption.resolution import Anisotropy, Blur
from spinforge.simulation.corruption.volume import Image, Record, SamplePath, Volume
from spinforge.simulation.reconstruction import combine_coils
from spinforge.simulation.scanner import Scanner
from spinforge.simulation.sequences import PulseSequence

_OfImages = (
    RicianNoise
    | ComplexNoise
    | NonUniformity
    | SplineBias
    | Gamma
    | Motion
    | Ghost
    | Spike
    | Truncation
    | Undersampling
    | Anisotropy
    | Blur
)

ImageCorruption = Annotated[_OfImages, Field(discriminator="kind")]
"""Any corruption of an image or of its k-space."""

Corruption = Annotated[
    _OfImages | OtherTiming | StrongerB0 | NarrowBandwidth, Field(discriminator="kind")
]
"""Any corruption there is."""

KINDS: tuple[str, ...] = tuple(
    get_args(kind.model_fields["kind"].annotation)[0] for kind in get_args(get_args(Corruption)[0])
)
"""Names of all of them."""

RESCANS = (OtherTiming, StrongerB0, NarrowBandwidth)
"""Those that are another scan."""


@dataclass(frozen=True)
class Corrupted:
    """A corrupted image and how it came to be.

    Attributes:
        image: Of the shape and type of the clean one.
        history: For each corruption its `id`, `level` (None where a percentage was given),
            `rng_path` and drawn `parameters`.
    """

    image: Image
    history: list[dict[str, Any]]


def corrupt(
    volume: Volume,
    corruptions: Sequence[ImageCorruption],
    path: SamplePath,
    *,
    couple_levels: bool = False,
    first_position: int = 0,
) -> Corrupted:
    """Corrupt a volume, one corruption after the other.

    Level 0 leaves the image as it is, to the bit. Noise refers to the clean image's signal
    wherever it stands in the row.

    Args:
        volume: The clean image, its signal, brain and head.
        corruptions: In the order in which they happen.
        path: Of the data set, subject and contrast.
        couple_levels: Draw the same random numbers for every level, for smooth curves.
        first_position: What came before them in the row, such as another scan.

    Raises:
        SpinforgeError: If a corruption does not go with this image.
    """
    image, history = volume.image, []
    for position, corruption in enumerate(corruptions, start=first_position):
        own = _own_path(path, position, corruption, couple_levels)
        if volume.is_photographs and corruption.of_each_colour:
            own = own.below(volume.contrast)
        parameters: Record = {}
        if not corruption.is_nothing:
            drawn = corruption.draw(replace(volume, image=image), own)
            image, parameters = drawn.apply(image), drawn.record()
        history.append(_entry(corruption, own, parameters))
    return Corrupted(image, history)


def corrupt_coils(
    volume: Volume,
    coils: CoilStack,
    sensitivities: Sensitivities,
    corruptions: Sequence[ImageCorruption],
    path: SamplePath,
    *,
    couple_levels: bool = False,
    first_position: int = 0,
) -> tuple[CoilStack, list[dict[str, Any]]]:
    """Corrupt the images of all coils of one scan, as `corrupt` does one image.

    Args:
        volume: Signal, brain and head; its image is replaced by the combination of the coils.
        coils: Image of every coil.
        sensitivities: Of every coil.
        corruptions: In the order in which they happen.
        path: Of the data set, subject and contrast.
        couple_levels: Draw the same random numbers for every level.
        first_position: What came before them in the row, such as another scan.

    Returns:
        Images of the coils, and the history as `corrupt` gives it.

    Raises:
        SpinforgeError: If a corruption does not go with complex images.
    """
    history = []
    for position, corruption in enumerate(corruptions, start=first_position):
        own = _own_path(path, position, corruption, couple_levels)
        parameters: Record = {}
        if not corruption.is_nothing:
            head = combine_coils(coils, sensitivities)
            drawn = corruption.draw(replace(volume, image=head), own)
            coils = apply_to_coils(drawn, head, coils, sensitivities)
            parameters = drawn.record()
        history.append(_entry(corruption, own, parameters))
    return coils, history


def corrupt_scan(
    sequence: PulseSequence,
    scanner: Scanner,
    corruptions: Sequence[Rescan],
    path: SamplePath,
    *,
    couple_levels: bool = False,
) -> tuple[PulseSequence, Scanner, list[dict[str, Any]]]:
    """Change a scan that is then simulated again.

    Args:
        sequence: Of the clean scan.
        scanner: Of the clean scan.
        corruptions: One after the other.
        path: Of the data set, subject and contrast.
        couple_levels: Draw the same random numbers for every level.

    Returns:
        Sequence, scanner, and the history as `corrupt` gives it.

    Raises:
        SpinforgeError: If a corruption does not go with this scan.
    """
    history = []
    for position, corruption in enumerate(corruptions):
        own = _own_path(path, position, corruption, couple_levels)
        parameters: Record = {}
        if not corruption.is_nothing:
            sequence, scanner, parameters = corruption.draw(sequence, scanner, own)
        history.append(_entry(corruption, own, parameters))
    return sequence, scanner, history


def _own_path(
    path: SamplePath, position: int, corruption: ImageCorruption | Rescan, couple_levels: bool
) -> SamplePath:
    own = path.below(f"{position}-{corruption.kind}")
    return own if couple_levels else own.below(corruption.strength)


def _entry(
    corruption: ImageCorruption | Rescan, path: SamplePath, parameters: Record
) -> dict[str, Any]:
    return {
        "id": corruption.kind,
        "level": corruption.level,
        "rng_path": str(path),
        "parameters": parameters,
    }
