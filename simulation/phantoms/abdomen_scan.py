"""Densities of the abdomen's organs, and the CT scanner that measures them."""

import math
from collections.abc import Iterator
from itertools import chain

import torch
from torch import Tensor

from spinforge.simulation.phantoms import abdomen_organs as organs
from spinforge.simulation.phantoms.abdomen_organs import Cavity
from spinforge.simulation.phantoms.abdomen_subject import AbdomenSubject
from spinforge.simulation.phantoms.block import Block
from spinforge.simulation.phantoms.random_fields import Volume
from spinforge.simulation.phantoms.shapes import coverage, ellipsoid, smooth_max, union
from spinforge.simulation.rng import SampleRng

AIR_HU, LUNG_HU, FAT_HU, SKIN_HU = -1000.0, -850.0, -100.0, 20.0
FLUID_HU, BOWEL_HU, MUSCLE_HU, WALL_HU = 10.0, 35.0, 60.0, 85.0
PANCREAS_HU, KIDNEY_HU, MEDULLA_HU = 95.0, 165.0, 140.0
VEIN_HU, BLOOD_HU, PORTAL_HU = 140.0, 150.0, 165.0
SPONGY_BONE_HU, BONE_HU = 200.0, 400.0
TABLE_HU = -650.0
"""Densities in the portal venous phase: customary round values, our choice [HU]."""

WALL_MM, SKIN_MM, CORTEX_MM = 15.0, 2.0, 2.5
"""Thickness of the abdominal wall's muscles, of the skin, and of a bone's compact shell [mm]."""

BLUR_MM = 3.0
"""Full width at half maximum of the in-plane point spread [mm]."""

FWHM_PER_SIGMA = 2.0 * math.sqrt(2.0 * math.log(2.0))

Coat = tuple[Volume, float | Volume]
"""How much of what remains a layer takes, and its density [HU]."""


def paint_abdomen(
    block: Block, space: Cavity, spleen: Volume, subject: AbdomenSubject, width_mm: float
) -> tuple[Volume, Volume]:
    """Density of every voxel, and the share of it that is spleen.

    Args:
        block: Where to evaluate.
        space: The body's cavities there.
        spleen: Distance inside the spleen there [mm].
        subject: Whose abdomen it is.
        width_mm: Over which a surface is blurred: the size of a pixel [mm].
    """
    density = torch.zeros_like(block.x)
    remaining = torch.ones_like(block.x)
    texture, bumps = subject.relief.on_grid(block.axes)
    spleen_share = coverage(spleen, width_mm)
    spleen_hu = subject.proportions.spleen_hu + 3.0 * texture

    for alpha, value in chain(
        [(spleen_share, spleen_hu)],
        _upper_organs(block, space, subject, texture, bumps, width_mm),
        _bowel(block, space, subject, width_mm),
        _chest(block, space, subject, width_mm),
        _bones(block, space, width_mm),
        _wall(block, space, subject, texture, width_mm),
    ):
        taken = remaining * alpha
        density.add_(taken * value)
        remaining.sub_(taken)
    return density.add_(remaining, alpha=AIR_HU), spleen_share


def _upper_organs(
    block: Block,
    space: Cavity,
    subject: AbdomenSubject,
    texture: Volume,
    bumps: Volume,
    width_mm: float,
) -> Iterator[Coat]:
    """The solid organs, the stomach and the large vessels, the front one first."""
    proportions = subject.proportions
    within = coverage(space.below_diaphragm - 2.0, width_mm)

    def coat(inside: Volume, value: float | Volume) -> Coat:
        return coverage(inside, width_mm) * within, value

    liver = organs.liver(block, bumps, space)
    patterns = subject.vessels.on_grid(block.axes)
    steepness = 2.0 * math.pi / 38.0
    branches = 1.6 - torch.hypot(patterns[0], patterns[1]) / steepness
    liver_veins = torch.minimum(liver - 4.0, union(organs.liver_veins(block), branches))
    yield coat(organs.aorta(block), BLOOD_HU)
    yield coat(torch.minimum(liver_veins, liver), PORTAL_HU)
    yield coat(liver, proportions.liver_hu + 3.0 * texture)

    kidney, sinus = organs.kidneys(block, texture)
    pyramids = torch.minimum(kidney - 7.0, 2.5 * texture + 1.0)
    yield coat(sinus, FAT_HU + 60.0)
    yield coat(pyramids, MEDULLA_HU)
    yield coat(kidney, KIDNEY_HU)

    stomach = organs.stomach(block, proportions.stomach, bumps)
    level = block.y - 20.0 - proportions.stomach_level_mm
    yield coat(torch.minimum(stomach - 4.0, level), AIR_HU)
    yield coat(stomach - 4.0, FLUID_HU + 10.0 * texture)
    yield coat(stomach, WALL_HU)

    yield coat(organs.veins(block), VEIN_HU)
    yield coat(organs.pancreas(block, texture), PANCREAS_HU)
    gallbladder = ellipsoid(block, (46, 42, -36), (13, 20, 15))
    yield coat(gallbladder, FLUID_HU)


