"""The fast forward model against the exact sum and against closed forms (simulation.md 3.6)."""

import math

import pytest
import torch

from spinforge.simulation.acquisition import noise_free_kspace
from spinforge.simulation.coils import birdcage_maps
from spinforge.simulation.contrast import nominal_amplitudes
from spinforge.simulation.forward import Fields, encode, signal_components, signal_image
from spinforge.simulation.fourier import image_to_kspace, kspace_to_image
from spinforge.simulation.readout import evolution, readout_factors, sample_times
from spinforge.simulation.reference import exact_kspace
from spinforge.simulation.scanner import Scanner
from spinforge.simulation.sequences import GradientEcho, SpinEcho
from spinforge.simulation.tissue import Relaxation, Tissue
from spinforge.simulation.tissue_sets import TISSUE_SETS

TISSUES = (Tissue.GREY_MATTER, Tissue.FAT, Tissue.MUSCLE)
# T2' of 150, 60 and 10 ms.
PROPERTIES = {
    Tissue.GREY_MATTER: Relaxation(1.0, 0.090, 1 / (1 / 0.090 + 1 / 0.150), 1.0),
    Tissue.FAT: Relaxation(0.4, 0.070, 1 / (1 / 0.070 + 1 / 0.060), 1.0),
    Tissue.MUSCLE: Relaxation(0.9, 0.015, 1 / (1 / 0.015 + 1 / 0.010), 1.0),
}
AMPLITUDES = (0.3, 0.3, 0.1)
FAT_HZ = -447.0  # at 3 T


def relative_error(found, expected):
    return float((found - expected).norm() / expected.norm())


def coordinates(size):
    centred = torch.arange(size, dtype=torch.float64) - size // 2
    return torch.meshgrid(centred, centred, indexing="ij")


def disc_with_fat(size):
    """Three classes in rings, a patterned core, and a field of 120 Hz."""
    y, x = coordinates(size)
    r, unit = torch.hypot(x, y), size / 128
    core = (r < 40 * unit) * (0.6 + 0.4 * (torch.sin(x / unit / 5) * torch.cos(y / unit / 7) > 0))
    rings = [core, (r >= 40 * unit) & (r < 48 * unit), 0.9 * ((r >= 48 * unit) & (r < 55 * unit))]
    bump = torch.exp(-((x / unit - 10) ** 2 + (y / unit - 30) ** 2) / (2 * 18**2))
    field = 120 * bump - 40 * y / size
    return torch.stack([ring.double() for ring in rings]), field


def fast(memberships, field, *, bandwidth, tolerance, gradient_echo, te, maps=None, fat_hz=FAT_HZ):
    """k-space (coil, ky, kx) of the engine and the rank it took."""
    shifts = [0.0, fat_hz, 0.0]
    times = sample_times(memberships.shape[-1], bandwidth)
    readout = readout_factors(
        PROPERTIES,
        TISSUES,
        (float(field.min()) + min(shifts), float(field.max()) + max(shifts)),
        times,
        amplitudes=torch.tensor(AMPLITUDES),
        gradient_echo=gradient_echo,
        tolerance=tolerance,
    )
    fields = Fields(torch.zeros_like(field)[None], torch.ones(1), field.float()[None])
    amplitudes = torch.tensor(AMPLITUDES, dtype=torch.complex64)
    components = signal_components(
        memberships.float()[None],
        lambda row, _: amplitudes[row],
        Fields(fields.phase, torch.ones_like(field)[None], fields.off_resonance),
        readout,
        rows=[0, 1, 2],
        shifts_hz=shifts,
        gradient_echo_te=te if gradient_echo else 0.0,
    )
    size = memberships.shape[-1]
    maps = torch.ones(1, 1, size, size, dtype=torch.complex64) if maps is None else maps
    return encode(components, maps, readout.basis)[0], readout.rank


def exact(memberships, field, *, bandwidth, gradient_echo, te, maps=None, fat_hz=FAT_HZ):
    density = memberships * torch.tensor(AMPLITUDES, dtype=torch.float64)[:, None, None]
    frequency = torch.stack([field, field + fat_hz, field])
    return exact_kspace(
        density,
        [PROPERTIES[t] for t in TISSUES],
        frequency,
        sample_times(memberships.shape[-1], bandwidth),
        te=te,
        gradient_echo=gradient_echo,
        coil_maps=None if maps is None else maps[0],
    )


# NRMSE of the specification; the singular values left out bound it.
@pytest.mark.parametrize(
    ("gradient_echo", "tolerance", "nrmse"),
    [(False, 1e-3, 2e-3), (True, 1e-3, 6e-4), (False, 1e-4, 2e-4), (True, 1e-4, 2e-4)],
    ids=["SE-1e-3", "GRE-1e-3", "SE-1e-4", "GRE-1e-4"],
)
@pytest.mark.parametrize("bandwidth", [150.0, 250.0, 800.0])
def test_low_rank_readout_is_the_exact_sum(gradient_echo, tolerance, nrmse, bandwidth):
    memberships, field = disc_with_fat(128)
    te = 0.01 if gradient_echo else 0.08
    timing = {"bandwidth": bandwidth, "gradient_echo": gradient_echo, "te": te}
    found, rank = fast(memberships, field, tolerance=tolerance, **timing)
    assert relative_error(found, exact(memberships, field, **timing)) < nrmse
    assert rank <= 13


