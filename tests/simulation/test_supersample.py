"""An object on a finer grid than the scan: true Gibbs ringing, at the right place and intensity."""

import math

import pytest
import torch

from spinforge.simulation.acquisition import noise_free_kspace, simulate_scan
from spinforge.simulation.coils import birdcage_maps
from spinforge.simulation.contrast import nominal_amplitudes
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.forward import Fields, encode
from spinforge.simulation.fourier import image_to_kspace, kspace_to_image
from spinforge.simulation.noise import Noise
from spinforge.simulation.phantom import coarsened
from spinforge.simulation.phantoms.head import generate_head
from spinforge.simulation.scanner import Scanner
from spinforge.simulation.sequences import SpinEcho
from spinforge.simulation.slices import Slices
from spinforge.simulation.tissue import Tissue
from spinforge.simulation.tissue_sets import TISSUE_SETS

SLICES = Slices(thickness_mm=12, count=12)
PROPERTIES = TISSUE_SETS["brainweb_1p5T"].properties
SEQUENCE = SpinEcho(variation=0)


def scanned(share, supersample, **settings):
    """k-space of white matter with these shares, (ky, kx), its signal being 1."""
    zero = torch.zeros(1, *share.shape, dtype=torch.float64)
    kspace = noise_free_kspace(
        share[None, None].float(),
        (Tissue.WHITE_MATTER,),
        PROPERTIES,
        Fields(zero, torch.ones_like(zero), zero.float()),
        torch.ones(1, 1, *share.shape, dtype=torch.complex64),
        Scanner(supersample=supersample, **settings),
        SEQUENCE,
    )
    return kspace[0, 0] / float(
        nominal_amplitudes(SEQUENCE, PROPERTIES, (Tissue.WHITE_MATTER,)).abs()
    )


def overshoot(supersample, first):
    """Largest value of a unit step, 64 voxels wide, beyond its plateau, between voxels too."""
    step = torch.zeros(8 * supersample, 128 * supersample)
    step[:, first : first + 64 * supersample] = 1
    kspace = scanned(step, supersample)
    between = torch.zeros(8, 16 * 128, dtype=torch.complex64)
    between[:, 8 * 128 - 64 : 8 * 128 + 64] = kspace
    on_voxels, everywhere = (
        float(kspace_to_image(k).real.max()) * math.sqrt(k.shape[1] / 128) - 1
        for k in (kspace, between)
    )
    return on_voxels, everywhere


@pytest.mark.parametrize("first", [64, 65])
def test_a_supersampled_step_overshoots_by_9_percent(first):
    """Wilbraham and Gibbs: 8.95 % of the step, wherever its edge lies between the voxels."""
    assert 0.089 < overshoot(2, first)[1] < 0.090


def test_without_supersampling_a_step_shows_no_ringing():
    assert overshoot(1, 32)[0] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("size", [(8, 10), (9, 11)], ids=str)
def test_supersampled_kspace_is_the_integral_over_small_boxes(size):
    """The Fourier integral of every box, summed one by one in double precision."""
    generator = torch.Generator().manual_seed(0)
    ny, nx = size
    share = torch.rand(2 * ny, 2 * nx, generator=generator, dtype=torch.float64)

    def integrals(count):
        # Voxel i spans i - 1/2 to i + 1/2 about the image centre; its two boxes halve it.
        position = (torch.arange(2 * count) + 0.5) / 2 - 0.5 - count // 2
        k = (torch.arange(count) - count // 2)[:, None] / count
        return torch.exp(-2j * math.pi * k * position) * torch.sinc(k / 2) / 2

    y, x = integrals(ny), integrals(nx)
    expected = y @ share.to(y.dtype) @ x.mT / math.sqrt(nx * ny)
    found = scanned(share, 2).to(torch.complex128)
    assert float((found - expected).norm() / expected.norm()) < 1e-6


def test_supersampling_moves_nothing_and_keeps_the_intensity():
    y, x = torch.meshgrid(torch.arange(256.0), torch.arange(256.0), indexing="ij")
    blob = torch.exp(-((y - 90.3) ** 2 + (x - 140.6) ** 2) / (2 * 16**2))
    voxels = blob.unflatten(0, (128, 2)).unflatten(2, (128, 2)).mean((1, 3))
    fine, coarse = scanned(blob, 2, readout=True), scanned(voxels, 1, readout=True)
    torch.testing.assert_close(kspace_to_image(fine), kspace_to_image(coarse), rtol=0, atol=1e-3)


def test_supersampled_coils_see_what_one_coil_sees():
    generator = torch.Generator().manual_seed(1)
    image = torch.rand(1, 1, 32, 32, generator=generator).to(torch.complex64)
    maps = birdcage_maps(4, (32, 32))
    together = encode(image, maps, None, supersample=2)
    for coil in range(4):
        alone = encode(image, maps[:, coil : coil + 1], None, supersample=2)
        torch.testing.assert_close(together[:, coil], alone[:, 0], rtol=0, atol=1e-6)


@pytest.fixture(scope="module")
def fine_head():
    return generate_head("head-000", seed=0, spacing_mm=2.0)


def test_a_supersampled_scan_differs_in_its_ringing_only(fine_head):
    """Same labels and fields; the images agree where k-space is not near its edge."""
    settings = {"profile": "seranet", "receive_range_percent": 0.0}
    fine = simulate_scan(
        fine_head,
        SLICES,
        SpinEcho(),
        Noise(percent=0),
        Scanner(supersample=2, **settings),
        seed=0,
    )
    head = coarsened(fine_head, 2)
    coarse = simulate_scan(head, SLICES, SpinEcho(), Noise(percent=0), Scanner(**settings), seed=0)
    assert fine.kspace.shape == coarse.kspace.shape == (12, 1, 45, 54)
    assert torch.equal(fine.target, coarse.target)
    assert fine.white_matter_signal == coarse.white_matter_signal

    def low(scan):
        return scan.kspace[:, 0, 18:27, 22:32]

    # The two weigh low frequencies alike, up to the box: 1 - sinc(1/8) of a coarse voxel's at 4 of
    # 45 lines, and fields within a voxel.
    assert float((low(fine) - low(coarse)).norm() / low(coarse).norm()) < 0.02
    edge = (fine.image - coarse.image).norm() / coarse.image.norm()
    assert 0.02 < float(edge) < 0.3
    parseval = fine.kspace[:, 0].norm() / image_to_kspace(fine.image).norm()
    assert float(parseval) == pytest.approx(1, abs=1e-5)


def test_coarser_voxels_are_means_of_finer_ones(fine_head):
    head = coarsened(fine_head, 2)
    assert head.memberships.shape[1:] == (45, 54, 45)
    assert head.spacing_mm == 4
    mean = fine_head.memberships[:, 20:22, 30:32, 40:42].mean((1, 2, 3))
    torch.testing.assert_close(head.memberships[:, 10, 15, 20], mean, rtol=0, atol=1e-6)


def test_a_phantom_too_coarse_to_be_supersampled_is_refused():
    tiny = generate_head("head-000", seed=0, spacing_mm=8.0)
    with pytest.raises(SpinforgeError, match="thickness_mm = 12 is not a multiple of the 16 mm"):
        simulate_scan(tiny, SLICES, SpinEcho(), Noise(), Scanner(supersample=2), seed=0)
