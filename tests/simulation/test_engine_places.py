"""What lands where: crop, slices, gradients, coils and lines, each through a whole scan."""

import itertools

import numpy as np
import pytest
import torch
from scan_formulas import centres

from spinforge.simulation.acquisition import simulate_scan
from spinforge.simulation.fourier import image_to_kspace
from spinforge.simulation.noise import Noise
from spinforge.simulation.phantom import Phantom
from spinforge.simulation.scanner import Scanner
from spinforge.simulation.sequences import SpinEcho
from spinforge.simulation.slices import Slices
from spinforge.simulation.tissue import HEAD_TISSUES, Tissue

QUIET = Noise(percent=0)
THICK, THIN = Slices(thickness_mm=12, count=15), Slices(thickness_mm=4, count=45)


def air(shape=(45, 54, 45), spacing_mm=4.0):
    m = torch.zeros(len(HEAD_TISSUES), *shape)
    m[Tissue.BACKGROUND] = 1
    return Phantom("place", m, spacing_mm, "test", "0" * 64)


def fill(phantom, tissue, where):
    """Put a tissue where an index or a map of fractions says."""
    share = torch.zeros(phantom.memberships.shape[1:])
    share[where] = 1.0
    fill_share(phantom, tissue, share)


def fill_share(phantom, tissue, share):
    phantom.memberships[:] *= 1 - share
    phantom.memberships[tissue] += share


def scan(phantom, slices, noise=QUIET, **scanner):
    return simulate_scan(phantom, slices, SpinEcho(variation=0), noise, Scanner(**scanner), seed=0)


def test_the_last_voxel_of_each_axis_is_cropped_and_the_first_kept():
    """181 x 217 x 181 voxels lose their last ones: here 46 x 55 x 46 of 4 mm."""
    phantom = air((46, 55, 46))
    for place in itertools.product((0, 45), (0, 54), (0, 45)):  # every corner
        fill(phantom, Tissue.WHITE_MATTER, place)
    fill(phantom, Tissue.GREY_MATTER, (44, 53, 44))
    s = scan(phantom, THIN, profile="brainweb")
    assert s.image.shape == (45, 45, 54)
    expected = torch.zeros(45, 45, 54, dtype=torch.uint8)
    expected[0, 0, 0], expected[44, 44, 53] = Tissue.WHITE_MATTER, Tissue.GREY_MATTER
    assert torch.equal(s.target, expected)
    lit = s.image.abs() > 1e-3 * s.white_matter_signal
    assert torch.equal(lit, expected > 0)


def test_slices_are_cut_from_the_bottom_up():
    phantom = air()
    fill(phantom, Tissue.WHITE_MATTER, np.s_[20:25, 20:25, 7])
    s = scan(phantom, THICK, profile="brainweb")
    column = s.image[:, 22, 22].abs() / s.white_matter_signal
    expected = torch.zeros(15)
    expected[2] = 1 / 3
    torch.testing.assert_close(column, expected, rtol=0, atol=1e-5)


# Shares of the three planes of the slice below, the slice and the slice above: of the documented
# Gaussian and logistic edge, which test_slice_profile.py holds against pulses.
@pytest.mark.parametrize(
    ("profile", "shares"),
    [
        ("box", (0, 0, 0, 1 / 3, 1 / 3, 1 / 3, 0, 0, 0)),
        ("gaussian", (0.0023, 0.0196, 0.0914, 0.2302, 0.3132, 0.2302, 0.0914, 0.0196, 0.0023)),
        ("sinc", (0, 0.0001, 0.0217, 0.3116, 0.3332, 0.3116, 0.0217, 0.0001, 0)),
    ],
)
@pytest.mark.parametrize("readout", [False, True])
def test_a_slice_weighs_planes_by_the_scanners_profile(profile, shares, readout):
    phantom = air()
    plane = 21  # the first of slice 7
    fill(phantom, Tissue.WHITE_MATTER, np.s_[:, :, plane])
    s = scan(phantom, THICK, readout=readout, slice_profile=profile)
    # A readout of half a line of 2 ms leaves a uniform plane's centre as it is.
    found = s.image[6:9, 22, 27].abs() / s.white_matter_signal
    # For slice 6 it is the 7th of its nine planes, for slice 8 the first.
    expected = torch.tensor([shares[6], shares[3], shares[0]])
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-4 if not readout else 2e-3)


