"""The heart and its great vessels: distances in millimetres, positive inside.

Coordinates are those of the average chest: x to the right, y forwards, z upwards, the field of
view's centre at 0. The ventricles have a frame of their own, since the heart lies askew.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from spinforge.simulation.phantoms.block import Block, Number, Vector
from spinforge.simulation.phantoms.heart_subject import HeartProportions
from spinforge.simulation.phantoms.random_fields import Volume, Volumes
from spinforge.simulation.phantoms.shapes import (
    cross,
    ellipsoid,
    inside_ellipsoid,
    normalised,
    smooth_max,
    smooth_min,
    tube,
    union,
)

LEFT_VENTRICLE_MM = (-22.0, 14.0, -10.0)
TO_APEX = (-0.62, 0.56, -0.55)
TO_RIGHT_VENTRICLE = (0.80, 0.60, 0.0)
"""Centre of the left ventricle; where its apex points and where its neighbour lies."""

AVERAGE_SIZE = 0.93
"""Size of the average heart relative to the millimetres below [1]."""

BASE_MM = 24.0
"""From the centre of the ventricles to the plane of their valves [mm]."""

RIGHT_WALL_MM = 3.2
ATRIAL_WALL_MM = 1.6
VESSEL_WALL_MM = 1.3
SEPTAL_WALL_MM = 3.2
"""Walls of the right ventricle, of the atria and of the great vessels, and between both sides."""


@dataclass(frozen=True)
class Heart:
    """Distance inside each part [mm].

    Attributes:
        blood: Chambers and great vessels.
        myocardium: The ventricles with all they contain.
        vessel_walls: The atria and great vessels with their walls.
        outline: The heart with the fat of its surface.
    """

    blood: Volume
    myocardium: Volume
    vessel_walls: Volume
    outline: Volume


@dataclass(frozen=True)
class _Ventricles:
    """Frame of the ventricles: towards the right one, across, and towards the apex [mm]."""

    across: Volume
    sideways: Volume
    along: Volume

    def ellipsoid(
        self, centre: tuple[float, float, float], semi_axes: tuple[float, float, float]
    ) -> Volume:
        return inside_ellipsoid(
            self.across - centre[0], self.sideways - centre[1], self.along - centre[2], semi_axes
        )


def heart(block: Block, proportions: HeartProportions, trabeculae: Volumes) -> Heart:
    """The heart of one subject.

    Args:
        block: Where to evaluate.
        proportions: Its sizes.
        trabeculae: Fine and coarse relief of the ventricles' inner side, unit variance.
    """
    size = AVERAGE_SIZE * proportions.scale
    centred = Block(block.axes, *(points / size for points in block.points))
    frame = _ventricular_frame(centred)
    left, left_outer = _left_ventricle(frame, proportions, trabeculae)
    right, right_outer = _right_ventricle(centred, frame, left_outer, proportions, trabeculae)
    left_atrium, right_atrium = _left_atrium(centred), _right_atrium(centred, proportions)
    aorta, pulmonary = _aorta(centred, proportions), _pulmonary_arteries(centred, proportions)
    ventricles = smooth_max(left_outer, right_outer, 4.0)
    blood = _apart(union(left, left_atrium, aorta), union(right, right_atrium, pulmonary))
    if proportions.defect_mm > 0.0:
        blood = torch.maximum(blood, _septal_defect(frame, proportions))
    atria = union(left_atrium, right_atrium)
    walls = union(atria + ATRIAL_WALL_MM, union(aorta, pulmonary) + VESSEL_WALL_MM)
    pericardium = ellipsoid(centred, (-4, 4, 2), (46, 46, 50))
    outline = torch.minimum(smooth_max(ventricles, atria, 16.0).add_(3.0), pericardium)
    return Heart(blood, ventricles, walls, outline)


def _apart(left: Volume, right: Volume) -> Volume:
    """Union of the left and the right heart's blood with a wall wherever the two would meet."""
    wall = (SEPTAL_WALL_MM - (left - right).abs()).div_(2.0)
    return torch.minimum(union(left, right), -wall)


def _ventricular_frame(block: Block) -> _Ventricles:
    """Rotate about the left ventricle's centre."""
    along = normalised(TO_APEX)
    overlap = sum(p * q for p, q in zip(along, TO_RIGHT_VENTRICLE, strict=True))
    across = normalised([p - overlap * q for p, q in zip(TO_RIGHT_VENTRICLE, along, strict=True)])
    x, y, z = (p - c for p, c in zip(block.points, LEFT_VENTRICLE_MM, strict=True))

    def component(axis: Vector) -> Volume:
        return x * axis[0] + y * axis[1] + z * axis[2]

    return _Ventricles(component(across), component(cross(along, across)), component(along))


def _left_ventricle(
    frame: _Ventricles, proportions: HeartProportions, trabeculae: Volumes
) -> tuple[Volume, Volume]:
    """Blood of the left ventricle, with its papillary muscles, and its outer side."""
    wall = proportions.wall_mm
    cavity = frame.ellipsoid((0.0, 0.0, 0.0), (19.0, 19.0, 38.0))
    apical = ((frame.along + 10.0) / 40.0).clamp_(0.0, 1.0)
    cavity.sub_(apical * (0.8 + trabeculae[0].abs()))
    papillary = union(
        frame.ellipsoid((2.0, 11.5, 8.0), (3.6, 4.2, 13.0)),
        frame.ellipsoid((-3.0, -11.5, 8.0), (3.4, 4.0, 13.0)),
    )
    outer = frame.ellipsoid((0.0, 0.0, 0.0), (19.0 + wall, 19.0 + wall, 38.0 + wall * 0.85))
    behind_valves = frame.along + BASE_MM
    return (
        torch.minimum(smooth_min(cavity, behind_valves, 4.0), -papillary),
        smooth_min(outer, behind_valves + 3.0, 6.0),
    )


