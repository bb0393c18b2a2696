"""The procedural head: an anatomy made of equations, different for every subject.

Nothing is downloaded and no distance is transformed: every tissue is a function of position in
millimetres, so the same subject can be had at any voxel size. The steps follow the outline of
`generate_head`; the target statistics are those of BrainWeb's normal brain.
"""

from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage

from spinforge.simulation.arrays import Memberships
from spinforge.simulation.config import content_hash
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.phantom import Phantom
from spinforge.simulation.phantoms.block import Block, Box
from spinforge.simulation.phantoms.head_cortex import folded_brain
from spinforge.simulation.phantoms.head_extracranial import extracranial_layers
from spinforge.simulation.phantoms.head_hulls import Hulls, brain_hulls, intracranial_cavity
from spinforge.simulation.phantoms.head_nuclei import deep_grey_fraction, ventricles, vessels
from spinforge.simulation.phantoms.head_subject import (
    HeadSubject,
    draw_head_subject,
    in_average_head,
)
from spinforge.simulation.phantoms.layers import paint_layers
from spinforge.simulation.phantoms.random_fields import Axes, Volume
from spinforge.simulation.phantoms.shapes import coverage
from spinforge.simulation.phantoms.threads import one_thread
from spinforge.simulation.tissue import HEAD_TISSUES, Tissue

GENERATOR = "head-3"
"""Version of the anatomy; whatever changes a voxel changes it."""

GRID_EXTENT_MM = (181.0, 217.0, 181.0)
CORNER_MM = (-90.5, -126.5, -72.5)
"""Outer corner of BrainWeb's grid; the first voxel of 1 mm has its centre at (-90, -126, -72)."""

COARSEST_SPACING_MM = 8.0
SLAB_PLANES = 16
"""Planes composed at a time: enough to make the halo cheap, few enough to stay in the cache."""

SMALLEST_ISLAND_MM3 = 20.0

FIXED_POINT_MM = (0.0, -18.0, -72.5)
"""Where heads of every size coincide: the middle of the field of view's floor."""

Fractions = dict[Tissue, Volume]


@dataclass(frozen=True)
class HeadGrid:
    """Cubic voxels in the frame of the average adult head.

    Attributes:
        shape: Number of voxels along x, y and z.
        corner_mm: Outer corner of the first voxel [mm].
        step_mm: Edge length of the voxels [mm].
    """

    shape: tuple[int, int, int]
    corner_mm: tuple[float, float, float]
    step_mm: float

    def axes(self, planes: tuple[int, int] | None = None) -> Axes:
        """Voxel centres along the three axes [mm], of some planes x or of all."""
        x, y, z = (
            corner + self.step_mm * (torch.arange(start, stop, dtype=torch.float64) + 0.5)
            for corner, (start, stop) in zip(
                self.corner_mm,
                (planes or (0, self.shape[0]), (0, self.shape[1]), (0, self.shape[2])),
                strict=True,
            )
        )
        return x.float(), y.float(), z.float()


def generate_head(subject: str, *, seed: int, spacing_mm: float = 1.0) -> Phantom:
    """Make the head of one subject on BrainWeb's field of view.

    Args:
        subject: Name of the subject; every name is another anatomy.
        seed: Seed of the data set.
        spacing_mm: Edge length of the cubic voxels [mm].

    Returns:
        Phantom of 181 x 217 x 181 voxels at 1 mm, the same in any process and on any number of
        threads.

    Raises:
        SpinforgeError: If the voxel size is not positive or too coarse to show a brain.
    """
    check_head_spacing(spacing_mm)
    drawn = draw_head_subject(seed, subject)
    memberships = compose_head(drawn, grid_in_average_head(spacing_mm))
    return Phantom(
        subject=subject,
        memberships=memberships,
        spacing_mm=spacing_mm,
        source="procedural",
        digest=head_digest(subject, seed=seed, spacing_mm=spacing_mm),
        parameters=drawn.parameters,
    )


def head_digest(subject: str, *, seed: int, spacing_mm: float = 1.0) -> str:
    """Digest of the phantom that `generate_head` makes, without making it."""
    return content_hash(
        {
            "generator": GENERATOR,
            "seed": seed,
            "subject": subject,
            "spacing_mm": float(spacing_mm),
        }
    )


def check_head_spacing(spacing_mm: float) -> None:
    """Refuse voxels that are not there or too coarse to show a brain.

    Raises:
        SpinforgeError: If so; the message names the limits.
    """
    if not 0.0 < spacing_mm <= COARSEST_SPACING_MM:
        raise SpinforgeError(
            f"spacing_mm must be above 0 and at most {COARSEST_SPACING_MM} mm, got {spacing_mm}"
        )


def grid_in_average_head(spacing_mm: float, *, size: float = 1.0) -> HeadGrid:
    """BrainWeb's field of view, in the frame of the average adult head.

    Args:
        spacing_mm: Edge length of the cubic voxels in the scanner [mm].
        size: Edge length of the head relative to the adult's [1]; a small head stands on the
            floor of the field of view, centred.
    """
    shape = [round(extent / spacing_mm) for extent in GRID_EXTENT_MM]
    corner = [
        fixed + (edge - fixed) / size for edge, fixed in zip(CORNER_MM, FIXED_POINT_MM, strict=True)
    ]
    return HeadGrid(
        shape=(shape[0], shape[1], shape[2]),
        corner_mm=(corner[0], corner[1], corner[2]),
        step_mm=spacing_mm / size,
    )