def _bowel(block: Block, space: Cavity, subject: AbdomenSubject, width_mm: float) -> Iterator[Coat]:
    """Loops of bowel in front and below, with gas on top, and the colon's left bend."""
    loops, filling = subject.bowel.on_grid(block.axes)
    region = torch.minimum(space.below_diaphragm - 8.0, 24.0 - block.z + 0.5 * block.y)
    region = torch.minimum(region, block.y + 18.0)
    bowel = torch.minimum(region, 9.0 * (loops - 0.1))
    colon = ellipsoid(block, (-104, 34, -12), (24, 26, 34)).add_(loops, alpha=4.0)
    colon = torch.minimum(colon, space.below_diaphragm - 5.0)
    gas = 8.0 * (filling - 0.9)
    yield coverage(torch.minimum(colon - 3.0, 6.0 * (filling + 0.3)), width_mm), AIR_HU + 50.0
    yield coverage(torch.minimum(bowel - 3.0, gas), width_mm), AIR_HU + 100.0
    yield coverage(torch.minimum(colon - 3.0, colon), width_mm), BOWEL_HU + 25.0 * loops
    yield coverage(union(bowel - 3.0, colon - 3.0), width_mm), BOWEL_HU
    yield coverage(union(bowel, colon), width_mm), WALL_HU
    fat = coverage(space.below_diaphragm - 2.0, width_mm)
    yield fat, FAT_HU + 6.0 * loops


def _chest(block: Block, space: Cavity, subject: AbdomenSubject, width_mm: float) -> Iterator[Coat]:
    """The diaphragm, the bottom of the heart, and the lungs with their vessels."""
    patterns = subject.vessels.on_grid(block.axes)
    branches = 2.2 - torch.hypot(patterns[0], patterns[1]) * (38.0 / (2.0 * math.pi))
    heart = ellipsoid(block, (-24, 34, 112), (62, 50, 52))
    aorta = ellipsoid(block, (-10, -40, 100), (12, 12, 120))
    mediastinum = smooth_max(heart + 5.0, ellipsoid(block, (2, -20, 120), (26, 50, 80)), 12.0)
    yield coverage(space.below_diaphragm, width_mm), MUSCLE_HU
    yield coverage(torch.minimum(space.inner, aorta), width_mm), BLOOD_HU
    yield coverage(torch.minimum(space.inner, heart), width_mm), BLOOD_HU - 20.0
    yield coverage(torch.minimum(space.inner, mediastinum), width_mm), FAT_HU
    yield coverage(torch.minimum(space.inner - 3.0, branches), width_mm), 30.0
    yield coverage(space.inner, width_mm), LUNG_HU + 12.0 * patterns[1]


def _bones(block: Block, space: Cavity, width_mm: float) -> Iterator[Coat]:
    """Spine and ribs: a compact shell around spongy bone."""
    spine, disc, canal = organs.vertebrae(block)
    bars = organs.ribs(block, space, WALL_MM)
    yield coverage(canal, width_mm), 30.0
    yield coverage(union(spine, bars) - CORTEX_MM, width_mm), SPONGY_BONE_HU
    yield coverage(union(spine, bars), width_mm), BONE_HU
    yield coverage(disc, width_mm), 80.0


