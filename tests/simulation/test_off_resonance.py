import math

import pytest
import torch

from spinforge.simulation.off_resonance import (
    GYROMAGNETIC_RATIO_HZ_PER_T,
    dipole_field,
    fat_shift_hz,
    gaussian_field,
    linear_fit,
    susceptibility_field,
)
from spinforge.simulation.phantom import Phantom
from spinforge.simulation.tissue import HEAD_TISSUES, Tissue


def sphere(size, radius):
    axis = torch.arange(size) - size / 2 + 0.5
    x, y, z = torch.meshgrid(axis, axis, axis, indexing="ij")
    return x, y, z, (x**2 + y**2 + z**2).sqrt() <= radius


def test_field_of_a_sphere_is_a_dipole_outside_and_nothing_inside():
    """chi/3 (a/r)^3 (3 cos^2 - 1); the voxelised surface errs by less than 1/a nearby."""
    radius = 10.0
    x, y, z, inside = sphere(64, radius)
    field = dipole_field(inside.float())
    r = (x**2 + y**2 + z**2).sqrt()
    # The volume of the voxelised sphere takes the place of a^3.
    cube = float(inside.sum()) * 3 / (4 * math.pi)
    expected = cube / r**3 * (3 * (z / r) ** 2 - 1) / 3
    outside = (r > 1.5 * radius) & (r < 28)
    # Largest value there is 0.2; a padded box of twice the size leaves images 1/64 as strong.
    torch.testing.assert_close(field[outside], expected[outside], rtol=0, atol=3e-3)
    assert field[r < 0.7 * radius].abs().max() < 0.01


def test_field_does_not_know_where_the_map_ends():
    """The same object in a larger map: padding keeps periodic images away."""
    small = dipole_field(sphere(32, 6.0)[3].float())
    large = dipole_field(sphere(64, 6.0)[3].float())[16:48, 16:48, 16:48]
    difference = small - large
    shimmed = difference - linear_fit(difference, torch.ones_like(difference, dtype=torch.bool))
    # The nearest image is 48 voxels from the edge: 2/3 (6/48)^3 = 1.3e-3 without the shim.
    assert shimmed.abs().max() < 1.3e-3


def test_shim_removes_constant_and_linear_terms_over_its_region():
    x, y, z, inside = sphere(24, 9.0)
    field = 3 + 0.2 * x - 0.5 * y + 0.1 * z
    left = field - linear_fit(field, inside)
    assert left.abs().max() < 1e-4
    assert torch.equal(linear_fit(field, torch.zeros_like(inside)), torch.zeros_like(field))


def head(spacing_mm=4.0):
    """A sphere of white matter with an air bubble in front and below."""
    size = 45
    axis = (torch.arange(size) - size / 2 + 0.5) * spacing_mm
    x, y, z = torch.meshgrid(axis, axis, axis, indexing="ij")
    bubble = (x**2 + (y - 55) ** 2 + (z + 45) ** 2).sqrt() < 12
    white = ((x**2 + y**2 + z**2).sqrt() < 80) & ~bubble
    m = torch.zeros(12, size, size, size)
    m[Tissue.WHITE_MATTER] = white.float()
    m[Tissue.BACKGROUND] = 1 - white.float()
    return Phantom("ball", m, spacing_mm, "test", "0" * 64)


def test_air_in_the_head_bends_the_field_in_proportion_to_the_main_field():
    phantom = head()
    at_1p5, at_3 = (susceptibility_field(phantom, t) for t in (1.5, 3.0))
    torch.testing.assert_close(at_3, 2 * at_1p5, rtol=1e-4, atol=1e-3)
    brain = phantom.membership(Tissue.WHITE_MATTER) > 0.5
    # A bubble of 9.41 ppm at 3 T: 2/3 of 1202 Hz at its poles, little far away.
    assert 50 < float(at_3[brain].abs().max()) < 802
    assert float(at_3[brain].abs().median()) < 20
    assert at_3.shape == phantom.memberships.shape[1:]


def test_gaussian_field_is_mrilabs():
    """5 uT: 213 Hz at the centre, exp(-1/2) of it 8 cm away."""
    field = gaussian_field((41, 41, 41), 8.0)
    assert float(field[20, 20, 20]) == pytest.approx(212.9, abs=0.1)
    ratio = float(field[30, 20, 20] / field[20, 20, 20])
    assert ratio == pytest.approx(math.exp(-0.5), rel=1e-5)


def test_fat_is_lower_than_water_by_its_chemical_shift():
    assert fat_shift_hz(-3.5, 3.0) == pytest.approx(-3.5e-6 * 3 * GYROMAGNETIC_RATIO_HZ_PER_T)
    assert fat_shift_hz(-3.5, 3.0) == pytest.approx(-447, abs=0.1)


def test_phantom_without_air_class_is_all_tissue():
    phantom = head()
    tissues = tuple(t for t in HEAD_TISSUES if t is not Tissue.BACKGROUND)
    no_air = Phantom("x", phantom.memberships[1:], 4.0, "test", "0" * 64, tissues=tissues)
    assert no_air.membership(Tissue.BACKGROUND).sum() == 0
    assert torch.isfinite(susceptibility_field(no_air, 3.0)).all()
