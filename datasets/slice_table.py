"""Which slices of labelled volumes a network is trained, validated and tested on.

Pure functions of the labels: the same volumes always give the same table, one row a slice, with
the columns `COLUMNS`. `index` counts the slices of a view from 0; a slice that nobody uses has
the split "unused". Rows are in the order of subject, view and index.
"""

from collections.abc import Mapping
from typing import Literal

import numpy as np
import pandas as pd
from jaxtyping import UInt8
from numpy.typing import NDArray

from spinforge.datasets.splits import Split
from spinforge.datasets.volumes import IGNORE
from spinforge.simulation.rng import SampleRng

View = Literal["axial", "coronal", "sagittal"]

VIEW_AXIS: dict[View, int] = {"axial": 0, "coronal": 1, "sagittal": 2}
"""Axis of (z, y, x) along which the slices of a view are counted; they hold the other two."""

COLUMNS = ("subject", "view", "index", "foreground_px", "split")
GROUPS = ("train", "validation", "test")
UNUSED = "unused"

SliceSplit = Literal["shuffled_slices", "interleaved", "blocked", "subjects"]
"""How slices are told apart; only the last keeps a subject's slices together."""

BLOCK, GAP = 20, 4
"""Slices of a block that stays together, and slices that are left out between two blocks."""

_TRAIN_TENTHS = 6
_INTERLEAVED_PERIOD, _INTERLEAVED_TEST = 5, (1, 3)


