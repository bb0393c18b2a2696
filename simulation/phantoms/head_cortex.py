"""Grey and white matter: sulci fold the hulls of the cerebrum and the cerebellum.

A sulcus is a sheet on which a random field vanishes. The zero sets of a field with one dominant
wavelength form a labyrinth of nearly constant spacing, which is what gyri look like from outside;
sampling the field at a nearly radial projection makes the sheets run inwards.
"""

import math
from dataclasses import dataclass

import torch

from spinforge.simulation.phantoms.block import Block
from spinforge.simulation.phantoms.head_hulls import Hulls
from spinforge.simulation.phantoms.head_subject import FOLDING_BOX_MM, HeadSubject
from spinforge.simulation.phantoms.random_fields import Volume, Volumes
from spinforge.simulation.phantoms.shapes import (
    FAR_OUTSIDE_MM,
    ellipsoid,
    ramp,
    smooth_max,
    smooth_min,
    tube,
    union,
)

HEMISPHERE_CENTRE_MM = (28.0, -18.0, 8.0)
HEMISPHERE_SEMI_AXES_MM = (42.0, 86.0, 62.0)
RADIALITY = 0.78
"""1 would make all sulci exactly radial, 0 would let them ignore the surface."""
CORE_RADIUS = 0.3
"""Below this share of the hemisphere's radius the projection stops converging [1]."""

PRIMARY_DEPTH_MM = 28.0
SECONDARY_DEPTH_MM = 7.0
PRIMARY_STEEPNESS = 0.127
"""Least gradient assumed when turning a field value into a distance [1/mm].

0.55 times the root mean square of each projected field's gradient; it keeps saddles, where the
gradient vanishes, from swelling into pits.
"""
SECONDARY_STEEPNESS = 0.228
FOLIA_STEEPNESS = 0.087


@dataclass(frozen=True)
class FoldedBrain:
    """Distance inside the folded brain's two surfaces [mm].

    Attributes:
        pial: Positive inside the outer surface of grey matter.
        white: Positive inside the surface between grey and white matter.
    """

    pial: Volume
    white: Volume


def folded_brain(block: Block, hulls: Hulls, subject: HeadSubject) -> FoldedBrain:
    """Fold the cerebrum and the cerebellum and join them with the brain stem."""
    meander = subject.folding_warp.on_grid(block.axes).mul_(3.2)
    fissure_wave, thickness_relief = subject.cortex.on_grid(block.axes)
    cerebrum = _folded_cerebrum(block, hulls, subject, meander, fissure_wave, thickness_relief)
    cerebellum = _folded_cerebellum(block, hulls, subject, meander, thickness_relief)
    stem = hulls.brain_stem
    return FoldedBrain(
        pial=union(cerebrum.pial, cerebellum.pial, stem),
        white=union(cerebrum.white, cerebellum.white, stem - 0.8),
    )


def _folded_cerebrum(
    block: Block,
    hulls: Hulls,
    subject: HeadSubject,
    meander: Volumes,
    fissure_wave: Volume,
    thickness_relief: Volume,
) -> FoldedBrain:
    """Hemispheres with sulci and a cortex, joined by the corpus callosum."""
    half = (block.x + fissure_wave * 0.8).abs_().sub_(0.9)
    depth = smooth_min(hulls.cerebrum, half, 3.0)
    pial = _carved_by_sulci(block, depth, subject, meander)
    on_crown = ramp(depth, 14.0, 0.0)
    cortex = subject.proportions.cortex_mm * (1.0 + 0.10 * thickness_relief)
    white = pial - cortex * (0.90 + 0.22 * on_crown)
    bridges = _bridges(block, hulls)
    return FoldedBrain(union(pial, bridges), union(white, bridges + 1.5))


def _bridges(block: Block, hulls: Hulls) -> Volume:
    """What joins the hemispheres and carries no cortex: callosum, septum and diencephalon."""
    arch = [
        (0, 24, -4),
        (0, 29, 4),
        (0, 24, 13),
        (0, 10, 21),
        (0, -8, 25),
        (0, -24, 23),
        (0, -37, 14),
        (0, -36, 8),
    ]
    callosum = tube(block, arch, [3, 5.5, 4.5, 3.3, 3, 3.4, 5.2, 3.5], squeeze=(0.25, 1, 1))
    thalami = ellipsoid(block, (0, -17, 3), (20, 16, 10))
    hypothalamus = ellipsoid(block, (0, -6, -8), (14, 10, 6))
    diencephalon = smooth_max(smooth_max(thalami, hypothalamus, 4.0), hulls.brain_stem, 4.0)
    septum_and_fornix = ellipsoid(block, (0, -4, 12), (12, 28, 12))
    return union(callosum, septum_and_fornix, diencephalon)


