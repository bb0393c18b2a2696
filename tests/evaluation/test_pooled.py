"""Scores of all pixels together, on planted pixels."""

import numpy as np
import pytest

from spinforge.evaluation.pooled import Pooled, mean_class_dice, read_pooled, write_pooled
from spinforge.simulation.errors import SpinforgeError

# True background 70 (60 found), true tissue 30 (25 found).
CONFUSION = np.array([[60, 10], [5, 25]])


def test_dice_is_the_mean_of_all_classes_with_the_background():
    assert mean_class_dice(CONFUSION) == pytest.approx((120 / 135 + 50 / 65) / 2)


def test_the_most_frequent_class_alone_has_half_a_dice_of_two_classes():
    pooled = Pooled.of(CONFUSION)
    assert pooled.majority_dice == pytest.approx((140 / 170 + 0) / 2)
    assert (pooled.accuracy, pooled.majority_accuracy) == (0.85, 0.7)
    assert pooled.beats_majority


def test_a_network_that_finds_background_only_is_no_better():
    assert not Pooled.of(np.array([[70, 0], [30, 0]])).beats_majority


def test_guessing_is_no_better():
    """Labels drawn at random as often as they occur: .7 x .7 background found, and so on."""
    guessed = Pooled.of(np.array([[49, 21], [21, 9]]))
    assert guessed.dice > guessed.majority_dice
    assert guessed.accuracy < guessed.majority_accuracy
    assert not guessed.beats_majority


def test_a_class_in_neither_map_does_not_count():
    with_empty = np.pad(CONFUSION, (0, 1))
    assert mean_class_dice(with_empty) == mean_class_dice(CONFUSION)


def test_scores_survive_their_file_and_a_damaged_one_is_named(tmp_path):
    pooled = Pooled.of(CONFUSION)
    write_pooled(pooled, tmp_path)
    assert read_pooled(tmp_path) == pooled
    (tmp_path / "pooled.json").write_text("{")
    with pytest.raises(SpinforgeError, match=r"(?s)pooled\.json cannot be read.* run: spinforge"):
        read_pooled(tmp_path)
