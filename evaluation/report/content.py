"""What a report shows: plain data, gathered by the caller."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, UInt8

Magnitude = Float[np.ndarray, "ky kx"]
"""Magnitude image in any unit; each picture is shown in its own window."""

Labels = UInt8[np.ndarray, "ky kx"]
"""Codes of the classes, the background 0."""


@dataclass(frozen=True)
class NetworkReport:
    """One trained network.

    Attributes:
        name: Name as in the `network` column of the scores.
        description: One sentence.
        parameters: Number of trainable parameters.
        history: One row per epoch with the columns `HISTORY_COLUMNS` of
            `models.training.columns`; seconds is the duration of the epoch [s]. May be empty.
        kept_epoch: The epoch whose weights were kept, counted from 1.
    """

    name: str
    description: str
    parameters: int
    history: pd.DataFrame
    kept_epoch: int

    @property
    def kept_dice(self) -> float:
        """Pooled Dice of that epoch, as it was judged; NaN if unknown."""
        kept = self.history[self.history["epoch"] == self.kept_epoch]
        return float(kept["validation_dice_pooled"].iloc[0]) if len(kept) else math.nan


@dataclass(frozen=True)
class CaseImages:
    """One test slice and what every network made of it.

    Attributes:
        image: The image as the networks saw it: its magnitude, or one of its contrasts.
        target: True class codes.
        predictions: Predicted class codes of each network, by name.
    """

    image: Magnitude
    target: Labels
    predictions: dict[str, Labels]


@dataclass(frozen=True)
class ExampleSlice:
    """One slice of the data set, for the data card.

    Attributes:
        image: As in `CaseImages`.
        target: True class codes.
        reference: The fully sampled magnitude image, of a set of k-space.
        mask: True where a phase-encoding line was acquired, of a set of k-space.
        caption: Which slice this is.
    """

    image: Magnitude
    target: Labels
    reference: Magnitude | None = None
    mask: Bool[np.ndarray, " ky"] | None = None
    caption: str = ""


@dataclass(frozen=True)
class ReportContent:
    """Everything on the page, in the order in which it appears.

    Attributes:
        title: Heading of the page.
        created: When the report was made.
        data_card: Section -> key -> value.
        examples: Slices of the data set.
        networks: The networks, in the order in which they are shown.
        scores: Rows of `score_slices`, for exactly these networks.
        load_case: Loads the pictures of a (subject, slice); called for the few that are shown.
        configuration: The study file, YAML.
        provenance: Key -> value: versions, seeds, hashes, machine.
        files: Name -> path relative to the report, linked.
        classes: Names of the classes, the background first.
        seen: What the networks were shown, as the title of a picture.
        axes: How the pictures lie, in a sentence or two.
        judged_by: The slices by which each epoch was judged.
    """

    title: str
    created: str
    data_card: dict[str, dict[str, str]]
    examples: list[ExampleSlice]
    networks: list[NetworkReport]
    scores: pd.DataFrame
    load_case: Callable[[str, int], CaseImages]
    configuration: str
    provenance: dict[str, str]
    files: dict[str, str]
    classes: tuple[str, ...]
    seen: str
    axes: str
    judged_by: str = "validation slices"
