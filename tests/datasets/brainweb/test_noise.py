"""Noise as BrainWeb defines it: its size in each contrast, and the statistics of magnitudes."""

import itertools
import math

import pytest
import torch

from spinforge.datasets.products.catalogue import maker_of
from spinforge.datasets.products.kspace import KSpaceProduct
from spinforge.simulation.acquisition import Scan, simulate_scan
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.fourier import kspace_to_image
from spinforge.simulation.noise import Noise
from spinforge.simulation.phantom import Phantom
from spinforge.simulation.scanner import Scanner
from spinforge.simulation.sequences import BalancedSSFP, DualEcho, GradientEcho, PulseSequence
from spinforge.simulation.slices import Slices
from spinforge.simulation.tissue import Tissue

TISSUES = (Tissue.BACKGROUND, Tissue.CSF, Tissue.GREY_MATTER, Tissue.WHITE_MATTER)
STRIP = 180 // len(TISSUES)

CONTRASTS: dict[str, PulseSequence] = {
    "T1": GradientEcho(kind="gradient_echo", variation=0),
    "T2": DualEcho(kind="dual_echo", variation=0),
    "PD": DualEcho(kind="dual_echo", echo="early", variation=0),
}
# White matter in T1, CSF in T2 and PD: from the signal equations of BrainWeb's own simulator,
# worked out independently of this code.
REFERENCE = {"T1": 0.0702, "T2": 0.4930, "PD": 0.6384}


def strips() -> Phantom:
    """A strip of air and one of each brain tissue, the same in every plane."""
    plane = torch.zeros(len(TISSUES), 180, 216)
    for row in range(len(TISSUES)):
        plane[row, row * STRIP : (row + 1) * STRIP] = 1
    return Phantom(
        "strips", plane[..., None].expand(-1, -1, -1, 180), 1.0, "test", "0" * 64, tissues=TISSUES
    )


def scan(contrast: str, percent: float, slices: Slices) -> Scan:
    return simulate_scan(
        strips(),
        slices,
        CONTRASTS[contrast],
        Noise(percent=percent, reference="brainweb"),
        Scanner(profile="brainweb"),
        seed=0,
    )


@pytest.mark.parametrize("thickness_mm", [1, 3, 5])
@pytest.mark.parametrize("contrast", CONTRASTS)
def test_sigma_is_the_percentage_of_brainwebs_tissue_over_the_thickness(contrast, thickness_mm):
    slices = Slices(thickness_mm=thickness_mm, count=1)
    # The reference is known to its fourth digit.
    assert scan(contrast, 100, slices).noise_std * thickness_mm == pytest.approx(
        REFERENCE[contrast], abs=1e-4
    )
    assert scan(contrast, 3, slices).noise_std == pytest.approx(
        0.03 * scan(contrast, 100, slices).noise_std, rel=1e-12
    )


@pytest.fixture(scope="module", params=itertools.product(CONTRASTS, (1, 3, 5, 7, 9)), ids=str)
def noisy(request):
    """A scan of 60 slices, and the magnitudes of each tissue in it: 583 200 a tissue."""
    contrast, percent = request.param
    made = scan(contrast, percent, Slices(thickness_mm=1, count=60))
    magnitude = kspace_to_image(made.kspace[:, 0]).abs().double()
    return made, magnitude.split(STRIP, dim=1)


def test_magnitude_of_air_is_rayleigh(noisy):
    sigma, air = noisy[0].noise_std, noisy[1][0]
    # 0.5 % is five standard errors of the standard deviation, seven of the mean.
    assert air.mean().item() == pytest.approx(sigma * math.sqrt(math.pi / 2), rel=0.005)
    assert air.std().item() == pytest.approx(sigma * math.sqrt(2 - math.pi / 2), rel=0.005)


def test_magnitude_of_tissue_is_rician(noisy):
    made, magnitudes = noisy
    for row in range(1, len(TISSUES)):
        signal = made.image[0, row * STRIP, 0].abs().item()
        # 0.3 % is four standard errors where the signal is least, CSF in T1 with 9 %.
        assert magnitudes[row].square().mean().item() == pytest.approx(
            signal**2 + 2 * made.noise_std**2, rel=0.003
        )


def test_noise_of_a_sequence_that_brainweb_does_not_have_is_refused_before_any_work():
    product = KSpaceProduct(noise=Noise(reference="brainweb"))
    with pytest.raises(SpinforgeError, match=r"BrainWeb has no spin_echo.*choose wm, csf, gm"):
        maker_of(product).check()
    with pytest.raises(SpinforgeError, match="BrainWeb has no balanced_ssfp"):
        simulate_scan(
            strips(),
            Slices(thickness_mm=1, count=1),
            BalancedSSFP(kind="balanced_ssfp"),
            product.noise,
            seed=0,
        )
    maker_of(product.model_copy(update={"scan": CONTRASTS["T1"]})).check()
