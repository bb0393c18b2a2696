"""The procedural abdomen: densities, a spleen of the drawn volume, and a CT scanner's noise."""

import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.phantoms.abdomen import AbdomenScan, abdomen_digest, generate_abdomen
from spinforge.simulation.phantoms.abdomen_organs import CAVITY_MM, super_ellipse
from spinforge.simulation.phantoms.abdomen_scan import BLUR_MM, scan, shaped_noise
from spinforge.simulation.phantoms.block import Block
from spinforge.simulation.rng import SampleRng

SUBJECTS = ["sub-01", "sub-02", "sub-03"]
PIXEL_MM = 3.0


@pytest.fixture(scope="module")
def scans() -> list[AbdomenScan]:
    return [generate_abdomen(subject, seed=0, pixel_mm=PIXEL_MM) for subject in SUBJECTS]


def test_volumes_have_the_shape_of_the_field_of_view(scans):
    for one in scans:
        assert one.image.shape == one.mask.shape == (128, 128, 40)
        assert one.image.dtype == torch.float32
        assert one.spacing_mm == (3.0, 3.0, 5.0)
        assert torch.isfinite(one.image).all()


def test_spleen_has_the_volume_that_was_drawn(scans):
    for one in scans:
        volume_ml = float(one.mask.sum()) * math.prod(one.spacing_mm) / 1e3
        assert 60.0 <= one.parameters["spleen_ml"] <= 500.0
        # Sized on voxels of 4 mm, counted on voxels of 3 x 3 x 5 mm: the rounding of its edges.
        assert volume_ml == pytest.approx(one.parameters["spleen_ml"], rel=0.03)


def test_spleen_is_one_piece_on_the_left_behind_the_middle(scans):
    for one in scans:
        components, _ = ndimage.label(one.mask.numpy())
        # Partial volume may part a tip thinner than a slice from the rest.
        assert np.bincount(components.ravel())[1:].max() > 0.99 * float(one.mask.sum())
        x, y, _ = (np.array(ndimage.center_of_mass(one.mask.numpy())) - 63.5) * PIXEL_MM
        assert x < -50
        assert y < 10


def test_spleen_has_its_density_and_air_is_air(scans):
    for one in scans:
        inside = torch.from_numpy(ndimage.binary_erosion(one.mask.numpy(), iterations=2))
        values = one.image[inside].double()
        # Noise averages out; the parenchyma's texture of 3 HU is coarse and does not wholly.
        assert float(values.mean()) == pytest.approx(one.parameters["spleen_hu"], abs=3.0)
        # At 3 mm pixels: noise and texture in quadrature, the noise correlated in the plane.
        assert float(values.std()) == pytest.approx(
            math.hypot(one.parameters["noise_hu"], 3.0), rel=0.15
        )
        corner = one.image[:6, :6].double()
        assert float(corner.mean()) == pytest.approx(-1000.0, abs=3.0)


def test_every_density_of_the_list_is_there(scans):
    """Counts around each organ's density in one scan; the noise is 20 HU at most."""
    image = scans[0].image
    for low, high, smallest_ml in [
        (-1000, -800, 300),  # lungs, gas and air
        (-140, -60, 500),  # fat
        (40, 80, 300),  # muscle
        (90, 130, 600),  # liver and spleen
        (150, 190, 40),  # kidneys
        (250, 500, 60),  # bone
    ]:
        millilitres = float(((image > low) & (image < high)).sum()) * 0.045
        assert millilitres > smallest_ml


def test_noise_has_its_standard_deviation_and_the_spectrum_of_its_kernel():
    like = torch.zeros((64, 64, 400))
    noise = shaped_noise(like, 1.5, 15.0, SampleRng(0, "noise")).double()
    assert float(noise.std()) == pytest.approx(15.0, rel=1e-4)
    power = (torch.fft.fft2(noise, dim=(0, 1)).abs() ** 2).mean(2).numpy()
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(64), np.fft.fftfreq(64), indexing="ij"))
    expected = frequency * np.cos(np.pi * np.minimum(frequency, 0.5)) ** 4
    inside = (frequency > 0) & (frequency < 0.4)
    scale = power[inside].sum() / expected[inside].sum()
    # 400 slices: each value scatters by 5 %, and the largest of 2000 by four times that.
    np.testing.assert_allclose(power[inside], scale * expected[inside], rtol=0.25)
    assert power[0, 0] < 1e-6 * power.max()


def test_noise_of_one_slice_tells_nothing_of_the_next():
    noise = shaped_noise(torch.zeros((64, 64, 20)), 1.5, 15.0, SampleRng(0, "noise"))
    flat = noise.reshape(-1, 20).T.double()
    correlation = torch.corrcoef(flat) - torch.eye(20)
    # 4096 pixels, about a third of them independent.
    assert float(correlation.abs().max()) < 5.0 / math.sqrt(4096 / 3)


def test_point_is_blurred_to_its_full_width_at_half_maximum():
    point = torch.zeros((65, 65, 1))
    point[32, 32] = 1.0
    profile = scan(point, 0.5, 1e-9, SampleRng(0, "point"))[:, 32, 0].double().numpy()
    positions = (np.arange(65) - 32) * 0.5
    half = profile.max() / 2
    right = np.interp(-half, -profile[32:], positions[32:])
    # Linear interpolation between samples half a millimetre apart.
    assert 2 * right == pytest.approx(BLUR_MM, abs=0.03)


def test_super_ellipse_is_exact_to_first_order_at_its_surface():
    """A step of epsilon along the normal changes the distance by epsilon."""
    angle = torch.linspace(0.05, 1.5, 40, dtype=torch.float64)
    a, b = CAVITY_MM
    n = 2.5
    x, y = a * torch.cos(angle) ** (2 / n), b * torch.sin(angle) ** (2 / n)
    normal = torch.stack(((x / a) ** (n - 1) / a, (y / b) ** (n - 1) / b))
    normal = normal / normal.norm(dim=0)

    def inside(step: float) -> torch.Tensor:
        points = [
            (p - step * component).float().view(-1, 1, 1)
            for p, component in zip((x, y), normal, strict=True)
        ]
        axes = (torch.zeros(40), torch.zeros(1), torch.zeros(1))
        block = Block(axes, *points, torch.zeros((40, 1, 1)))
        return super_ellipse(block, (a, b)).flatten()

    # Second order: a step of 0.5 mm over the least radius of curvature, some 30 mm.
    torch.testing.assert_close(inside(0.0), torch.zeros(40), atol=1e-3, rtol=0.0)
    torch.testing.assert_close(inside(0.5), torch.full((40,), 0.5), atol=0.01, rtol=0.0)
    torch.testing.assert_close(inside(-0.5), torch.full((40,), -0.5), atol=0.01, rtol=0.0)


def test_same_subject_is_made_again_and_digests_tell_subjects_apart(scans):
    again = generate_abdomen("sub-01", seed=0, pixel_mm=PIXEL_MM)
    assert torch.equal(again.image, scans[0].image)
    assert torch.equal(again.mask, scans[0].mask)
    assert again.digest == abdomen_digest("sub-01", seed=0, pixel_mm=PIXEL_MM)
    digests = {one.digest for one in scans} | {abdomen_digest("sub-01", seed=0)}
    assert len(digests) == len(SUBJECTS) + 1


@pytest.mark.parametrize("pixel_mm", [0.0, 6.5])
def test_pixels_that_show_no_spleen_are_refused(pixel_mm):
    with pytest.raises(SpinforgeError, match=f"at most 6.0 mm, got {pixel_mm}"):
        generate_abdomen("sub-01", seed=0, pixel_mm=pixel_mm)
