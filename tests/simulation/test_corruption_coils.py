"""Corruptions of several coils: one head, seen by all."""

import numpy as np
import pytest
import torch
from corruption_volume import DRAWN_ONCE, make_volume
from pydantic import TypeAdapter

from spinforge.simulation.corruption.corrupt import ImageCorruption, corrupt, corrupt_coils
from spinforge.simulation.corruption.motion import Poses
from spinforge.simulation.corruption.noise import ComplexNoise
from spinforge.simulation.corruption.volume import SamplePath
from spinforge.simulation.fourier import image_to_kspace
from spinforge.simulation.reconstruction import combine_coils

MAKE = TypeAdapter(ImageCorruption)
PATH = SamplePath(7, ("coils", "head-000"))


def seen_by_coils(n_coils=3):
    """A head and what smooth coils, of root sum of squares 1, see of it."""
    volume = make_volume(complex_image=True)
    _, y, x = torch.meshgrid(*(torch.linspace(-1, 1, n) for n in volume.image.shape), indexing="ij")
    angles = torch.arange(n_coils) * 2 * torch.pi / n_coils
    gains = [torch.exp(0.8 * (a.cos() * y[0] + a.sin() * x[0])) for a in angles]
    maps = torch.stack([torch.polar(g, 0.5 * g) for g in gains])[None]
    maps /= maps.abs().square().sum(1, keepdim=True).sqrt()
    return volume, volume.image[:, None] * maps, maps


@pytest.mark.parametrize("kind", DRAWN_ONCE)
def test_one_uniform_coil_is_the_image(kind):
    volume = make_volume(complex_image=True)
    uniform = torch.ones(1, 1, *volume.image.shape[1:], dtype=torch.complex64)
    chain = [MAKE.validate_python({"kind": kind, "level": 4})]
    coils, history = corrupt_coils(volume, volume.image[:, None], uniform, chain, PATH)
    expected = corrupt(volume, chain, PATH)
    torch.testing.assert_close(coils[:, 0], expected.image, rtol=0, atol=1e-5)
    assert history == expected.history


@pytest.mark.parametrize("kind", ["inu", "bias_n4", "contrast_gamma"])
def test_intensities_are_those_of_the_head_whatever_the_coils(kind):
    """A field or a bent contrast, then the coils, is the coils' images changed."""
    volume, coils, maps = seen_by_coils()
    chain = [MAKE.validate_python({"kind": kind, "level": 4})]
    changed, _ = corrupt_coils(volume, coils, maps, chain, PATH)
    expected = corrupt(volume, chain, PATH).image
    torch.testing.assert_close(changed, expected[:, None] * maps, rtol=0, atol=1e-5)


def test_the_head_moves_under_coils_that_do_not():
    """Lines after a shift by whole pixels are those of the shifted head seen by the same coils."""
    volume, coils, maps = seen_by_coils()
    poses = Poses((0, 40), (0.0, 0.0), ((0.0, 0.0), (6.0, -9.0)), (3.0, 3.0))
    shifted = torch.roll(volume.image, (2, -3), (1, 2))[:, None] * maps
    for coil in range(3):
        moved = poses.apply_to_coil(coils[:, coil], volume.image, maps[:, coil])
        found, before, after = (
            image_to_kspace(image) for image in (moved, coils[:, coil], shifted[:, coil])
        )
        torch.testing.assert_close(found[:, :40], before[:, :40], rtol=0, atol=1e-4)
        torch.testing.assert_close(found[:, 40:], after[:, 40:], rtol=0, atol=1e-3)


def test_noise_in_the_coils_does_not_move_with_the_head():
    volume, coils, maps = seen_by_coils()
    rng = np.random.Generator(np.random.Philox(5))
    noise = torch.from_numpy(rng.normal(0, 0.1, (2, *coils.shape)).astype(np.float32))
    noise = torch.complex(noise[0], noise[1])
    # Of the noise only what the coils' combination holds looks like head.
    noise -= maps * combine_coils(noise, maps)[:, None]
    chain = [MAKE.validate_python({"kind": "motion", "level": 5})]
    quiet, _ = corrupt_coils(volume, coils, maps, chain, PATH)
    noisy, _ = corrupt_coils(volume, coils + noise, maps, chain, PATH)
    torch.testing.assert_close(noisy - quiet, noise, rtol=0, atol=1e-4)


def test_every_coil_has_noise_of_its_own():
    volume, coils, maps = seen_by_coils()
    noisy, _ = corrupt_coils(volume, coils, maps, [ComplexNoise(percent=10)], PATH)
    noise = (noisy - coils).movedim(1, 0).flatten(1).numpy()
    count = noise.shape[1]  # 25 920 samples: their std is known to 1 / sqrt(4 n) = 0.3 %
    np.testing.assert_allclose(noise.real.std(1), 0.1 * volume.reference_signal, rtol=0.02)
    correlation = np.abs(np.corrcoef(noise)) - np.eye(3)
    assert correlation.max() < 5 / count**0.5


def test_later_corruptions_see_the_head_as_the_earlier_ones_left_it():
    """The exponent's white point is that of the shaded head, not of the clean one."""
    volume, coils, maps = seen_by_coils()
    chain = [MAKE.validate_python({"kind": k, "level": 5}) for k in ("inu", "contrast_gamma")]
    _, history = corrupt_coils(volume, coils, maps, chain, PATH)
    expected = corrupt(volume, chain, PATH).history
    assert history[1]["rng_path"] == "coils/head-000/1-contrast_gamma/level-5"
    np.testing.assert_allclose(
        history[1]["parameters"]["white"], expected[1]["parameters"]["white"], rtol=1e-5
    )
