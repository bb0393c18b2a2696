"""Everything around the brain: dura, skull, scalp, and a generic face and neck."""

from dataclasses import dataclass

import torch

from spinforge.simulation.phantoms.block import Block
from spinforge.simulation.phantoms.head_subject import HeadSubject
from spinforge.simulation.phantoms.layers import Layer, Mixture
from spinforge.simulation.phantoms.random_fields import Volume
from spinforge.simulation.phantoms.shapes import (
    coverage,
    ellipsoid,
    ramp,
    smooth_max,
    tube,
    union,
)
from spinforge.simulation.tissue import Tissue

DURA_MM = 1.1
INNER_TABLE_MM = 1.3
OUTER_TABLE_MM = 1.4
"""Thickness of compact bone inside and outside the marrow."""

STRAND_STRETCH = 3.0
"""How much longer the strands of muscle are from top to bottom than across [1]."""


@dataclass(frozen=True)
class Reliefs:
    """Random patterns of the layers, unit variance, sampled on a block."""

    skull: Volume
    skull_base: Volume
    scalp: Volume
    fat: Volume
    muscle: Volume


def extracranial_layers(
    block: Block, cavity: Volume, skull_relief: Volume, subject: HeadSubject
) -> list[Layer]:
    """Layers around the intracranial cavity, from front (innermost) to back (skin).

    Args:
        block: Where to evaluate.
        cavity: Distance inside the intracranial cavity [mm].
        skull_relief: Relief of the skull's thickness.
        subject: Whose head it is.
    """
    x, y, z = block.axes
    scalp_relief, fat_relief = subject.scalp.on_grid(block.axes)
    reliefs = Reliefs(
        skull=skull_relief,
        skull_base=subject.skull_base.on_grid(block.axes)[0],
        scalp=scalp_relief,
        fat=fat_relief,
        muscle=subject.muscle.on_grid((x, y, z / STRAND_STRETCH))[0],
    )
    skull = _outer_skull(block, cavity, reliefs, subject.proportions.skull_mm)
    head = _outer_head(block, skull, reliefs, subject.proportions.scalp_mm)
    return [
        *_cranial_layers(block, cavity, skull, reliefs),
        *_facial_layers(block, skull, head, reliefs),
        *_soft_layers(block, head, reliefs),
    ]


def _outer_skull(block: Block, cavity: Volume, reliefs: Reliefs, skull_mm: float) -> Volume:
    """Distance inside the skull's outer side; its base is thicker and rough."""
    at_base = ramp(block.z, -18.0, -48.0) * ramp(block.y, -70.0, -10.0)
    thickness = (1.0 + 0.16 * reliefs.skull).mul_(1.0 + 0.5 * at_base).mul_(skull_mm)
    return (cavity + DURA_MM).add_(thickness).addcmul_(at_base, reliefs.skull_base, value=3.0)


def _outer_head(block: Block, skull: Volume, reliefs: Reliefs, scalp_mm: float) -> Volume:
    """Distance inside the skin's surface: scalp, face, nose, neck and jaw."""
    scalp = skull + scalp_mm * (1.0 + 0.18 * reliefs.scalp)
    face = ellipsoid(block, (0, 44, -58), (54, 50, 62))
    nose = ellipsoid(block, (0, 86, -46), (13, 17, 18))
    neck = tube(block, [(0, -26, -50), (0, -34, -90)], [58, 56], squeeze=(1, 0.85, 1))
    jaw = ellipsoid(block.mirrored, (40, 8, -62), (32, 46, 40))
    head = smooth_max(scalp, smooth_max(face, nose, 10.0), 14.0)
    return smooth_max(smooth_max(head, neck, 18.0), jaw, 16.0)


def _cranial_layers(block: Block, cavity: Volume, skull: Volume, reliefs: Reliefs) -> list[Layer]:
    """Dura, patches of marrow between the two tables of the skull, and the skull."""
    voxel_mm = block.spacing_mm
    outside_inner_table = -(cavity + (DURA_MM + INNER_TABLE_MM))
    diploe = torch.minimum(skull - OUTER_TABLE_MM, outside_inner_table)
    patches = (0.75 + 0.35 * reliefs.skull + 0.25 * reliefs.muscle).clamp_(0.0, 1.0)
    return [
        Layer(coverage(cavity + DURA_MM, voxel_mm), {Tissue.DURA: 1.0}),
        Layer(coverage(diploe, max(1.4, voxel_mm)) * patches, {Tissue.MARROW: 1.0}),
        Layer(coverage(skull, voxel_mm), {Tissue.SKULL: 1.0}),
    ]


