import math

import pytest
import torch

from spinforge.simulation.acquisition import (
    Slices,
    simulate_scan,
    slice_memberships,
    slice_targets,
    soft_targets,
)
from spinforge.simulation.contrast import SpinEcho
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.fourier import image_to_kspace, kspace_to_image
from spinforge.simulation.noise import Noise, draw_noise
from spinforge.simulation.phantom import Phantom
from spinforge.simulation.rng import SampleRng
from spinforge.simulation.tissue import HEAD_TISSUES, Tissue


def block_phantom(subject="block", spacing_mm=4.0):
    """White matter with a grey and a fluid half, in air; one plane of half white, half grey."""
    shape = [round(extent / spacing_mm) for extent in (181, 217, 181)]
    m = torch.zeros(12, *shape)
    m[Tissue.WHITE_MATTER, 10:34, 12:42] = 1
    m[Tissue.GREY_MATTER, 10:20, 12:42] = 1
    m[Tissue.WHITE_MATTER, 10:20] = 0
    m[Tissue.CSF, 10:34, 30:42] = 1
    m[Tissue.GREY_MATTER : Tissue.WHITE_MATTER + 1, :, 30:42] = 0
    m[:, 20, 12:30] = 0
    m[Tissue.GREY_MATTER, 20, 12:30] = 0.4
    m[Tissue.WHITE_MATTER, 20, 12:30] = 0.6
    m[Tissue.BACKGROUND] = 1 - m.sum(0)
    return Phantom(subject, m, spacing_mm, "test", "0" * 64)


SLICES = Slices(thickness_mm=12, count=14)


def scan(percent=10.0, variation=0.05, seed=0, subject="block"):
    return simulate_scan(
        block_phantom(subject), SLICES, SpinEcho(variation=variation), Noise(percent=percent),
        seed=seed,
    )  # fmt: skip


def test_shapes_and_types():
    s = scan()
    assert s.kspace.shape == (14, 1, 45, 54)
    assert s.kspace.dtype == torch.complex64
    assert s.image.shape == s.target.shape == (14, 45, 54)
    assert s.target.dtype == torch.uint8
    assert s.target_soft.shape == (14, 4, 45, 54)


def test_partial_volume_is_the_sum_of_tissue_signals():
    s = scan(variation=0.0)
    # 0.4 * .3182 + 0.6 * .2448, golden values of the 3000/80 spin echo.
    mixed = s.image.abs()[3, 20, 20].item()
    assert mixed == pytest.approx(0.4 * 0.3182 + 0.6 * 0.2448, abs=1e-4)


@pytest.mark.parametrize("percent", [1.0, 10.0, 20.0])
def test_noise_std_is_the_percentage_of_this_scans_white_matter(percent):
    noisy, clean = scan(percent), scan(percent).image
    white_matter = clean.abs()[3, 28, 20].item()
    assert noisy.white_matter_signal == pytest.approx(white_matter, rel=1e-6)
    difference = noisy.kspace[:, 0] - image_to_kspace(clean)
    expected = percent / 100 * white_matter
    # 14 * 45 * 54 samples: the standard error of a std is 1/sqrt(2 n) = 0.4 %.
    assert difference.real.std().item() == pytest.approx(expected, rel=0.01)
    assert difference.imag.std().item() == pytest.approx(expected, rel=0.01)


def test_noise_is_white_and_circular():
    n = draw_noise(SampleRng(0, "n"), (4, 180, 216), 0.5)
    count = n.numel()
    assert abs(n.mean().item()) < 5 * 0.5 * math.sqrt(2 / count)
    correlation = (n.real * n.imag).mean() / 0.25
    assert abs(correlation) < 5 / math.sqrt(count)
    neighbours = (n[..., 1:] * n[..., :-1].conj()).mean().abs() / 0.5
    assert neighbours < 5 / math.sqrt(count)


def test_orthonormal_transform_keeps_the_noise_std_and_magnitude_is_rayleigh():
    sigma = 0.1
    noise = draw_noise(SampleRng(0, "r"), (30, 180, 216), sigma)
    image = kspace_to_image(noise)
    # 1.2 million samples: five standard errors of a std are 0.33 %.
    assert image.real.std().item() == pytest.approx(sigma, rel=0.005)
    assert image.abs().mean().item() == pytest.approx(sigma * math.sqrt(math.pi / 2), rel=0.005)
    assert image.abs().std().item() == pytest.approx(sigma * math.sqrt(2 - math.pi / 2), rel=0.005)