def test_low_rank_readout_is_the_exact_sum_for_each_of_eight_coils():
    memberships, field = disc_with_fat(48)
    maps = birdcage_maps(8, (48, 48))
    timing = {"bandwidth": 250.0, "gradient_echo": False, "te": 0.08, "maps": maps}
    found, _ = fast(memberships, field, tolerance=1e-4, **timing)
    assert found.shape == (8, 48, 48)
    assert relative_error(found, exact(memberships, field, **timing)) < 2e-4


def gaussian_blob(size=128, sd=12.0):
    y, x = coordinates(size)
    blob = torch.exp(-(x**2 + y**2) / sd**2)
    return torch.stack([torch.zeros_like(blob), blob, torch.zeros_like(blob)])


def centroid(kspace):
    image = kspace_to_image(kspace).abs().double()
    y, x = coordinates(image.shape[-1])
    return float((image * y).sum() / image.sum()), float((image * x).sum() / image.sum())


@pytest.mark.parametrize("bandwidth", [125.0, 250.0, 500.0])
def test_fat_is_displaced_by_its_shift_over_the_bandwidth(bandwidth):
    """By -df/BW along readout only: +1.79 px at -447 Hz and 250 Hz/px."""
    zero = torch.zeros(128, 128, dtype=torch.float64)
    kspace, _ = fast(
        gaussian_blob(), zero, bandwidth=bandwidth, tolerance=1e-6, gradient_echo=False, te=0.08
    )
    along_phase, along_readout = centroid(kspace[0])
    assert along_readout == pytest.approx(447 / bandwidth, abs=0.01)
    assert along_phase == pytest.approx(0, abs=0.01)


def test_fat_displacement_flips_with_the_readout_polarity():
    """Through the whole chain of a scanner of 3 T, -447 Hz and 250 Hz/px."""
    blob = gaussian_blob()[1:2].float()[None]
    zero = torch.zeros(1, 128, 128, dtype=torch.float64)
    maps = torch.ones(1, 1, 128, 128, dtype=torch.complex64)
    displacements = []
    for polarity in (1, -1):
        scanner = Scanner(readout=True, tissue_set="mrilab_3T", readout_polarity=polarity)
        kspace = noise_free_kspace(
            blob,
            (Tissue.FAT,),
            TISSUE_SETS["mrilab_3T"].properties,
            Fields(zero, torch.ones_like(zero), zero.float()),
            maps,
            scanner,
            SpinEcho(variation=0),
        )
        displacements.append(centroid(kspace[0, 0]))
    for (along_phase, along_readout), expected in zip(displacements, (1.79, -1.79), strict=True):
        assert along_readout == pytest.approx(expected, abs=0.01)
        assert along_phase == pytest.approx(0, abs=0.01)


def test_off_resonant_water_moves_along_readout_only():
    memberships = gaussian_blob()[[1, 0, 2]]
    field = torch.full((128, 128), 500.0, dtype=torch.float64)
    kspace, _ = fast(
        memberships,
        field,
        bandwidth=250.0,
        tolerance=1e-6,
        gradient_echo=False,
        te=0.08,
        fat_hz=0.0,
    )
    along_phase, along_readout = centroid(kspace[0])
    assert along_readout == pytest.approx(-500 / 250, abs=0.01)
    assert along_phase == pytest.approx(0, abs=0.01)


