"""Noise, bias fields and contrast against what their definitions promise."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from corruption_volume import make_volume
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.polynomial import legendre

from spinforge.simulation.corruption.intensity import (
    BIAS_LOG_RANGE,
    INU_PERCENT,
    Gamma,
    NonUniformity,
    SplineBias,
)
from spinforge.simulation.corruption.noise import ComplexNoise, RicianNoise
from spinforge.simulation.corruption.volume import SamplePath, Volume
from spinforge.simulation.errors import SpinforgeError

PATH = SamplePath(3, ("test", "head-000"))
LEVELS = [1, 2, 3, 4, 5]


def applied(corruption, volume, path=PATH):
    drawn = corruption.draw(volume, path)
    return drawn.apply(volume.image), drawn


def flat(value, shape=(24, 160, 180)):
    """A uniform object: 691 200 samples a level."""
    everywhere = torch.ones(shape, dtype=torch.bool)
    return Volume(torch.full(shape, value), 0.8, everywhere, everywhere, (3.0, 1.0, 1.0))


@pytest.mark.parametrize(("level", "percent"), list(zip(LEVELS, (1, 3, 5, 7, 9), strict=True)))
def test_air_of_noisy_magnitudes_is_rayleigh(level, percent):
    """Mean sigma sqrt(pi/2), standard deviation sigma sqrt(2 - pi/2), within 0.5 %."""
    image, drawn = applied(RicianNoise(level=level), flat(0.0))
    sigma = percent / 100 * 0.8
    assert drawn.std == pytest.approx(sigma)
    assert float(image.mean()) == pytest.approx(sigma * math.sqrt(math.pi / 2), rel=5e-3)
    assert float(image.std()) == pytest.approx(sigma * math.sqrt(2 - math.pi / 2), rel=5e-3)


@pytest.mark.parametrize("level", LEVELS)
def test_second_moment_of_noisy_magnitudes_is_rician(level):
    image, drawn = applied(RicianNoise(level=level), flat(0.3))
    expected = 0.3**2 + 2 * drawn.std**2
    assert float(image.double().square().mean()) == pytest.approx(expected, rel=3e-3)


@pytest.mark.parametrize(("level", "percent"), list(zip(LEVELS, (5, 10, 15, 20, 30), strict=True)))
def test_complex_noise_has_the_percentage_on_each_channel(level, percent):
    volume = make_volume(complex_image=True, shape=(24, 160, 180))
    image, _ = applied(ComplexNoise(level=level), volume)
    noise = torch.view_as_real(image - volume.image).flatten(0, 2)
    for channel in (0, 1):
        assert float(noise[:, channel].std()) == pytest.approx(percent / 100 * 0.8, rel=5e-3)
    assert abs(float(noise.double().prod(1).mean())) < 5e-3 * (percent / 100 * 0.8) ** 2 * 2


def test_noise_of_a_slice_does_not_depend_on_the_others():
    volume = flat(0.5, shape=(4, 20, 24))
    noise = ComplexNoise(level=2).draw(volume, PATH)
    assert torch.equal(noise.apply(volume.image[:2]), noise.apply(volume.image)[:2])


def test_rician_noise_of_a_complex_image_is_rician_once_its_magnitude_is_taken():
    """Second moment of the magnitude: that of the clean image and 2 sigma^2."""
    volume = make_volume(complex_image=True, shape=(24, 160, 180))
    image, drawn = applied(RicianNoise(level=5), volume)
    assert image.is_complex()
    expected = volume.image.abs().double().square().mean() + 2 * drawn.std**2
    # Of 691 200 samples: 0.1 %.
    assert float(image.abs().double().square().mean()) == pytest.approx(float(expected), rel=3e-3)


@pytest.mark.parametrize("shape", ["drawn", "A", "B", "C"])
@pytest.mark.parametrize(("level", "percent"), list(zip(LEVELS, INU_PERCENT, strict=True)))
def test_inu_spans_its_percentage_over_the_brain(shape, level, percent):
    """[1 - L/200, 1 + L/200] over the brain, to single precision; positive everywhere."""
    volume = make_volume(complex_image=False)
    _, drawn = applied(NonUniformity(level=level, shape=shape), volume)
    inside = drawn.values[volume.brain]
    assert float(inside.min()) == pytest.approx(1 - percent / 200, abs=1e-6)
    assert float(inside.max()) == pytest.approx(1 + percent / 200, abs=1e-6)
    assert 0.2 <= float(drawn.values.min()) <= float(drawn.values.max()) <= 2.0


def test_inu_is_made_of_legendre_products_on_the_heads_bounding_box():
    """Recomputed at single voxels from the recorded coefficients, by NumPy's own series."""
    volume = make_volume(complex_image=False)
    _, drawn = applied(NonUniformity(level=3), volume)
    degrees = [
        (p, q, r) for p in range(4) for q in range(4) for r in range(4) if 1 <= p + q + r <= 3
    ]
    assert len(drawn.coefficients) == len(degrees) == 19

    inside = volume.head.nonzero()
    low, high = inside.min(0).values, inside.max(0).values

    def series(voxel):
        position = (2 * voxel.double() - low - high) / (high - low)
        return sum(
            c
            * math.prod(
                legendre.Legendre.basis(d)(float(t)) for d, t in zip(ds, position, strict=True)
            )
            for c, ds in zip(drawn.coefficients, degrees, strict=True)
        )

    brain = volume.brain.nonzero()
    voxels = brain[:: len(brain) // 40]
    expected = np.array([series(voxel) for voxel in voxels])
    found = np.array([float(drawn.values[tuple(voxel)]) for voxel in voxels])
    slope, offset = np.polyfit(expected, found, 1)
    np.testing.assert_allclose(slope * expected + offset, found, rtol=0, atol=1e-6)


def test_inu_shapes_are_the_same_for_every_subject_and_seed():
    volume = make_volume(complex_image=False)
    for shape in ("A", "B", "C"):
        first, second = (
            NonUniformity(level=2, shape=shape).draw(volume, path).values
            for path in (PATH, SamplePath(9, ("other",)))
        )
        assert torch.equal(first, second)
    a, b = (NonUniformity(level=2, shape=s).draw(volume, PATH).values for s in "AB")
    assert not torch.allclose(a, b)


def test_inu_is_linear_in_its_percentage():
    """40 % is twice the deviation of 20 % from the middle of the range."""
    volume = make_volume(complex_image=False)
    weak, strong = (
        NonUniformity(level=level, shape="A").draw(volume, PATH).values for level in (2, 3)
    )
    torch.testing.assert_close(
        2 * (weak - 1)[volume.brain], (strong - 1)[volume.brain], rtol=0, atol=1e-6
    )


def test_inu_of_unit_mean_keeps_the_brains_mean():
    volume = make_volume(complex_image=False)
    drawn = NonUniformity(level=4, unit_mean=True).draw(volume, PATH)
    assert float(drawn.values[volume.brain].mean()) == pytest.approx(1, abs=1e-6)
    ratio = float(drawn.values[volume.brain].max() / drawn.values[volume.brain].min())
    assert ratio == pytest.approx(1.3 / 0.7, rel=1e-5)


def test_inu_without_a_brain_is_refused():
    volume = make_volume(complex_image=False)
    nothing = torch.zeros_like(volume.brain)
    with pytest.raises(SpinforgeError, match="needs a brain"):
        NonUniformity(level=3).draw(replace(volume, brain=nothing), PATH)


@pytest.mark.parametrize(("level", "log_range"), list(zip(LEVELS, BIAS_LOG_RANGE, strict=True)))
def test_spline_bias_has_its_range_and_can_be_undone(level, log_range):
    volume = make_volume(complex_image=False)
    image, drawn = applied(SplineBias(level=level), volume)
    assert float(drawn.values.abs().max()) == pytest.approx(log_range, rel=1e-6)
    restored = image * (-drawn.values).exp()
    torch.testing.assert_close(restored, volume.image, rtol=1e-6, atol=0)


def test_spline_bias_lies_in_the_space_of_cubic_splines():
    """N4's space with one mesh element: along each axis a cubic polynomial, so the fourth
    difference vanishes; control points lie a field of view apart, more than 40 mm."""
    volume = make_volume(complex_image=False, shape=(12, 60, 72))
    field = SplineBias(level=5).draw(volume, PATH).values.double()
    for axis in range(3):
        assert float(field.diff(n=4, dim=axis).abs().max()) < 1e-5
        assert float(field.diff(n=3, dim=axis).abs().max()) > 0


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from(LEVELS))
def test_fields_are_positive_and_finite_for_every_seed(seed, level):
    volume = make_volume(complex_image=False, shape=(4, 20, 24))
    for corruption in (NonUniformity(level=level), SplineBias(level=level)):
        drawn = corruption.draw(volume, SamplePath(seed, ("x",)))
        factor = drawn.apply(torch.ones_like(volume.image))
        assert torch.isfinite(factor).all()
        assert float(factor.min()) > 0


