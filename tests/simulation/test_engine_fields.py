"""Sign, size and place of the fields that a scan feels, through the engine where it can be."""

import math

import pytest
import torch
from scan_formulas import GAMMA_BAR, along, centres

from spinforge.simulation.acquisition import simulate_scan
from spinforge.simulation.fields import draw_phase, phase_map, transmit_field
from spinforge.simulation.noise import Noise
from spinforge.simulation.off_resonance import susceptibility_field
from spinforge.simulation.phantom import Phantom
from spinforge.simulation.rng import SampleRng
from spinforge.simulation.scanner import Scanner
from spinforge.simulation.sequences import GradientEcho
from spinforge.simulation.slices import Slices
from spinforge.simulation.tissue import HEAD_TISSUES, Tissue

TISSUE_PPM, AIR_PPM = -9.05, 0.36  # simulation.md 3.4.8
SHAPE, SPACING = (45, 54, 45), 4.0


def phantom_of(tissue, held, spacing_mm=SPACING):
    """One tissue, and air."""
    m = torch.zeros(len(HEAD_TISSUES), *held.shape)
    m[tissue] = held.float()
    m[Tissue.BACKGROUND] = 1 - m[tissue]
    return Phantom("place", m, spacing_mm, "test", "0" * 64)


def axes_mm(shape=SHAPE, spacing_mm=SPACING):
    return along([centres(count, count * spacing_mm) for count in shape])


# Of muscle, which no shim is fitted to.
def with_and_without_bubble(shape=SHAPE, spacing_mm=SPACING, radius_mm=20.0):
    x, y, z = axes_mm(shape, spacing_mm)
    bubble = x**2 + y**2 + z**2 < radius_mm**2
    whole = torch.ones(shape, dtype=torch.bool)
    return (
        phantom_of(Tissue.MUSCLE, whole & ~bubble, spacing_mm),
        phantom_of(Tissue.MUSCLE, whole, spacing_mm),
    )


def bubble_hz(phantom, field_t):
    """Chi/3 (a/r)^3 (3 cos^2 - 1), chi that of air in tissue, a that of the voxels' volume."""
    air = phantom.membership(Tissue.BACKGROUND)
    cube = float(air.sum()) * phantom.spacing_mm**3 * 3 / (4 * math.pi)
    x, y, z = axes_mm(air.shape, phantom.spacing_mm)
    square = x**2 + y**2 + z**2
    angular = 3 * z**2 / square - 1
    chi = (AIR_PPM - TISSUE_PPM) * 1e-6
    return chi / 3 * cube / square**1.5 * angular * field_t * GAMMA_BAR, square.sqrt()


