"""The skin images show what was drawn: area, contrast, softness, and artefacts that hide none."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage

from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.phantoms.skin import (
    SkinImage,
    draw_look,
    generate_skin,
    lesion_mask,
    melanin_for_contrast,
    reflectance,
    skin_digest,
    soft_edge,
    with_grey_channel,
)
from spinforge.simulation.phantoms.skin_artefacts import (
    draw_hair_count,
    illuminate,
    paint_bubbles,
    paint_hairs,
    paint_ruler,
)
from spinforge.simulation.phantoms.skin_fields import draw_plane_fields, sample_plane
from spinforge.simulation.rng import SampleRng

SUBJECTS = [f"sub-{number:02}" for number in range(1, 13)]


@pytest.fixture(scope="module")
def images() -> list[SkinImage]:
    return [generate_skin(subject, seed=0, height=96, width=128) for subject in SUBJECTS]


def positions(height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    step = 192.0 / height
    y, x = ((torch.arange(float(n)) - (n - 1) / 2) * step for n in (height, width))
    down, right = torch.meshgrid(y, x, indexing="ij")
    return down, right


def test_images_are_colours_and_masks_are_one_piece_of_two_to_sixty_percent(images):
    for skin in images:
        assert skin.image.shape == (3, 96, 128)
        assert skin.image.dtype == torch.float32
        assert 0.0 <= float(skin.image.min()) <= float(skin.image.max()) <= 1.0
        _, pieces = ndimage.label(skin.mask.numpy())
        assert pieces == 1
        assert 0.015 <= float(skin.mask.double().mean()) <= 0.60


def test_lesions_cover_the_area_that_was_drawn_for_them(images):
    # Pieces cut off and holes filled shift it by some pixels of the outline.
    for skin in images:
        assert float(skin.mask.double().mean()) == pytest.approx(skin.parameters["area"], rel=0.12)


def test_pale_and_dark_small_and_large_lesions_all_occur():
    looks = [draw_look(SampleRng(0, "look", str(number))) for number in range(400)]
    for name, low, high in [("area", 0.022, 0.58), ("contrast", 0.05, 0.6), ("softness", 1, 12)]:
        values = np.array([getattr(look, name) for look in looks])
        assert low <= values.min() < low + 0.05 * (high - low)
        assert high - 0.05 * (high - low) < values.max() <= high
    hairs = [draw_hair_count(SampleRng(0, "hairs", str(number))) for number in range(400)]
    assert min(hairs) == 0
    assert 36 <= max(hairs) <= 40


@pytest.mark.parametrize("contrast", [0.05, 0.3, 0.6])
def test_melanin_darkens_skin_by_exactly_the_contrast_asked_for(contrast):
    def luma(melanin: float) -> float:
        colour = reflectance(torch.tensor([[melanin]]), torch.tensor([[0.2]]))
        return float(with_grey_channel(colour)[3])

    extra = melanin_for_contrast(contrast, 0.1, 0.2)
    # Bisection in float32.
    assert luma(0.1 + extra) == pytest.approx((1 - contrast) * luma(0.1), rel=1e-5)


def test_skin_with_more_melanin_is_browner_and_with_more_blood_redder():
    pale = reflectance(torch.tensor([[0.1]]), torch.tensor([[0.1]])).flatten()
    brown = reflectance(torch.tensor([[0.6]]), torch.tensor([[0.1]])).flatten()
    red = reflectance(torch.tensor([[0.1]]), torch.tensor([[0.6]])).flatten()
    assert pale[0] > pale[1] > pale[2]
    assert brown[2] / brown[0] < pale[2] / pale[0]
    assert red[1] / red[0] < 0.8 * pale[1] / pale[0]


@pytest.mark.parametrize("width", [1.0, 4.0, 12.0])
def test_edge_rises_from_ten_to_ninety_percent_over_the_drawn_width(width):
    half_plane = torch.zeros((5, 201), dtype=torch.bool)
    half_plane[:, 100:] = True
    profile = soft_edge(half_plane, width)[2].double().numpy()
    pixels = np.arange(201)
    start, end = (np.interp(level, profile, pixels) for level in (0.1, 0.9))
    # Interpolating a logistic function linearly errs by f''/(8 f') = 0.44 / width at either end.
    assert end - start == pytest.approx(width, abs=1.0 / width)
    assert np.interp(0.5, profile, pixels) == pytest.approx(99.5, abs=1e-6)


def test_lesion_without_noise_has_its_contrast_and_its_outline():
    """Inside and outside by more than the edge's width, as the eye would compare them."""
    errors = []
    for number in range(6):
        rng = SampleRng(1, "planted", str(number))
        look = replace(draw_look(rng), area=0.2, raggedness=0.03)
        y, x = positions(96, 128)
        fields = sample_plane(draw_plane_fields(rng, [(10.0, 50.0)]), y, x)
        mask = lesion_mask(y, x, fields[0], look, rng)
        errors.append(float(mask.double().mean()) - 0.2)
        assert not mask[[0, -1]].all()
    assert np.abs(errors).max() < 0.01


