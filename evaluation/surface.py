"""How far apart the outlines of two regions are, in millimetres.

Distances are Euclidean, between the centres of boundary pixels, exact (no distance map, no
interpolation). They are found by a k-d tree over the boundary of the other region.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64
from scipy.spatial import cKDTree

Region = Bool[np.ndarray, "ky kx"]
Distances = Float64[np.ndarray, " point"]


@dataclass(frozen=True)
class SurfaceDistance:
    """Distance between two outlines.

    Both are NaN if both regions are empty (nothing to compare) and infinite if exactly one is
    (a region was missed or invented).

    Attributes:
        hausdorff_mm: Largest distance from any boundary pixel to the other boundary [mm].
        hd95_mm: The same with the 95th percentile instead of the largest [mm].
    """

    hausdorff_mm: float
    hd95_mm: float


def boundary(region: Region) -> Region:
    """Pixels of the region that have one of their four neighbours outside it.

    Whatever lies beyond the image counts as outside, so a region that touches the border of
    the image has a boundary there. Same as the region minus its erosion by a cross.
    """
    padded = np.pad(region, 1)
    surrounded = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return region & ~surrounded


def surface_distance(
    predicted: Region, target: Region, *, spacing_mm: tuple[float, float]
) -> SurfaceDistance:
    r"""Hausdorff distance and HD95 between the boundaries A and B of two regions.

    $H = \max\{\max_{a \in A} d(a, B),\ \max_{b \in B} d(b, A)\}$. HD95 is the larger of the two
    directed 95th percentiles (each interpolated linearly between ranks), not a percentile of
    both directions pooled: pooling would hide an error of the smaller region.

    Args:
        predicted: Predicted region.
        target: True region, same shape.
        spacing_mm: Distance between pixel centres along ky and kx [mm].

    Returns:
        Both distances [mm]; NaN if both regions are empty, infinite if exactly one is.

    Raises:
        ValueError: If a spacing is not positive and finite.

    Source:
        Huttenlocher et al., IEEE TPAMI 15(9):850 (1993).
    """
    if not all(0 < step < math.inf for step in spacing_mm):
        raise ValueError(f"need positive, finite spacings in mm, got {spacing_mm}")
    if not predicted.any() or not target.any():
        value = math.inf if predicted.any() or target.any() else math.nan
        return SurfaceDistance(value, value)
    window = _bounding_box(predicted | target)
    edges = boundary(predicted[window]), boundary(target[window])
    there = _directed_distances(edges[0], edges[1], spacing_mm)
    back = _directed_distances(edges[1], edges[0], spacing_mm)
    return SurfaceDistance(
        hausdorff_mm=float(max(there.max(), back.max())),
        hd95_mm=float(max(np.percentile(there, 95), np.percentile(back, 95))),
    )


def _directed_distances(edge: Region, other: Region, spacing_mm: tuple[float, float]) -> Distances:
    """Distance of every pixel of `edge` to the nearest pixel of `other` [mm], in no given order.

    Pixels on both edges are at distance zero and need no search.
    """
    distances = np.zeros(np.count_nonzero(edge))
    apart = np.argwhere(edge & ~other) * spacing_mm
    tree = cKDTree(
        np.argwhere(other) * spacing_mm, leafsize=32, balanced_tree=False, compact_nodes=False
    )
    distances[: len(apart)] = tree.query(apart)[0]
    return distances


def _bounding_box(region: Region) -> tuple[slice, slice]:
    """Find the smallest window that holds a region which is not empty."""
    rows, columns = np.flatnonzero(region.any(axis=1)), np.flatnonzero(region.any(axis=0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