@pytest.mark.parametrize(
    ("level", "change"), list(zip(LEVELS, (0.1, 0.2, 0.3, 0.45, 0.6), strict=True))
)
def test_gamma_keeps_the_white_point_and_bends_the_rest(level, change):
    volume = make_volume(complex_image=False)
    image, drawn = applied(Gamma(level=level), volume)
    assert abs(math.log(drawn.exponent)) == pytest.approx(change)
    white = torch.tensor(drawn.white)[:, None, None]
    expected = (volume.image / white) ** drawn.exponent * white
    torch.testing.assert_close(image, expected)
    slice_ = volume.image[3]
    at_white = slice_ == torch.tensor(drawn.white[3])
    assert at_white.any()
    torch.testing.assert_close(image[3][at_white], slice_[at_white])


def test_gamma_keeps_the_phase():
    volume = make_volume(complex_image=True)
    image, _ = applied(Gamma(level=3), volume)
    turn = (image * volume.image.conj())[volume.head].angle()
    assert float(turn.abs().max()) < 1e-6


@pytest.mark.parametrize("level", LEVELS)
def test_gamma_of_an_almost_empty_slice_has_bounds(level):
    """Its 99th percentile is air; a power of what is so much brighter would be infinite."""
    volume = make_volume(complex_image=False)
    few = torch.zeros_like(volume.image)
    few[0, 3, 4] = volume.image.max()
    image, drawn = applied(Gamma(level=level), replace(volume, image=few))
    torch.testing.assert_close(image, few)  # all there is is white, and stays so
    assert drawn.white[0] == float(volume.image.max())
