"""How CRDN's two brain sets choose their slices and tell them apart."""

from typing import get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from spinforge.datasets.slice_table import SliceSplit, split_slices
from spinforge.datasets.splits import Group, Split, Subjects
from spinforge.simulation.config import Config


class BrainSlices(Config):
    """Which slices are used, and who uses them."""

    count: int = Field(399, ge=1, description="slices with most brain that are used")
    split: SliceSplit = Field(
        "shuffled_slices",
        description="60/40 at random as in the paper (neighbours leak from training to test), "
        "interleaved (2nd and 4th of every five test), blocked (20 together, 4 between left "
        "out), or by subjects",
    )
    validation: float = Field(
        0.1, ge=0, lt=1, description="share of the training slices that validate"
    )


class TogetherSubjects(Subjects):
    """Subjects whose slices are split, not they themselves."""

    train: Group = Field(1, description="number or names of the subjects")
    validation: Group = Field(0, description="only where slices.split is subjects")
    test: Group = Field(0, description="only where slices.split is subjects")


def check_split_fits(slices: BrainSlices, subjects: Subjects) -> None:
    """Check that subjects are split if and only if slices are not.

    Raises:
        ValueError: Naming both settings.
    """
    if slices.split == "subjects" and not subjects.is_split:
        raise ValueError(
            "slices.split = subjects: subjects.validation and subjects.test need at least one each"
        )
    if slices.split != "subjects" and subjects.is_split:
        raise ValueError(
            f"slices.split = {slices.split} mixes the slices of all subjects: name them under "
            f"subjects.train, or set slices.split to subjects"
        )


def brain_slice_tables(
    areas: pd.DataFrame, used: NDArray[np.bool_], slices: BrainSlices, split: Split, seed: int
) -> dict[str, pd.DataFrame]:
    """Every rule's table, that of the study first; by subjects only where these are split."""
    others = [how for how in get_args(SliceSplit) if how not in (slices.split, "subjects")]
    return {
        how: split_slices(areas, used, how, split, seed=seed, validation=slices.validation)
        for how in (slices.split, *others)
    }
