"""What surrounds the heart: lungs, liver, spine, ribs, and the wall of the chest."""

import math
from dataclasses import dataclass

import torch

from spinforge.simulation.phantoms.block import Block
from spinforge.simulation.phantoms.heart_chambers import Heart
from spinforge.simulation.phantoms.heart_subject import HeartSubject
from spinforge.simulation.phantoms.layers import Layer
from spinforge.simulation.phantoms.random_fields import Volume, Volumes
from spinforge.simulation.phantoms.shapes import (
    coverage,
    ellipsoid,
    ramp,
    smooth_max,
    smooth_min,
    tube,
    union,
)
from spinforge.simulation.tissue import Tissue

BODY_SEMI_AXES_MM = (92.0, 75.0)
SKIN_MM = 1.6
MUSCLE_WALL_MM = 11.0
RIB_PITCH_MM = 23.0
RIB_SLOPE = 0.35
"""How much a rib falls per millimetre forwards [1]."""

VERTEBRA_PITCH_MM = 23.0
UNBOUNDED_MM = 1000.0
"""Semi-axis of what runs through the field of view from top to bottom."""


@dataclass(frozen=True)
class _Chest:
    """Distance inside each part [mm]."""

    body: Volume
    cavity: Volume
    below_diaphragm: Volume
    mediastinum: Volume


def chest_layers(block: Block, heart: Heart, subject: HeartSubject) -> list[Layer]:
    """All layers of the chest, the heart in front.

    Args:
        block: Where to evaluate.
        heart: The heart in the same voxels.
        subject: Whose chest it is.
    """
    fine, coarse = subject.relief.on_grid(block.axes)
    chest = _outlines(block, heart, subject.proportions.fat_mm * (1.0 + 0.25 * coarse))
    return [
        *_cardiac_layers(block, heart, coarse),
        *_spinal_layers(block, fine),
        *_abdominal_layers(block, chest, fine, subject.vessels.on_grid(block.axes)),
        *_lung_layers(block, chest, subject.vessels.on_grid(block.axes)),
        *_wall_layers(block, chest, fine),
    ]


def _outlines(block: Block, heart: Heart, fat_mm: Volume) -> _Chest:
    """The skin's surface, the inner side of the ribs, the diaphragm and the mediastinum."""
    width, depth = BODY_SEMI_AXES_MM
    body = ellipsoid(block, (0, -2, 0), (width, depth, UNBOUNDED_MM))
    # A chest is flatter than an ellipse, and hollow along the spine.
    body = smooth_min(body, block.y + 70.0, 20.0)
    furrow = ellipsoid(block, (0, -82, 0), (16, 13, UNBOUNDED_MM))
    body = smooth_min(body, -furrow, 14.0)
    cavity = body - fat_mm - (SKIN_MM + MUSCLE_WALL_MM)
    right_dome = ellipsoid(block, (40, -4, -86), (50, 56, 58))
    left_dome = ellipsoid(block, (-40, -8, -90), (48, 52, 54))
    below = smooth_max(right_dome, left_dome, 14.0)
    centre = ellipsoid(block, (-2, 0, 30), (22, 46, 90))
    behind_breastbone = ellipsoid(block, (0, 55, 10), (13, 12, 90))
    around_spine = ellipsoid(block, (0, -44, 0), (21, 20, UNBOUNDED_MM))
    mediastinum = heart.outline
    for part in (centre, behind_breastbone, around_spine):
        mediastinum = smooth_max(mediastinum, part, 14.0)
    return _Chest(body, cavity, below, union(mediastinum, heart.vessel_walls))


