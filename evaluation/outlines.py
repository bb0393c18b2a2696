"""The outlines of all classes of label maps, and how far each lies from its counterpart.

Of every outline pixel the nearest one of the same class in the other map is looked for at one
offset after the other, in order of their length, for all pixels of all cases at once: the first
that fits is the nearest, and most are found after a few. A k-d tree finds the few that are farther.
Exact, for any spacing and number of dimensions.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64, Int, Int64, UInt8
from numpy.typing import NDArray
from scipy.spatial import cKDTree

OFFSETS = 400
"""About how many are tried: farther pixels are few, and a tree is faster for them."""

LabelMaps = UInt8[np.ndarray, "case *place"]
"""Class codes of slices (case, ky, kx) or volumes (case, z, y, x); 0 is the background."""

_Spacing = tuple[float, ...]


@dataclass(frozen=True)
class OutlineDistances:
    """From every outline pixel of one map to the nearest of the same class in the other.

    A group is a class of a case, number `case * classes + code`. Pixels without a counterpart,
    whose class is not in the other map, have no distance.

    Attributes:
        pixels: Outline pixels of each group, those without a distance included.
        away_mm: All distances above 0 [mm], group by group and rising within each.
        groups: Group of each of them.
    """

    pixels: Int64[np.ndarray, " group"]
    away_mm: Float64[np.ndarray, " pixel"]
    groups: Int[np.ndarray, " pixel"]

    def largest_mm(self) -> Float64[np.ndarray, " group"]:
        """Largest distance of each group; 0 without any."""
        return self.percentile_mm(100.0)

    def percentile_mm(self, percent: float) -> Float64[np.ndarray, " group"]:
        """Percentile of each group's distances, interpolated linearly between ranks.

        Args:
            percent: From 0 to 100.
        """
        away = np.bincount(self.groups, minlength=len(self.pixels))
        start = np.cumsum(away) - away
        rank = percent / 100 * np.maximum(self.pixels - 1, 0)
        below = np.floor(rank).astype(np.int64)
        above = np.ceil(rank).astype(np.int64)
        zeros = self.pixels - away
        low, high = (self._of_rank(r, zeros, start, away) for r in (below, above))
        return low + (high - low) * (rank - below)

    def _of_rank(
        self,
        rank: NDArray[np.int64],
        zeros: NDArray[np.int64],
        start: NDArray[np.int64],
        away: NDArray[np.int64],
    ) -> NDArray[np.float64]:
        """The distance of each group that so many of its pixels do not exceed."""
        is_away = (rank >= zeros) & (away > 0)
        values = np.zeros(len(rank))
        values[is_away] = self.away_mm[(start + rank - zeros)[is_away]]
        return values

    def sum_mm(self) -> Float64[np.ndarray, " group"]:
        """Sum of each group's distances [mm]."""
        sums = np.bincount(self.groups, weights=self.away_mm, minlength=len(self.pixels))
        return sums.astype(np.float64, copy=False)  # NumPy's sums of nothing are integers

    def within(self, tolerance_mm: float) -> Int64[np.ndarray, " group"]:
        """Pixels of each group that are no farther than the tolerance [mm]."""
        # The length of an offset is rounded: 3 x 0.1 mm must count as 0.3 mm.
        beyond = self.groups[self.away_mm > tolerance_mm * (1 + 1e-12)]
        return self.pixels - np.bincount(beyond, minlength=len(self.pixels))


def outlines(labels: LabelMaps) -> LabelMaps:
    """Codes of the pixels that have a neighbour of another class; 0 elsewhere.

    Neighbours share a side: four in a slice, six in a volume. Whatever lies beyond the image counts
    as another class. Of each class this is the region minus its erosion by a cross.

    Args:
        labels: Slices or volumes.
    """
    surrounded = labels != 0
    for axis in range(1, labels.ndim):
        along, inner = np.moveaxis(labels, axis, 0), np.moveaxis(surrounded, axis, 0)
        same = along[1:] == along[:-1]
        inner[1:] &= same
        inner[:-1] &= same
        inner[[0, -1]] = False
    return np.where(surrounded, np.uint8(0), labels)


def outline_distances(
    predicted: LabelMaps, target: LabelMaps, *, spacing_mm: _Spacing, classes: int
) -> tuple[OutlineDistances, OutlineDistances]:
    """Distances between the outlines of all classes of all cases.

    Args:
        predicted: Predicted codes, below `classes`.
        target: True codes, same shape.
        spacing_mm: Distance between pixel centres along each axis but the first [mm].
        classes: Number of classes, background included.

    Returns:
        From the predicted outlines to the true ones, and back.
    """
    steps, lengths_mm = _offsets(predicted.shape[1:], spacing_mm)
    margin = np.abs(steps).max(axis=0, initial=0)
    one, other = (_Outline.of(labels, margin, classes) for labels in (predicted, target))
    shifts = steps @ _strides(one.shape[1:])
    return (
        _directed(one, other, shifts, lengths_mm, spacing_mm),
        _directed(other, one, shifts, lengths_mm, spacing_mm),
    )


