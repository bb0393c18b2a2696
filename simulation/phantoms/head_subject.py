"""Who the subject is: every random number of a head is drawn here, and only here."""

import math
from dataclasses import asdict, dataclass
from typing import Any

import torch

from spinforge.simulation.phantoms.block import Block, warped_block
from spinforge.simulation.phantoms.random_fields import (
    Axes,
    Band,
    RandomFields,
    Volumes,
    draw_random_fields,
)
from spinforge.simulation.phantoms.subject_draws import SubjectDraws
from spinforge.simulation.rng import SampleRng

WARP_RMS_MM = 2.6
WARP_WAVELENGTHS_MM = (90.0, 200.0)
MIRROR_SHARE = 0.6
"""Weight of a warp and of its mirror image alike: heads are symmetric, but not quite."""

STEEPEST_WARP = 0.85
"""Largest gradient a warp may have; from 1 on, tissue could fold over itself."""

FOLDING_BOX_MM = (208.0, 216.0, 160.0)
"""Period of the folding patterns: both hemispheres side by side, each used once."""

FOLIA_BOX_MM = (128.0, 192.0, 160.0)

MUSCLE_BOX_MM = (256.0, 288.0, 80.0)
"""Lower than the head: the pattern is stretched from top to bottom."""


@dataclass(frozen=True)
class Proportions:
    """Sizes of a subject's head; all but the typical thickness of skull and scalp are drawn.

    Attributes:
        scale: Size of the head along each axis relative to the hulls of `head_hulls.py` [1].
        cortex_mm: Typical thickness of the cortex [mm].
        primary_gap_mm: Scale of the half-width of the large sulci [mm].
        secondary_gap_mm: Scale of the half-width of the small sulci [mm].
        ventricles: Widening of the ventricles, 1 on average [1].
        subarachnoid_mm: Distance from the gyral crowns to the dura [mm].
        skull_mm: Typical thickness of the skull [mm], the same for all; a random field varies it.
        scalp_mm: Typical thickness of the scalp [mm], likewise.
    """

    scale: tuple[float, float, float]
    cortex_mm: float
    primary_gap_mm: float
    secondary_gap_mm: float
    ventricles: float
    subarachnoid_mm: float
    skull_mm: float
    scalp_mm: float


@dataclass(frozen=True)
class HeadSubject:
    """One subject: its proportions and its random patterns.

    Attributes:
        proportions: Sizes of the head.
        warp: Three components of the subject's deformation.
        warp_amplitude_mm: Its root-mean-square per component before mirroring [mm].
        folding: Primary and secondary sulcal patterns, then the depth of each.
        folding_warp: Three components that make sulci meander.
        folia: Folding pattern of the cerebellum.
        cortex: Wave of the interhemispheric fissure, then relief of the cortical thickness.
        relief: Bumps of the ventricles and nuclei.
        skull: Relief of the skull's inner side, then of its thickness.
        skull_base: Roughness of the skull base and the air cells.
        scalp: Relief of the scalp's thickness, then of its fat layer.
        muscle: Pattern of muscle in the fat below the skin.
    """

    proportions: Proportions
    warp: RandomFields
    warp_amplitude_mm: float
    folding: RandomFields
    folding_warp: RandomFields
    folia: RandomFields
    cortex: RandomFields
    relief: RandomFields
    skull: RandomFields
    skull_base: RandomFields
    scalp: RandomFields
    muscle: RandomFields

    @property
    def parameters(self) -> dict[str, Any]:
        """The proportions and the warp's strength, as plain data; the patterns are left out."""
        return {
            **asdict(self.proportions),
            "scale": list(self.proportions.scale),
            "warp_amplitude_mm": self.warp_amplitude_mm,
            "warp_steepest_gradient": warp_steepest_gradient(self.warp, self.warp_amplitude_mm),
        }