def _cardiac_layers(block: Block, heart: Heart, relief: Volume) -> list[Layer]:
    """Blood, muscle, thin walls, and the fat in the grooves of the heart's surface."""
    voxel_mm = block.spacing_mm
    sac = heart.outline - 1.2 + relief
    return [
        Layer(coverage(heart.blood, voxel_mm), {Tissue.BLOOD: 1.0}),
        Layer(coverage(heart.myocardium, voxel_mm), {Tissue.MYOCARDIUM: 1.0}),
        Layer(coverage(heart.vessel_walls, voxel_mm), {Tissue.MUSCLE: 1.0}),
        Layer(coverage(sac, voxel_mm), {Tissue.FAT: 0.85, Tissue.MUSCLE: 0.15}),
    ]


def _spinal_layers(block: Block, relief: Volume) -> list[Layer]:
    """Cord in its canal, vertebral bodies with marrow between discs, and their arches."""
    voxel_mm = block.spacing_mm
    from_disc = (torch.remainder(block.z, VERTEBRA_PITCH_MM) - VERTEBRA_PITCH_MM / 2.0).abs_()
    disc = (from_disc - VERTEBRA_PITCH_MM / 2.0).add_(2.6)
    column = ellipsoid(block, (0, -44, 0), (15.5, 12.5, UNBOUNDED_MM)).sub_(
        1.2 * (1.0 - ramp(disc, -5.0, 0.0))
    )
    body = torch.minimum(column, -disc)
    canal = ellipsoid(block, (0, -61.5, 0), (8, 7, UNBOUNDED_MM))
    cord = ellipsoid(block, (0, -61.5, 0), (4.6, 3.8, UNBOUNDED_MM))
    arches = union(
        canal + 3.0,
        tube(block.mirrored, [(7, -62, 0), (26, -64, 0)], [4.0, 3.5], squeeze=(1, 1, 0.05)),
    )
    arches = torch.minimum(arches, 6.5 - from_disc)
    return [
        Layer(coverage(cord, voxel_mm), {Tissue.MUSCLE: 1.0}),
        Layer(coverage(canal, voxel_mm), {Tissue.CSF: 1.0}),
        Layer(coverage(body - 1.3, voxel_mm) * (0.85 + 0.1 * relief).clamp_(0.6, 1.0),
              {Tissue.MARROW: 1.0}),
        Layer(coverage(body, voxel_mm), {Tissue.SKULL: 1.0}),
        Layer(coverage(column, voxel_mm), {Tissue.MUSCLE: 0.8, Tissue.SKULL: 0.2}),
        Layer(coverage(arches - 1.4, voxel_mm), {Tissue.MARROW: 0.8, Tissue.SKULL: 0.2}),
        Layer(coverage(arches, voxel_mm), {Tissue.SKULL: 1.0}),
    ]  # fmt: skip


def _abdominal_layers(
    block: Block, chest: _Chest, relief: Volume, patterns: Volumes
) -> list[Layer]:
    """Below the diaphragm: liver with its veins, stomach, and fat."""
    voxel_mm = block.spacing_mm
    below = coverage(torch.minimum(chest.below_diaphragm - 2.5, chest.cavity), voxel_mm)
    stomach = ellipsoid(block, (-44, 14, -72), (26, 30, 34)).add_(relief)
    spleen = ellipsoid(block, (-58, -34, -70), (20, 24, 34))
    liver = ellipsoid(block, (38, -2, -84), (66, 66, 62))
    left_edge = (block.x + 26.0 - 0.3 * (block.y - 10.0)).add_(relief, alpha=2.0)
    liver = smooth_min(liver, left_edge, 10.0)
    veins = _branches(patterns, radius_mm=2.2)
    diaphragm = coverage(torch.minimum(chest.below_diaphragm, chest.cavity), voxel_mm)
    return [
        Layer(below * coverage(torch.minimum(liver - 4.0, veins), voxel_mm), {Tissue.BLOOD: 1.0}),
        Layer(below * coverage(liver, voxel_mm), {Tissue.LIVER: 1.0}),
        Layer(below * coverage(stomach - 4.0, voxel_mm), {Tissue.MUSCLE: 0.5, Tissue.CSF: 0.5}),
        Layer(below * coverage(stomach, voxel_mm), {Tissue.MUSCLE: 1.0}),
        Layer(below * coverage(spleen, voxel_mm), {Tissue.LIVER: 0.5, Tissue.BLOOD: 0.5}),
        Layer(below, {Tissue.FAT: 0.9, Tissue.MUSCLE: 0.1}),
        Layer(diaphragm, {Tissue.MUSCLE: 1.0}),
    ]


