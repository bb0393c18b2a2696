import math

import pytest
import torch

from spinforge.simulation.acquisition import simulate_scan
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.fourier import image_to_kspace, kspace_to_image
from spinforge.simulation.noise import Noise, draw_noise
from spinforge.simulation.phantom import Phantom
from spinforge.simulation.rng import SampleRng
from spinforge.simulation.scanner import Scanner
from spinforge.simulation.sequences import DualEcho, GradientEcho, SpinEcho
from spinforge.simulation.slices import (
    Slices,
    profile_weights,
    slice_memberships,
    slice_targets,
    soft_targets,
    warped,
)
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
    assert slice_targets(memberships, torch.tensor(HEAD_TISSUES))[0, 0].tolist() == [
        0,
        1,
        2,
        3,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
    ]
    soft = soft_targets(memberships)
    assert soft[0, :, 0].argmax(0).tolist() == [0, 1, 2, 3, 0, 0, 0, 0, 0, 0, 0, 0]
    torch.testing.assert_close(soft.sum(1), torch.ones(1, 1, 12))


def test_thick_slice_is_the_mean_of_thin_ones():
    phantom = block_phantom()
    thick = slice_memberships(phantom, Slices(thickness_mm=12, count=5))
    thin = slice_memberships(phantom, Slices(thickness_mm=4, count=15))
    expected = thin.reshape(5, 3, *thin.shape[1:]).mean(1)
    torch.testing.assert_close(thick, expected, rtol=1e-6, atol=1e-6)


def test_kspace_of_a_thick_slice_is_the_mean_of_thin_ones_without_phase():
    """Linear to single precision; a phase would differ from thin slice to thin slice."""
    thick, thin = (
        simulate_scan(
            block_phantom(),
            slices,
            SpinEcho(variation=0),
            Noise(percent=0),
            Scanner(profile="brainweb"),
            seed=0,
        ).kspace
        for slices in (Slices(thickness_mm=12, count=5), Slices(thickness_mm=4, count=15))
    )
    mean = thin.reshape(5, 3, *thin.shape[1:]).mean(1)
    assert float((thick - mean).norm() / mean.norm()) < 1e-6


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


SERANET = Scanner(profile="seranet")


def scan_with(scanner, percent=0.0, seed=0, subject="block"):
    return simulate_scan(
        block_phantom(subject), SLICES, SpinEcho(), Noise(percent=percent), scanner, seed=seed
    )


def test_clean_image_is_what_a_coil_of_unit_sensitivity_receives():
    """Single coils: dividing by the smooth receive field gives it back within its smoothness."""
    s = scan_with(Scanner(receive_range_percent=20.0))
    received = kspace_to_image(s.kspace[:, 0])
    torch.testing.assert_close(received / s.coil_maps[:, 0], s.image, rtol=0, atol=1e-6)


def test_coils_see_the_image_through_their_maps():
    s = scan_with(Scanner(coils=8))
    assert s.kspace.shape == (14, 8, 45, 54)
    expected = s.image[:, None] * s.coil_maps
    torch.testing.assert_close(kspace_to_image(s.kspace), expected, rtol=0, atol=1e-6)


def test_imperfect_scanner_changes_the_image_but_not_the_labels():
    ideal, imperfect = scan_with(Scanner()), scan_with(SERANET)
    assert torch.equal(ideal.target, imperfect.target)
    change = (imperfect.image.abs() - ideal.image.abs()).norm() / ideal.image.abs().norm()
    assert 0.01 < change < 0.5


def test_imperfect_scan_is_the_same_again_and_other_for_another_subject():
    first, again = scan_with(SERANET, 10.0), scan_with(SERANET, 10.0)
    assert torch.equal(first.kspace, again.kspace)
    other = scan_with(SERANET, 10.0, subject="other")
    assert first.drawn["b1_peak"] != other.drawn["b1_peak"]
    assert first.drawn["tissue_factors"] != other.drawn["tissue_factors"]


def test_seranet_profile_is_not_hermitian():
    kspace = scan_with(SERANET).kspace[:, 0, :45, 1:].to(torch.complex128)
    mirrored = kspace.flip(-2, -1).conj()
    assert (kspace - mirrored).norm() / kspace.norm() > 0.05


def test_brainweb_profile_is_real():
    image = scan_with(Scanner(profile="brainweb")).image
    assert image.imag.abs().max() < 1e-6


def gradient_scan(scanner, subject="block"):
    sequence = GradientEcho(kind="gradient_echo", tr_ms=100, te_ms=20)
    return simulate_scan(
        block_phantom(subject), SLICES, sequence, Noise(percent=0), scanner, seed=0
    )


def test_drift_turns_the_outer_lines_of_a_gradient_echo_by_its_phase_at_te():
    still, drifting = gradient_scan(Scanner()), gradient_scan(Scanner(drift_hz=2.0))
    turn = (drifting.kspace[:, 0] * still.kspace[:, 0].conj()).sum(-1).angle()
    line = torch.arange(45) - 22
    expected = 2 * math.pi * 2.0 * line / 45 * still.te
    torch.testing.assert_close(turn, expected.expand(14, -1), rtol=0, atol=1e-4)


