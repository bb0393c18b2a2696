"""Which slices are chosen and who gets them, on planted labels and at the papers' sizes."""

import numpy as np
import pandas as pd
import pytest

from spinforge.datasets.slice_table import (
    BLOCK,
    COLUMNS,
    GAP,
    blocked,
    by_subject,
    counts,
    interleaved,
    largest,
    most_central,
    shuffled,
    slice_areas,
    split_slices,
    with_neighbours,
)
from spinforge.datasets.splits import Split
from spinforge.datasets.volumes import IGNORE

VIEWS = ("axial", "coronal", "sagittal")
SHAPE = (5, 7, 9)
ALL_IN_ONE = Split(train=("a",), validation=(), test=())


def areas_of(px: list[int], subject: str = "a", view: str = "axial") -> pd.DataFrame:
    return pd.DataFrame(
        {"subject": subject, "view": view, "index": range(len(px)), "foreground_px": px}
    )


def ellipsoid(shape: tuple[int, int, int]) -> np.ndarray:
    """Label 1 in the ellipsoid that touches all faces but for a voxel."""
    grids = np.meshgrid(*[np.linspace(-1.1, 1.1, n) for n in shape], indexing="ij", sparse=True)
    return (sum(g**2 for g in grids) <= 1).astype(np.uint8)


def test_areas_count_each_view_along_its_own_axis():
    label = np.zeros(SHAPE, dtype=np.uint8)
    label[1, 2:4, 3:6] = 3
    areas = slice_areas("a", label, VIEWS).set_index(["view", "index"])["foreground_px"]
    assert len(areas) == sum(SHAPE)
    assert areas[areas > 0].to_dict() == {
        ("axial", 1): 6,
        ("coronal", 2): 3,
        ("coronal", 3): 3,
        ("sagittal", 3): 2,
        ("sagittal", 4): 2,
        ("sagittal", 5): 2,
    }


def test_what_nobody_scores_is_no_foreground():
    label = np.full(SHAPE, IGNORE, dtype=np.uint8)
    assert slice_areas("a", label)["foreground_px"].sum() == 0


def test_largest_takes_the_first_of_equals_and_never_empty_slices():
    areas = areas_of([0, 5, 9, 5, 0, 5])
    assert np.flatnonzero(largest(areas, 3)).tolist() == [1, 2, 3]
    assert np.flatnonzero(largest(areas, 6)).tolist() == [1, 2, 3, 5]


def test_ties_go_by_view_then_index():
    """A cube: all slices of all views that cut it have the same area."""
    label = np.zeros((6, 6, 6), dtype=np.uint8)
    label[1:5, 1:5, 1:5] = 1
    areas = slice_areas("a", label, VIEWS)
    chosen = areas[largest(areas, 6)]
    assert list(zip(chosen["view"], chosen["index"], strict=True)) == [
        *[("axial", i) for i in range(1, 5)],
        ("coronal", 1),
        ("coronal", 2),
    ]


def test_the_most_central_are_what_is_left_without_equal_margins():
    """Two volumes of different size without `margin` slices at both ends of every axis."""
    margin = 2
    volumes = {"a": (9, 11, 13), "b": (8, 12, 10)}
    tables = [slice_areas(s, np.ones(shape, np.uint8), VIEWS) for s, shape in volumes.items()]
    areas = pd.concat(tables, ignore_index=True)
    size = areas.groupby(["subject", "view"])["index"].transform("size")
    inside = (areas["index"] >= margin) & (areas["index"] < size - margin)
    np.testing.assert_array_equal(most_central(areas, int(inside.sum())), inside)


def test_too_few_slices_for_the_count_leave_those_with_foreground():
    areas = areas_of([0, 0, 4, 7, 0])
    assert np.flatnonzero(most_central(areas, 6)).tolist() == [2, 3]
    assert np.flatnonzero(with_neighbours(areas, 6)).tolist() == [2, 3]
    assert most_central(areas, 5).all()
    assert with_neighbours(areas, 5).all()


def test_neighbours_come_nearest_first_and_no_labelled_slice_is_left_out():
    areas = pd.concat(
        [areas_of([0, 0, 0, 8, 9, 0, 0]), areas_of([0, 0, 0], "no spleen")], ignore_index=True
    )
    nearest = [[3, 4], [2], [5], [1], [6], [0], [7], [8], [9]]
    for count in range(2, 11):
        expected = sorted(row for rows in nearest[: count - 1] for row in rows)
        assert np.flatnonzero(with_neighbours(areas, count)).tolist() == expected
    assert np.flatnonzero(with_neighbours(areas, 1)).tolist() == [3, 4]


