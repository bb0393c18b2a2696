"""Whole scans against the exact sum over isochromats of independently computed parts."""

import pytest
import scan_formulas as formulas
import torch
from sigpy import mri

from spinforge.simulation.acquisition import simulate_scan
from spinforge.simulation.fourier import image_to_kspace
from spinforge.simulation.noise import Noise
from spinforge.simulation.phantom import Phantom
from spinforge.simulation.scanner import Scanner
from spinforge.simulation.sequences import GradientEcho, SpinEcho
from spinforge.simulation.slices import Slices
from spinforge.simulation.tissue import Tissue

SPACING, THICKNESS = 4.0, 12.0
SHAPE = (45, 54, 45)
TISSUES = tuple(formulas.AT_3T)
BANDWIDTH, COILS, B0_SCALE = 180.0, 3, 1.5
SLICES = Slices(thickness_mm=THICKNESS, count=9)
SEED = 4  # draws a TR, a TE and a transmit field that are far from their means
CHECKED = (1, 4, 7)  # off the centre, where the transmit field differs from slice to slice

# Long against T1, where the closed form without stimulated echoes holds; fluid, whose T1 is 4.5 s,
# is left out.
SPIN_ECHO = SpinEcho(tr_ms=6000, te_ms=60)
GRADIENT_ECHO = GradientEcho(kind="gradient_echo", tr_ms=150, te_ms=9, flip_deg=40)


def head():
    """Ellipsoids in each other with mixed voxels at their edges: marrow, muscle, fat, GM, WM."""
    x, y, z = formulas.along([formulas.centres(count) for count in SHAPE])
    radius = (x**2 / 0.7 + y**2 / 0.75 + z**2 / 1.3).sqrt()

    def inside(edge):
        return ((edge - radius) / 0.06 + 0.5).clamp(0, 1)

    shells = [inside(edge) for edge in (0.95, 0.86, 0.76, 0.66, 0.4)]
    m = torch.zeros(len(TISSUES), *SHAPE, dtype=torch.float64)
    order = (Tissue.FAT, Tissue.MUSCLE, Tissue.MARROW, Tissue.GREY_MATTER, Tissue.WHITE_MATTER)
    for tissue, outer, inner in zip(order, shells, [*shells[1:], 0 * radius], strict=True):
        m[TISSUES.index(tissue)] = outer - inner
    # Folds, so that no line of k-space is near empty.
    folds = 0.5 + 0.5 * torch.sin(22 * x + 3 * z) * torch.cos(19 * y)
    grey, white = TISSUES.index(Tissue.GREY_MATTER), TISSUES.index(Tissue.WHITE_MATTER)
    m[white] += folds * m[grey]
    m[grey] *= 1 - folds
    m[TISSUES.index(Tissue.BACKGROUND)] = 1 - m.sum(0)
    return Phantom("ellipsoids", m.float(), SPACING, "test", "0" * 64, tissues=TISSUES)


def scanner(**changes):
    values = {
        "readout": True,
        "tissue_set": "mrilab_3T",
        "tissue_variability": 1.0,
        "bandwidth_hz_per_px": BANDWIDTH,
        "b1_peak": 0.4,
        "b0": "gaussian",
        "b0_scale": B0_SCALE,
        "coils": COILS,
    }
    return Scanner(**(values | changes))


def expected_slices(phantom, scan, sequence):
    """k-space of the checked slices, first of a coil of unit sensitivity, then of the coils."""
    per_slice = round(THICKNESS / SPACING)
    whole = (SHAPE[0], SHAPE[1], SHAPE[2] // per_slice)
    phase = formulas.object_phase(scan.drawn["phase"], whole)
    b1 = formulas.transmit_field(scan.drawn["b1_peak"], whole, (SPACING, SPACING, THICKNESS))
    bump = B0_SCALE * formulas.gaussian_bump_hz(SHAPE, SPACING)
    field = bump.unflatten(2, (-1, per_slice)).mean(-1)
    held = phantom.memberships.double().unflatten(3, (-1, per_slice)).mean(-1)
    relaxations = [
        formulas.relaxation(tissue, scan.drawn["tissue_factors"][tissue.name]) for tissue in TISSUES
    ]
    maps = torch.from_numpy(mri.birdcage_maps((COILS, *SHAPE[:2]), r=1.5, nzz=8))
    maps = torch.cat((torch.ones(1, *SHAPE[:2]), maps))
    is_gradient_echo = isinstance(sequence, GradientEcho)
    for index in CHECKED:
        if is_gradient_echo:
            options = {"tr": scan.tr, "te": scan.te, "flip_deg": sequence.flip_deg}
            signal = formulas.gradient_echo_signal
        else:
            options, signal = {"tr": scan.tr, "te": scan.te}, formulas.spin_echo_signal
        yield formulas.exact_slice(
            held[..., index],
            torch.stack([signal(r, b1[..., index], **options) for r in relaxations]),
            relaxations,
            TISSUES,
            field[..., index],
            phase[..., index],
            bandwidth=BANDWIDTH,
            gradient_echo=is_gradient_echo,
            te=scan.te,
            maps=maps,
        )


def error(found, expected):
    return float((found - expected).norm() / expected.norm())


# The readout's tolerance of 1e-3 brings the specification's 2e-3 and 6e-4. Amplitudes add what
# linear interpolation between 41 transmit fields errs by, h^2 / 8 of the second derivative: at most
# 6e-4 of a spin echo, sin(b pi/2) sin^2(b pi/2), and 4e-5 of a gradient echo of 40 degrees.
@pytest.mark.parametrize(
    ("sequence", "nrmse"), [(SPIN_ECHO, 2e-3), (GRADIENT_ECHO, 6e-4)], ids=["spin", "gradient"]
)
def test_a_scan_is_the_exact_sum_of_independent_parts(sequence, nrmse):
    phantom = head()
    scan = simulate_scan(phantom, SLICES, sequence, Noise(percent=0), scanner(), seed=SEED)
    # The draws are none of the means, or the test could not tell them from these.
    assert 0.03 < abs(scan.tr / sequence.tr - 1) + abs(scan.te / sequence.te - 1) < 0.1
    assert 0.2 < scan.drawn["b1_peak"] < 0.4
    for index, expected in zip(CHECKED, expected_slices(phantom, scan, sequence), strict=True):
        unit = image_to_kspace(scan.image[index])
        for found, exact in zip((unit, *scan.kspace[index]), expected, strict=True):
            assert error(found, exact) < nrmse