def slice_areas(
    subject: str, label: UInt8[np.ndarray, "z y x"], views: tuple[View, ...] = ("axial",)
) -> pd.DataFrame:
    """Every slice of a volume and how many of its pixels are labelled.

    Args:
        subject: Name.
        label: Label map.
        views: In this order.

    Returns:
        The columns but `split`; `foreground_px` counts what is neither background nor `IGNORE`.
    """
    foreground = (label != 0) & (label != IGNORE)
    tables = []
    for view in views:
        others = tuple(axis for axis in range(3) if axis != VIEW_AXIS[view])
        areas = foreground.sum(others, dtype=np.int64)
        tables.append(
            pd.DataFrame(
                {
                    "subject": subject,
                    "view": view,
                    "index": np.arange(len(areas)),
                    "foreground_px": areas,
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


# -------------------------------------------------------------------- which slices are used


def largest(areas: pd.DataFrame, count: int) -> NDArray[np.bool_]:
    """The `count` slices with most foreground; of equal ones the first; none without any."""
    px = areas["foreground_px"].to_numpy()
    return _first(np.argsort(-px, kind="stable"), count) & (px > 0)


def most_central(areas: pd.DataFrame, count: int) -> NDArray[np.bool_]:
    """The `count` slices furthest from the ends of their volume; all with foreground if fewer.

    Leaving out equally many slices at both ends of every axis is the same, where that gives
    `count` slices; of equally far ones the first are taken.
    """
    if len(areas) < count:
        return areas["foreground_px"].to_numpy() > 0
    sizes = areas.groupby(["subject", "view"])["index"].transform("size").to_numpy()
    index = areas["index"].to_numpy()
    to_end = np.minimum(index, sizes - 1 - index)
    return _first(np.argsort(-to_end, kind="stable"), count)


def with_neighbours(areas: pd.DataFrame, count: int) -> NDArray[np.bool_]:
    """Every slice with foreground, and the nearest ones without until there are `count`.

    If there are fewer slices than that altogether, those with foreground only.
    """
    has = areas["foreground_px"].to_numpy() > 0
    if len(areas) < count:
        return has
    distance = np.full(len(areas), np.iinfo(np.int64).max)
    index = areas["index"].to_numpy()
    for rows in areas.groupby(["subject", "view"]).indices.values():
        if has[rows].any():
            labelled = index[rows][has[rows]]
            distance[rows] = np.abs(index[rows][:, None] - labelled).min(1)
    return _first(np.argsort(distance, kind="stable"), max(count, int(has.sum())))


def _first(order: NDArray[np.int64], count: int) -> NDArray[np.bool_]:
    chosen = np.zeros(len(order), dtype=np.bool_)
    chosen[order[:count]] = True
    return chosen


# ------------------------------------------------------------------------- who uses them


def by_subject(areas: pd.DataFrame, used: NDArray[np.bool_], split: Split) -> pd.DataFrame:
    """Every used slice goes where its subject is."""
    groups = {name: group for group in GROUPS for name in getattr(split, group)}
    column = areas["subject"].map(groups).fillna(UNUSED).to_numpy(dtype=object)
    return _table(areas, np.where(used, column, UNUSED))


def shuffled(
    areas: pd.DataFrame, used: NDArray[np.bool_], *, seed: int, validation: float
) -> pd.DataFrame:
    """floor(0.6 n) slices at random for training and validation, the others for the test.

    Neighbouring slices, and the same voxels seen from another side, are in both: scores on such a
    split are too good for an unseen head.

    Args:
        areas: Of `slice_areas`.
        used: Which slices take part.
        seed: Of the random order.
        validation: Share of the training slices that validate.
    """
    rows = np.flatnonzero(used)
    order = rows[SampleRng(seed, "slices", "shuffled").permutation(len(rows))]
    n_train = _TRAIN_TENTHS * len(rows) // 10
    return _with_validation(areas, order[:n_train], order[n_train:], validation)


def interleaved(
    areas: pd.DataFrame, used: NDArray[np.bool_], *, seed: int, validation: float
) -> pd.DataFrame:
    """The second and fourth of every five slices for the test; leaks as `shuffled` does.

    So CRDN's authors split MRBrainS13; of 399 slices it leaves 239 for training.
    """
    rows = np.flatnonzero(used)
    is_test = np.isin(np.arange(len(rows)) % _INTERLEAVED_PERIOD, _INTERLEAVED_TEST)
    training = rows[~is_test]
    order = training[SampleRng(seed, "slices", "interleaved").permutation(len(training))]
    return _with_validation(areas, order, rows[is_test], validation)


def blocked(
    areas: pd.DataFrame, used: NDArray[np.bool_], *, seed: int, validation: float
) -> pd.DataFrame:
    """Blocks of 20 neighbouring slices stay together, 4 slices between two blocks are left out.

    Blocks are taken in random order for the test until it has 40 % of their slices, then for the
    validation, the others train. Other views still cut through a block's voxels.
    """
    blocks = []
    for rows in areas[used].groupby(["subject", "view"], sort=False).indices.values():
        members = np.flatnonzero(used)[rows]
        since = areas["index"].to_numpy()[members]
        number, place = np.divmod(since - since[0], BLOCK + GAP)
        kept, number = members[place < BLOCK], number[place < BLOCK]
        blocks += [kept[number == one] for one in np.unique(number)]
    total = sum(len(block) for block in blocks)
    wanted_test = (10 - _TRAIN_TENTHS) * total / 10
    wanted = {"test": wanted_test, "validation": validation * (total - wanted_test)}
    column = np.full(len(areas), UNUSED, dtype=object)
    remaining = [blocks[i] for i in SampleRng(seed, "slices", "blocked").permutation(len(blocks))]
    for group, goal in wanted.items():
        taken = 0
        while taken < goal and len(remaining) > 1:
            block = remaining.pop()
            column[block] = group
            taken += len(block)
    for block in remaining:
        column[block] = "train"
    return _table(areas, column)


def split_slices(
    areas: pd.DataFrame,
    used: NDArray[np.bool_],
    how: SliceSplit,
    split: Split,
    *,
    seed: int,
    validation: float,
) -> pd.DataFrame:
    """Tell used slices apart in any of the four ways.

    Args:
        areas: Of `slice_areas`.
        used: Which slices take part.
        how: "subjects" goes by `split`, the others by slice.
        split: Of the subjects.
        seed: Of random choices.
        validation: Share of the training slices that validate.

    Returns:
        The table with all `COLUMNS`.
    """
    match how:
        case "subjects":
            return by_subject(areas, used, split)
        case "shuffled_slices":
            return shuffled(areas, used, seed=seed, validation=validation)
        case "interleaved":
            return interleaved(areas, used, seed=seed, validation=validation)
        case "blocked":
            return blocked(areas, used, seed=seed, validation=validation)


def counts(table: pd.DataFrame) -> Mapping[str, int]:
    """Number of slices of each group, those that nobody uses included."""
    return {group: int((table["split"] == group).sum()) for group in (*GROUPS, UNUSED)}


def _with_validation(
    areas: pd.DataFrame,
    training: NDArray[np.int64],
    test: NDArray[np.int64],
    validation: float,
) -> pd.DataFrame:
    """The first of the training slices, which are in random order, validate."""
    n_validation = int(validation * len(training))
    column = np.full(len(areas), UNUSED, dtype=object)
    column[training] = "train"
    column[training[:n_validation]] = "validation"
    column[test] = "test"
    return _table(areas, column)


def _table(areas: pd.DataFrame, split: NDArray[np.object_]) -> pd.DataFrame:
    return areas.assign(split=split.astype(str))[list(COLUMNS)]
