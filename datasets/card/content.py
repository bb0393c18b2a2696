"""What a data card shows, as plain data: words, numbers and slices, no layout."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float32, UInt8

Plane = (
    Float32[np.ndarray, "y x"]
    | UInt8[np.ndarray, "y x"]
    | Bool[np.ndarray, "y x"]
    | UInt8[np.ndarray, "y x 3"]
)


@dataclass(frozen=True)
class Picture:
    """One slice.

    Attributes:
        title: A few words under it.
        values: (y, x): the first row is posterior, the first column on the left; of a photograph
            (y, x, 3).
        kind: How it is drawn: an image in grey, labels in colours, acquired lines, or a photograph.
        window: Values shown black and white; by default those of the image itself.
        top_first: The first row is the upper one, as in photographs.
    """

    title: str
    values: Plane
    kind: Literal["image", "labels", "lines", "photograph"] = "image"
    window: tuple[float, float] | None = None
    top_first: bool = False


@dataclass(frozen=True)
class PictureRow:
    """Pictures that belong together.

    Attributes:
        heading: What they show.
        detail: More, such as drawn parameters.
        pictures: From left to right.
        pixel_mm: Size of a pixel along y and x [mm].
    """

    heading: str
    detail: str
    pictures: list[Picture]
    pixel_mm: tuple[float, float]


@dataclass(frozen=True)
class CardTable:
    """A table of text; the first column names its row."""

    caption: str
    columns: list[str]
    rows: list[list[str]]


@dataclass(frozen=True)
class Card:
    """Everything on the card of one set.

    Attributes:
        title: Name of the set.
        summary: What it is, in one or two sentences.
        facts: Section -> name -> value.
        classes: Names of the labels 0, 1, ...
        tables: Class balance, subjects, corruptions.
        examples: Slices of the clean set.
        corruptions: A row a corruption, a picture a level.
        settings: Everything the set was made with, dotted name -> value.
    """

    title: str
    summary: str
    facts: dict[str, dict[str, str]]
    classes: tuple[str, ...]
    tables: list[CardTable]
    examples: list[PictureRow]
    corruptions: list[PictureRow]
    settings: dict[str, str]


def window_of(values: Plane) -> tuple[float, float]:
    """Black is zero, or what 0.5 % of the pixels lie below if there are negative ones."""
    low, high = (float(v) for v in np.percentile(values, (0.5, 99.5)))
    low = min(low, 0.0)
    return low, max(high, low + float(np.finfo(np.float32).tiny))
