"""Images straight from the signal equations: BrainWeb's numbers, and the engine's own image."""

import pytest
import torch

from spinforge.simulation.acquisition import simulate_scan
from spinforge.simulation.noise import Noise
from spinforge.simulation.nominal_image import (
    BRAINWEB_PROTOCOL,
    BRAINWEB_REFERENCES,
    nominal_image,
    pure_signal,
)
from spinforge.simulation.phantom import Phantom
from spinforge.simulation.phantoms.head import generate_head
from spinforge.simulation.scanner import Scanner
from spinforge.simulation.sequences import InversionRecovery
from spinforge.simulation.slices import Slices
from spinforge.simulation.tissue import Tissue
from spinforge.simulation.tissue_sets import TISSUE_SETS

PROPERTIES = TISSUE_SETS["brainweb_1p5T"].properties


@pytest.mark.parametrize(
    ("contrast", "signals"),
    [
        ("T1", (0.0210, 0.0521, 0.0702, 0.1189)),
        ("T2", (0.4930, 0.1981, 0.1384, 0.1801)),
        ("PD", (0.6384, 0.5517, 0.4662, 0.6065)),
    ],
)
def test_signals_are_those_of_brainwebs_sequences(contrast, signals):
    """CSF, GM, WM and fat, from BrainWeb's own equations; four digits are known."""
    tissues = (Tissue.CSF, Tissue.GREY_MATTER, Tissue.WHITE_MATTER, Tissue.FAT)
    found = [pure_signal(tissue, BRAINWEB_PROTOCOL[contrast], PROPERTIES) for tissue in tissues]
    assert found == pytest.approx(signals, abs=1e-4)


def test_noise_refers_to_white_matter_in_t1_and_to_csf_elsewhere():
    """What BrainWeb calls 100 % is also its brightest brain tissue."""
    for contrast, reference in BRAINWEB_REFERENCES.items():
        sequence = BRAINWEB_PROTOCOL[contrast]
        brain = (Tissue.CSF, Tissue.GREY_MATTER, Tissue.WHITE_MATTER)
        signals = {tissue: pure_signal(tissue, sequence, PROPERTIES) for tissue in brain}
        assert max(signals, key=lambda tissue: signals[tissue]) == reference


@pytest.mark.parametrize("contrast", BRAINWEB_PROTOCOL)
def test_the_image_is_that_of_the_engine_with_brainwebs_profile(contrast):
    head = generate_head("head-000", seed=0, spacing_mm=4.0)
    sequence = BRAINWEB_PROTOCOL[contrast]
    scan = simulate_scan(
        head,
        Slices(thickness_mm=4, count=45),
        sequence,
        Noise(percent=0),
        Scanner(profile="brainweb"),
        seed=0,
    )
    image = nominal_image(head, sequence, PROPERTIES)[:45, :54, :45].permute(2, 0, 1)
    # Single precision, and a Fourier transform there and back.
    torch.testing.assert_close(scan.image.abs(), image, rtol=0, atol=1e-5 * float(image.max()))


def test_opposite_signals_cancel_before_the_magnitude():
    tissues = (Tissue.BACKGROUND, Tissue.CSF, Tissue.WHITE_MATTER)
    memberships = torch.zeros(3, 1, 1, 3)
    memberships[1, 0, 0] = torch.tensor([1.0, 0.0, 0.5])
    memberships[2, 0, 0] = torch.tensor([0.0, 1.0, 0.5])
    phantom = Phantom("a", memberships, 1.0, "test", "0", tissues=tissues)
    # Long after white matter's zero crossing, long before that of CSF.
    sequence = InversionRecovery(
        kind="inversion_recovery", tr_ms=10_000, te_ms=10, ti_ms=900, variation=0
    )
    csf, white, mixed = nominal_image(phantom, sequence, PROPERTIES)[0, 0].tolist()
    assert mixed == pytest.approx(abs(csf - white) / 2, rel=1e-5)
