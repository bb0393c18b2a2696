import math

import pytest
import torch

from spinforge.simulation.coils import birdcage_maps, draw_receive_profile, receive_profile
from spinforge.simulation.fourier import kspace_to_image
from spinforge.simulation.noise import draw_noise
from spinforge.simulation.reconstruction import combine_coils
from spinforge.simulation.rng import SampleRng


@pytest.mark.parametrize("n_coils", [2, 8, 13])
def test_birdcage_has_unit_root_sum_of_squares(n_coils):
    maps = birdcage_maps(n_coils, (45, 54))
    assert maps.shape == (1, n_coils, 45, 54)
    power = maps.abs().square().sum(1)
    torch.testing.assert_close(power, torch.ones_like(power), rtol=0, atol=1e-6)


def test_noise_of_the_optimal_combination_is_that_of_a_coil():
    """Where sum |C|^2 = 1: 20 slices of 180 x 216 make a standard error of 0.08 %."""
    maps = birdcage_maps(8, (180, 216))
    noise = torch.stack([draw_noise(SampleRng(n, "n"), (8, 180, 216), 0.3) for n in range(20)])
    image = combine_coils(kspace_to_image(noise), maps)
    assert float(image.real.std()) == pytest.approx(0.3, rel=0.01)
    assert float(image.imag.std()) == pytest.approx(0.3, rel=0.01)


@pytest.mark.parametrize("n_coils", [4, 8])
def test_n_identical_coils_gain_the_root_of_n_in_snr(n_coils):
    maps = torch.ones(1, n_coils, 90, 108, dtype=torch.complex64)
    noise = torch.stack([draw_noise(SampleRng(n, "g"), (n_coils, 90, 108), 1.0) for n in range(8)])
    image = combine_coils(1 + kspace_to_image(noise), maps)
    snr = float(image.real.mean() / image.real.std())
    assert snr == pytest.approx(math.sqrt(n_coils), rel=0.02)


@pytest.mark.parametrize("correlation", [0.0, 0.4])
def test_noise_of_the_coils_is_correlated_as_asked(correlation):
    noise = draw_noise(SampleRng(0, "c"), (4, 180, 216), 1.0, coil_correlation=correlation)
    flat = noise.flatten(1)
    covariance = (flat @ flat.mH / flat.shape[1] / 2).real
    expected = torch.full((4, 4), correlation)
    expected.fill_diagonal_(1.0)
    # 38880 samples: five standard errors are 2.5 %.
    torch.testing.assert_close(covariance, expected, rtol=0, atol=0.025)


def test_receive_profile_spans_its_range_smoothly():
    coefficients = draw_receive_profile(SampleRng(0, "r"))
    profile = receive_profile(coefficients, (20, 45, 54), 20.0)
    assert profile.shape == (20, 1, 45, 54)
    assert float(profile.real.max()) == pytest.approx(1.1, abs=1e-6)
    assert float(profile.real.min()) == pytest.approx(0.9, abs=1e-6)
    assert profile.imag.abs().max() == 0
    # Quadratics over the field of view: a step between voxels is at most a tenth of the range.
    assert profile.real.diff(dim=-1).abs().max() < 0.02


@pytest.mark.parametrize(
    ("snr", "bias"), [(1, 0.549), (2, 0.272), (3, 0.173), (5, 0.101), (10, 0.050)]
)
def test_magnitude_is_rician(snr, bias):
    """Bias over sigma from the Rice distribution's mean, its second moment from theory."""
    sigma = 0.1
    noise = torch.stack([draw_noise(SampleRng(n, "rice"), (1, 180, 216), sigma) for n in range(30)])
    magnitude = (snr * sigma + kspace_to_image(noise)).abs()
    assert float(magnitude.mean() / sigma - snr) == pytest.approx(bias, abs=0.005)
    second = (snr * sigma) ** 2 + 2 * sigma**2
    assert float(magnitude.double().square().mean()) == pytest.approx(second, rel=0.003)
