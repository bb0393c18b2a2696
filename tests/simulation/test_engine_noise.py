"""Percent noise of whole scans: measured standard deviation over the signal of white matter."""

import math

import closed_forms
import pytest
import torch

from spinforge.simulation.acquisition import simulate_scan
from spinforge.simulation.fourier import kspace_to_image
from spinforge.simulation.noise import Noise
from spinforge.simulation.phantom import Phantom
from spinforge.simulation.scanner import Scanner
from spinforge.simulation.sequences import GradientEcho, SpinEcho
from spinforge.simulation.slices import Slices
from spinforge.simulation.tissue import HEAD_TISSUES, Tissue

THICK, THIN = Slices(thickness_mm=12, count=15), Slices(thickness_mm=4, count=45)
GRADIENT_ECHO = GradientEcho(kind="gradient_echo", tr_ms=60, te_ms=10)


def cube(subject="a"):
    """White matter and fluid in air."""
    m = torch.zeros(len(HEAD_TISSUES), 45, 54, 45)
    m[Tissue.WHITE_MATTER, 10:35, 12:32] = 1
    m[Tissue.CSF, 10:35, 32:42] = 1
    m[Tissue.BACKGROUND] = 1 - m.sum(0)
    return Phantom(subject, m, 4.0, "test", "0" * 64)


def white_matter_signal(sequence, scan):
    """Closed form at this scan's TR, TE and tissues (BrainWeb: 500/70/61 ms, .77)."""
    factors = scan.drawn["tissue_factors"].get("WHITE_MATTER", (1.0,) * 4)
    t1, t2, t2_star, density = (
        mean * factor for mean, factor in zip((0.5, 0.07, 0.061, 0.77), factors, strict=True)
    )
    if isinstance(sequence, SpinEcho):
        return density * closed_forms.spin_echo(t1, t2, tr=scan.tr, te=scan.te)
    flip = math.radians(sequence.flip_deg)
    decay = math.exp(-scan.te / min(t2, t2_star))
    return density * closed_forms.ernst(t1, tr=scan.tr, flip=flip) * decay


def noise_of(subject, sequence, percent, scanner, slices=THICK):
    """The noise alone, and the scan."""
    quiet, noisy = (
        simulate_scan(cube(subject), slices, sequence, Noise(percent=p), scanner, seed=0)
        for p in (0.0, percent)
    )
    return noisy.kspace - quiet.kspace, noisy


def channels_std(noise):
    return float(torch.view_as_real(noise).double().square().mean().sqrt())


# Each subject draws its own TR, TE and tissues.
@pytest.mark.parametrize("subject", ["a", "b", "c"])
@pytest.mark.parametrize("percent", [1.0, 10.0, 40.0])
@pytest.mark.parametrize("variability", [0.0, 1.0])
@pytest.mark.parametrize("profile", ["ideal", "seranet"])
def test_noise_is_the_percentage_of_white_matter(subject, percent, variability, profile):
    sequence = SpinEcho(variation=0.2)
    scanner = Scanner(profile=profile, tissue_variability=variability)
    noise, scan = noise_of(subject, sequence, percent, scanner)
    expected = white_matter_signal(sequence, scan)
    # Two channels of 36 450 samples: the deviation's standard error is .26 %.
    assert channels_std(noise) / expected == pytest.approx(percent / 100, rel=0.01)
    # In single precision, where stimulated echoes are left out.
    assert scan.white_matter_signal == pytest.approx(expected, rel=1e-3)
    assert scan.noise_std == scan.drawn["noise_std"]


@pytest.mark.parametrize("subject", ["a", "b"])
@pytest.mark.parametrize("profile", ["ideal", "seranet"])
def test_noise_of_a_gradient_echo_is_the_percentage_of_white_matter(subject, profile):
    scanner = Scanner(profile=profile, tissue_variability=1.0)
    noise, scan = noise_of(subject, GRADIENT_ECHO, 10.0, scanner)
    expected = white_matter_signal(GRADIENT_ECHO, scan)
    assert channels_std(noise) / expected == pytest.approx(0.1, rel=0.01)


def test_the_reference_is_the_white_matter_of_the_image():
    """Where nothing but a phase is between them: the image's pure white matter is 100 %."""
    scanner = Scanner(tissue_variability=1.0)
    _, scan = noise_of("a", SpinEcho(variation=0.2), 10.0, scanner)
    white = scan.image[:, 12:33, 14:30].abs()
    torch.testing.assert_close(
        white, torch.full_like(white, scan.white_matter_signal), rtol=1e-5, atol=0
    )
    assert scan.noise_std == pytest.approx(0.1 * float(white.mean()), rel=1e-5)


def test_real_and_imaginary_part_have_the_same_deviation_in_k_space_and_image():
    """More than a million samples of each: simulation.md allows half a percent."""
    noise, scan = noise_of("a", SpinEcho(), 10.0, Scanner(coils=10), THIN)
    assert noise.numel() > 1e6
    for values in (noise, kspace_to_image(noise)):
        for part in (values.real, values.imag):
            assert float(part.double().std()) == pytest.approx(scan.noise_std, rel=0.005)
        covariance = float((values.real.double() * values.imag.double()).mean())
        limit = 5 * scan.noise_std**2 / math.sqrt(values.numel())
        assert abs(covariance) < limit
        for axis in range(4):  # from slice to slice, coil to coil, line to line, sample to sample
            apart = values * values.roll(1, dims=axis).conj()
            assert abs(complex(apart.to(torch.complex128).mean())) < 2 * limit
    assert abs(complex(noise.mean())) < 5 * scan.noise_std * math.sqrt(2 / noise.numel())
