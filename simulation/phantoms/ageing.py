"""An elderly head: atrophy and white-matter lesions, seen as MRBrainS sees its patients.

The procedural head with wider ventricles and sulci and a thinner cortex; lesions grow where age
puts them, as caps and bands around the lateral ventricles and as islands in the deep white matter.
"""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from spinforge.simulation.arrays import Memberships
from spinforge.simulation.config import content_hash
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.phantom import Phantom
from spinforge.simulation.phantoms.block import Block, Box
from spinforge.simulation.phantoms.head import GENERATOR as HEAD_GENERATOR
from spinforge.simulation.phantoms.head import HeadGrid, compose_head
from spinforge.simulation.phantoms.head_hulls import brain_hulls
from spinforge.simulation.phantoms.head_nuclei import ventricles
from spinforge.simulation.phantoms.head_subject import (
    HeadSubject,
    Proportions,
    draw_head_subject,
    in_average_head,
)
from spinforge.simulation.phantoms.random_fields import Volume, draw_random_fields
from spinforge.simulation.phantoms.shapes import ramp
from spinforge.simulation.phantoms.subject_draws import SubjectDraws
from spinforge.simulation.phantoms.threads import one_thread
from spinforge.simulation.rng import SampleRng
from spinforge.simulation.tissue import HEAD_TISSUES, Tissue

GENERATOR = "ageing-1"
"""Version of the lesions and of the atrophy, beside that of the head."""

AGEING_TISSUES = (*HEAD_TISSUES, Tissue.LESION)

FINE_SPACING_MM = 0.958
FIELD_OF_VIEW_MM = (181.0, 217.0, 144.0)
BOTTOM_MM = -63.0
"""MRBrainS's voxels within a slice, the head's extent, and where the lowest slice begins [mm]."""

TYPICAL_LESIONS_ML, LESIONS_SPREAD = 10.0, 0.9
"""Median volume of all lesions, and the spread of its logarithm: from 1.7 to 60 mL."""

LARGEST_LESION_SHARE = 0.2
"""Of the white matter within reach; a small, coarse or thin brain may not hold the drawn volume."""

BAND_MM = 5.0
"""How far from a lateral ventricle its lesions become rare [mm]."""

EDGE = 0.35
"""How softly a lesion ends, in units of the field that shapes it [1]."""


@dataclass(frozen=True)
class AgeingHead:
    """One elderly subject.

    Attributes:
        phantom: What each voxel of 0.958 mm consists of.
        anatomy: Whose head it is.
        grid: Where the voxels lie in the average head.
    """

    phantom: Phantom
    anatomy: HeadSubject
    grid: HeadGrid


def generate_ageing_head(
    subject: str, *, seed: int, spacing_mm: float = FINE_SPACING_MM
) -> AgeingHead:
    """Make the head of one elderly subject, as high as 48 slices of 3 mm.

    Args:
        subject: Name of the subject; every name is another anatomy.
        seed: Seed of the data set.
        spacing_mm: Edge length of the cubic voxels [mm]; at most 3, a slice's thickness.

    Returns:
        Head of 189 x 227 x 151 voxels at 0.958 mm, the same in any process.

    Raises:
        SpinforgeError: If the voxel size is not positive or above that of a slice.
    """
    if not 0.0 < spacing_mm <= 3.0:
        raise SpinforgeError(
            f"spacing_mm must be above 0 and at most 3 mm, a slice's thickness, got {spacing_mm}"
        )
    rng = SampleRng(seed, "ageing", subject, "proportions")
    adult = draw_head_subject(seed, subject)
    anatomy = replace(adult, proportions=_aged(adult.proportions, rng))
    lesions_ml = SubjectDraws(rng, 1).lognormal(TYPICAL_LESIONS_ML, LESIONS_SPREAD)
    grid = _grid(spacing_mm)
    memberships = compose_head(anatomy, grid)
    lesion_rng = SampleRng(seed, "ageing", subject, "lesions")
    with one_thread():
        lesions = _cut_lesions(memberships, anatomy, grid, lesions_ml, lesion_rng)
    phantom = Phantom(
        subject=subject,
        memberships=torch.cat((memberships, lesions[None])),
        spacing_mm=spacing_mm,
        source="procedural ageing head",
        digest=ageing_digest(subject, seed=seed, spacing_mm=spacing_mm),
        parameters={**anatomy.parameters, "lesions_ml": lesions_ml},
        tissues=AGEING_TISSUES,
    )
    return AgeingHead(phantom, anatomy, grid)


def ageing_digest(subject: str, *, seed: int, spacing_mm: float = FINE_SPACING_MM) -> str:
    """Digest of the phantom that `generate_ageing_head` makes, without making it."""
    return content_hash(
        {
            "generator": f"{GENERATOR}/{HEAD_GENERATOR}",
            "seed": seed,
            "subject": subject,
            "spacing_mm": float(spacing_mm),
        }
    )


