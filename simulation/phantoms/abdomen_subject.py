"""Whose abdomen it is: every random number of one is drawn here, and only here."""

import math
from dataclasses import asdict, dataclass
from typing import Any

from spinforge.simulation.phantoms.block import Block, warped_block
from spinforge.simulation.phantoms.random_fields import (
    Axes,
    Band,
    RandomFields,
    draw_random_fields,
)
from spinforge.simulation.phantoms.subject_draws import SubjectDraws
from spinforge.simulation.rng import SampleRng

ABDOMEN_BOX_MM = (400.0, 400.0, 240.0)
"""Period of the random fields: larger than the field of view."""

WARP_RMS_MM = 4.5
WARP_WAVELENGTHS_MM = (90.0, 220.0)


@dataclass(frozen=True)
class AbdomenProportions:
    """Sizes and densities that differ between subjects.

    Attributes:
        spleen_ml: Volume of the spleen [mL].
        spleen_shape: Its thickness and breadth relative to the average [1].
        girth: Size of the cavity along x and y relative to the average [1].
        fat_mm: Fat below the skin [mm].
        height_mm: How much higher the organs lie than on average [mm].
        stomach: Size of the stomach relative to the average [1].
        stomach_level_mm: Height of the air above its fluid, from its middle forwards [mm].
        spleen_hu: Density of the spleen [HU].
        liver_hu: Density of the liver [HU].
        noise_hu: Standard deviation of the noise [HU].
    """

    spleen_ml: float
    spleen_shape: tuple[float, float]
    girth: tuple[float, float]
    fat_mm: float
    height_mm: float
    stomach: float
    stomach_level_mm: float
    spleen_hu: float
    liver_hu: float
    noise_hu: float


@dataclass(frozen=True)
class AbdomenSubject:
    """One subject: its proportions and its random patterns.

    Attributes:
        proportions: Sizes and densities that differ between subjects.
        warp: Three components of the subject's deformation, unit variance.
        vessels: Two patterns whose common zeros are vessels of lung and liver.
        bowel: Loops of bowel, and what fills them.
        relief: Fine texture, then bumps of the organs' surfaces.
    """

    proportions: AbdomenProportions
    warp: RandomFields
    vessels: RandomFields
    bowel: RandomFields
    relief: RandomFields

    @property
    def parameters(self) -> dict[str, Any]:
        """What was drawn, except the patterns, as plain data."""
        return {key: list(value) if isinstance(value, tuple) else value
                for key, value in asdict(self.proportions).items()}  # fmt: skip


def draw_abdomen_subject(seed: int, subject: str) -> AbdomenSubject:
    """Draw a subject; the same seed and name always give the same one."""

    def fields(purpose: str, *bands: Band) -> RandomFields:
        rng = SampleRng(seed, "abdomen", subject, purpose)
        return draw_random_fields(rng, list(bands), box_mm=ABDOMEN_BOX_MM)

    return AbdomenSubject(
        proportions=_draw_proportions(SampleRng(seed, "abdomen", subject, "proportions")),
        warp=fields("warp", *[WARP_WAVELENGTHS_MM] * 3),
        vessels=fields("vessels", *[(24.0, 60.0)] * 2),
        bowel=fields("bowel", (35.0, 70.0), (30.0, 80.0)),
        relief=fields("relief", (12.0, 30.0), (30.0, 80.0)),
    )


def _draw_proportions(rng: SampleRng) -> AbdomenProportions:
    """Normal and lognormal draws are cut at two of their spreads."""
    draws = SubjectDraws(rng, 8)
    return AbdomenProportions(
        spleen_ml=math.exp(rng.uniform(math.log(60.0), math.log(500.0))),
        spleen_shape=(draws.lognormal(1.0, 0.12), draws.lognormal(1.0, 0.12)),
        girth=(draws.lognormal(1.0, 0.05), draws.lognormal(1.0, 0.06)),
        fat_mm=rng.uniform(7.0, 28.0),
        height_mm=draws.normal(0.0, 8.0),
        stomach=draws.lognormal(1.0, 0.12),
        stomach_level_mm=rng.uniform(-15.0, 30.0),
        spleen_hu=draws.normal(110.0, 7.5),
        liver_hu=draws.normal(105.0, 7.5),
        noise_hu=rng.uniform(10.0, 20.0),
    )


def in_average_abdomen(subject: AbdomenSubject, axes: Axes) -> Block:
    """Where the voxels of the subject lie in the average abdomen: $x' = x / s + u(x)$."""
    scale_x, scale_y = subject.proportions.girth
    x, y, z = axes
    positions = (x / scale_x, y / scale_y, z - subject.proportions.height_mm)
    return warped_block(axes, positions, subject.warp.on_grid(axes).mul_(WARP_RMS_MM))