def compose_head(subject: HeadSubject, grid: HeadGrid) -> Memberships:
    """Memberships of one subject on a grid, slab by slab from left to right.

    Args:
        subject: Whose head it is.
        grid: Where to evaluate it.

    Returns:
        (tissue, x, y, z), the tissues being `HEAD_TISSUES`.
    """
    memberships = torch.zeros((len(HEAD_TISSUES), *grid.shape))
    with one_thread():
        for first in range(0, grid.shape[0], SLAB_PLANES):
            last = min(first + SLAB_PLANES, grid.shape[0])
            memberships[:, first:last] = _compose_slab(subject, grid, first, last)
    _drown_white_matter_islands(memberships, grid.step_mm)
    return memberships


def _compose_slab(subject: HeadSubject, grid: HeadGrid, first: int, last: int) -> Memberships:
    """Memberships of the planes x = first .. last - 1.

    One more plane on either side is composed and dropped, so that the gradients of the folding
    patterns are central differences everywhere.
    """
    axes = grid.axes((first - 1, last + 1))
    return _compose(subject, in_average_head(subject, axes))[:, 1:-1]


def _compose(subject: HeadSubject, block: Block) -> Memberships:
    """The anatomy from the inside out: each tissue takes what those before it left over."""
    bumps, skull_relief = subject.skull.on_grid(block.axes)
    hulls = brain_hulls(block)
    cavity = intracranial_cavity(block, hulls, subject.proportions.subarachnoid_mm)
    cavity.add_(bumps, alpha=0.45)

    memberships = torch.zeros((len(HEAD_TISSUES), *block.x.shape))
    inside = coverage(cavity, block.spacing_mm)
    box = _rows_and_columns(inside > 0.0)
    if box is not None:
        brain = _intracranial_fractions(block.cropped(box), hulls.cropped(box), subject)
        for tissue, fraction in brain.items():
            memberships[(tissue, *box)] = fraction.mul_(inside[box])

    layers = extracranial_layers(block, cavity, skull_relief, subject)
    paint_layers(memberships, 1.0 - inside, layers, HEAD_TISSUES)
    return memberships


def _intracranial_fractions(block: Block, hulls: Hulls, subject: HeadSubject) -> Fractions:
    """What fills the skull: folded brain, ventricles, nuclei, vessels, and CSF for the rest."""
    surfaces = folded_brain(block, hulls, subject)
    relief = subject.relief.on_grid(block.axes)[0]
    voxel_mm = block.spacing_mm
    brain = coverage(surfaces.pial, voxel_mm)
    white = torch.minimum(coverage(surfaces.white, max(1.15, voxel_mm)), brain)
    grey = brain - white

    nuclei = white * deep_grey_fraction(block, relief)
    white.sub_(nuclei)
    grey.add_(nuclei)

    widening = subject.proportions.ventricles
    tissue_left = 1.0 - coverage(ventricles(block, relief, widening), voxel_mm)
    white.mul_(tissue_left)
    grey.mul_(tissue_left)

    fluid = (1.0 - grey - white).clamp_(min=0.0)
    blood = torch.minimum(coverage(vessels(block), voxel_mm), fluid)
    return {
        Tissue.CSF: fluid.sub_(blood),
        Tissue.GREY_MATTER: grey,
        Tissue.WHITE_MATTER: white,
        Tissue.VESSELS: blood,
    }


def _rows_and_columns(mask: torch.Tensor) -> Box | None:
    """All planes and, within them, the rows and columns of the True voxels and one more.

    The planes stay because the outermost are halo already.
    """
    slices = [slice(0, mask.shape[0])]
    shadow = mask.any(dim=0)
    for other in (1, 0):
        present = torch.nonzero(shadow.any(dim=other))
        if present.numel() == 0:
            return None
        slices.append(slice(max(int(present[0]) - 1, 0), int(present[-1]) + 2))
    return slices[0], slices[1], slices[2]


def _drown_white_matter_islands(memberships: Memberships, spacing_mm: float) -> None:
    """Turn specks of white matter within a thick cortex into grey matter."""
    white = memberships[Tissue.WHITE_MATTER]
    # Where the label is white matter: of equals, a label takes the first.
    is_white = white > memberships[: Tissue.WHITE_MATTER].amax(dim=0)
    is_white &= white >= memberships[Tissue.WHITE_MATTER :].amax(dim=0)
    components, count = ndimage.label(is_white.numpy(), structure=np.ones((3, 3, 3)))
    volumes_mm3 = np.bincount(components.ravel(), minlength=count + 1) * spacing_mm**3
    is_island = volumes_mm3 < SMALLEST_ISLAND_MM3
    is_island[0] = False
    islands = torch.from_numpy(is_island[components])
    memberships[Tissue.GREY_MATTER].add_(white * islands)
    white.mul_(~islands)
