"""Shapes agree with geometry."""

import math

import pytest
import torch

from spinforge.simulation.phantoms.block import Block
from spinforge.simulation.phantoms.shapes import (
    coverage,
    ellipsoid,
    ramp,
    smooth_max,
    smooth_min,
    tube,
)


def block(half_edge_mm: float, spacing_mm: float) -> Block:
    """A cube of voxels around the origin, an even number of them along each axis."""
    axis = torch.arange(-half_edge_mm + spacing_mm / 2, half_edge_mm, spacing_mm)
    x, y, z = torch.meshgrid(axis, axis, axis, indexing="ij")
    return Block((axis, axis, axis), x.contiguous(), y.contiguous(), z.contiguous())


def test_ellipsoid_of_equal_axes_is_the_distance_inside_a_sphere():
    cube = block(20.0, 1.0)
    sphere = ellipsoid(cube, (1, -2, 3), (9, 9, 9))
    distance = 9.0 - ((cube.x - 1) ** 2 + (cube.y + 2) ** 2 + (cube.z - 3) ** 2).sqrt()
    # Rounding of float32 numbers up to 40 mm, a few operations deep.
    torch.testing.assert_close(sphere, distance, rtol=0.0, atol=2e-5)


def test_ellipsoid_has_unit_slope_at_its_surface():
    cube = block(20.0, 0.5)
    shape = ellipsoid(cube, (0, 0, 0), (16, 10, 6), tilt=0.3)
    gradients = torch.gradient(shape, spacing=0.5)
    slope = sum(part**2 for part in gradients).sqrt()
    near_surface = shape.abs() < 0.25
    # Curvature of at most 16/36 per mm over a quarter of a millimetre.
    assert float((slope[near_surface] - 1.0).abs().max()) < 0.12


def test_tilt_turns_the_front_of_an_ellipsoid_up():
    cube = block(20.0, 1.0)
    shape = ellipsoid(cube, (0, 0, 0), (5, 15, 5), tilt=math.pi / 4)
    front_top = (cube.y - cube.z).abs() < 0.1
    front_bottom = (cube.y + cube.z).abs() < 0.1
    assert int((shape[front_top] > 0).sum()) > 2 * int((shape[front_bottom] > 0).sum())


def test_tube_is_the_distance_inside_a_capsule():
    cube = block(15.0, 1.0)
    capsule = tube(cube, [(0, -5, 0), (0, 5, 0)], [3, 3])
    along = cube.y - cube.y.clamp(-5.0, 5.0)
    distance = 3.0 - (cube.x**2 + along**2 + cube.z**2).sqrt()
    torch.testing.assert_close(capsule, distance, rtol=0.0, atol=1e-5)


def test_squeezed_tube_is_wider():
    cube = block(15.0, 1.0)
    flat = tube(cube, [(0, -5, 0), (0, 5, 0)], [3, 3], squeeze=(0.25, 1, 1))
    middle = flat[:, 15, :] > 0
    assert int(middle.any(dim=1).sum()) == pytest.approx(24, abs=1)
    assert int(middle.any(dim=0).sum()) == pytest.approx(6, abs=1)


def test_mirrored_shapes_are_symmetric():
    cube = block(20.0, 1.0)
    pair = ellipsoid(cube.mirrored, (9, 2, 1), (4, 5, 6))
    assert torch.equal(pair, pair.flip(0))


@pytest.mark.parametrize("spacing_mm", [2.0, 1.0, 0.5])
def test_covered_volume_of_a_sphere_converges(spacing_mm):
    radius = 9.3
    covered = coverage(ellipsoid(block(12.0, spacing_mm), (0, 0, 0), (radius,) * 3), spacing_mm)
    volume = float(covered.double().sum()) * spacing_mm**3
    # Blurring the surface over h adds (h / r)^2 / 4 of the volume, sampling it less than that.
    margin = 0.5 * (spacing_mm / radius) ** 2
    assert volume == pytest.approx(4 / 3 * math.pi * radius**3, rel=margin)


def test_smooth_union_rounds_nothing_but_the_seam():
    first = torch.linspace(-10, 10, 41)[:, None, None]
    second = -first
    rounded = smooth_max(first, second, 4.0)
    apart = (first - second).abs() >= 4.0
    assert torch.equal(rounded[apart], torch.maximum(first, second)[apart])
    # At the seam the union grows by a quarter of the blend.
    assert float(rounded[20, 0, 0]) == 1.0
    assert torch.equal(smooth_min(first, second, 4.0), -smooth_max(-first, -second, 4.0))


@pytest.mark.parametrize(("start", "end"), [(2.0, 5.0), (5.0, 2.0)])
def test_ramp_goes_from_zero_to_one(start, end):
    values = torch.tensor([start, (start + end) / 2, end])[:, None, None]
    assert ramp(values, start, end).flatten().tolist() == [0.0, 0.5, 1.0]
