"""Random fields have the promised spectrum and do not depend on where they are sampled."""

import numpy as np
import pytest
import torch

from spinforge.simulation.phantoms.random_fields import RandomFields, draw_random_fields
from spinforge.simulation.rng import SampleRng

BOX_MM = (96.0, 120.0, 80.0)


def fields(**options: float) -> RandomFields:
    rng = SampleRng(0, "test")
    return draw_random_fields(rng, [(20.0, 24.0), (30.0, 50.0)], box_mm=BOX_MM, **options)


def axes(step_mm: float, offset_mm: float = 0.0) -> tuple[torch.Tensor, ...]:
    return tuple(offset_mm + torch.arange(0.0, edge, step_mm) for edge in BOX_MM)


def test_fields_have_zero_mean_and_unit_variance():
    values = fields().values[:, :-1, :-1, :-1].double()
    # float32 sums of filtered noise without its mean; refining keeps both moments.
    assert values.mean((1, 2, 3)).abs().max() < 1e-5
    torch.testing.assert_close(
        values.var((1, 2, 3), correction=0), torch.ones(2).double(), rtol=1e-3, atol=0.0
    )


@pytest.mark.parametrize(("field", "low", "high"), [(0, 20.0, 24.0), (1, 30.0, 50.0)])
def test_power_lies_at_the_wavelengths_asked_for(field, low, high):
    sampled = fields().on_grid(axes(4.0))[field].numpy()
    power = np.abs(np.fft.fftn(sampled)) ** 2
    k = np.sqrt(
        sum(
            np.square(k_axis)
            for k_axis in np.meshgrid(
                *(np.fft.fftfreq(count, 4.0) for count in sampled.shape), indexing="ij"
            )
        )
    )
    # The band's limits are one standard deviation of ln k away from its centre, on which the
    # division by k^2 in power shifts weight towards long waves: three deviations hold all of it.
    centre, spread = np.sqrt(low * high), np.sqrt(high / low)
    inside = (k > 1 / (centre * spread**3)) & (k < spread**3 / centre)
    assert power[inside].sum() / power.sum() > 0.95


def test_fields_repeat_after_one_box():
    drawn = fields()
    once = drawn.on_grid(axes(5.0, 1.0))
    x, y, z = axes(5.0, 1.0)
    again = drawn.on_grid((x - BOX_MM[0], y + BOX_MM[1], z + 2 * BOX_MM[2]))
    # Positions of up to 240 mm carry float32 errors of 1e-5 mm, slopes stay below 1 per mm.
    torch.testing.assert_close(once, again, rtol=0.0, atol=1e-4)


def test_both_samplers_agree():
    drawn = fields(samples_per_wave=20.0)
    grid = axes(5.0, 1.0)
    x, y, z = torch.meshgrid(*grid, indexing="ij")
    # Linear interpolation errs by (2 pi / 20)^2 / 8 of the amplitude per axis, peaks reach 4.
    torch.testing.assert_close(drawn.on_grid(grid), drawn.at(x, y, z), rtol=0.0, atol=0.15)


def test_samples_do_not_depend_on_the_other_samples():
    drawn = fields()
    x, y, z = axes(1.0)
    whole = drawn.on_grid((x, y, z))
    part = drawn.on_grid((x[10:31], y[7:9], z[40:]))
    assert torch.equal(whole[:, 10:31, 7:9, 40:], part)


def test_another_purpose_draws_another_field():
    first = draw_random_fields(SampleRng(0, "a"), [(20.0, 24.0)], box_mm=BOX_MM)
    second = draw_random_fields(SampleRng(0, "b"), [(20.0, 24.0)], box_mm=BOX_MM)
    # Some 60 independent waves fit in the box: chance correlation is about 0.1.
    assert abs(float((first.values * second.values).mean())) < 0.4