def _carved_by_sulci(block: Block, depth: Volume, subject: HeadSubject, meander: Volumes) -> Volume:
    r"""Pial surface: $P = \min(D, \sqrt{s^2 + \max(0, D - d)^2} - w(D))$ for each sulcus.

    $D$ is the depth below the hull, $s$ the distance to the sulcus's sheet, $d$ its depth and
    $w$ its half-width, which falls below zero inwards: deep sulci close, grey on grey.
    """
    gaps = subject.proportions
    fields = subject.folding.at(*_radial_projection(block, meander))
    primary, secondary = fields[0], fields[1]
    to_primary = _distance_to_sheet(primary, block.spacing_mm, PRIMARY_STEEPNESS)
    to_secondary = _distance_to_sheet(secondary, block.spacing_mm, SECONDARY_STEEPNESS)
    primary_depth = PRIMARY_DEPTH_MM * (0.755 + 0.15 * fields[2]).clamp_(0.3, 1.15)
    away_from_primary = ramp(to_primary, 2.5, 5.5)
    secondary_depth = SECONDARY_DEPTH_MM * (0.6 + 0.45 * fields[3]).clamp_(0.0, 1.2)
    secondary_depth.mul_(away_from_primary)

    primary_width = gaps.primary_gap_mm * (1.8 - 3.4 * ramp(depth, 0.0, 17.0))
    secondary_width = gaps.secondary_gap_mm * (1.2 - 1.7 * ramp(depth, 0.0, 9.0))
    beside_primary = _beside_sheet(to_primary, depth, primary_depth) - primary_width
    beside_secondary = _beside_sheet(to_secondary, depth, secondary_depth) - secondary_width
    beside_sylvian = _distance_to_sylvian_fissure(block, meander[2], fields[3]) - 1.1
    pial = smooth_min(torch.minimum(beside_primary, beside_secondary), depth, 1.2)
    return torch.minimum(pial, beside_sylvian)


def _radial_projection(block: Block, meander: Volumes) -> tuple[Volume, Volume, Volume]:
    """Where on the folding pattern each voxel lies: nearly constant along the hull's normals."""
    side = torch.where(block.x > 0.0, 1.0, -1.0)
    centre, semi_axes = HEMISPHERE_CENTRE_MM, HEMISPHERE_SEMI_AXES_MM
    x = (block.x - side * centre[0] + meander[0]).div_(semi_axes[0])
    y = (block.y - centre[1] + meander[1]).div_(semi_axes[1])
    z = (block.z - centre[2] + meander[2]).div_(semi_axes[2])
    radius_squared = (x * x).addcmul_(y, y).addcmul_(z, z).add_(CORE_RADIUS**2)
    shrink = radius_squared.pow_(-RADIALITY / 2.0)
    x.mul_(shrink).mul_(semi_axes[0]).add_(side, alpha=FOLDING_BOX_MM[0] / 4.0)
    y.mul_(shrink).mul_(semi_axes[1])
    z.mul_(shrink).mul_(semi_axes[2])
    return x, y, z


def _distance_to_sheet(field: Volume, spacing_mm: float, steepness: float) -> Volume:
    r"""Distance to the zero set of a field [mm]: $s = |\psi| / \max(|\nabla\psi|, g)$."""
    squared = torch.zeros_like(field)
    for component in torch.gradient(field, spacing=spacing_mm):
        squared.addcmul_(component, component)
    return field.abs().div_(squared.sqrt_().clamp_(min=steepness))


def _beside_sheet(to_sheet: Volume, depth: Volume, sheet_depth: Volume) -> Volume:
    """Distance to a sheet that ends `sheet_depth` below the surface."""
    below = (depth - sheet_depth).clamp_(min=0.0)
    return (to_sheet * to_sheet).addcmul_(below, below).sqrt_()


def _distance_to_sylvian_fissure(block: Block, meander: Volume, relief: Volume) -> Volume:
    """Distance to the one sulcus every brain has: above the temporal lobe, rising forwards."""
    x, y = block.mirrored.x, block.y
    rise = 0.42
    across = (block.z + 8.0 - rise * (y - 10.0)) / (1.0 + rise**2) ** 0.5
    across.add_(meander, alpha=1.1).add_(relief, alpha=2.5)
    medial_end = (36.0 - x).clamp_(min=0.0)
    beyond_ends = torch.maximum(-42.0 - y, y - 32.0).clamp_(min=0.0)
    squared = across.square_().addcmul_(medial_end, medial_end)
    return squared.addcmul_(beyond_ends, beyond_ends).sqrt_()


def _folded_cerebellum(
    whole: Block,
    hulls: Hulls,
    subject: HeadSubject,
    meander: Volumes,
    thickness_relief: Volume,
) -> FoldedBrain:
    """Cerebellar cortex in narrow leaves that run from left to right around its centre."""
    outside = torch.full_like(whole.x, FAR_OUTSIDE_MM)
    box = whole.box_around((0.0, -60.0, -37.0), (math.inf, 60.0, 49.0))
    # A gradient takes two voxels; where there is but one, the cerebellum is far away.
    if box is None or min(part.stop - part.start for part in box) < 2:
        return FoldedBrain(outside, outside)
    block, depth = whole.cropped(box), hulls.cerebellum[box]
    shift = meander[(slice(None), *box)]
    across = (block.x * 0.35).add_(shift[0], alpha=0.6)
    y = (block.y + 50.0).add_(shift[1], alpha=0.7)
    z = (block.z + 34.0).add_(shift[2], alpha=0.7)
    radius = (block.x * 0.5).square_().addcmul_(y, y).addcmul_(z, z).sqrt_().add_(1.0)
    shrink = (radius / 28.0).pow_(-0.55)
    pattern = subject.folia.at(across, y.mul_(shrink), z.mul_(shrink))[0]
    to_sheet = _distance_to_sheet(pattern, block.spacing_mm, FOLIA_STEEPNESS)
    gap = 0.55 * ramp(depth, 9.0, 0.0)
    sheet_depth = torch.full_like(depth, 18.0)
    pial, white = outside.clone(), outside
    pial[box] = torch.minimum(depth, _beside_sheet(to_sheet, depth, sheet_depth) - gap)
    white[box] = pial[box] - 2.7 * (1.0 + 0.1 * thickness_relief[box])
    return FoldedBrain(pial, white)
