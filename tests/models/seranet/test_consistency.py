"""Data consistency against its equation, and the laws that make it worth its name."""

import itertools

import numpy as np
import pytest
import torch
from measured import complex_normal, line_mask, measure, random_measurement

from spinforge.models.seranet.consistency import (
    complex_image,
    data_consistency,
    zero_filled_channels,
)
from spinforge.models.seranet.measurement import Measurement, require_usable
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.fourier import image_to_kspace
from spinforge.simulation.reconstruction import real_channels

SIZES = [(17, 20), (16, 16), (21, 13)]
COILS = [1, 3]

sizes = pytest.mark.parametrize("size", SIZES, ids=str)
coils = pytest.mark.parametrize("n_coils", COILS, ids="{}-coil".format)

# Four FFTs of some 300 numbers near 1, products and quotients of coils: 1e-12 is a hundred times
# what float64 loses there.
CLOSE = {"rtol": 0.0, "atol": 1e-12}


def kspace_of(channels):
    return image_to_kspace(complex_image(channels))[:, None]


def numpy_fft(image):
    return np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(image), norm="ortho"))


def numpy_ifft(kspace):
    return np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(kspace), norm="ortho"))


@sizes
@coils
def test_equation_slice_by_slice_and_coil_by_coil(size, n_coils):
    measurement = random_measurement(2, n_coils, size)
    estimate = complex_normal(2, *size, seed=5)
    result = complex_image(data_consistency(real_channels(estimate), measurement, trust=0.7))
    for number in range(2):
        kspace, mask = measurement.kspace[number].numpy(), measurement.mask[number].numpy()
        sensitivities = np.ones((1, *size))
        if n_coils > 1:
            sensitivities = measurement.sensitivities[number].numpy()
        combined, energy = np.zeros(size, complex), np.zeros(size)
        for coil, sensitivity in enumerate(sensitivities):
            filled = numpy_fft(sensitivity * estimate[number].numpy())
            filled[mask] = 0.3 * filled[mask] + 0.7 * kspace[coil][mask]
            combined += sensitivity.conj() * numpy_ifft(filled)
            energy += abs(sensitivity) ** 2
        # Coil noise is divided by the coils' energy, in a few pixels as small as 1e-2.
        np.testing.assert_allclose(result[number], combined / energy, rtol=1e-11, atol=1e-12)


@sizes
def test_one_coil_keeps_what_was_measured_and_nothing_else(size):
    measurement = random_measurement(2, 1, size)
    estimate = real_channels(complex_normal(2, *size, seed=5))
    before, after = kspace_of(estimate), kspace_of(data_consistency(estimate, measurement))
    acquired = measurement.mask[:, None, :, None].expand_as(after)
    torch.testing.assert_close(after[acquired], measurement.kspace[acquired], **CLOSE)
    torch.testing.assert_close(after[~acquired], before[~acquired], **CLOSE)


@sizes
@coils
@pytest.mark.parametrize("trust", [0.3, 1.0])
def test_true_image_is_a_fixed_point(size, n_coils, trust):
    image = complex_normal(2, *size, seed=3)
    sensitivities = complex_normal(2, n_coils, *size, seed=4) if n_coils > 1 else None
    measurement = measure(image, line_mask(2, size[0]), sensitivities)
    truth = real_channels(image)
    torch.testing.assert_close(data_consistency(truth, measurement, trust=trust), truth, **CLOSE)


@coils
def test_all_lines_leave_nothing_of_the_estimate(n_coils):
    measurement = random_measurement(2, n_coils).with_every_line()
    estimate = real_channels(complex_normal(2, 17, 20, seed=5))
    expected = zero_filled_channels(measurement)
    torch.testing.assert_close(data_consistency(estimate, measurement), expected, **CLOSE)


def test_several_coils_bring_any_estimate_closer_to_the_truth():
    """Two projections between coil images: no coil image comes further from the true one."""
    image, sensitivities = complex_normal(1, 17, 20, seed=3), complex_normal(1, 4, 17, 20, seed=4)
    measurement = measure(image, line_mask(1, 17), sensitivities)
    estimate = real_channels(complex_normal(1, 17, 20, seed=5))

    def distance(channels):
        return (sensitivities * (complex_image(channels) - image)[:, None]).norm().item()

    distances = [distance(estimate)]
    for _ in range(300):
        estimate = data_consistency(estimate, measurement)
        distances.append(distance(estimate))
    assert all(later < earlier for earlier, later in itertools.pairwise(distances))
    # Four coils see more than 2.5 times too few lines: the truth is the only fixed point.
    assert distances[-1] < 1e-3 * distances[0]


def test_equal_coils_act_as_one():
    one = random_measurement(2, 1)
    two = Measurement(one.kspace.repeat(1, 2, 1, 1), one.mask, torch.ones_like(one.kspace))
    two = two._replace(sensitivities=two.sensitivities.repeat(1, 2, 1, 1))
    estimate = real_channels(complex_normal(2, 17, 20, seed=5))
    expected = data_consistency(estimate, one)
    torch.testing.assert_close(data_consistency(estimate, two), expected, **CLOSE)