def _aged(adult: Proportions, rng: SampleRng) -> Proportions:
    """Atrophy: more fluid inside and outside, a thinner cortex."""
    return replace(
        adult,
        cortex_mm=adult.cortex_mm * rng.uniform(0.90, 0.96),
        primary_gap_mm=adult.primary_gap_mm * rng.uniform(1.2, 1.9),
        secondary_gap_mm=adult.secondary_gap_mm * rng.uniform(1.2, 1.9),
        ventricles=adult.ventricles + rng.uniform(0.3, 1.0),
        subarachnoid_mm=adult.subarachnoid_mm + rng.uniform(0.3, 1.2),
    )


def _grid(spacing_mm: float) -> HeadGrid:
    """Cubic voxels that contain the stack of slices and a little below it."""
    x, y, z = (math.ceil(extent / spacing_mm) for extent in FIELD_OF_VIEW_MM)
    top = BOTTOM_MM + FIELD_OF_VIEW_MM[2]
    corner = (-x * spacing_mm / 2.0, -18.0 - y * spacing_mm / 2.0, top - z * spacing_mm)
    return HeadGrid(shape=(x, y, z), corner_mm=corner, step_mm=spacing_mm)


def _cut_lesions(
    memberships: Memberships,
    subject: HeadSubject,
    grid: HeadGrid,
    lesions_ml: float,
    rng: SampleRng,
) -> Volume:
    """Take lesions out of the white matter, most of it where they are likeliest; return them."""
    white = memberships[Tissue.WHITE_MATTER]
    box = _bounding_box(white > 0.5)
    x, y, z = (axis[part] for axis, part in zip(grid.axes(), box, strict=True))
    block = in_average_head(subject, (x, y, z))
    field = draw_random_fields(rng, [(9.0, 30.0)]).on_grid(block.axes)[0]
    score, possible = _lesion_score(block, field, white[box], subject)

    candidates = score[possible]
    wanted = round(lesions_ml * 1e3 / grid.step_mm**3)
    count = max(1, min(wanted, int(LARGEST_LESION_SHARE * candidates.numel())))
    threshold = candidates.kthvalue(candidates.numel() - count + 1).values
    share = ((score - threshold) / EDGE + 0.5).clamp_(0.0, 1.0)

    lesion = torch.zeros_like(white)
    lesion[box] = white[box] * share
    white.sub_(lesion)
    return lesion


def _lesion_score(
    block: Block, field: Volume, white: Volume, subject: HeadSubject
) -> tuple[Volume, Tensor]:
    """How likely a lesion is in each voxel, and where one is possible at all."""
    relief = subject.relief.on_grid(block.axes)[0]
    to_ventricles = -ventricles(block, relief, subject.proportions.ventricles)
    is_lateral = (block.x.abs() > 4.0) & (block.z > -20.0)
    bands = torch.exp(-to_ventricles.clamp(min=0.0) / BAND_MM) * is_lateral
    # Lesions spare the fibres right below the cortex; those of the callosum are too few to count.
    surrounded = _box_mean(white, radius=max(1, round(3.0 / block.spacing_mm)))
    depth = ramp(surrounded, 0.55, 0.95)
    hulls = brain_hulls(block)
    in_cerebrum = hulls.cerebrum > torch.maximum(hulls.cerebellum, hulls.brain_stem)
    near_ventricles = (to_ventricles < 2.0 * BAND_MM) & is_lateral
    possible = (white > 0.5) & in_cerebrum & (near_ventricles | (depth > 0.2))
    score = field + 3.0 * bands - 2.0 * (1.0 - torch.where(near_ventricles, 1.0, depth))
    return torch.where(in_cerebrum & possible, score, -math.inf), possible


def _box_mean(values: Volume, *, radius: int) -> Volume:
    """Mean over a cube of 2 radius + 1 voxels, one axis at a time."""
    size = 2 * radius + 1
    mean = values[None, None]
    for axis in range(3):
        kernel, padding = [1, 1, 1], [0, 0, 0]
        kernel[axis], padding[axis] = size, radius
        mean = torch.nn.functional.avg_pool3d(mean, kernel, stride=1, padding=padding)
    return mean[0, 0]


def _bounding_box(mask: Tensor) -> Box:
    """Slices of the box that holds every True voxel."""
    slices = []
    for axis in range(3):
        others = [other for other in range(3) if other != axis]
        present = torch.nonzero(mask.any(dim=others[1]).any(dim=others[0]))
        slices.append(slice(int(present[0]), int(present[-1]) + 1))
    return slices[0], slices[1], slices[2]
