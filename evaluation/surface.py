"""How far apart the outlines of two regions are, in millimetres.

Distances are Euclidean, between the centres of outline pixels, exact (no distance map, no
interpolation): `outlines.py` finds them, here are their statistics.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64

from spinforge.evaluation.outlines import LabelMaps, OutlineDistances, outline_distances, outlines

TOLERANCE_MM = 1.0
"""Of the surface Dice in the table of scores, whose name says it."""

Region = Bool[np.ndarray, "*place"]
PerRegion = Float64[np.ndarray, "case region"]


@dataclass(frozen=True)
class SurfaceDistance:
    """Distance between two outlines.

    Attributes:
        hausdorff_mm: Largest distance from any outline pixel to the other outline [mm].
        hd95_mm: The same with the 95th percentile instead of the largest [mm].
        assd_mm: Mean distance of all outline pixels of both to the other outline [mm].
        surface_dice: Share of the outline pixels of both no farther than a tolerance.
    """

    hausdorff_mm: float
    hd95_mm: float
    assd_mm: float
    surface_dice: float


@dataclass(frozen=True)
class SurfaceDistances:
    """The same of many: one value per case and class, the background left out."""

    hausdorff_mm: PerRegion
    hd95_mm: PerRegion
    assd_mm: PerRegion
    surface_dice: PerRegion


def boundary(region: Region) -> Region:
    """Pixels of the region that have one of their four (in 3-D six) neighbours outside it.

    Whatever lies beyond the image counts as outside, so a region that touches the border of
    the image has a boundary there. Same as the region minus its erosion by a cross.
    """
    return outlines(region.astype(np.uint8)[None])[0] != 0


def surface_distance(
    predicted: Region,
    target: Region,
    *,
    spacing_mm: tuple[float, ...],
    tolerance_mm: float = TOLERANCE_MM,
) -> SurfaceDistance:
    """As `surface_distances`, of two regions, in a slice or in a volume.

    Args:
        predicted: Predicted region.
        target: True region, same shape.
        spacing_mm: Distance between pixel centres along each axis [mm].
        tolerance_mm: Of the surface Dice [mm].

    Raises:
        ValueError: As `surface_distances`.
    """
    maps = [region.astype(np.uint8)[None] for region in (predicted, target)]
    found = surface_distances(*maps, spacing_mm=spacing_mm, classes=2, tolerance_mm=tolerance_mm)
    return SurfaceDistance(**{name: float(values[0, 0]) for name, values in vars(found).items()})


def surface_distances(
    predicted: LabelMaps,
    target: LabelMaps,
    *,
    spacing_mm: tuple[float, ...],
    classes: int,
    tolerance_mm: float = TOLERANCE_MM,
) -> SurfaceDistances:
    r"""Distances between the outlines A and B of each class of each case.

    $H = \max\{\max_{a \in A} d(a, B),\ \max_{b \in B} d(b, A)\}$. HD95 is the larger of the two
    directed 95th percentiles (each interpolated linearly between ranks), not a percentile of
    both directions pooled: pooling would hide an error of the smaller region. ASSD
    $= (\sum_a d(a, B) + \sum_b d(b, A)) / (|A| + |B|)$. The surface Dice (normalised surface
    distance) $= (|\{a: d(a, B) \le \tau\}| + |\{b: d(b, A) \le \tau\}|) / (|A| + |B|)$.

    Args:
        predicted: Predicted codes of slices (case, ky, kx) or volumes (case, z, y, x).
        target: True codes, same shape.
        spacing_mm: Distance between pixel centres along each axis but the first [mm].
        classes: Number of classes, background included.
        tolerance_mm: $\tau$ [mm]; below the spacing only pixels on both outlines are within it.

    Returns:
        Distances are NaN where a class is in neither map (nothing to compare) and infinite where
        it is in one only (missed, or a false positive); the surface Dice is NaN and 0.

    Raises:
        ValueError: If the shapes differ, a code is not below `classes`, there is not one spacing
            per axis, a spacing is not positive and finite, or the tolerance is negative.

    Source:
        Huttenlocher et al., IEEE TPAMI 15(9):850 (1993); Nikolov et al., J Med Internet Res
        23:e26151 (2021), of outlines made of pixels, as MONAI has them.
    """
    _check(predicted, target, spacing_mm, classes, tolerance_mm)
    there, back = outline_distances(predicted, target, spacing_mm=spacing_mm, classes=classes)
    sizes = there.pixels, back.pixels
    with np.errstate(divide="ignore", invalid="ignore"):
        assd = (there.sum_mm() + back.sum_mm()) / sum(sizes)
        within = (there.within(tolerance_mm) + back.within(tolerance_mm)) / sum(sizes)
    return SurfaceDistances(
        hausdorff_mm=_per_region(np.maximum(there.largest_mm(), back.largest_mm()), sizes, classes),
        hd95_mm=_per_region(_larger_percentile(there, back), sizes, classes),
        assd_mm=_per_region(assd, sizes, classes),
        surface_dice=_per_region(within, sizes, classes, if_one_is_empty=0.0),
    )


def _check(
    predicted: LabelMaps,
    target: LabelMaps,
    spacing_mm: tuple[float, ...],
    classes: int,
    tolerance_mm: float,
) -> None:
    if predicted.shape != target.shape:
        raise ValueError(f"need equal shapes, got {predicted.shape} and {target.shape}")
    if len(spacing_mm) != predicted.ndim - 1:
        raise ValueError(f"need a spacing for each of {predicted.ndim - 1} axes, got {spacing_mm}")
    if not all(0 < step < math.inf for step in spacing_mm):
        raise ValueError(f"need positive, finite spacings in mm, got {spacing_mm}")
    if not tolerance_mm >= 0:
        raise ValueError(f"need a tolerance of 0 mm or more, got {tolerance_mm}")
    largest = max(predicted.max(initial=0), target.max(initial=0))
    if largest >= classes:
        raise ValueError(f"need class codes below {classes}, got {largest}")


def _larger_percentile(there: OutlineDistances, back: OutlineDistances) -> np.ndarray:
    return np.maximum(there.percentile_mm(95.0), back.percentile_mm(95.0))


def _per_region(
    values: np.ndarray,
    sizes: tuple[np.ndarray, np.ndarray],
    classes: int,
    *,
    if_one_is_empty: float = math.inf,
) -> np.ndarray:
    """Put in what empty regions have instead of a distance; (case, class without background)."""
    empty = sizes[0] == 0, sizes[1] == 0
    values = np.where(empty[0] | empty[1], if_one_is_empty, values)
    values = np.where(empty[0] & empty[1], math.nan, values)
    return values.reshape(-1, classes)[:, 1:]
