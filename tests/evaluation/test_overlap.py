"""Overlap against hand-computed cases and a count by brute force."""

import numpy as np
import pytest
from jaxtyping import TypeCheckError
from shape_checks import unchecked

from spinforge.evaluation.overlap import (
    confusion_matrices,
    dice,
    jaccard,
    mean_pixel_accuracy,
    one_against_rest_accuracy,
    pixel_accuracy,
    precision,
    recall,
    volume_difference,
)


def labels(*rows: str) -> np.ndarray:
    """One slice from its rows, written as digits."""
    return np.array([[[int(digit) for digit in row] for row in rows]], dtype=np.uint8)


TARGET = labels("0112", "0112", "0002")
PREDICTED = labels("0111", "0012", "0000")
# By hand: class 1 has 4 true pixels, 4 found, 3 shared; class 2 has 3 true, 1 found, 1 shared;
# class 0 has 5 true, 7 found, 5 shared; class 3 is nowhere.
BY_HAND = np.array([[[5, 0, 0, 0], [1, 3, 0, 0], [1, 1, 1, 0], [0, 0, 0, 0]]])


def test_confusion_has_truth_in_rows_and_prediction_in_columns():
    np.testing.assert_array_equal(confusion_matrices(PREDICTED, TARGET), BY_HAND)


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 5, 8), (4, 7, 2)], ids=str)
def test_confusion_equals_brute_force_count(shape):
    rng = np.random.default_rng(0)
    predicted, target = rng.integers(0, 4, (2, *shape), dtype=np.uint8)
    expected = np.zeros((shape[0], 4, 4), dtype=np.int64)
    for index in np.ndindex(shape):
        expected[index[0], target[index], predicted[index]] += 1
    np.testing.assert_array_equal(confusion_matrices(predicted, target), expected)


def test_dice_by_hand():
    np.testing.assert_array_equal(dice(BY_HAND), [[10 / 12, 6 / 8, 2 / 4, np.nan]])


def test_jaccard_by_hand():
    np.testing.assert_array_equal(jaccard(BY_HAND), [[5 / 7, 3 / 5, 1 / 3, np.nan]])


def test_precision_and_recall_by_hand():
    np.testing.assert_array_equal(precision(BY_HAND), [[5 / 7, 3 / 4, 1.0, np.nan]])
    np.testing.assert_array_equal(recall(BY_HAND), [[1.0, 3 / 4, 1 / 3, np.nan]])


def test_mean_pixel_accuracy_leaves_out_a_class_that_is_not_there():
    assert mean_pixel_accuracy(BY_HAND)[0] == pytest.approx((1 + 3 / 4 + 1 / 3) / 3, rel=1e-15)


def test_volume_difference_has_a_sign():
    np.testing.assert_array_equal(volume_difference(BY_HAND), [[2 / 5, 0.0, -2 / 3, np.nan]])


def test_pixel_accuracy_by_hand():
    np.testing.assert_array_equal(pixel_accuracy(BY_HAND), [9 / 12])


def test_one_against_rest_accuracy_by_hand():
    np.testing.assert_array_equal(
        one_against_rest_accuracy(BY_HAND), [[10 / 12, 10 / 12, 10 / 12, 1.0]]
    )


def test_volume_is_scored_by_the_sum_of_its_matrices():
    rng = np.random.default_rng(1)
    predicted, target = rng.integers(0, 4, (2, 3, 4, 5), dtype=np.uint8)
    volume = confusion_matrices(predicted, target).sum(axis=0)
    shared, sizes = (predicted == 2) & (target == 2), (predicted == 2).sum() + (target == 2).sum()
    assert dice(volume)[2] == 2 * shared.sum() / sizes
    assert pixel_accuracy(volume) == (predicted == target).mean()


def test_missed_and_invented_classes_score_zero():
    empty, full = np.zeros((1, 2, 3), np.uint8), np.ones((1, 2, 3), np.uint8)
    for predicted, target in [(empty, full), (full, empty)]:
        confusion = confusion_matrices(predicted, target)
        assert dice(confusion)[0, 1] == jaccard(confusion)[0, 1] == 0


def test_code_of_an_unknown_class_is_refused():
    with pytest.raises(ValueError, match="need class codes below 4, got 4"):
        confusion_matrices(labels("4"), labels("0"))


def test_array_types_refuse_different_shapes():
    with pytest.raises(TypeCheckError, match="kx"):
        confusion_matrices(labels("00"), labels("0"))


def test_different_shapes_are_refused_where_array_types_are_not_checked():
    with (
        unchecked(),
        pytest.raises(ValueError, match=r"need equal shapes, got \(1, 1, 2\) and \(1, 1, 1\)"),
    ):
        confusion_matrices(labels("00"), labels("0"))
