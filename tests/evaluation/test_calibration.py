"""Calibration against hand-computed cases and torchmetrics."""

import math

import numpy as np
import pytest
import torch
from torchmetrics.functional.classification import multiclass_calibration_error

from spinforge.evaluation.calibration import (
    BINS,
    reliability,
    reliability_of_class,
    reliability_of_labels,
)


def test_error_by_hand():
    confidence = np.array([0.55, 0.55, 0.95, 0.95, 0.95, 0.95])
    right = np.array([True, True, True, True, True, False])
    counted = reliability(confidence, right, bins=10)
    # Two pixels are right at 0.55: 0.45 too modest; four at 0.95, of which 3/4: 0.20 too sure.
    assert counted.expected_error() == pytest.approx((2 * 0.45 + 4 * 0.20) / 6, rel=1e-14)
    assert counted.largest_error() == pytest.approx(0.45, rel=1e-14)


def test_the_upper_end_belongs_to_a_bin():
    counted = reliability(np.array([0.0, 0.5, 0.51, 1.0]), np.ones(4, dtype=bool), bins=2)
    assert counted.pixels.tolist() == [2, 2]


def test_slices_add_up_to_a_volume():
    rng = np.random.default_rng(0)
    confidence, right = rng.random((3, 5, 7)), rng.random((3, 5, 7)) < 0.5
    whole = reliability(confidence, right)
    first, second, third = (reliability(c, r) for c, r in zip(confidence, right, strict=True))
    assert (first + second + third).expected_error() == pytest.approx(
        whole.expected_error(), rel=1e-12
    )


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 4.0])
def test_labels_agree_with_torchmetrics(sharpness):
    rng = np.random.default_rng(1)
    logits = rng.standard_normal((4, 60, 50)) * sharpness
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=0)
    target = rng.integers(0, 4, (60, 50))
    found = reliability_of_labels(probabilities, target)
    for norm, value in (("l1", found.expected_error()), ("max", found.largest_error())):
        expected = multiclass_calibration_error(
            torch.from_numpy(probabilities.reshape(4, -1).T),
            torch.from_numpy(target.ravel()),
            num_classes=4,
            n_bins=BINS,
            norm=norm,
        )
        # torchmetrics sums in float32.
        assert value == pytest.approx(float(expected), abs=1e-5)


def test_pixels_that_do_not_count_change_nothing():
    rng = np.random.default_rng(2)
    first = rng.random((8, 9))
    probabilities, target = np.stack([first, 1 - first]), rng.integers(0, 2, (8, 9))
    scored = np.ones((8, 9), dtype=bool)
    scored[:, -2:] = False
    inside = reliability_of_labels(probabilities[:, :, :-2], target[:, :-2])
    masked = reliability_of_labels(probabilities, target, scored=scored)
    assert masked.expected_error() == inside.expected_error()


def test_a_class_that_is_as_frequent_as_it_is_probable_is_calibrated():
    probabilities = np.stack([np.full((4, 25), 0.75), np.full((4, 25), 0.25)])
    target = np.zeros((4, 25), dtype=np.uint8)
    target[0] = 1
    assert reliability_of_class(probabilities, target, code=1).expected_error() == 0.0


def test_nothing_is_undefined():
    nothing = reliability(np.zeros(0), np.zeros(0, dtype=bool))
    assert math.isnan(nothing.expected_error())
    assert math.isnan(nothing.largest_error())


@pytest.mark.parametrize("value", [-0.1, 1.1, math.nan])
def test_what_is_no_probability_is_refused(value):
    with pytest.raises(ValueError, match="need probabilities between 0 and 1"):
        reliability(np.array([0.5, value]), np.ones(2, dtype=bool))