def test_plane_fields_have_unit_variance_and_their_wavelength():
    fields = draw_plane_fields(SampleRng(0, "plane"), [(6.0, 9.0), (60.0, 200.0)])
    torch.testing.assert_close(fields.mean((1, 2)), torch.zeros(2), atol=1e-6, rtol=0.0)
    torch.testing.assert_close(fields.std((1, 2)), torch.ones(2), atol=1e-4, rtol=0.0)
    power = torch.fft.rfft2(fields[0].double()).abs() ** 2
    frequency = torch.hypot(torch.fft.fftfreq(384)[:, None], torch.fft.rfftfreq(384)[None, :])
    mean = float((power * frequency).sum() / power.sum())
    # A lognormal band's mean lies a few percent above its centre.
    assert 1.0 / mean == pytest.approx(math.sqrt(54.0), rel=0.1)


def test_fewer_pixels_show_the_same_subject():
    fine = generate_skin("sub-03", seed=0, height=192, width=256)
    coarse = generate_skin("sub-03", seed=0, height=96, width=128)
    shrunk = torch.nn.functional.avg_pool2d(fine.mask.double()[None], 2)[0] > 0.5
    overlap = 2.0 * (shrunk & (coarse.mask > 0)).sum() / (shrunk.sum() + coarse.mask.sum())
    # Half a coarse pixel along the outline.
    assert float(overlap) > 0.95


@pytest.mark.parametrize(
    "paint",
    [
        lambda image, y, x, rng: paint_hairs(image, y, x, 12, rng),
        paint_ruler,
        paint_bubbles,
        illuminate,
    ],
    ids=["hairs", "ruler", "bubbles", "light"],
)
def test_every_artefact_is_seen_and_most_of_the_skin_stays(paint):
    y, x = positions(96, 128)
    image = torch.full((3, 96, 128), 0.6)
    changed = [paint(image, y, x, SampleRng(seed, "artefact")) for seed in range(8)]
    assert all(torch.isfinite(result).all() for result in changed)
    assert any((result - image).abs().max() > 0.1 for result in changed)
    assert all((result - image).abs().mean() < 0.3 for result in changed)
    assert torch.equal(image, torch.full((3, 96, 128), 0.6))


def test_hairs_are_dark_thin_and_as_many_as_asked_for():
    y, x = positions(192, 256)
    image = torch.full((3, 192, 256), 0.8)
    assert torch.equal(paint_hairs(image, y, x, 0, SampleRng(0, "none")), image)
    covered = (paint_hairs(image, y, x, 10, SampleRng(0, "ten"))[0] < 0.6).double().mean()
    # Ten curves of at most 200 x 2 units.
    assert 0.0 < float(covered) < 10 * 200 * 2 / (192 * 256)


def test_fourth_channel_is_the_luma():
    image = torch.eye(3).view(3, 3, 1)
    four = with_grey_channel(image)
    assert torch.equal(four[:3], image)
    torch.testing.assert_close(four[3].flatten(), torch.tensor([0.299, 0.587, 0.114]))


def test_same_subject_is_made_again_and_digests_tell_subjects_apart(images):
    again = generate_skin(SUBJECTS[0], seed=0, height=96, width=128)
    assert torch.equal(again.image, images[0].image)
    assert torch.equal(again.mask, images[0].mask)
    assert again.digest == skin_digest(SUBJECTS[0], seed=0, height=96, width=128)
    digests = {skin.digest for skin in images} | {skin_digest(SUBJECTS[0], seed=0)}
    assert len(digests) == len(images) + 1
    assert not torch.equal(images[0].image, images[1].image)


@pytest.mark.parametrize(("height", "width"), [(8, 64), (64, 8), (64, 128)])
def test_images_that_cannot_show_a_lesion_are_refused(height, width):
    with pytest.raises(SpinforgeError, match=f"1.8 times height, got {height} x {width}"):
        generate_skin("sub-01", seed=0, height=height, width=width)