@pytest.mark.parametrize(
    ("n", "train", "test"), [(399, 239, 160), (174, 104, 70), (5, 3, 2), (1, 0, 1)]
)
def test_sixty_percent_rounded_down_as_in_the_paper(n, train, test):
    table = shuffled(areas_of([1] * n), np.ones(n, bool), seed=0, validation=0.0)
    assert counts(table) == {"train": train, "validation": 0, "test": test, "unused": 0}


@pytest.mark.parametrize(("n", "train", "test"), [(399, 239, 160), (174, 104, 70)])
def test_interleaved_gives_the_papers_numbers_too(n, train, test):
    table = interleaved(areas_of([1] * n), np.ones(n, bool), seed=0, validation=0.1)
    found = counts(table)
    assert (found["train"] + found["validation"], found["test"]) == (train, test)
    assert found["validation"] == train // 10
    held_out = table["index"][table["split"] == "test"]
    assert set(held_out % 5) == {1, 3}


def test_the_shuffle_depends_on_the_seed_alone():
    areas, used = areas_of([1] * 50), np.ones(50, bool)
    one = shuffled(areas, used, seed=1, validation=0.1)
    pd.testing.assert_frame_equal(one, shuffled(areas, used, seed=1, validation=0.1))
    assert (one["split"] != shuffled(areas, used, seed=2, validation=0.1)["split"]).any()


def test_training_and_validation_together_do_not_depend_on_the_share_that_validates():
    areas, used = areas_of([1] * 50), np.ones(50, bool)
    tables = [shuffled(areas, used, seed=0, validation=share) for share in (0.0, 0.1, 0.5)]
    tests = [set(table.index[table["split"] == "test"]) for table in tables]
    assert tests[0] == tests[1] == tests[2]


@pytest.mark.parametrize("seed", range(5))
def test_blocks_never_touch_a_block_of_another_group(seed):
    areas = pd.concat([areas_of([1] * 150, view=view) for view in VIEWS], ignore_index=True)
    used = areas["index"].between(7, 131).to_numpy()
    table = blocked(areas, used, seed=seed, validation=0.1)
    for _, view in table[used].groupby("view"):
        index, group = view["index"].to_numpy(), view["split"].to_numpy()
        taken = group != "unused"
        distance = np.abs(index[taken][:, None] - index[taken])
        assert distance[group[taken][:, None] != group[taken]].min() > GAP
        # 125 slices: five blocks of 20 with gaps of 4, and a last one of 5.
        assert taken.sum() == 5 * BLOCK + 5
    found = counts(table)
    total = found["train"] + found["validation"] + found["test"]
    # A block at most more than 40 %, and than 10 % of the rest.
    assert 0.4 * total <= found["test"] < 0.4 * total + BLOCK
    assert 0.06 * total <= found["validation"] < 0.06 * total + BLOCK


def test_slices_go_where_their_subject_is():
    areas = pd.concat([areas_of([1, 0], s) for s in "abcd"], ignore_index=True)
    split = Split(train=("c",), validation=("a",), test=("b",))
    table = by_subject(areas, areas["foreground_px"].to_numpy() > 0, split)
    assert list(table["split"]) == [
        *("validation", "unused", "test", "unused", "train", "unused", "unused", "unused")
    ]


@pytest.mark.parametrize("how", ["shuffled_slices", "interleaved", "blocked", "subjects"])
def test_every_way_gives_the_same_columns_and_leaves_unused_slices_alone(how):
    areas = areas_of([1] * 60)
    used = np.arange(60) % 7 != 0
    table = split_slices(areas, used, how, ALL_IN_ONE, seed=0, validation=0.1)
    assert tuple(table.columns) == COLUMNS
    assert (table["split"][~used] == "unused").all()
    pd.testing.assert_frame_equal(table[list(COLUMNS[:-1])], areas)


def test_the_papers_numbers_on_brainwebs_grid():
    """399 of 579 slices of a brain-sized ellipsoid, whatever its shape."""
    label = np.zeros((181, 217, 181), dtype=np.uint8)
    label[20:165, 17:201, 18:162] = ellipsoid((145, 184, 144))
    areas = slice_areas("a", label, VIEWS)
    assert len(areas) == 579
    used = largest(areas, 399)
    table = shuffled(areas, used, seed=0, validation=0.1)
    assert counts(table) == {"train": 216, "validation": 23, "test": 160, "unused": 180}
    assert areas["foreground_px"][used].min() >= areas["foreground_px"][~used].max()