def test_zero_noise_gives_the_transform_of_the_clean_image():
    s = scan(percent=0.0)
    torch.testing.assert_close(s.kspace[:, 0], image_to_kspace(s.image), rtol=0, atol=1e-6)


def test_kspace_is_not_hermitian():
    """Its asymmetry is 2 ||Im m|| / ||m||, and the drawn phase makes it more than 0.05."""
    for subject in ("a", "b", "c", "d"):
        # Odd sizes: the mirrored frequency exists for every sample.
        image = scan(percent=0.0, subject=subject).image.to(torch.complex128)[:, :45, :53]
        kspace = image_to_kspace(image)
        mirrored = kspace.flip(-2, -1).conj()
        asymmetry = ((kspace - mirrored).norm() / kspace.norm()).item()
        expected = (2 * image.imag.norm() / image.norm()).item()
        assert asymmetry == pytest.approx(expected, rel=1e-6)
        assert asymmetry > 0.05


def test_phase_is_smooth():
    """No step between neighbours that a segmentation could use as an edge."""
    image = scan(percent=0.0).image[3, 12:32, 14:28].to(torch.complex128)
    steps = torch.angle(image[1:] * image[:-1].conj()).abs()
    # 1 rad polynomial over 45 voxels plus a 0.2 rad field of 60 mm: below 0.5 rad per 4 mm.
    assert steps.max() < 0.5


def test_targets_keep_csf_gm_wm_and_drop_the_rest():
    memberships = torch.zeros(1, 12, 1, 12)
    for tissue in HEAD_TISSUES:
        memberships[0, tissue, 0, tissue] = 1
    assert slice_targets(memberships)[0, 0].tolist() == [0, 1, 2, 3, 0, 0, 0, 0, 0, 0, 0, 0]
    soft = soft_targets(memberships)
    assert soft[0, :, 0].argmax(0).tolist() == [0, 1, 2, 3, 0, 0, 0, 0, 0, 0, 0, 0]
    torch.testing.assert_close(soft.sum(1), torch.ones(1, 1, 12))


def test_thick_slice_is_the_mean_of_thin_ones():
    phantom = block_phantom()
    thick = slice_memberships(phantom, Slices(thickness_mm=12, count=5))
    thin = slice_memberships(phantom, Slices(thickness_mm=4, count=15))
    expected = thin.reshape(5, 3, *thin.shape[1:]).mean(1)
    torch.testing.assert_close(thick, expected, rtol=1e-6, atol=1e-6)


def test_axes_are_left_right_then_posterior_anterior():
    phantom = block_phantom()
    phantom.memberships[:, 12, 14, 4] = 0
    phantom.memberships[Tissue.FAT, 12, 14, 4] = 1
    assert slice_memberships(phantom, Slices(thickness_mm=4, count=45))[4, Tissue.FAT, 12, 14] == 1


def test_a_slice_does_not_depend_on_how_many_are_kept():
    few = simulate_scan(
        block_phantom(), Slices(thickness_mm=12, count=5), SpinEcho(), Noise(), seed=0
    )
    torch.testing.assert_close(few.image, scan().image[:5], rtol=0, atol=0)
    torch.testing.assert_close(few.kspace, scan().kspace[:5], rtol=0, atol=0)


def test_same_seed_same_bytes_other_seed_other_noise():
    a, b, c = scan(seed=1), scan(seed=1), scan(seed=2)
    assert torch.equal(a.kspace, b.kspace)
    assert not torch.equal(a.kspace, c.kspace)


@pytest.mark.parametrize(
    ("slices", "message"),
    [
        (Slices(thickness_mm=6, count=10), "not a multiple of the 4 mm voxels"),
        (Slices(thickness_mm=12, count=16), "do not fit in the field of view of 180 mm"),
    ],
)
def test_slices_that_do_not_fit_are_refused(slices, message):
    with pytest.raises(SpinforgeError, match=message):
        slice_memberships(block_phantom(), slices)