# Of the field inside the bubble's poles. At 1 mm it is calculated on voxels of 2 mm, of which the
# bubble has but three a radius, and interpolated.
@pytest.mark.parametrize(
    ("shape", "spacing_mm", "radius_mm", "tolerance"),
    [(SHAPE, 4.0, 20.0, 0.01), ((41, 45, 43), 1.0, 6.0, 0.02)],
)
@pytest.mark.parametrize("field_t", [1.5, 3.0])
def test_air_in_tissue_is_a_dipole_with_positive_lobes_along_the_field(
    shape, spacing_mm, radius_mm, tolerance, field_t
):
    bubble, whole = with_and_without_bubble(shape, spacing_mm, radius_mm)
    found = susceptibility_field(bubble, field_t) - susceptibility_field(whole, field_t)
    expected, r = bubble_hz(bubble, field_t)
    near = (r > 1.5 * radius_mm) & (r < 2.5 * radius_mm)
    # Nearer voxels see the steps of the surface, farther ones the periodic images.
    scale = (AIR_PPM - TISSUE_PPM) * 1e-6 * field_t * GAMMA_BAR
    torch.testing.assert_close(found[near].double(), expected[near], rtol=0, atol=tolerance * scale)
    middle = [count // 2 for count in shape]
    pole = found[middle[0], middle[1], middle[2] + round(1.7 * radius_mm / spacing_mm)]
    equator = found[middle[0], middle[1] + round(1.7 * radius_mm / spacing_mm), middle[2]]
    assert float(pole) > 0.1 * scale
    assert float(equator) < -0.05 * scale


@pytest.mark.parametrize(("tissue_set", "field_t"), [("brainweb_1p5T", 1.5), ("mrilab_3T", 3.0)])
@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_phase_of_a_gradient_echo_is_that_of_the_bubbles_field(tissue_set, field_t, scale):
    """2 pi f TE, the sign of the encoding: positive frequencies turn forwards."""
    scanner = Scanner(
        readout=True,
        object_phase=False,
        tissue_set=tissue_set,
        b0="susceptibility",
        b0_scale=scale,
        bandwidth_hz_per_px=1e5,  # no distortion
    )
    sequence = GradientEcho(kind="gradient_echo", tr_ms=100, te_ms=1.5, variation=0)
    slices = Slices(thickness_mm=4, count=45)
    images = [
        simulate_scan(p, slices, sequence, Noise(percent=0), scanner, seed=0).image
        for p in with_and_without_bubble()
    ]
    turn = (images[0] * images[1].conj()).angle().permute(1, 2, 0)
    expected, r = bubble_hz(with_and_without_bubble()[0], field_t)
    expected = 2 * math.pi * scale * expected * 1.5e-3
    far = (r > 32) & (r < 60)
    # To 1 % of 1202 Hz at 3 T, as above.
    tolerance = 2 * math.pi * 1.5e-3 * scale * 0.01 * 9.41e-6 * field_t * GAMMA_BAR
    torch.testing.assert_close(turn[far].double(), expected[far], rtol=0, atol=tolerance)


def cylinder_hz(z_mm, low_mm, high_mm, radius_mm, field_t):
    """On the axis of a cylinder along the field, with the sphere of Lorentz."""
    ends = [
        (edge / torch.hypot(edge, torch.tensor(radius_mm)))
        for edge in (z_mm - low_mm, high_mm - z_mm)
    ]
    chi = (TISSUE_PPM - AIR_PPM) * 1e-6
    return chi * ((ends[0] + ends[1]) / 2 - 2 / 3) * field_t * GAMMA_BAR


def test_the_body_goes_on_below_the_field_of_view_and_ends_above():
    """A cylinder to the bottom: its field is that of one whose end is a field of view lower."""
    x, y, z = axes_mm()
    radius, top, bottom = 40.0, 42.0, -90.0
    held = ((x**2 + y**2 < radius**2) & (z < top)).expand(SHAPE)
    phantom = phantom_of(Tissue.MUSCLE, held)
    actual_radius = math.sqrt(float(held[..., 0].sum()) * SPACING**2 / math.pi)
    found = susceptibility_field(phantom, 3.0)[22, 26:28].mean(0).double()
    height = z[0, 0]
    # From the field of view's bottom at -90 mm the body goes on for another 180 mm.
    expected = cylinder_hz(height, bottom - 180.0, top, actual_radius, 3.0)
    inside = height < 20
    difference = (found - expected)[inside]
    # The mean field is arbitrary, so compared up to a constant; the steps of the voxels' rim at the
    # top and periodic images leave 11 Hz.
    assert float(difference.max() - difference.min()) < 15.0
    # Without the body below or with it above, the bottom would feel an end 600 Hz strong.
    cut_off = cylinder_hz(height, bottom, top, actual_radius, 3.0)[inside]
    assert float((cut_off - expected[inside]).abs().max()) > 400


def test_the_shim_leaves_neither_mean_nor_slope_over_the_brain():
    x, y, z = axes_mm()
    brain = (x**2 / 60**2 + y**2 / 80**2 + z**2 / 65**2 < 1) & ~(x**2 + (y - 60) ** 2 + z**2 < 400)
    phantom = phantom_of(Tissue.GREY_MATTER, brain)
    field = susceptibility_field(phantom, 3.0).double()
    assert float(field[brain].std()) > 5
    for slope in (torch.ones(SHAPE), *(axis.expand(SHAPE) / 80 for axis in (x, y, z))):
        assert abs(float((field * slope)[brain].mean())) < 0.01 * float(field[brain].std())


def test_random_phase_of_a_subject_has_a_fifth_of_a_radian():
    squares, amplitudes = [], []
    for seed in range(200):
        drawn = draw_phase(SampleRng(seed, "phase"), fov_mm=(180.0, 216.0))
        amplitudes.append(drawn.amplitude)
        flat = type(drawn)(drawn.polynomial, 0.0, drawn.cosines)
        squares.append(float(phase_map(flat, (45, 54, 1)).square().mean()))
    # Twenty-odd modes in each of 200 subjects: 2 % of a standard deviation.
    assert math.sqrt(sum(squares) / 200) == pytest.approx(0.2, rel=0.05)
    assert 0.3 <= min(amplitudes) < 0.32
    assert 0.98 < max(amplitudes) <= 1.0


def test_the_transmit_field_is_a_hill_of_60_mm_about_a_mean_that_calibration_leaves():
    field = transmit_field(0.3, (91, 91, 91), (2.0, 2.0, 2.0))
    assert float(field[45, 45, 45]) == pytest.approx(1.09, abs=1e-6)
    for place in ((75, 45, 45), (45, 15, 45), (45, 45, 75)):  # 60 mm off: exp(-1/2)
        assert float(field[place]) == pytest.approx(1 + 0.3 * (math.exp(-0.5) - 0.7), abs=1e-6)