@dataclass(frozen=True)
class _Outline:
    """The outline pixels of one map.

    Attributes:
        codes: Their codes in a flattened map, 0 elsewhere.
        shape: Of that map, with a margin.
        classes: Number of classes.
        places: Where they are in it.
        groups: The group of each.
        sizes: How many each group has.
    """

    codes: UInt8[np.ndarray, " place"]
    shape: tuple[int, ...]
    classes: int
    places: Int[np.ndarray, " pixel"]
    groups: Int[np.ndarray, " pixel"]
    sizes: Int64[np.ndarray, " group"]

    @classmethod
    def of(cls, labels: LabelMaps, margin: NDArray[np.int64], classes: int) -> "_Outline":
        """Those of label maps, with a margin in which every offset stays inside the array."""
        padded = np.pad(outlines(labels), [(0, 0), *((reach, reach) for reach in margin.tolist())])
        codes = padded.ravel()
        # Half the bytes, half the time.
        integer = np.int32 if codes.size < 2**31 else np.int64
        places = np.flatnonzero(codes).astype(integer)
        groups = places // math.prod(padded.shape[1:]) * classes + codes[places]
        sizes = np.bincount(groups, minlength=len(labels) * classes)
        return cls(codes, padded.shape, classes, places, groups, sizes)

    def groups_of(self, places: NDArray[Any]) -> NDArray[Any]:
        """Group of each place that is on the outline."""
        return places // math.prod(self.shape[1:]) * self.classes + self.codes[places]

    def points_mm(self, places: NDArray[Any], spacing_mm: _Spacing) -> NDArray[np.float64]:
        """Coordinates of places within their case."""
        indices = np.unravel_index(places, self.shape)[1:]
        return np.stack(indices, axis=1).astype(np.float64) * np.asarray(spacing_mm)


def _offsets(shape: tuple[int, ...], spacing_mm: _Spacing) -> tuple[np.ndarray, np.ndarray]:
    """Offsets in a ball, in order of their length: (offset, axis) [pixel], and lengths [mm]."""
    dimensions = len(shape)
    unit_ball = math.pi ** (dimensions / 2) / math.gamma(dimensions / 2 + 1)
    radius_mm = (OFFSETS * math.prod(spacing_mm) / unit_ball) ** (1 / dimensions)
    # Nothing is farther along an axis than the image is long.
    reach = [
        min(int(radius_mm / step), size - 1) for step, size in zip(spacing_mm, shape, strict=True)
    ]
    grid = np.stack(np.meshgrid(*(np.arange(-r, r + 1) for r in reach), indexing="ij"), axis=-1)
    steps = grid.reshape(-1, dimensions)
    lengths_mm = np.sqrt(((steps * spacing_mm) ** 2).sum(axis=1))
    order = np.argsort(lengths_mm, kind="stable")
    order = order[(lengths_mm[order] > 0) & (lengths_mm[order] <= radius_mm)]
    return steps[order], lengths_mm[order]


def _strides(shape: tuple[int, ...]) -> np.ndarray:
    """How far apart neighbours along each axis lie in a flattened array."""
    return np.cumprod([1, *shape[:0:-1]])[::-1]


def _directed(
    own: _Outline,
    other: _Outline,
    shifts: NDArray[np.int64],
    lengths_mm: NDArray[np.float64],
    spacing_mm: _Spacing,
) -> OutlineDistances:
    """Distances from the pixels of one outline to the other."""
    apart = own.codes[own.places] != other.codes[own.places]
    places = own.places[apart & (other.sizes > 0)[own.groups]]
    codes, found, hits = own.codes[places], [], []
    for shift in shifts.tolist():
        if not len(places):
            break
        is_other = other.codes[places + shift] == codes
        found.append(places[is_other])
        hits.append(len(found[-1]))
        if hits[-1]:
            left = np.flatnonzero(~is_other)
            places, codes = places[left], codes[left]
    far_mm, places = _far_distances(places, own, other, spacing_mm)
    away_mm = np.concatenate([np.repeat(lengths_mm[: len(hits)], hits), far_mm])
    groups = own.groups_of(np.concatenate([*found, places]))
    order = _order_by_group(groups)  # distances rise already
    return OutlineDistances(own.sizes, away_mm[order], groups[order])


def _far_distances(
    places: NDArray[Any], own: _Outline, other: _Outline, spacing_mm: _Spacing
) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """Distances of these places in rising order [mm], and the places in that order."""
    distances = np.empty(len(places))
    for here, there in _by_group(own.groups_of(places), other.groups):
        tree = cKDTree(
            other.points_mm(other.places[there], spacing_mm),
            leafsize=32,
            balanced_tree=False,
            compact_nodes=False,
        )
        distances[here] = tree.query(own.points_mm(places[here], spacing_mm))[0]
    order = np.argsort(distances, kind="stable")
    return distances[order], places[order]


def _order_by_group(groups: NDArray[Any]) -> NDArray[np.int64]:
    """A stable order; NumPy sorts small integers several times faster than others, by radix."""
    return np.argsort(groups.astype(np.min_scalar_type(groups.max(initial=0))), kind="stable")


def _by_group(
    first: NDArray[Any], second: NDArray[Any]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Where each group of the first is, in the first and in the second."""
    groups = np.unique(first)
    orders = [_order_by_group(numbers) for numbers in (first, second)]
    starts, ends = (
        [
            np.searchsorted(numbers, groups, side=side, sorter=order)
            for numbers, order in zip((first, second), orders, strict=True)
        ]
        for side in ("left", "right")
    )
    for row in range(len(groups)):
        yield (
            orders[0][starts[0][row] : ends[0][row]],
            orders[1][starts[1][row] : ends[1][row]],
        )