def test_point_spread_of_t2_prime_is_the_transform_of_its_decay():
    """A point through the engine against the analytic decay of every sample."""
    size, bandwidth, t2_prime = 128, 250.0, 0.003
    tissue = {Tissue.FAT: Relaxation(1.0, 1e6, 1 / (1e-6 + 1 / t2_prime), 1.0)}
    times = sample_times(size, bandwidth)
    readout = readout_factors(
        tissue,
        (Tissue.FAT,),
        (0.0, 0.0),
        times,
        amplitudes=torch.ones(1),
        gradient_echo=False,
        tolerance=1e-6,
    )
    point = torch.zeros(1, 1, size, size)
    point[0, 0, size // 2, size // 2] = 1
    zero = torch.zeros(1, size, size, dtype=torch.float64)
    components = signal_components(
        point,
        lambda row, _: torch.tensor(1 + 0j),
        Fields(zero, zero.float() + 1, zero.float()),
        readout,
        rows=[0],
        shifts_hz=[0.0],
        gradient_echo_te=0.0,
    )
    maps = torch.ones(1, 1, size, size, dtype=torch.complex64)
    line = kspace_to_image(encode(components, maps, readout.basis)[0, 0])[size // 2].abs()
    decay = torch.exp(-times.abs() / t2_prime).to(torch.complex128)
    expected = torch.fft.fftshift(torch.fft.ifft(torch.fft.ifftshift(decay))).abs()
    torch.testing.assert_close(line.double(), expected, rtol=0, atol=1e-3 * float(expected.max()))


def width_at_half_maximum(decay, oversampling=64):
    """Full width [px] of the point spread of a line of samples."""
    n = len(decay)
    padded = torch.zeros(n * oversampling, dtype=torch.complex128)
    middle = n * oversampling // 2
    padded[middle - n // 2 : middle + n // 2] = decay
    spread = torch.fft.fftshift(torch.fft.ifft(torch.fft.ifftshift(padded))).abs()
    return float((spread >= spread.max() / 2).sum()) / oversampling


def test_point_spread_of_short_t2_prime_has_the_textbook_width():
    """The engine's evolution at T2' = 3 ms and 250 Hz/px: 1.31 px, the bare window 1.21 px.

    The Lorentzian alone would be 1/(pi T2' BW) = 0.42 px wide.
    """
    tissue = {Tissue.FAT: Relaxation(1.0, 1e6, 1 / (1e-6 + 1 / 0.003), 1.0)}
    times = sample_times(256, 250.0)
    decay = evolution(tissue, (Tissue.FAT,), torch.zeros(1), times, gradient_echo=False)[0, 0]
    assert width_at_half_maximum(decay) == pytest.approx(1.31, abs=0.02)
    assert width_at_half_maximum(torch.ones(256)) == pytest.approx(1.207, abs=0.02)
    # Where the decay is so fast that the window does not matter, the Lorentzian is all.
    fast_decay = {Tissue.FAT: Relaxation(1.0, 1e6, 1 / (1e-6 + 1e4), 1.0)}
    times = sample_times(1024, 250.0)
    narrow = evolution(fast_decay, (Tissue.FAT,), torch.zeros(1), times, gradient_echo=False)
    expected = 1 / (math.pi * 1e-4 * 250)
    assert width_at_half_maximum(narrow[0, 0]) == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("bandwidth", [80.0, 120.0, 250.0])
@pytest.mark.parametrize("tissue_set", ["brainweb_1p5T", "literature_3T"])
def test_a_solid_does_not_crowd_out_the_others_in_a_gradient_echo(tissue_set, bandwidth):
    """Skull has no signal at the echo, but exp(+|t|/T2*) of it before: it must not count."""
    properties = TISSUE_SETS[tissue_set].properties
    tissues = (Tissue.WHITE_MATTER, Tissue.FAT, Tissue.SKULL)
    amplitudes = nominal_amplitudes(
        GradientEcho(kind="gradient_echo", tr_ms=30, te_ms=10), properties, tissues
    )
    times = sample_times(64, bandwidth)
    grid = torch.linspace(-300, 100, 25, dtype=torch.float64)
    readout = readout_factors(
        properties,
        tissues,
        (-300.0, 100.0),
        times,
        amplitudes=amplitudes,
        gradient_echo=True,
        tolerance=1e-3,
    )
    exact = evolution(properties, tissues, grid, times, gradient_echo=True)
    for row in range(2):
        found = readout.at(row, grid.float()).to(torch.complex128) @ readout.basis.mT.to(
            torch.complex128
        )
        assert relative_error(found, exact[row]) < 6e-3
    assert readout.rank <= 13


def disc_phase(gradient_echo, df):
    y, x = coordinates(64)
    disc = (torch.hypot(x, y) < 20).double()
    memberships = torch.stack([disc, 0 * disc, 0 * disc])
    field = torch.full((64, 64), df, dtype=torch.float64)
    kspace, _ = fast(
        memberships,
        field,
        bandwidth=1e5,
        tolerance=1e-6,
        gradient_echo=gradient_echo,
        te=0.012,
        fat_hz=0.0,
    )
    return float(kspace_to_image(kspace[0])[32, 32].angle())


@pytest.mark.parametrize("df", [10.0, -25.0, 60.0])
def test_phase_of_a_gradient_echo_is_the_off_resonance_times_te(df):
    expected = math.remainder(2 * math.pi * df * 0.012, 2 * math.pi)
    assert disc_phase(True, df) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("df", [10.0, -25.0, 60.0])
def test_phase_of_a_spin_echo_is_none(df):
    assert disc_phase(False, df) == pytest.approx(0, abs=1e-3)


def test_without_readout_effects_encoding_is_the_fourier_transform():
    memberships, field = disc_with_fat(45)
    amplitudes = torch.tensor(AMPLITUDES, dtype=torch.complex64)
    phase = (field / 100)[None]
    fields = Fields(phase, torch.ones_like(phase), torch.zeros_like(phase).float())
    image = signal_image(memberships.float()[None], lambda row, _: amplitudes[row], fields)
    maps = torch.ones(1, 1, 45, 45, dtype=torch.complex64)
    kspace = encode(image[:, None], maps, None)[:, 0]
    torch.testing.assert_close(kspace, image_to_kspace(image), rtol=0, atol=1e-6)
    expected = sum(memberships[c] * AMPLITUDES[c] for c in range(3))
    torch.testing.assert_close(image[0].abs().double(), expected, rtol=0, atol=1e-7)
