"""Ghosts, spikes, truncation, undersampling, motion and lost resolution against theory."""

import math

import numpy as np
import pytest
import torch
from corruption_volume import make_volume
from scipy import ndimage

from spinforge.simulation.corruption.kspace import (
    GHOST,
    KEPT_LINES,
    SPIKES,
    Ghost,
    Spike,
    Truncation,
    TurnedLines,
    Undersampling,
)
from spinforge.simulation.corruption.motion import MOTION, Motion, Poses, moved
from spinforge.simulation.corruption.resolution import ANISOTROPY, Blur, LongVoxels
from spinforge.simulation.corruption.volume import SamplePath
from spinforge.simulation.fourier import image_to_kspace

PATH = SamplePath(3, ("test", "head-000"))
LEVELS = [1, 2, 3, 4, 5]


def applied(corruption, volume, path=PATH):
    drawn = corruption.draw(volume, path)
    return drawn.apply(volume.image), drawn


@pytest.mark.parametrize("period", [2, 3, 4])
def test_ghosts_lie_a_fraction_of_the_field_of_view_apart(period):
    """Of weights w on every m-th line: copies of (w - 1) / m, m of them, N / m apart."""
    volume = make_volume(complex_image=True)
    ghosts = TurnedLines(period, first=0, loss=0.2, phase_deg=20.0)
    image = ghosts.apply(volume.image)
    n_lines = volume.image.shape[1]
    strength = (0.8 * np.exp(1j * math.radians(20)) - 1) / period
    # The first line of the pattern is -N/2 from the centre: it turns each copy.
    expected = volume.image.clone()
    for copy in range(period):
        turn = np.exp(2j * np.pi * copy * (n_lines // 2) / period)
        shifted = torch.roll(volume.image, copy * n_lines // period, dims=1)
        expected = expected + complex(strength * turn) * shifted
    torch.testing.assert_close(image, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("level", "values"), list(zip(LEVELS, GHOST, strict=True)))
def test_ghost_turns_every_second_to_fourth_line(level, values):
    volume = make_volume(complex_image=True)
    periods = set()
    for subject in range(12):
        image, drawn = applied(Ghost(level=level), volume, SamplePath(0, (f"head-{subject}",)))
        assert 0 <= drawn.first < drawn.period
        periods.add(drawn.period)
        ratio = image_to_kspace(image)[3] / image_to_kspace(volume.image)[3]
        line = ratio[:, 30:42].mean(1)
        turned = torch.zeros(60, dtype=torch.bool)
        turned[drawn.first :: drawn.period] = True
        loss, phase = values
        expected = (1 - loss) * np.exp(1j * math.radians(phase))
        assert torch.allclose(line[turned], torch.tensor(expected).to(line), atol=2e-2)
        assert torch.allclose(line[~turned], torch.ones(1).to(line), atol=2e-2)
    assert periods == {2, 3, 4}


@pytest.mark.parametrize(("level", "values"), list(zip(LEVELS, SPIKES, strict=True)))
def test_spikes_are_single_samples_away_from_the_centre(level, values):
    volume = make_volume(complex_image=True)
    image, _ = applied(Spike(level=level), volume)
    before, after = image_to_kspace(volume.image), image_to_kspace(image)
    change = (after - before).abs()
    count, magnitude = values
    for index in range(len(image)):
        largest = before[index].abs().max()
        hit = (change[index] > 1e-3 * largest).nonzero()
        assert len(hit) == count
        for ky, kx in hit.tolist():
            assert max(abs(ky - 30) / 30, abs(kx - 36) / 36) > 0.2
            assert float(change[index, ky, kx] / largest) == pytest.approx(magnitude, rel=1e-3)


@pytest.mark.parametrize(
    ("level", "lines", "samples"),
    list(zip(LEVELS, (48, 39, 30, 24, 18), (58, 47, 36, 29, 22), strict=True)),
)
def test_truncation_keeps_the_central_fraction_of_both_axes(level, lines, samples):
    volume = make_volume(complex_image=True)
    image, _ = applied(Truncation(level=level), volume)
    kspace, clean = image_to_kspace(image), image_to_kspace(volume.image)
    kept = torch.zeros(60, 72, dtype=torch.bool)
    top, left = 30 - lines // 2, 36 - samples // 2
    kept[top : top + lines, left : left + samples] = True
    assert float(kspace[:, ~kept].abs().max()) < 1e-5
    torch.testing.assert_close(kspace[:, kept], clean[:, kept], rtol=0, atol=1e-5)


@pytest.mark.parametrize(("level", "keep"), list(zip(LEVELS, KEPT_LINES, strict=True)))
def test_undersampling_keeps_its_fraction_of_lines_and_the_centre(level, keep):
    volume = make_volume(complex_image=True)
    image, drawn = applied(Undersampling(level=level), volume)
    assert drawn.masks.sum(1).tolist() == [round(keep * 60)] * 6
    assert drawn.masks[:, 30].all()
    kspace = image_to_kspace(image)
    for index, mask in enumerate(drawn.masks):
        assert float(kspace[index, ~mask].abs().max()) < 1e-5
    assert len({tuple(mask.tolist()) for mask in drawn.masks}) > 1
    lines = [f"{int(text, 16):060b}" for text in drawn.record()["masks"].split()]
    assert [[digit == "1" for digit in line] for line in lines] == drawn.masks.tolist()


def test_a_shift_by_whole_pixels_is_exact():
    image = make_volume(complex_image=True).image
    shifted = moved(image, 0.0, (6.0, -9.0), (3.0, 3.0))
    torch.testing.assert_close(shifted, torch.roll(image, (2, -3), (1, 2)), rtol=0, atol=1e-4)


def test_a_quarter_turn_is_exact():
    """From ky towards kx: what lay along +ky lies along +kx."""
    image = torch.zeros(1, 41, 41, dtype=torch.complex64)
    image[0, 30, 20], image[0, 20, 25] = 1.0, 2.0j
    turned = moved(image, 90.0, (0.0, 0.0), (1.0, 1.0))
    expected = torch.zeros_like(image)
    expected[0, 20, 30], expected[0, 15, 20] = 1.0, 2.0j
    torch.testing.assert_close(turned, expected, rtol=0, atol=1e-5)


def test_turning_keeps_circles_in_millimetres():
    """Pixels of 2 x 1 mm: a disc stays a disc, but for the interpolation of its edge."""
    y, x = torch.meshgrid(2.0 * (torch.arange(40) - 20), torch.arange(80) - 40.0, indexing="ij")
    disc = torch.exp(-((torch.hypot(y, x) / 20) ** 8))[None].to(torch.complex64)
    turned = moved(disc, 37.0, (0.0, 0.0), (2.0, 1.0))
    assert float((turned - disc).norm() / disc.norm()) < 0.02


@pytest.mark.parametrize("level", LEVELS)
def test_motion_stays_within_its_limits_and_begins_still(level):
    degrees, millimetres, segments = MOTION[level - 1]
    volume = make_volume(complex_image=True)
    largest = 0.0
    for subject in range(20):
        poses = Motion(level=level).draw(volume, SamplePath(0, (f"head-{subject}",)))
        assert poses.starts[0] == 0
        assert len(poses.starts) == segments
        assert list(poses.starts) == sorted(set(poses.starts))
        assert poses.starts[-1] < 60
        assert (poses.degrees[0], poses.shifts_mm[0]) == (0.0, (0.0, 0.0))
        assert max(map(abs, poses.degrees)) <= degrees
        assert max(abs(mm) for shift in poses.shifts_mm for mm in shift) <= millimetres
        largest = max(largest, *map(abs, poses.degrees))
        if level <= 2:  # the central 8 % of 60 lines are 28 to 32
            assert poses.starts[1] > 32
    assert largest > 0.5 * degrees


def test_lines_before_the_first_movement_are_those_of_the_still_head():
    volume = make_volume(complex_image=True)
    image, poses = applied(Motion(level=4), volume)
    first = poses.starts[1]
    found, still = image_to_kspace(image), image_to_kspace(volume.image)
    torch.testing.assert_close(found[:, :first], still[:, :first], rtol=0, atol=1e-5)
    assert not torch.allclose(found[:, first:], still[:, first:], atol=1e-2)


def test_a_shift_during_the_scan_only_turns_the_phase_of_its_lines():
    """Fourier's shift theorem, for whole pixels."""
    volume = make_volume(complex_image=True)
    poses = Poses((0, 40), (0.0, 0.0), ((0.0, 0.0), (6.0, 0.0)), (3.0, 3.0))
    found, still = image_to_kspace(poses.apply(volume.image)), image_to_kspace(volume.image)
    line = torch.arange(60) - 30
    turn = torch.polar(torch.ones(60), -2 * math.pi * line * 2 / 60)[:, None]
    torch.testing.assert_close(found[:, 40:], (still * turn)[:, 40:], rtol=0, atol=1e-3)
    torch.testing.assert_close(found[:, :40], still[:, :40], rtol=0, atol=1e-5)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("factor", ANISOTROPY)
def test_long_voxels_keep_a_ramp_and_the_mean(axis, factor):
    """Means of a ramp, linear in between, are the ramp again but for the ends.

    A box that ends within a voxel, after a share s of it, sees a stair instead of the ramp: it is
    off by s (1 - s) / (2 factor), at most 1 / (8 factor).
    """
    count = 60
    shape = [1, 1, 1]
    shape[axis] = count
    ramp = torch.arange(float(count)).view(shape).expand([max(s, 8) for s in shape])
    found = LongVoxels(axis, factor).apply(ramp).movedim(axis, 0)
    tolerance = 1e-4 if factor.is_integer() else 1 / (8 * factor)
    inner = slice(math.ceil(factor), count - 2 * math.ceil(factor))
    torch.testing.assert_close(found[inner], ramp.movedim(axis, 0)[inner], rtol=0, atol=tolerance)
    flat = LongVoxels(axis, factor).apply(torch.full_like(ramp, 2.5))
    torch.testing.assert_close(flat, torch.full_like(ramp, 2.5))


def test_long_voxels_of_factor_2_are_means_of_pairs():
    image = torch.rand(3, 8, 10, generator=torch.Generator().manual_seed(0))
    found = LongVoxels(1, 2.0).apply(image)
    means = image.unflatten(1, (4, 2)).mean(2)
    # A quarter of a pair before its end: three quarters of this mean, one of the next.
    torch.testing.assert_close(found[:, 1], 0.75 * means[:, 0] + 0.25 * means[:, 1])
    torch.testing.assert_close(found[:, 0], means[:, 0])


@pytest.mark.parametrize(("level", "sd"), list(zip(LEVELS, (0.5, 0.8, 1.2, 1.8, 2.5), strict=True)))
def test_blur_is_scipys_gaussian(level, sd):
    volume = make_volume(complex_image=False)
    image, _ = applied(Blur(level=level), volume)
    expected = ndimage.gaussian_filter(volume.image.double().numpy(), (0, sd, sd), mode="nearest")
    np.testing.assert_allclose(image.numpy(), expected, rtol=0, atol=1e-5)