def draw_head_subject(seed: int, subject: str) -> HeadSubject:
    """Draw a subject; the same seed and name always give the same one."""

    def fields(purpose: str, *bands: Band, **options: Any) -> RandomFields:
        rng = SampleRng(seed, "head", subject, purpose)
        return draw_random_fields(rng, list(bands), **options)

    warp = fields("warp", *[WARP_WAVELENGTHS_MM] * 3)
    steepest = warp_steepest_gradient(warp, WARP_RMS_MM)
    return HeadSubject(
        proportions=_draw_proportions(SampleRng(seed, "head", subject, "proportions")),
        warp=warp,
        warp_amplitude_mm=WARP_RMS_MM * min(1.0, STEEPEST_WARP / steepest),
        folding=fields(
            "folding",
            (28.0, 34.0),
            (14.0, 18.0),
            (45.0, 90.0),
            (18.0, 36.0),
            box_mm=FOLDING_BOX_MM,
            samples_per_wave=9.0,
        ),
        folding_warp=fields("folding warp", *[(22.0, 48.0)] * 3),
        folia=fields("folia", (14.0, 18.0), box_mm=FOLIA_BOX_MM, samples_per_wave=9.0),
        cortex=fields("cortex", (35.0, 80.0), (20.0, 50.0)),
        relief=fields("relief", (14.0, 30.0)),
        skull=fields("skull", (40.0, 90.0), (40.0, 90.0)),
        skull_base=fields("skull base", (10.0, 26.0)),
        scalp=fields("scalp", (50.0, 110.0), (40.0, 90.0)),
        muscle=fields("muscle", (9.0, 22.0), box_mm=MUSCLE_BOX_MM),
    )


def _draw_proportions(rng: SampleRng) -> Proportions:
    """Lognormal sizes, cut at two of their spreads, which are those of the logarithm.

    Skull and scalp have the same typical thickness in all; random fields vary it over the head.
    """
    lognormal = SubjectDraws(rng, 8).lognormal
    return Proportions(
        scale=(lognormal(1.03, 0.02), lognormal(1.02, 0.02), lognormal(1.015, 0.02)),
        cortex_mm=lognormal(3.285, 0.025),
        primary_gap_mm=lognormal(0.62, 0.12),
        secondary_gap_mm=lognormal(0.42, 0.12),
        ventricles=lognormal(1.0, 0.22),
        subarachnoid_mm=lognormal(2.2, 0.10),
        skull_mm=4.6,
        scalp_mm=7.0,
    )


def warp_displacement(warp: RandomFields, amplitude_mm: float, axes: Axes) -> Volumes:
    r"""Displacement of the subject's anatomy [mm], nearly symmetric about the midline.

    $u(x,y,z) = 0.6\,(v(x,y,z) \pm v(-x,y,z))$, the sign being that of a mirror: minus for the
    left-right component.
    """
    x, y, z = axes
    mirrored = warp.on_grid((-x, y, z))
    mirrored[0].neg_()
    return (warp.on_grid(axes) + mirrored).mul_(MIRROR_SHARE * amplitude_mm)


def in_average_head(subject: HeadSubject, axes: Axes) -> Block:
    """Where the voxels of the subject lie in the average head: $x' = x / s + u(x)$."""
    displacement = warp_displacement(subject.warp, subject.warp_amplitude_mm, axes)
    x, y, z = (points / s for points, s in zip(axes, subject.proportions.scale, strict=True))
    return warped_block(axes, (x, y, z), displacement)


def warp_steepest_gradient(warp: RandomFields, amplitude_mm: float) -> float:
    """Largest Frobenius norm of the warp's gradient [1], on a grid 10 mm apart."""
    spacing_mm = 10.0
    x, y, z = (torch.arange(-half, half + 1.0, spacing_mm) for half in (90.0, 130.0, 110.0))
    displacement = warp_displacement(warp, amplitude_mm, (x, y, z))
    gradients = torch.gradient(displacement, spacing=spacing_mm, dim=(1, 2, 3))
    squared = sum((part**2).sum(0) for part in gradients)
    return math.sqrt(float(torch.as_tensor(squared).max()))
