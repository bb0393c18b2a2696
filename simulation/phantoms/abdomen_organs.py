"""Shapes of the upper abdomen: distances in millimetres, positive inside.

x to the right, y forwards, z upwards, 0 in the middle of the field of view.
"""

from dataclasses import dataclass

import torch

from spinforge.simulation.phantoms.block import Block
from spinforge.simulation.phantoms.random_fields import Volume
from spinforge.simulation.phantoms.shapes import (
    TINY,
    cross,
    ellipsoid,
    inside_ellipsoid,
    normalised,
    smooth_max,
    smooth_min,
    tube,
    union,
)

CAVITY_MM = (138.0, 88.0)
"""Semi-axes of the space within the muscles [mm]."""

SQUARENESS = 2.5
"""Exponent of the body's super-ellipse; 2 would be an ellipse."""

DOMES_BEGIN_MM = -20.0
"""Above this height the diaphragm vaults; below it, the cavity is its own wall [mm]."""

SPLEEN_MM = (-104.0, -44.0, 22.0)
SPLEEN_LONG_AXIS = (0.25, -0.62, 0.74)
SPLEEN_OUTWARDS = (-0.86, -0.51, 0.0)
"""Centre of the average spleen, the direction of the rib it lies under, and that of the rib's
outer side."""

RIB_PITCH_MM = 31.0
RIB_FALL_MM = 55.0
"""From one rib to the next, and how far a rib falls per radian around the body [mm]."""


@dataclass(frozen=True)
class Cavity:
    """Distance inside the body's spaces [mm].

    Attributes:
        inner: Within the muscles of the wall.
        below_diaphragm: Of those, the abdomen's.
    """

    inner: Volume
    below_diaphragm: Volume


def cavity(block: Block) -> Cavity:
    """The space within the muscles, and the part of it below the diaphragm."""
    inner = super_ellipse(block, CAVITY_MM)
    inner = smooth_min(inner, 84.0 + block.y, 20.0)
    spine = ellipsoid(block, (0, -92, 0), (46, 44, 1000))
    inner = smooth_min(inner, -spine, 16.0)
    height = (block.z - DOMES_BEGIN_MM).clamp(min=0.0)
    right = inside_ellipsoid(block.x - 72.0, block.y - 4.0, height.clone(), (98, 112, 92))
    left = inside_ellipsoid(block.x + 74.0, block.y + 4.0, height.clone(), (92, 108, 78))
    below = smooth_max(right, left, 20.0)
    return Cavity(inner, torch.where(block.z > DOMES_BEGIN_MM, torch.minimum(below, inner), inner))


def super_ellipse(block: Block, semi_axes: tuple[float, float]) -> Volume:
    r"""Cylinder of cross-section $|x/a|^n + |y/b|^n = 1$, exact to first order at its surface."""
    n = SQUARENESS
    x, y = (block.x.abs() / semi_axes[0], block.y.abs() / semi_axes[1])
    radius = (x**n + y**n).pow_(1.0 / n).add_(TINY)
    slope_x, slope_y = x ** (n - 1) / semi_axes[0], y ** (n - 1) / semi_axes[1]
    slope = torch.hypot(slope_x, slope_y).mul_(radius ** (1.0 - n)).add_(TINY)
    return radius * (1.0 - radius) / slope


def spleen(
    block: Block, size: float, shape: tuple[float, float], relief: Volume, space: Cavity
) -> Volume:
    """An ellipsoid along the ribs, hollow towards the stomach and notched at its hilum.

    Args:
        block: Where to evaluate.
        size: Edge length relative to the average [1]; a large spleen grows inwards and down.
        shape: Thickness and breadth relative to the average [1].
        relief: Bumps of unit variance.
        space: Where it may be.
    """
    long_axis, outwards = SPLEEN_LONG_AXIS, SPLEEN_OUTWARDS
    breadth = normalised(cross(long_axis, outwards))
    thickness = size * shape[0]
    inwards = 22.0 * (thickness - 1.0)
    centre = [c - inwards * o for c, o in zip(SPLEEN_MM, outwards, strict=True)]
    centre[2] -= 18.0 * max(size - 1.0, 0.0)
    x, y, z = (p - c for p, c in zip(block.points, centre, strict=True))
    along, across, aside = (
        x * axis[0] + y * axis[1] + z * axis[2] for axis in (long_axis, outwards, breadth)
    )
    body = inside_ellipsoid(
        along.clone(),
        across.clone(),
        aside.clone(),
        (56 * size, 25 * thickness, 36 * size * shape[1]),
    )
    hollow = inside_ellipsoid(
        along - 4.0,
        across + 46.0 * thickness,
        aside - 4.0 * size,
        (60 * size, 34 * thickness, 30 * size),
    )
    notch = inside_ellipsoid(
        along + 6.0 * size, across + 14.0 * thickness, aside - 30.0 * size, (7, 14 * size, 9 * size)
    )
    body = smooth_min(body.add_(relief, alpha=1.8), -hollow, 8.0)
    body = smooth_min(body, -notch, 5.0)
    return torch.minimum(body, torch.minimum(space.inner - 3.5, space.below_diaphragm - 4.0))


