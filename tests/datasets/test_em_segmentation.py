"""The mixture of Gaussians: what it finds again, and what no fit may do."""

import numpy as np
import pytest

from spinforge.datasets.em_segmentation import em_labels, fit_mixture
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.rng import SampleRng

MEANS = np.array([[1.0, 9.0], [4.0, 5.0], [6.0, 3.0]])
WEIGHTS = np.array([0.2, 0.5, 0.3])
COVARIANCE = np.array([[0.5, 0.2], [0.2, 0.8]])


@pytest.fixture(scope="module")
def sample() -> tuple[np.ndarray, np.ndarray]:
    """Voxels of a known mixture, and their classes."""
    rng = SampleRng(0, "mixture")
    classes = np.searchsorted(np.cumsum(WEIGHTS), rng.uniforms(20_000))
    noise = rng.normals(20_000, 2) @ np.linalg.cholesky(COVARIANCE).T
    return MEANS[classes] + noise, classes


def test_finds_the_mixture_it_was_given(sample):
    values, _ = sample
    found = fit_mixture(values)
    # Five standard errors of a mean of 4000 voxels; overlap widens them by less than a half.
    np.testing.assert_allclose(found.means, MEANS, atol=5 * 1.5 * 0.9 / np.sqrt(4000))
    np.testing.assert_allclose(found.weights, WEIGHTS, atol=5 * 0.5 / np.sqrt(20_000))
    # A variance of n voxels has a relative standard error of sqrt(2 / n), here 1 %.
    np.testing.assert_allclose(found.covariance, COVARIANCE, atol=0.05)


def test_labels_are_those_of_the_best_rule_there_is(sample):
    values, classes = sample
    inverse = np.linalg.inv(COVARIANCE)
    centred = values[None] - MEANS[:, None]
    score = np.log(WEIGHTS)[:, None] - 0.5 * np.einsum("kni,ij,knj->kn", centred, inverse, centred)
    best = (score.argmax(0) == classes).mean()
    mine = (fit_mixture(values).log_joint(values).argmax(0) == classes).mean()
    assert best > 0.9  # a fair task
    assert abs(mine - best) < 0.005


def test_likelihood_never_falls(sample):
    found = fit_mixture(sample[0][::10], most_steps=60).log_likelihood
    assert len(found) > 5
    # The ridge is not part of the model, so a step may lose as much as it: 1e-6 of the variance.
    assert (np.diff(found) > -1e-6).all()


def test_log_joint_is_the_logarithm_of_the_density():
    values = np.array([[1.0, 9.0], [5.0, 4.0], [2.0, 2.0]])
    mixture = fit_mixture(np.repeat(MEANS, 20, 0) + SampleRng(1, "x").normals(60, 2))
    joint = mixture.log_joint(values)
    root = 2 * np.pi * np.sqrt(np.linalg.det(mixture.covariance))
    for k in range(3):
        for n in range(3):
            away = values[n] - mixture.means[k]
            exponent = away @ np.linalg.inv(mixture.covariance) @ away
            expected = np.log(mixture.weights[k] / root) - exponent / 2
            assert joint[k, n] == pytest.approx(expected, rel=1e-9)


def test_outside_the_brain_is_background(sample):
    values, classes = sample
    images = values[:16_000].T.reshape(2, 20, 20, 40).astype(np.float32)
    brain = np.zeros((20, 20, 40), dtype=bool)
    brain[4:16] = True
    labels = em_labels(images, brain)
    assert (labels[~brain] == 0).all()
    assert (labels[brain] == 1 + classes[:16_000].reshape(20, 20, 40)[brain]).mean() > 0.9


@pytest.mark.parametrize("values", [np.zeros((0, 2)), np.ones((100, 2))], ids=["none", "constant"])
def test_nothing_to_tell_apart_is_refused(values):
    with pytest.raises(SpinforgeError, match="check the brain mask"):
        fit_mixture(values)