def _wall(
    block: Block,
    space: Cavity,
    subject: AbdomenSubject,
    texture: Volume,
    width_mm: float,
) -> Iterator[Coat]:
    """Muscles of wall and back, streaked with fat, the fat below the skin, skin, and table."""
    back = ellipsoid(block.mirrored, (38, -92, 0), (36, 24, 1000))
    psoas = ellipsoid(block.mirrored, (34, -60, -110), (17, 17, 90))
    muscle = union(smooth_max(space.inner + WALL_MM, back, 12.0), psoas)
    fatty = torch.sigmoid(4.0 * (texture - 1.5))
    width, depth = organs.CAVITY_MM
    outline = organs.super_ellipse(block, (width + WALL_MM, depth + WALL_MM))
    below_skin = smooth_max(smooth_max(muscle, outline, 12.0), back, 40.0)
    below_skin.add_(subject.proportions.fat_mm)
    tissue = below_skin + SKIN_MM
    streaks = 0.6 * coverage(1.2 - (6.0 * texture).abs(), width_mm)
    yield coverage(muscle, width_mm) * (1.0 - fatty), MUSCLE_HU
    yield coverage(muscle, width_mm), FAT_HU
    yield coverage(below_skin, width_mm) * 0.25 * streaks, SKIN_HU
    yield coverage(below_skin, width_mm), FAT_HU - 5.0
    yield coverage(tissue, width_mm), SKIN_HU
    x, y = (block.axes[0].view(-1, 1, 1), block.axes[1].view(1, -1, 1))
    lowest = -170.0 + 0.0010 * x.square()
    table = 2.5 - (y - lowest).abs()
    table = torch.minimum(table, 150.0 - x.abs()).expand_as(block.x)
    yield coverage(table, width_mm), TABLE_HU


def scan(density: Volume, pixel_mm: float, noise_hu: float, rng: SampleRng) -> Volume:
    """Blur each slice by the scanner's point spread and add the noise of its kernel.

    Args:
        density: Of every voxel [HU].
        pixel_mm: Edge length of the pixels [mm].
        noise_hu: Standard deviation of the noise [HU].
        rng: Source of the noise.
    """
    sigma = BLUR_MM / FWHM_PER_SIGMA
    frequency = _frequencies(density, pixel_mm)
    transfer = torch.exp(-2.0 * (math.pi * sigma * frequency).square())
    spectrum = torch.fft.rfft2(density, dim=(0, 1)) * transfer
    blurred = torch.fft.irfft2(spectrum, s=density.shape[:2], dim=(0, 1))
    return blurred + shaped_noise(density, pixel_mm, noise_hu, rng)


def shaped_noise(like: Volume, pixel_mm: float, noise_hu: float, rng: SampleRng) -> Volume:
    r"""Noise of filtered back-projection with a soft kernel, independent in each slice.

    Its power is $|f|\,K(f)^2$ with $K(f) = \cos^2(\pi f / 2f_N)$ up to the Nyquist frequency:
    the ramp amplifies what is fine, the kernel takes it away again, and nothing is left at zero.
    The kernel is our choice.

    Args:
        like: Volume of the wanted shape.
        pixel_mm: Edge length of the pixels [mm].
        noise_hu: Standard deviation of the noise [HU].
        rng: Source of the noise.

    Source:
        Riederer, Pelc and Chesler, Phys. Med. Biol. 23(3):446 (1978).
    """
    white = torch.from_numpy(rng.normals(*like.shape)).float()
    frequency = _frequencies(like, pixel_mm)
    nyquist = 0.5 / pixel_mm
    kernel = torch.cos(0.5 * math.pi * (frequency / nyquist).clamp(max=1.0)).square()
    shape = frequency.sqrt() * kernel
    spectrum = torch.fft.rfft2(white, dim=(0, 1)) * shape
    noise = torch.fft.irfft2(spectrum, s=like.shape[:2], dim=(0, 1))
    return noise * (noise_hu / noise.std())


def _frequencies(like: Volume, pixel_mm: float) -> Tensor:
    """Radial spatial frequency of a real Fourier transform over x and y [1/mm], (kx, ky, 1)."""
    along_x = torch.fft.fftfreq(like.shape[0], pixel_mm)
    # rfft2 halves the last of its axes, here y.
    along_y = torch.fft.rfftfreq(like.shape[1], pixel_mm)
    return torch.hypot(along_x[:, None], along_y[None, :])[:, :, None]
