"""Whose heart it is: every random number of a chest is drawn here, and only here."""

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

CHEST_BOX_MM = (192.0, 192.0, 160.0)
"""Period of the random fields."""

WARP_RMS_MM = 3.0
WARP_WAVELENGTHS_MM = (70.0, 160.0)

DEFECT_PROBABILITY = 0.5
MIRROR_PROBABILITY = 0.15
"""How often the septum has a hole, and how often the chest is its mirror image."""


@dataclass(frozen=True)
class HeartProportions:
    """Sizes that differ between subjects.

    Attributes:
        scale: Size of the heart relative to the average [1].
        wall_mm: Thickness of the left ventricle's wall [mm].
        dilation: Widening of the right heart, 1 on average [1].
        defect_mm: Radius of the hole between the ventricles, 0 without one [mm].
        aorta: Radius of the aorta relative to the average [1].
        pulmonary: Radius of the pulmonary arteries relative to the average [1].
        fat_mm: Fat below the skin [mm].
        mirrored: Whether left and right are exchanged (situs inversus).
    """

    scale: float
    wall_mm: float
    dilation: float
    defect_mm: float
    aorta: float
    pulmonary: float
    fat_mm: float
    mirrored: bool


@dataclass(frozen=True)
class HeartSubject:
    """One subject: its proportions and its random patterns.

    Attributes:
        proportions: Sizes that differ between subjects.
        warp: Three components of the subject's deformation, unit variance.
        trabeculae: Relief of the ventricles' inner side, fine and coarse.
        vessels: Two patterns whose common zeros are the vessels of the lungs.
        relief: Patches in fat and muscle.
    """

    proportions: HeartProportions
    warp: RandomFields
    trabeculae: RandomFields
    vessels: RandomFields
    relief: RandomFields

    @property
    def parameters(self) -> dict[str, Any]:
        """What was drawn, except the patterns, as plain data."""
        return asdict(self.proportions)


def draw_heart_subject(seed: int, subject: str) -> HeartSubject:
    """Draw a subject; the same seed and name always give the same one."""

    def fields(purpose: str, *bands: Band) -> RandomFields:
        rng = SampleRng(seed, "heart", subject, purpose)
        return draw_random_fields(rng, list(bands), box_mm=CHEST_BOX_MM)

    return HeartSubject(
        proportions=_draw_proportions(SampleRng(seed, "heart", subject, "proportions")),
        warp=fields("warp", *[WARP_WAVELENGTHS_MM] * 3),
        trabeculae=fields("trabeculae", (7.0, 14.0), (14.0, 30.0)),
        vessels=fields("vessels", *[(16.0, 40.0)] * 2),
        relief=fields("relief", (8.0, 20.0), (20.0, 60.0)),
    )


def _draw_proportions(rng: SampleRng) -> HeartProportions:
    """Lognormal sizes, cut at two of their spreads, which are those of the logarithm."""
    lognormal = SubjectDraws(rng, 5).lognormal
    has_defect = rng.uniform(0.0, 1.0) < DEFECT_PROBABILITY
    defect_mm = rng.uniform(3.0, 7.0)
    return HeartProportions(
        scale=lognormal(1.0, 0.06),
        wall_mm=rng.uniform(6.0, 12.0),
        dilation=lognormal(1.0, 0.25),
        defect_mm=defect_mm if has_defect else 0.0,
        aorta=lognormal(1.0, 0.12),
        pulmonary=lognormal(1.0, 0.15),
        fat_mm=lognormal(5.0, 0.3),
        mirrored=rng.uniform(0.0, 1.0) < MIRROR_PROBABILITY,
    )


def in_average_chest(subject: HeartSubject, axes: Axes) -> Block:
    """Where the voxels of the subject lie in the average chest: $x' = x + u(x)$."""
    return warped_block(axes, axes, subject.warp.on_grid(axes).mul_(WARP_RMS_MM))