@pytest.mark.parametrize("warp_mm", [4.0, 8.0])
def test_gradients_draw_the_edge_inwards_along_both_axes(warp_mm):
    """What the image shows at r comes from r + g u^3: a blob appears nearer to the centre."""
    x, y = centres(45, 180.0), centres(54, 216.0)
    for at_x, at_y in ((70.0, 0.0), (0.0, -85.0)):
        blob = torch.exp(-((x[:, None] - at_x) ** 2 + (y - at_y) ** 2) / (2 * 8.0**2))
        phantom = air()
        fill_share(phantom, Tissue.WHITE_MATTER, blob[..., None].float().expand(-1, -1, 45))
        s = scan(phantom, THICK, profile="brainweb", warp_mm=warp_mm)
        for shown in (s.image[7].abs().double(), s.target_soft[7, 3].double()):
            found_x = float((shown.sum(1) * x).sum() / shown.sum())
            found_y = float((shown.sum(0) * y).sum() / shown.sum())
            moved_x, moved_y = at_x - found_x, at_y - found_y
            # The centroid of a blob of 8 mm: the shift at its place to a tenth, in both signs.
            assert moved_x == pytest.approx(_shift(at_x, 90.0, warp_mm), abs=0.1 * warp_mm)
            assert moved_y == pytest.approx(_shift(at_y, 108.0, warp_mm), abs=0.1 * warp_mm)


def _shift(source, edge, warp_mm):
    """r with r + g (r / edge)^3 = source, by fixed-point iteration; what it moved."""
    shown = source
    for _ in range(100):
        shown = source - warp_mm * (shown / edge) ** 3
    return source - shown


def test_receive_field_spans_the_percentage_asked_for_about_one():
    phantom = air()
    fill(phantom, Tissue.WHITE_MATTER, np.s_[:, :, :])
    for percent in (10.0, 35.0):
        maps = scan(phantom, THICK, receive_range_percent=percent).coil_maps
        assert float(maps.abs().max()) == pytest.approx(1 + percent / 200, abs=1e-6)
        assert float(maps.abs().min()) == pytest.approx(1 - percent / 200, abs=1e-6)


@pytest.mark.parametrize("correlation", [0.0, 0.3, 0.8])
def test_noise_of_a_scans_coils_is_correlated_as_asked(correlation):
    s = scan(
        air(),
        THICK,
        Noise(percent=100, reference="absolute"),
        coils=4,
        coil_correlation=correlation,
    )
    noise = s.kspace.transpose(0, 1).flatten(1).to(torch.complex128)
    covariance = noise @ noise.mH / (2 * noise.shape[1])  # of each channel
    expected = torch.full((4, 4), correlation, dtype=torch.float64).fill_diagonal_(1.0)
    # 36 450 samples of two channels: five standard errors of a correlation.
    torch.testing.assert_close(covariance.real, expected, rtol=0, atol=0.019)
    assert float(covariance.imag.abs().max()) < 0.019


def line_turns(slices, sd):
    """Phase by which each line of each slice is turned, (slice, ky) [rad]."""
    phantom = air()
    fill(phantom, Tissue.WHITE_MATTER, np.s_[10:35, 12:42, :])
    fill(phantom, Tissue.CSF, np.s_[15:20, 20:33, :])
    still, turned = (scan(phantom, slices, line_phase_rad=value) for value in (0.0, sd))
    return (turned.kspace[:, 0] * still.kspace[:, 0].conj()).sum(-1).angle().double()


@pytest.mark.parametrize("sd", [0.05, 0.3])
def test_lines_are_turned_at_random_by_the_deviation_asked_for(sd):
    turns = line_turns(THIN, sd)
    # 45 x 45 lines: five standard errors of a standard deviation.
    assert float(turns.std()) == pytest.approx(sd, rel=0.08)
    assert abs(float(turns.mean())) < 5 * sd / 45
    # Every slice and every line has its own.
    assert abs(float((turns[1:] * turns[:-1]).mean() / sd**2)) < 5 / 45
    assert abs(float((turns[:, 1:] * turns[:, :-1]).mean() / sd**2)) < 5 / 45


def test_a_line_is_turned_as_a_whole():
    phantom = air()
    fill(phantom, Tissue.WHITE_MATTER, np.s_[10:35, 12:42, :])
    still, turned = (scan(phantom, THICK, line_phase_rad=sd).kspace for sd in (0.0, 0.2))
    torch.testing.assert_close(turned.abs(), still.abs(), rtol=0, atol=1e-6)
    turns = (turned * still.conj()).sum(-1, keepdim=True)
    rotated = still * turns / turns.abs()
    torch.testing.assert_close(turned, rotated, rtol=0, atol=1e-5)


def test_noise_levels_are_different_draws():
    """Not one realisation scaled: what a network learns at 10 % is not what 20 % brings."""
    noises = []
    for percent in (10.0, 20.0):
        phantom = air()
        fill(phantom, Tissue.WHITE_MATTER, np.s_[10:35, 12:42, :])
        s = scan(phantom, THICK, Noise(percent=percent))
        noises.append((s.kspace[:, 0] - image_to_kspace(s.image)).flatten())
    cosine = torch.vdot(*noises).abs() / (noises[0].norm() * noises[1].norm())
    assert float(cosine) < 5 / noises[0].numel() ** 0.5