def _facial_layers(block: Block, skull: Volume, head: Volume, reliefs: Reliefs) -> list[Layer]:
    """Airways and sinuses, eyes in their fatty orbits, and the thin bones of the face."""
    sides, voxel_mm = block.mirrored, block.spacing_mm
    rough = reliefs.skull_base
    airways = union(
        ellipsoid(block, (0, 60, -48), (12, 24, 22)),  # nasal cavity
        ellipsoid(sides, (26, 56, -52), (12, 14, 14)),  # maxillary sinus
        ellipsoid(sides, (12, 66, -16), (10, 7, 12)),  # frontal and ethmoid sinuses
        ellipsoid(block, (0, 20, -58), (11, 16, 16)),  # pharynx
        ellipsoid(sides, (62, -22, -36), (5, 8, 5)),  # mastoid cells
    )
    airways = airways.add_(rough, alpha=1.2)
    beside_septum = block.x.abs().add_(rough.abs(), alpha=0.3).sub_(1.2)
    airways = torch.minimum(airways, beside_septum)
    walls = 1.5 - (airways + 2.0).abs_()
    spongy = torch.minimum(
        ellipsoid(sides, (30, 30, -44), (34, 44, 24)), 1.4 - (6.0 * rough - 6.0).abs_()
    )
    orbit = ellipsoid(sides, (31, 50, -30), (19, 22, 17))
    eye = ellipsoid(sides, (32, 58, -30), (12, 12.5, 12))
    lens = ellipsoid(sides, (32, 68, -30), (4.5, 2, 4.5))
    allowed = ramp(skull, -2.0, -4.0) * coverage(head, voxel_mm)

    def layer(inside: Volume, mixture: Mixture) -> Layer:
        return Layer(coverage(inside, voxel_mm).mul_(allowed), mixture)

    return [
        layer(airways, {Tissue.BACKGROUND: 1.0}),
        layer(lens, {Tissue.MUSCLE: 1.0}),
        # BrainWeb's twenty models code the eyeball so; as CSF it would be segmented as brain fluid.
        layer(eye, {Tissue.MUSCLE_SKIN: 1.0}),
        layer(orbit, {Tissue.FAT: 0.8, Tissue.MUSCLE: 0.2}),
        layer(union(walls, spongy), {Tissue.SKULL: 0.85, Tissue.MARROW: 0.15}),
    ]


def _soft_layers(block: Block, head: Volume, reliefs: Reliefs) -> list[Layer]:
    """Muscle patterned with fat, the fat below the skin, and the skin."""
    voxel_mm = block.spacing_mm
    skin_mm = 2.4 * (1.0 + 0.1 * reliefs.fat)
    fat_mm = 3.0 * (1.0 + 0.5 * reliefs.fat).clamp_(0.25, 2.2)
    below_skin = head - skin_mm
    below_fat = coverage(below_skin - fat_mm, voxel_mm)
    low = ramp(block.z, 0.0, -25.0)
    fatty = torch.sigmoid(4.0 * (reliefs.muscle - 0.85 + 0.6 * (1.0 - low)))
    muscle = torch.lerp(torch.full_like(low, 0.35), 1.0 - fatty, low)
    loose = below_fat * (1.0 - muscle)
    return [
        Layer(below_fat * muscle, {Tissue.MUSCLE: 1.0}),
        Layer(loose * 0.45 * low, {Tissue.FAT: 1.0}),
        Layer(loose * (1.0 - 0.45 * low), {Tissue.AROUND_FAT: 1.0}),
        Layer(coverage(below_skin, voxel_mm), {Tissue.FAT: 1.0}),
        Layer(coverage(head, voxel_mm), {Tissue.MUSCLE_SKIN: 1.0}),
    ]
