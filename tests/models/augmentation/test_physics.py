"""The scanner's part for whole batches, held against the corruptions of single volumes."""

import math

import pytest
import torch

from spinforge.models.augmentation.draws import DEGREES
from spinforge.models.augmentation.physics import (
    bias_fields,
    complex_noise,
    posed,
    rician,
    with_motion,
)
from spinforge.simulation.corruption.intensity import _DEGREES, polynomial_field
from spinforge.simulation.corruption.motion import CENTRE_FRACTION, Poses, moved
from spinforge.simulation.corruption.volume import Volume
from spinforge.simulation.fourier import image_to_kspace
from spinforge.simulation.philox import sample_keys

SIZE = (30, 37)


@pytest.fixture
def heads(random_images):
    """Two complex slices with all frequencies, that fall to 0 towards their borders."""
    y = torch.linspace(-1, 1, SIZE[0])[:, None]
    x = torch.linspace(-1, 1, SIZE[1])
    envelope = torch.exp(-(y**2 + x**2) / 0.1)
    return envelope * torch.complex(*random_images(2, 2, *SIZE))


def shapes(count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, len(DEGREES), generator=generator)


def test_a_bias_field_is_the_corruptions_with_the_ellipse_for_a_brain():
    shape = shapes(1)
    y, x = torch.linspace(-1, 1, SIZE[0])[:, None], torch.linspace(-1, 1, SIZE[1])
    inside = (y**2 + x**2 <= 1)[None]
    volume = Volume(torch.ones(1, *SIZE), 1.0, inside, torch.ones_like(inside), (1.0, 1.0, 1.0))
    in_plane = dict(zip(DEGREES, shape[0].double().tolist(), strict=True))
    coefficients = torch.tensor(
        [in_plane.get((q, r), 0.0) if p == 0 else 0.0 for p, q, r in _DEGREES]
    )
    expected = polynomial_field(coefficients.double().numpy(), 40.0, volume, unit_mean=False)
    found = bias_fields(torch.tensor([40.0]), shape, SIZE)
    # The ratio of differences of sums of nine float32 products.
    torch.testing.assert_close(found, expected.values, rtol=0, atol=1e-5)


def test_a_bias_field_spans_its_range_over_the_ellipse_and_is_one_at_zero_strength():
    fields = bias_fields(torch.tensor([40.0, 0.0]), shapes(2), SIZE)
    y, x = torch.linspace(-1, 1, SIZE[0])[:, None], torch.linspace(-1, 1, SIZE[1])
    inside = fields[0][y**2 + x**2 <= 1]
    assert float(inside.min()) == pytest.approx(0.8, abs=1e-6)
    assert float(inside.max()) == pytest.approx(1.2, abs=1e-6)
    assert torch.equal(fields[1], torch.ones(SIZE))


def test_a_pose_is_the_corruptions(heads):
    poses = torch.tensor([[7.0, 1.5, -2.25], [-20.0, 0.0, 3.0]])
    found = posed(heads, poses)
    for one, (degrees, dy, dx), head in zip(found, poses.tolist(), heads, strict=True):
        expected = moved(head[None], degrees, (dy, dx), (1.0, 1.0))[0]
        # Places of up to 20 pixels in float32, times slopes of a few a pixel.
        torch.testing.assert_close(one, expected, rtol=0, atol=2e-5)


def poses_of(moments, poses):
    """The corruption's, with the lines at which these moments come."""
    first = SIZE[0] // 2 + math.ceil(CENTRE_FRACTION * SIZE[0] / 2)
    starts = [first + int(moment * (SIZE[0] - first)) for moment in moments.tolist()]
    return Poses(
        (0, *starts),
        (0.0, *poses[:, 0].tolist()),
        ((0.0, 0.0), *((dy, dx) for dy, dx in poses[:, 1:].tolist())),
        (1.0, 1.0),
    )


MOMENTS = torch.tensor([[0.1, 0.5], [0.0, 0.9]])
POSES = torch.tensor([[[5.0, 1.0, -1.0], [-8.0, 0.5, 2.0]], [[3.0, 0, 0], [0, 2.0, 1.0]]])


def test_motion_is_the_corruptions(heads):
    found = with_motion(heads, MOMENTS, POSES)
    for one, moment, pose, head in zip(found, MOMENTS, POSES, heads, strict=True):
        expected = poses_of(moment, pose).apply(head[None])[0]
        torch.testing.assert_close(one, expected, rtol=0, atol=5e-5)


def test_coils_stay_where_they_are_while_the_head_moves(heads, random_images):
    maps = torch.complex(random_images(2, 3, *SIZE), random_images(2, 3, *SIZE).flip(0))
    found = with_motion(heads, MOMENTS, POSES, seen=lambda head: maps * head[:, None])
    for number, head in enumerate(heads):
        drawn = poses_of(MOMENTS[number], POSES[number])
        for coil, sensitivity in enumerate(maps[number]):
            expected = drawn.apply_to_coil(
                (sensitivity * head)[None], head[None], sensitivity[None]
            )[0]
            torch.testing.assert_close(found[number, coil], expected, rtol=0, atol=2e-4)


def test_a_head_that_does_not_move_stays_the_same(heads):
    """To rounding of the transforms."""
    torch.testing.assert_close(with_motion(heads, MOMENTS, 0 * POSES), heads, rtol=0, atol=1e-5)


def test_motion_leaves_the_centre_of_k_space_alone(heads):
    still, moving = image_to_kspace(heads), image_to_kspace(with_motion(heads, MOMENTS, POSES))
    until = SIZE[0] // 2 + math.ceil(CENTRE_FRACTION * SIZE[0] / 2)
    torch.testing.assert_close(moving[:, :until], still[:, :until], rtol=0, atol=1e-5)
    assert (moving[:, -1] - still[:, -1]).abs().amax(1).min() > 0.1


def keys(count):
    return sample_keys([("test", number) for number in range(count)], seed=3)


def test_noise_has_the_deviation_asked_for():
    """The sum of the squares of n normal numbers is chi-square: n, give or take sqrt(2 n)."""
    std = torch.tensor([[0.5, 2.0], [0.1, 0.0]])
    noise = complex_noise(std, keys(2), (64, 50), coils=3).unflatten(1, (2, 3))
    n = 2 * 3 * 64 * 50
    for item in range(2):
        for scan in range(2):
            deviation = float(std[item, scan])
            energy = float(torch.view_as_real(noise[item, scan]).double().square().sum())
            assert abs(energy - n * deviation**2) <= 5 * math.sqrt(2 * n) * deviation**2


def test_noise_of_scans_coils_and_items_is_independent():
    """A sample correlation of n independent numbers deviates by 1 / sqrt(n)."""
    noise = complex_noise(torch.ones(2, 2), keys(2), (40, 50), coils=2).flatten(0, 1).flatten(1)
    correlation = torch.corrcoef(noise).abs().fill_diagonal_(0)
    assert float(correlation.max()) < 5 / math.sqrt(40 * 50)


def test_air_with_noise_has_rayleighs_mean_and_signal_keeps_its_own():
    """Of magnitude and noise of deviation s: s sqrt(pi / 2) in air, A + s^2 / 2 A in signal."""
    noise = complex_noise(torch.full((1, 1), 0.1), keys(1), (200, 200))
    error = 5 * 0.1 / 200
    air = float(rician(torch.zeros(1, 1, 200, 200), noise).mean())
    assert abs(air - 0.1 * math.sqrt(math.pi / 2)) < error
    signal = float(rician(torch.ones(1, 1, 200, 200), noise).mean())
    assert abs(signal - 1.005) < error