def test_a_spin_echo_refocuses_drift():
    assert torch.equal(scan_with(Scanner()).kspace, scan_with(Scanner(drift_hz=2.0)).kspace)


def test_an_imperfect_slice_does_not_depend_on_how_many_are_kept():
    few = simulate_scan(
        block_phantom(), Slices(thickness_mm=12, count=5), SpinEcho(), Noise(), SERANET, seed=0
    )
    all_of_them = scan_with(SERANET, 10.0)
    torch.testing.assert_close(few.coil_maps, all_of_them.coil_maps[:5], rtol=0, atol=0)
    torch.testing.assert_close(few.kspace, all_of_them.kspace[:5], rtol=0, atol=0)


def test_two_echoes_of_a_scan_share_all_but_their_noise():
    early, late = (
        simulate_scan(
            block_phantom(), SLICES, DualEcho(kind="dual_echo", echo=echo), Noise(percent=10),
            seed=0,
        )
        for echo in ("early", "late")
    )  # fmt: skip
    assert early.tr == late.tr
    assert early.te / late.te == pytest.approx(35 / 120)
    assert early.drawn["phase"] == late.drawn["phase"]
    noise = [s.kspace[:, 0] - image_to_kspace(s.image) for s in (early, late)]
    correlation = (noise[0] * noise[1].conj()).sum().abs() / (noise[0].norm() * noise[1].norm())
    assert correlation < 5 / math.sqrt(noise[0].numel())


def test_a_phantom_the_engine_cannot_scan_is_refused():
    phantom = block_phantom()
    small = Phantom("small", phantom.memberships[:, :40], 4.0, "test", "0" * 64)
    with pytest.raises(SpinforgeError, match=r"small has \(40, 54, 45\) voxels of 4 mm, fewer"):
        simulate_scan(small, SLICES, SpinEcho(), Noise(), seed=0)
    tissues = (Tissue.BACKGROUND, Tissue.MYOCARDIUM)
    heart = Phantom("heart", phantom.memberships[:2], 4.0, "test", "0" * 64, tissues=tissues)
    with pytest.raises(SpinforgeError, match="has no relaxation times for MYOCARDIUM"):
        simulate_scan(heart, SLICES, SpinEcho(), Noise(), seed=0)


@pytest.mark.parametrize("profile", ["box", "gaussian", "sinc"])
def test_slice_profiles_keep_a_uniform_object(profile):
    weights = profile_weights(profile, 3)
    assert float(weights.sum()) == pytest.approx(1, abs=1e-6)
    torch.testing.assert_close(weights, weights.flip(0))
    memberships = slice_memberships(block_phantom(), SLICES, profile)
    torch.testing.assert_close(
        memberships.sum(1), torch.ones_like(memberships[:, 0]), rtol=0, atol=1e-6
    )


def test_profile_reaches_into_the_neighbouring_slice():
    """Half maximum lies at the edge of the slice, so some signal is the neighbour's."""
    for profile in ("gaussian", "sinc"):
        weights = profile_weights(profile, 8)
        assert 0.02 < float(weights[:8].sum()) < 0.15


def test_warp_shifts_the_edge_by_its_largest_value_and_the_centre_not():
    ramp = torch.arange(90, dtype=torch.float32).expand(1, 1, 90, 90)
    moved = warped(ramp, largest_mm=1.5, spacing_mm=1.0) - ramp
    assert float(moved[0, 0, 45, 45]) == pytest.approx(0, abs=0.01)
    # (81/90)^3 of 1.5 mm at u = 0.9; linear interpolation of a ramp is exact.
    u = (2 * 85 + 1) / 90 - 1
    assert float(moved[0, 0, 45, 85]) == pytest.approx(1.5 * u**3, abs=0.01)


@pytest.mark.parametrize(
    ("reference", "expected"),
    [("csf", 0.5326), ("gm", 0.3182), ("brightest", 0.5361), ("absolute", 1.0)],
)
def test_noise_reference(reference, expected):
    s = simulate_scan(
        block_phantom(), SLICES, SpinEcho(variation=0), Noise(percent=20, reference=reference),
        seed=0,
    )  # fmt: skip
    assert s.noise_std == pytest.approx(0.2 * expected, abs=1e-4)


@pytest.mark.parametrize("reference", ["rms", "max"])
def test_noise_reference_of_the_image(reference):
    s = simulate_scan(
        block_phantom(), SLICES, SpinEcho(), Noise(percent=10, reference=reference), seed=0
    )
    magnitude = s.image.abs().double()
    value = magnitude.max() if reference == "max" else magnitude.square().mean().sqrt()
    assert s.noise_std == pytest.approx(0.1 * float(value), rel=1e-6)


def test_noise_reference_the_phantom_does_not_have_is_refused():
    phantom = block_phantom()
    keep = (Tissue.BACKGROUND, Tissue.GREY_MATTER)
    small = Phantom("g", phantom.memberships[list(keep)], 4.0, "test", "0" * 64, tissues=keep)
    with pytest.raises(
        SpinforgeError, match=r"data\.noise\.reference = wm: the phantom has no WHITE_MATTER"
    ):
        simulate_scan(small, SLICES, SpinEcho(), Noise(), seed=0)