def liver(block: Block, relief: Volume, space: Cavity) -> Volume:
    """Right lobe under its dome, left lobe across the middle, thinning downwards."""
    right = ellipsoid(block, (74, 2, 14), (82, 92, 84))
    left = ellipsoid(block, (4, 48, 34), (78, 38, 36))
    whole = smooth_max(right, left, 24.0).add_(relief, alpha=1.5)
    # Its lower face rises from right and behind to left and in front.
    lower_face = 0.85 * (block.z + 62.0 - 0.55 * (70.0 - block.x).clamp(min=0.0))
    whole = smooth_min(whole, lower_face, 18.0)
    gallbladder_bed = ellipsoid(block, (46, 40, -34), (16, 24, 18))
    kidney_bed = ellipsoid(block, (64, -56, -40), (36, 34, 56))
    porta = ellipsoid(block, (22, -8, -8), (22, 18, 18))
    for bed in (gallbladder_bed, kidney_bed, porta):
        whole = smooth_min(whole, -bed, 8.0)
    return torch.minimum(whole, torch.minimum(space.inner - 3.0, space.below_diaphragm - 3.5))


def liver_veins(block: Block) -> Volume:
    """Portal vein with its two branches, and the three hepatic veins towards the vena cava."""
    portal = tube(block, [(8, -6, -22), (22, -4, -4), (44, 4, 12), (78, 2, 22)], [7, 7, 6, 3.5])
    left_portal = tube(block, [(30, 0, 4), (12, 28, 22), (-16, 46, 32)], [6, 4.5, 2.5])
    hepatic = union(
        tube(block, [(24, -24, 58), (60, -20, 46), (104, -18, 22)], [6, 4.5, 2]),
        tube(block, [(24, -22, 58), (50, 20, 44), (70, 54, 20)], [6, 4.5, 2]),
        tube(block, [(24, -22, 58), (8, 18, 50), (-14, 48, 40)], [6, 4, 2]),
    )
    return union(portal, left_portal, hepatic)


def stomach(block: Block, size: float, relief: Volume) -> Volume:
    """Fundus under the left dome, body, and antrum across the middle."""
    path = [(-58, -6, 52), (-64, 18, 26), (-54, 46, -4), (-18, 56, -24), (14, 42, -24)]
    radii = [size * radius for radius in (30, 31, 24, 17, 11)]
    return tube(block, path, radii).add_(relief, alpha=2.0)


def kidneys(block: Block, relief: Volume) -> tuple[Volume, Volume]:
    """Both kidneys, and the fat and urine of their middle."""
    # The right one lies lower, below the liver.
    z = block.z + torch.where(block.x > 0.0, 42.0, 26.0)
    leaning = block.x.abs() - 62.0 + 0.18 * z
    outer = inside_ellipsoid(leaning.clone(), block.y + 54.0 + 0.1 * z, z.clone(), (26, 24, 54))
    sinus = inside_ellipsoid(leaning + 13.0, block.y + 46.0, z.clone(), (14, 9, 24))
    return outer.add_(relief, alpha=1.0), sinus


def pancreas(block: Block, relief: Volume) -> Volume:
    """From its head right of the middle to its tail at the spleen."""
    path = [(30, 2, -44), (22, 8, -28), (-4, 18, -16), (-36, 6, -4), (-72, -22, 10)]
    return tube(block, path, [13, 13, 9.5, 9.5, 7], squeeze=(1, 1, 0.85)).add_(relief, alpha=2.2)


def aorta(block: Block) -> Volume:
    """The aorta with the superior mesenteric artery."""
    trunk = tube(block, [(-10, -34, 140), (-8, -32, 0), (-4, -34, -140)], [12, 11, 9])
    mesenteric = tube(block, [(-6, -24, -18), (-4, -8, -40), (-2, 4, -110)], [4.5, 4, 3.5])
    return union(trunk, mesenteric)


def veins(block: Block) -> Volume:
    """Vena cava, splenic vein and the veins of the kidneys."""
    cava = tube(block, [(24, -24, 140), (24, -26, 40), (20, -30, -140)], [13, 12, 11])
    splenic = tube(
        block, [(8, -6, -22), (-10, 8, -14), (-40, -6, 0), (-76, -28, 14)], [7, 5.5, 5, 4]
    )
    renal = union(
        tube(block, [(20, -32, -38), (48, -46, -40)], [5, 4]),
        tube(block, [(18, -24, -28), (-8, -18, -26), (-48, -44, -26)], [5, 4.5, 4]),
    )
    return union(cava, splenic, renal)


def vertebrae(block: Block) -> tuple[Volume, Volume, Volume]:
    """Distance inside the spine's bones, its discs and its canal."""
    from_disc = (torch.remainder(block.z, 34.0) - 17.0).abs()
    disc = from_disc - 13.5
    column = ellipsoid(block, (0, -62, 0), (23, 17, 1000))
    canal = ellipsoid(block, (0, -86, 0), (10, 8, 1000))
    sides = block.mirrored
    arches = union(
        canal + 4.0,
        tube(sides, [(10, -86, 0), (36, -92, 0)], [6, 4], squeeze=(1, 1, 0.02)),
        tube(block, [(0, -96, 0), (0, -122, 0)], [5, 4], squeeze=(1, 1, 0.02)),
    )
    arches = smooth_min(arches, 11.0 - from_disc, 5.0)
    return union(torch.minimum(column, -disc), arches), torch.minimum(column, disc), canal


def ribs(block: Block, space: Cavity, wall_mm: float) -> Volume:
    """Bars within the wall that fall from the spine to the front, as low as the costal margin."""
    middle = space.inner + 0.5 * wall_mm
    from_spine = torch.atan2(block.x.abs(), -block.y)
    height = torch.remainder(block.z + RIB_FALL_MM * from_spine, RIB_PITCH_MM) - RIB_PITCH_MM / 2.0
    bars = 4.0 * (1.0 - torch.hypot(height / 6.0, middle / 4.0))
    margin = block.z + 62.0 - 0.75 * (block.y + 40.0).clamp(min=0.0)
    beside_middle = torch.minimum(block.x.abs() - 26.0, margin)
    return torch.minimum(bars, beside_middle)
