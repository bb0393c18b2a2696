import math

import numpy as np
import pytest
import torch
from laws import assert_adjoint

from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.fourier import image_to_kspace
from spinforge.simulation.trajectories import (
    GOLDEN_ANGLE,
    Radial,
    Spiral,
    image_to_samples,
    radial_trajectory,
    samples_to_image,
    spiral_trajectory,
)

SHAPES = pytest.mark.parametrize("shape", [(36, 45), (33, 20)], ids=str)
TRAJECTORIES = pytest.mark.parametrize(
    "trajectory",
    [
        lambda shape: radial_trajectory(Radial(spokes=13), shape),
        lambda shape: spiral_trajectory(Spiral(interleaves=5), shape),
    ],
    ids=["radial", "spiral"],
)

# Kaiser-Bessel gridding with twice the grid and a width of 6: 6.5e-6 measured on random data.
NUFFT_ERROR = 2e-5


def random_complex(*shape, dtype=torch.complex128):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(0))


def relative_error(value, reference):
    return ((value - reference).norm() / reference.norm()).item()


def cartesian(shape):
    ky, kx = (torch.arange(n, dtype=torch.float64) - n // 2 for n in shape)
    return torch.stack(torch.meshgrid(ky, kx, indexing="ij"), dim=-1)


@SHAPES
def test_on_the_cartesian_grid_it_is_our_fft(shape):
    image = random_complex(2, 3, *shape)
    samples = image_to_samples(image, cartesian(shape))
    assert samples.shape == image.shape
    assert relative_error(samples, image_to_kspace(image)) < NUFFT_ERROR


@SHAPES
@TRAJECTORIES
def test_between_the_grid_it_is_the_fourier_sum(shape, trajectory):
    image, points = random_complex(*shape), trajectory(shape)
    ky, kx = (
        torch.exp(-2j * torch.pi * points[..., axis, None] * (torch.arange(n) - n // 2) / n)
        for axis, n in enumerate(shape)
    )
    exact = torch.einsum("spy,yx,spx->sp", ky, image, kx) / math.sqrt(image.numel())
    assert relative_error(image_to_samples(image, points), exact) < NUFFT_ERROR


@SHAPES
@TRAJECTORIES
def test_nufft_pair_is_adjoint(shape, trajectory):
    points = trajectory(shape)
    assert_adjoint(
        lambda image: image_to_samples(image, points),
        lambda samples: samples_to_image(samples, points, shape),
        random_complex(2, *shape),
        random_complex(2, *points.shape[:-1]),
        rtol=1e-12,
    )


def test_single_precision_stays_single():
    points = radial_trajectory(Radial(spokes=3), (20, 20))
    samples = image_to_samples(random_complex(20, 20, dtype=torch.complex64), points)
    assert samples.dtype == torch.complex64
    assert samples_to_image(samples, points, (20, 20)).dtype == torch.complex64


@pytest.mark.parametrize("spokes", [1, 8, 21])
def test_spokes_are_exactly_as_many_as_asked(spokes):
    points = radial_trajectory(Radial(spokes=spokes, readout_oversampling=3), (30, 24))
    assert points.shape == (spokes, 90, 2)
    torch.testing.assert_close(points[:, 45], torch.zeros(spokes, 2, dtype=torch.float64))


def test_first_spoke_runs_along_kx_and_the_next_is_turned_by_111_degrees():
    first, second = radial_trajectory(Radial(spokes=2), (40, 40))
    torch.testing.assert_close(first[:, 1], torch.arange(-20, 20, 0.5, dtype=torch.float64))
    assert first[:, 0].abs().max() == 0
    turned = math.degrees(math.atan2(second[-1, 0], second[-1, 1]))
    assert turned == pytest.approx(111.246, abs=1e-3)


@pytest.mark.parametrize("spokes", [5, 8, 13, 21, 34])
def test_fibonacci_numbers_of_golden_spokes_have_gaps_of_two_sizes(spokes):
    """Three-distance theorem: n golden angles make two gaps if n is a Fibonacci number."""
    angles = np.sort(GOLDEN_ANGLE * np.arange(spokes) % math.pi)
    gaps = np.diff(angles, append=angles[0] + math.pi)
    golden = (1 + math.sqrt(5)) / 2
    assert gaps.max() / gaps.min() == pytest.approx(golden, rel=1e-6)
    assert len(set(gaps.round(9))) == 2


@pytest.mark.parametrize("acceleration", [1, 2.5])
def test_turns_of_a_spiral_are_the_asked_distance_apart(acceleration):
    sampling = Spiral(interleaves=6, acceleration=acceleration)
    points = spiral_trajectory(sampling, (64, 64)).numpy()
    assert len(points) == 6
    radius = np.hypot(points[..., 0], points[..., 1])
    angle = np.unwrap(np.arctan2(points[0, 2:, 0], points[0, 2:, 1]))
    pitch = np.polyfit(angle, radius[0, 2:], 1)[0]
    # One arm gains `interleaves * acceleration` a turn; the six share it evenly.
    assert 2 * np.pi * pitch / 6 == pytest.approx(acceleration, rel=1e-6)


def test_spirals_start_at_the_centre_reach_the_edge_and_leave_no_gap_on_the_way():
    points = spiral_trajectory(Spiral(interleaves=4), (64, 48)).numpy()
    physical = points / np.array([64, 48]) * 64
    radius = np.hypot(physical[..., 0], physical[..., 1])
    np.testing.assert_allclose(radius[:, 0], 0, atol=1e-12)
    np.testing.assert_allclose(radius[:, -1], 32, rtol=1e-12)
    steps = np.hypot(*np.diff(physical, axis=1).transpose(2, 0, 1))
    # A chord is at most its arc, of one grid step or a little less to make a whole number.
    assert steps.max() <= 1 + 1e-6
    assert np.median(steps) > 0.95


def test_radial_scan_of_a_disc_is_its_closed_form():
    """The transform of a disc is a Bessel function; pixels of a large disc approximate it."""
    shape, radius = (128, 128), 40.0
    y, x = (torch.arange(n, dtype=torch.float64) - n // 2 for n in shape)
    # Area of the disc in each pixel, from 8 x 8 points.
    fine = (torch.arange(8, dtype=torch.float64) - 3.5) / 8
    rows = (y[:, None] + fine).flatten()
    columns = (x[:, None] + fine).flatten()
    inside = (rows[:, None] ** 2 + columns**2 <= radius**2).double()
    disc = inside.reshape(128, 8, 128, 8).mean((1, 3))
    points = radial_trajectory(Radial(spokes=7), shape)
    samples = image_to_samples(disc.to(torch.complex128), points)
    k = points.norm(dim=-1) / 128
    bessel = torch.special.bessel_j1(2 * torch.pi * k * radius) / k.clamp_min(1e-9) * radius
    exact = torch.where(k > 0, bessel, torch.pi * radius**2) / 128
    low = k < 0.1
    # Averaging over a pixel multiplies by a sinc, 0.984 at 0.1 cycles a pixel.
    assert relative_error(samples[low].real, exact[low]) < 0.01


def test_leaving_the_k_space_of_the_image_is_refused():
    points = radial_trajectory(Radial(spokes=2), (40, 40))
    with pytest.raises(SpinforgeError, match=r"kx reaches 20 cycles .* holds only 15"):
        image_to_samples(random_complex(40, 30), points)
    with pytest.raises(SpinforgeError, match=r"kx reaches 20 cycles .* holds only 15"):
        samples_to_image(random_complex(2, 80), points, (40, 30))