def test_sensitivity_of_a_single_coil_is_not_used():
    measurement = random_measurement(2, 1)
    shaded = measurement._replace(sensitivities=complex_normal(1, 1, 17, 20, seed=6))
    estimate = real_channels(complex_normal(2, 17, 20, seed=5))
    expected = data_consistency(estimate, measurement)
    assert torch.equal(data_consistency(estimate, shaded), expected)
    assert torch.equal(zero_filled_channels(shaded), zero_filled_channels(measurement))


@coils
def test_lines_that_were_not_acquired_are_never_seen(n_coils):
    measurement = random_measurement(2, n_coils)
    masked = measurement._replace(kspace=measurement.kspace * measurement.mask[:, None, :, None])
    estimate = real_channels(complex_normal(2, 17, 20, seed=5))
    expected = data_consistency(estimate, masked)
    assert torch.equal(data_consistency(estimate, measurement), expected)
    assert torch.equal(zero_filled_channels(measurement), zero_filled_channels(masked))


@coils
@pytest.mark.parametrize("trust", [1.0, 0.5])
def test_lines_that_were_not_acquired_may_hold_no_numbers(n_coils, trust):
    measurement = random_measurement(2, n_coils)
    acquired = measurement.mask[:, None, :, None]
    masked = measurement._replace(kspace=torch.where(acquired, measurement.kspace, 0))
    empty = measurement._replace(kspace=torch.where(acquired, measurement.kspace, torch.nan))
    assert torch.equal(zero_filled_channels(empty), zero_filled_channels(masked))

    def image_and_gradient(given):
        estimate = real_channels(complex_normal(2, 17, 20, seed=5)).requires_grad_()
        image = data_consistency(estimate, given, trust=trust)
        return image, torch.autograd.grad(image.square().sum(), estimate)[0]

    pairs = zip(image_and_gradient(empty), image_and_gradient(masked), strict=True)
    assert all(torch.equal(found, expected) for found, expected in pairs)


def test_where_no_coil_is_sensitive_there_is_nothing_and_a_finite_gradient():
    measurement = random_measurement(1, 2)
    measurement.sensitivities[..., :4] = 0
    estimate = real_channels(complex_normal(1, 17, 20, seed=5)).requires_grad_()
    result = data_consistency(estimate, measurement)
    result.square().sum().backward()
    assert not result[..., :4].any()
    assert estimate.grad.isfinite().all()


@pytest.mark.parametrize("level", [0.1, 1.0, 9.0])
def test_trust_is_the_noise_level_of_the_first_cascade(level):
    """Its layer keeps (F x + v y) / (1 + v) where y was measured."""
    measurement = random_measurement(2, 1)
    estimate = real_channels(complex_normal(2, 17, 20, seed=5))
    before = kspace_of(estimate)
    after = kspace_of(data_consistency(estimate, measurement, trust=level / (1 + level)))
    acquired = measurement.mask[:, None, :, None].expand_as(after)
    expected = (before + level * measurement.kspace) / (1 + level)
    torch.testing.assert_close(after[acquired], expected[acquired], **CLOSE)


def test_half_precision_is_raised_to_single():
    measurement = random_measurement(2, 1, dtype=torch.complex64)
    estimate = torch.ones(2, 2, 17, 20, dtype=torch.bfloat16)
    result = data_consistency(estimate, measurement)
    assert result.dtype == torch.float32
    assert torch.equal(result, data_consistency(estimate.float(), measurement))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kspace": torch.zeros(2, 17, 20, dtype=torch.complex64)}, "four axes"),
        ({"mask": torch.ones(17, dtype=torch.bool)}, r"mask of shape \(17,\).*\(2, 17\)"),
        ({"mask": torch.ones(2, 20, dtype=torch.bool)}, r"mask of shape \(2, 20\)"),
        ({"mask": torch.ones(2, 17)}, "its mask bool, not torch.complex128 and torch.float32"),
        ({"kspace": torch.zeros(2, 3, 17, 20)}, "must be complex .* not torch.float32"),
        ({"sensitivities": None}, "3 coils; give their sensitivities"),
        ({"sensitivities": torch.ones(2, 1, 17, 20)}, r"sensitivities of shape \(2, 1, 17, 20\)"),
    ],
)
def test_parts_that_do_not_fit_are_refused(change, message):
    with pytest.raises(SpinforgeError, match=message):
        require_usable(random_measurement(2, 3)._replace(**change))


def test_one_set_of_sensitivities_serves_all_slices():
    measurement = random_measurement(2, 3)
    shared = measurement._replace(sensitivities=measurement.sensitivities[:1])
    repeated = measurement._replace(sensitivities=measurement.sensitivities[[0, 0]])
    require_usable(shared)
    estimate = real_channels(complex_normal(2, 17, 20, seed=5))
    expected = data_consistency(estimate, repeated)
    torch.testing.assert_close(data_consistency(estimate, shared), expected, **CLOSE)