def _lung_layers(block: Block, chest: _Chest, patterns: Volumes) -> list[Layer]:
    """Airways, and the lungs with branching vessels, around the mediastinum."""
    voxel_mm = block.spacing_mm
    trachea = tube(block, [(6, -16, 90), (4, -20, 46)], [7.5, 7])
    bronchi = union(
        tube(block, [(4, -20, 48), (22, -22, 34), (36, -24, 26)], [6.5, 5.5, 4]),
        tube(block, [(4, -20, 48), (-16, -24, 30), (-34, -28, 22)], [6.5, 5, 4]),
    )
    airways = union(trachea, bronchi)
    lungs = coverage(torch.minimum(chest.cavity, -chest.mediastinum), voxel_mm)
    depth = chest.cavity.clamp(0.0, 30.0)
    branches = _branches(patterns, radius_mm=1.9).sub_(1.2 - depth * 0.04)
    filling = coverage(chest.cavity, voxel_mm)
    return [
        Layer(coverage(airways, voxel_mm), {Tissue.BACKGROUND: 1.0}),
        Layer(coverage(airways + 1.2, voxel_mm), {Tissue.MUSCLE: 1.0}),
        Layer(lungs * coverage(branches, voxel_mm), {Tissue.BLOOD: 0.8, Tissue.LUNG: 0.2}),
        Layer(lungs, {Tissue.LUNG: 1.0}),
        Layer(filling, {Tissue.FAT: 0.8, Tissue.MUSCLE: 0.2}),
    ]


def _branches(patterns: Volumes, *, radius_mm: float) -> Volume:
    """Distance inside crooked tubes: the curves on which two random fields vanish."""
    # The fields' gradient has a root mean square of about 2 pi / 24 mm per component.
    steepness = 2.0 * math.pi / 24.0
    squared = patterns[0].square() + patterns[1].square()
    return radius_mm - squared.sqrt_() / steepness


def _wall_layers(block: Block, chest: _Chest, relief: Volume) -> list[Layer]:
    """Breastbone, ribs in their muscles, the fat below the skin, and the skin."""
    voxel_mm = block.spacing_mm
    breastbone = ellipsoid(block, (0, 60.0, 14), (15, 4.8, 74))
    middle = chest.cavity + 0.45 * MUSCLE_WALL_MM
    height = torch.remainder(block.z + RIB_SLOPE * block.y, RIB_PITCH_MM) - RIB_PITCH_MM / 2.0
    ribs = 1.0 - ((height / 6.0).square_() + (middle / 3.2).square()).sqrt_()
    ribs = (3.0 * ribs).where(block.x.abs() > 12.0, torch.tensor(-3.0))
    muscle = chest.cavity + MUSCLE_WALL_MM
    bones = union(breastbone, ribs)
    fatty = torch.sigmoid(3.0 * (relief - 1.3))
    in_muscle = coverage(muscle, voxel_mm)
    return [
        Layer(coverage(bones - 1.3, voxel_mm), {Tissue.MARROW: 1.0}),
        Layer(coverage(bones, voxel_mm), {Tissue.SKULL: 1.0}),
        Layer(in_muscle * (1.0 - fatty), {Tissue.MUSCLE: 1.0}),
        Layer(in_muscle, {Tissue.FAT: 1.0}),
        Layer(coverage(chest.body - SKIN_MM, voxel_mm), {Tissue.FAT: 1.0}),
        Layer(coverage(chest.body, voxel_mm), {Tissue.MUSCLE: 1.0}),
    ]
