"""Image metrics by hand, and their properties."""

import math

import numpy as np
import pytest

from spinforge.evaluation.image_quality import nrmse, psnr, score_images, ssim


def pair(shape=(24, 31)):
    rng = np.random.default_rng(0)
    reference = rng.random(shape)
    return reference + 0.1 * rng.standard_normal(shape), reference


def test_nrmse_by_hand():
    reference = np.array([[3.0, 4.0]])
    assert nrmse(np.array([[3.0, 1.0]]), reference) == 3 / 5
    assert nrmse(np.zeros((1, 2)), reference) == 1.0
    assert nrmse(reference, reference) == 0.0


def test_psnr_by_hand():
    reference = np.zeros((2, 2))
    # RMSE 0.1 of a peak of 1: 20 dB; of a peak of 10: 40 dB.
    image = np.full((2, 2), 0.1)
    assert psnr(image, reference, peak=1.0) == pytest.approx(20.0, rel=1e-12)
    assert psnr(image, reference, peak=10.0) == pytest.approx(40.0, rel=1e-12)
    assert psnr(reference, reference, peak=1.0) == math.inf


def test_ssim_of_one_window_by_hand():
    """Of a single window it is the formula of Wang et al. with sample covariances."""
    image, reference = pair((7, 7))
    x, y = image.ravel(), reference.ravel()
    covariance = np.cov(x, y)
    one, two = (0.01 * 1.5) ** 2, (0.03 * 1.5) ** 2
    means = (2 * x.mean() * y.mean() + one) / (x.mean() ** 2 + y.mean() ** 2 + one)
    spreads = (2 * covariance[0, 1] + two) / (covariance[0, 0] + covariance[1, 1] + two)
    assert ssim(image, reference, peak=1.5) == pytest.approx(means * spreads, rel=1e-10)


def test_equal_images_have_ssim_one():
    _, reference = pair()
    assert ssim(reference, reference, peak=1.0) == pytest.approx(1.0, abs=1e-12)


def test_scores_stand_in_the_columns_of_the_table():
    image, reference = (np.stack([one] * 2) for one in pair())
    reference[1] *= 0.1  # a dark slice: the peak is the volume's
    image[1] *= 0.1
    scores = score_images(image, reference, subject="04", network="unet", slices=[3, 8])
    values = scores.set_index(["slice", "metric"])["value"]
    assert set(scores["tissue"]) == {"all"}
    assert values[3, "nrmse"] == pytest.approx(values[8, "nrmse"], rel=1e-12)
    assert values[8, "psnr_db"] == pytest.approx(values[3, "psnr_db"] + 20, rel=1e-12)


def test_a_reference_without_signal_is_undefined():
    image, reference = (one[None].copy() for one in pair())
    reference[:] = 0
    scores = score_images(image, reference, subject="04", network="unet", slices=[0])
    assert scores["value"].isna().all()


def test_images_smaller_than_the_window_are_refused():
    with pytest.raises(ValueError, match="need images of 7 pixels a side or more"):
        ssim(np.ones((6, 9)), np.ones((6, 9)), peak=1.0)


@pytest.mark.parametrize("peak", [0.0, -1.0, math.nan, math.inf])
def test_impossible_peak_is_refused(peak):
    with pytest.raises(ValueError, match="need a positive, finite peak"):
        psnr(np.ones((9, 9)), np.ones((9, 9)), peak=peak)
