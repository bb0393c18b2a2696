"""Shapes made of equations: distances in millimetres, positive inside and 0 on the surface."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from spinforge.simulation.phantoms.block import Block, Number, Vector
from spinforge.simulation.phantoms.random_fields import Volume

FAR_OUTSIDE_MM = -100.0
"""Value of a shape where it is too far away to be worth computing."""

REACH_MM = 40.0
"""How far around a shape it is computed: the widest blend (18 mm) and the subject's warp fit in."""

TINY = 1e-9
"""Keeps a quotient finite at the centre of an ellipsoid [1]."""


def normalised(vector: Sequence[Number]) -> tuple[float, float, float]:
    """The vector of length 1 in the direction of three components."""
    length = math.hypot(*vector)
    return vector[0] / length, vector[1] / length, vector[2] / length


def cross(first: Vector, second: Vector) -> tuple[float, float, float]:
    """Cross product."""
    return (
        first[1] * second[2] - first[2] * second[1],
        first[2] * second[0] - first[0] * second[2],
        first[0] * second[1] - first[1] * second[0],
    )


def ellipsoid(block: Block, centre: Vector, semi_axes: Vector, *, tilt: float = 0.0) -> Volume:
    """Ellipsoid, exact to first order at its surface; see `inside_ellipsoid`.

    Args:
        block: Where to evaluate.
        centre: Its centre [mm].
        semi_axes: Its semi-axes [mm].
        tilt: Rotation of its axes about the left-right axis [rad].
    """
    cosine, sine = math.cos(tilt), math.sin(tilt)
    a, b, c = semi_axes

    def evaluate(near: Block) -> Volume:
        x, y, z = near.x - centre[0], near.y - centre[1], near.z - centre[2]
        if tilt:
            y, z = y * cosine + z * sine, z * cosine - y * sine
        return inside_ellipsoid(x, y, z, semi_axes)

    size = (a, max(b, c), max(b, c)) if tilt else semi_axes
    return _evaluate_near(block, centre, size, evaluate)


def inside_ellipsoid(x: Volume, y: Volume, z: Volume, semi_axes: Vector) -> Volume:
    r"""Distance inside an ellipsoid, exact to first order at its surface [mm].

    $d = p\,(1 - p)/|\nabla p|$ with $p$ the radius in units of the semi-axes.

    Args:
        x: Distance from its centre along its first axis; overwritten, like the next two [mm].
        y: Along its second axis [mm].
        z: Along its third axis [mm].
        semi_axes: Its semi-axes [mm].
    """
    a, b, c = semi_axes
    x, y, z = x.div_(a), y.div_(b), z.div_(c)
    radius = (x * x).addcmul_(y, y).addcmul_(z, z).sqrt_().add_(TINY)
    x, y, z = x.div_(a), y.div_(b), z.div_(c)
    slope = (x * x).addcmul_(y, y).addcmul_(z, z).sqrt_().add_(TINY)
    return radius * (1.0 - radius) / slope


def tube(
    block: Block,
    path: Sequence[Vector],
    radii_mm: Sequence[Number],
    *,
    squeeze: Vector = (1.0, 1.0, 1.0),
) -> Volume:
    """Round tube along a polyline, its radius linear between the points.

    Args:
        block: Where to evaluate.
        path: Points of its axis [mm].
        radii_mm: Radius at each point [mm].
        squeeze: Factor on the distance along each axis; 0.25 makes it four times as wide.
    """
    inside = torch.full_like(block.x, FAR_OUTSIDE_MM)
    for start, end, first, last in zip(path, path[1:], radii_mm, radii_mm[1:], strict=False):
        piece = _segment(start, end, first, last, squeeze)
        (x0, y0, z0), (x1, y1, z1) = start, end
        radius = max(first, last)
        centre = ((x0 + x1) / 2.0, (y0 + y1) / 2.0, (z0 + z1) / 2.0)
        size = (
            abs(x1 - x0) / 2.0 + radius / squeeze[0],
            abs(y1 - y0) / 2.0 + radius / squeeze[1],
            abs(z1 - z0) / 2.0 + radius / squeeze[2],
        )
        torch.maximum(inside, _evaluate_near(block, centre, size, piece), out=inside)
    return inside


def _segment(
    start: Vector, end: Vector, first: Number, last: Number, squeeze: Vector
) -> Callable[[Block], Volume]:
    """Distance inside one straight piece of a tube, from radius `first` to `last`."""
    along = tuple(q - p for p, q in zip(start, end, strict=True))
    length_squared = sum(step * step for step in along)

    def evaluate(near: Block) -> Volume:
        offsets = [points - p for points, p in zip(near.points, start, strict=True)]
        t = torch.zeros_like(near.x)
        for offset, step in zip(offsets, along, strict=True):
            t.add_(offset, alpha=step / length_squared)
        t.clamp_(0.0, 1.0)
        squared = torch.zeros_like(near.x)
        for offset, step, factor in zip(offsets, along, squeeze, strict=True):
            offset.sub_(t, alpha=step).mul_(factor)
            squared.addcmul_(offset, offset)
        return first + t.mul_(last - first) - squared.sqrt_()

    return evaluate


def _evaluate_near(
    block: Block, centre: Vector, size: Vector, evaluate: Callable[[Block], Volume]
) -> Volume:
    """Evaluate a shape of half-edges `size` around `centre` only where it can matter."""
    a, b, c = size
    box = block.box_around(centre, (a + REACH_MM, b + REACH_MM, c + REACH_MM))
    if box is None:
        return torch.full_like(block.x, FAR_OUTSIDE_MM)
    near = block.cropped(box)
    if near.x.shape == block.x.shape:
        return evaluate(near)
    inside = torch.full_like(block.x, FAR_OUTSIDE_MM)
    inside[box] = evaluate(near)
    return inside


def smooth_max(first: Volume, second: Volume, blend_mm: float) -> Volume:
    r"""Union with a rounded seam: $\max(a,b) + h^2 k/4$, $h = \max(k - |a-b|, 0)/k$.

    Equal to the plain maximum wherever the two differ by more than `blend_mm`, so a blend
    inflates nothing but the seam.
    """
    seam = (first - second).abs_().neg_().add_(blend_mm).clamp_(min=0.0)
    return torch.maximum(first, second).addcmul_(seam, seam, value=0.25 / blend_mm)


def smooth_min(first: Volume, second: Volume, blend_mm: float) -> Volume:
    """Intersection with a rounded seam; see `smooth_max`."""
    seam = (first - second).abs_().neg_().add_(blend_mm).clamp_(min=0.0)
    return torch.minimum(first, second).addcmul_(seam, seam, value=-0.25 / blend_mm)


def union(*shapes: Volume) -> Volume:
    """Union with sharp seams."""
    joined = shapes[0]
    for shape in shapes[1:]:
        joined = torch.maximum(joined, shape)
    return joined


def coverage(inside: Volume, width_mm: float) -> Volume:
    """Fraction of a voxel within a shape whose surface is blurred over `width_mm`."""
    return (inside / width_mm).add_(0.5).clamp_(0.0, 1.0)


def ramp(values: Volume | Tensor, start: float, end: float) -> Volume:
    """Rise from 0 at `start` to 1 at `end`, or fall if `end` is the smaller."""
    return (values - start).mul_(1.0 / (end - start)).clamp_(0.0, 1.0)
