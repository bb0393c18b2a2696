"""What can be fetched from BrainWeb, and what its download form calls it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from spinforge.datasets.brainweb import subject0 as brainweb_subject0
from spinforge.datasets.brainweb import twenty as brainweb
from spinforge.datasets.brainweb.images import ImageSettings, check_image
from spinforge.datasets.brainweb.labels import read_fraction
from spinforge.datasets.brainweb.subject0 import Model
from spinforge.simulation.errors import SpinforgeError

FileFormat = Literal["minc", "raw_byte", "raw_short"]
EXTENSIONS: dict[FileFormat, str] = {"minc": ".mnc", "raw_byte": ".rawb", "raw_short": ".raws"}


@dataclass(frozen=True)
class Volume:
    """One file of BrainWeb's.

    Attributes:
        stem: Its name on disk without suffix.
        aliases: What the form may call it, the likeliest first.
        check: Raises SpinforgeError for a file that is not whole, or not this volume.
        formats: What to ask for, the best first: MINC keeps absolute values.
    """

    stem: str
    aliases: tuple[str, ...]
    check: Callable[[Path], object]
    formats: tuple[FileFormat, ...] = ("minc", "raw_short")


def brainweb20_volumes(subjects: Sequence[str], *, fuzzy: bool = False) -> list[Volume]:
    """Crisp model of each subject, and its twelve fuzzy volumes if asked for.

    Raises:
        SpinforgeError: If a subject is none of the twenty.
    """
    for subject in subjects:
        if subject not in brainweb.SUBJECTS:
            known = ", ".join(brainweb.SUBJECTS)
            raise SpinforgeError(f"{subject!r} is none of BrainWeb's twenty subjects: {known}.")
    names = ("crisp", *(brainweb.FUZZY_SUFFIXES.values() if fuzzy else ()))
    return [
        Volume(
            stem=f"{subject}_{name}_v",
            aliases=(f"{subject}_{name}",),
            check=brainweb.read_labels if name == "crisp" else brainweb.read_fraction,
        )
        for subject in subjects
        for name in names
    ]


def subject0_volumes(model: Model, *, fuzzy: bool = False) -> list[Volume]:
    """Crisp model of subject 0 or one with lesions, and its fuzzy volumes if asked for."""
    stem = f"phantom_1.0mm_{model}"
    labels = brainweb_subject0.labels_of(model)
    crisp = Volume(
        stem=f"{stem}_crisp",
        aliases=(f"{stem}_crisp",),
        check=partial(brainweb_subject0.read_crisp, model=model),
    )
    if not fuzzy:
        return [crisp]
    return [
        crisp,
        *(
            Volume(
                stem=f"{stem}_{names[0]}",
                aliases=tuple(f"{stem}_{name}" for name in names),
                check=_check_fuzzy,
            )
            for names in brainweb_subject0.FUZZY_SUFFIXES[: len(labels)]
        ),
    ]


def image_settings(
    modality: str, model: str, thickness_mm: int, noise_percent: int, inu_percent: int
) -> ImageSettings:
    """Settings as a person types them.

    Raises:
        SpinforgeError: If BrainWeb has no such image; says what there is.
    """
    try:
        return ImageSettings.model_validate(
            {
                "modality": modality.lower(),
                "model": model,
                "thickness_mm": thickness_mm,
                "noise_percent": noise_percent,
                "inu_percent": inu_percent,
            }
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise SpinforgeError(
            f"BrainWeb has no image with {first['loc'][0]} = {first['input']!r}. {first['msg']}."
        ) from error


def image_volume(settings: ImageSettings) -> Volume:
    """One of BrainWeb's simulated images."""
    return Volume(
        stem=settings.stem,
        aliases=(settings.alias,),
        check=partial(check_image, settings=settings),
    )


def _check_fuzzy(path: Path) -> None:
    read_fraction(path, [brainweb_subject0.SHAPE_ZYX])
