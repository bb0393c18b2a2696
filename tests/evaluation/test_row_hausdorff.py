"""The distance between rows of masks, against the function it imitates."""

import math

import numpy as np
import pytest
from scipy.spatial.distance import directed_hausdorff

from spinforge.evaluation.row_hausdorff import row_hausdorff, row_hausdorff_of_classes


def by_scipy(predicted, target) -> float:
    pair = predicted.astype(float), target.astype(float)
    return max(directed_hausdorff(*pair)[0], directed_hausdorff(*pair[::-1])[0])


@pytest.mark.parametrize("shape", [(1, 1), (5, 9), (31, 64), (40, 65), (180, 216)], ids=str)
@pytest.mark.parametrize("density", [0.02, 0.5, 0.999])
def test_equals_scipy_on_random_masks(shape, density):
    predicted, target = np.random.default_rng(0).random((2, *shape)) < density
    predicted[0, 0] = True
    # Roots of the same whole numbers; SciPy sums floats, exactly.
    assert row_hausdorff(predicted, target) == pytest.approx(by_scipy(predicted, target), rel=1e-15)


def test_an_empty_row_in_one_mask_alone_counts():
    full = np.ones((3, 5), dtype=bool)
    holed = full.copy()
    holed[1] = False
    assert row_hausdorff(full, holed) == row_hausdorff(holed, full) == math.sqrt(5)


def test_one_empty_mask_is_the_root_of_the_fullest_row():
    region = np.zeros((6, 9), dtype=bool)
    region[2, :4] = region[3, :7] = True
    assert row_hausdorff(region, np.zeros_like(region)) == math.sqrt(7)


def test_two_empty_masks_are_undefined():
    empty = np.zeros((6, 9), dtype=bool)
    assert math.isnan(row_hausdorff(empty, empty))


def test_every_slice_and_class_on_its_own():
    predicted, target = np.random.default_rng(1).integers(0, 4, (2, 3, 7, 11), dtype=np.uint8)
    found = row_hausdorff_of_classes(predicted, target, classes=4)
    for number, code in np.ndindex(3, 3):
        expected = by_scipy(predicted[number] == code + 1, target[number] == code + 1)
        assert found[number, code] == pytest.approx(expected, rel=1e-15)