def _right_ventricle(
    block: Block,
    frame: _Ventricles,
    left_outer: Volume,
    proportions: HeartProportions,
    trabeculae: Volumes,
) -> tuple[Volume, Volume]:
    """Crescent around the left ventricle that rises into its outflow tract, and its outer side."""
    wide = proportions.dilation
    offset = proportions.wall_mm + 14.0
    body = frame.ellipsoid((offset, -3.0, -6.0), (21.0 * wide + 3.0, 28.0 * wide**0.5, 38.0))
    body = smooth_min(body, frame.along + BASE_MM + 4.0, 26.0)
    outflow = tube(block, [(-4, 31, -8), (-6, 33, 6), (-9, 30, 18)], [13, 12, 10.5])
    whole = smooth_max(body, outflow, 8.0)
    cavity = whole - (0.8 * trabeculae[0].abs() + 0.7 * trabeculae[1])
    # The moderator band and the coarse trabeculae cross the apex.
    band = 1.6 - (trabeculae[1] * 5.0 - 4.0).abs()
    cavity = torch.where(frame.along > 8.0, torch.minimum(cavity, -band), cavity)
    return torch.minimum(cavity, -left_outer), whole + RIGHT_WALL_MM


def _septal_defect(frame: _Ventricles, proportions: HeartProportions) -> Volume:
    """Hole in the septum, below the valves."""
    radius = proportions.defect_mm
    middle = 19.0 + proportions.wall_mm / 2.0
    return frame.ellipsoid((middle, 2.0, -13.0), (proportions.wall_mm + 4.0, radius, radius))


def _left_atrium(block: Block) -> Volume:
    """The left atrium with its appendage and four pulmonary veins."""
    atrium = ellipsoid(block, (-3, -16, 12), (25, 15.5, 19))
    appendage = tube(block, [(-20, -10, 16), (-32, 2, 18), (-34, 14, 14)], [8, 6, 3.5])
    veins = union(
        tube(block, [(-16, -18, 16), (-32, -24, 18), (-50, -28, 22)], [7, 5.5, 3.5]),
        tube(block, [(-14, -20, 6), (-30, -28, 2), (-46, -34, -6)], [7, 5.5, 3.5]),
        tube(block, [(14, -18, 16), (30, -22, 18), (50, -24, 22)], [7, 5.5, 3.5]),
        tube(block, [(12, -20, 6), (28, -27, 2), (44, -33, -8)], [7, 5.5, 3.5]),
    )
    return smooth_max(smooth_max(atrium, appendage, 5.0), veins, 5.0)


def _right_atrium(block: Block, proportions: HeartProportions) -> Volume:
    """The right atrium as far as its valve, with its appendage and both venae cavae."""
    wide = proportions.dilation**0.5
    atrium = ellipsoid(block, (29, 5, 0), (17 * wide, 20 * wide, 24 * wide))
    to_valve = tube(block, [(27, 6, 0), (8, 17, -4)], [13 * wide, 12 * wide])
    appendage = tube(block, [(26, 14, 12), (18, 28, 18), (10, 34, 18)], [10, 7.5, 4])
    upper_cava = tube(block, [(25, 2, 80), (26, 3, 40), (27, 4, 14)], [7.5, 8, 9.5])
    lower_cava = tube(block, [(19, -10, -90), (20, -8, -40), (27, 0, -14)], [10, 10, 11])
    atrium = smooth_max(smooth_max(atrium, to_valve, 5.0), appendage, 6.0)
    return smooth_max(smooth_max(atrium, upper_cava, 5.0), lower_cava, 5.0)


def _aorta(block: Block, proportions: HeartProportions) -> Volume:
    """The aorta from its valve over the arch down along the spine, with three branches."""

    def vessel(path: Sequence[Vector], *radii_mm: Number) -> Volume:
        return tube(block, path, [proportions.aorta * radius for radius in radii_mm])

    root = [(-8, 4, 2), (0, 9, 14), (6, 11, 30), (4, 6, 44), (-5, -8, 52)]
    descending = [(-5, -8, 52), (-14, -24, 48), (-18, -34, 34), (-18, -37, 8), (-14, -37, -90)]
    branches = union(
        vessel([(4, 4, 48), (10, 4, 62), (16, 6, 90)], 5.5, 5, 5),
        vessel([(-4, -6, 54), (-8, -4, 68), (-9, -2, 90)], 4, 3.5, 3),
        vessel([(-10, -16, 54), (-18, -16, 70), (-22, -14, 90)], 4, 4, 4),
    )
    arch = union(vessel(root, 11, 12, 11, 10.5, 10), vessel(descending, 10, 9, 8.5, 8.5, 8))
    return smooth_max(arch, branches, 4.0)


def _pulmonary_arteries(block: Block, proportions: HeartProportions) -> Volume:
    """The pulmonary trunk, from the outflow tract, and the artery of each lung."""

    def vessel(path: Sequence[Vector], *radii_mm: Number) -> Volume:
        return tube(block, path, [proportions.pulmonary * radius for radius in radii_mm])

    trunk = vessel([(-9, 30, 17), (-15, 22, 28), (-17, 8, 34)], 11, 11, 10)
    right = vessel(
        [(-16, 6, 33), (-4, -6, 32), (18, -10, 30), (36, -12, 28), (52, -16, 20)], 8, 8, 7.5, 6.5, 4
    )
    left = vessel([(-17, 8, 34), (-28, -8, 38), (-40, -20, 34), (-50, -26, 22)], 8.5, 7.5, 6, 3.5)
    return smooth_max(trunk, union(right, left), 4.0)
