"""The procedural abdomen: CT in Hounsfield units, with a spleen to segment.

A stand-in for MSD's ninth task, portal venous phase: 256 x 256 x 40 voxels of 1.5 x 1.5 x 5 mm.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from scipy import ndimage
from torch import Tensor

from spinforge.simulation.config import content_hash
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.phantoms.abdomen_organs import Cavity, cavity, spleen
from spinforge.simulation.phantoms.abdomen_scan import paint_abdomen, scan
from spinforge.simulation.phantoms.abdomen_subject import (
    AbdomenSubject,
    draw_abdomen_subject,
    in_average_abdomen,
)
from spinforge.simulation.phantoms.block import Block, centred_axes
from spinforge.simulation.phantoms.random_fields import Volume
from spinforge.simulation.phantoms.shapes import FAR_OUTSIDE_MM
from spinforge.simulation.phantoms.threads import one_thread
from spinforge.simulation.rng import SampleRng

GENERATOR = "abdomen-1"
"""Version of the anatomy and the scanner; whatever changes a voxel changes it."""

FIELD_OF_VIEW_MM = (384.0, 384.0, 200.0)
SLICE_MM = 5.0
PLANES_PER_SLICE = 2
"""Planes averaged to one slice: partial volume along z."""

COARSEST_PIXEL_MM = 6.0
SIZING_STEP_MM = 4.0
"""Voxels on which the spleen is brought to its volume [mm]."""


@dataclass(frozen=True)
class AbdomenScan:
    """One CT volume and its segmentation.

    Attributes:
        subject: Name of the subject.
        image: Density of each voxel [HU], float32.
        mask: 1 in the spleen, else 0.
        spacing_mm: Edge lengths of the voxels along x, y and z [mm].
        digest: SHA-256 of the generator and what it was asked for.
        parameters: What was drawn, except the patterns.
    """

    subject: str
    image: Volume
    mask: UInt8[Tensor, "x y z"]
    spacing_mm: tuple[float, float, float]
    digest: str
    parameters: dict[str, Any] = field(default_factory=dict)


def generate_abdomen(subject: str, *, seed: int, pixel_mm: float = 1.5) -> AbdomenScan:
    """Make the CT of one subject's upper abdomen.

    Args:
        subject: Name of the subject; every name is another anatomy.
        seed: Seed of the data set.
        pixel_mm: Edge length of the pixels within a slice [mm].

    Returns:
        Scan of 256 x 256 x 40 voxels at 1.5 mm, the same in any process.

    Raises:
        SpinforgeError: If the pixel size is not positive or too coarse to show a spleen.
    """
    if not 0.0 < pixel_mm <= COARSEST_PIXEL_MM:
        raise SpinforgeError(
            f"pixel_mm must be above 0 and at most {COARSEST_PIXEL_MM} mm, got {pixel_mm}"
        )
    drawn = draw_abdomen_subject(seed, subject)
    noise = SampleRng(seed, "abdomen", subject, "noise")
    with one_thread():
        voxel_mm = (pixel_mm, pixel_mm, SLICE_MM / PLANES_PER_SLICE)
        block = in_average_abdomen(drawn, centred_axes(FIELD_OF_VIEW_MM, voxel_mm))
        space = cavity(block)
        inside_spleen = _spleen(block, drawn, space, _spleen_size(drawn))
        inside_spleen = _in_one_piece(inside_spleen, pixel_mm)
        density, fraction = (
            _averaged(volume)
            for volume in paint_abdomen(block, space, inside_spleen, drawn, pixel_mm)
        )
        image = scan(density, pixel_mm, drawn.proportions.noise_hu, noise)
    return AbdomenScan(
        subject=subject,
        image=image,
        mask=(fraction >= 0.5).to(torch.uint8),
        spacing_mm=(pixel_mm, pixel_mm, SLICE_MM),
        digest=abdomen_digest(subject, seed=seed, pixel_mm=pixel_mm),
        parameters=drawn.parameters,
    )


def abdomen_digest(subject: str, *, seed: int, pixel_mm: float = 1.5) -> str:
    """Digest of the scan that `generate_abdomen` makes, without making it."""
    return content_hash(
        {
            "generator": GENERATOR,
            "seed": seed,
            "subject": subject,
            "pixel_mm": float(pixel_mm),
        }
    )


def _spleen(block: Block, subject: AbdomenSubject, space: Cavity, size: float) -> Volume:
    bumps = subject.relief.on_grid(block.axes)[1]
    return spleen(block, size, subject.proportions.spleen_shape, bumps, space)


def _in_one_piece(inside: Volume, width_mm: float) -> Volume:
    """Remove what lies apart from the largest part, its blurred rim included."""
    components, count = ndimage.label((inside > -0.5 * width_mm).numpy())
    sizes = np.bincount(components.ravel(), minlength=count + 1)
    sizes[0] = 0
    apart = torch.from_numpy((components > 0) & (components != sizes.argmax()))
    return inside.masked_fill(apart, FAR_OUTSIDE_MM)


def _spleen_size(subject: AbdomenSubject) -> float:
    """Size at which the spleen has the drawn volume, by bisection on coarse voxels."""
    x, y, z = centred_axes(FIELD_OF_VIEW_MM, (SIZING_STEP_MM,) * 3)
    # The spleen is on the left: nothing to look for elsewhere.
    block = in_average_abdomen(subject, (x[x < -10.0], y, z))
    space = cavity(block)
    low, high = 0.4, 2.4
    for _ in range(12):
        middle = (low + high) / 2.0
        inside = (_spleen(block, subject, space, middle) / SIZING_STEP_MM + 0.5).clamp_(0.0, 1.0)
        volume_ml = float(inside.sum(dtype=torch.float64)) * SIZING_STEP_MM**3 / 1e3
        low, high = (middle, high) if volume_ml < subject.proportions.spleen_ml else (low, middle)
    return (low + high) / 2.0


def _averaged(volume: Float[Tensor, "x y plane"]) -> Volume:
    """Mean of the planes of each slice."""
    x, y, planes = volume.shape
    return volume.reshape(x, y, planes // PLANES_PER_SLICE, PLANES_PER_SLICE).mean(-1)
