"""What lies between skin and camera: hairs, a ruler, bubbles in the gel, uneven light."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from spinforge.simulation.phantoms.skin_fields import Plane
from spinforge.simulation.rng import SampleRng

MOST_HAIRS = 40
SEGMENTS = 20
"""Straight pieces of a hair."""

RULER_PROBABILITY = 0.25
TUBE_PROBABILITY = 0.3
"""How often a ruler is in the picture, and how often the dermoscope's round edge."""

Colours = Float[Tensor, "3 height width"]


def draw_hair_count(rng: SampleRng) -> int:
    """0 to 40, few more often than many."""
    return int((MOST_HAIRS + 1) * rng.uniform(0.0, 1.0) ** 2)


def paint_hairs(image: Colours, y: Plane, x: Plane, count: int, rng: SampleRng) -> Colours:
    """Draw quadratic Bezier curves that taper, in one colour a subject.

    Args:
        image: What they cover.
        y: Pixel positions downwards from the image's centre [units].
        x: To the right [units].
        count: How many.
        rng: Source of their course.
    """
    brown = torch.tensor([0.13, 0.09, 0.07]) * rng.uniform(0.4, 2.6)
    growth = rng.uniform(0.0, 2.0 * math.pi)
    height, width = float(y.max()), float(x.max())
    for _ in range(count):
        start = (rng.uniform(-height, height) * 1.1, rng.uniform(-width, width) * 1.1)
        angle = growth + rng.uniform(-0.7, 0.7)
        length, bend = rng.uniform(50.0, 200.0), rng.uniform(-0.35, 0.35)
        across = (math.cos(angle), -math.sin(angle))
        along = (math.sin(angle), math.cos(angle))
        middle = [s + length * (0.5 * a + bend * c) for s, a, c in
                  zip(start, along, across, strict=True)]  # fmt: skip
        end = [s + length * a for s, a in zip(start, along, strict=True)]
        distance, position = _to_curve(y, x, [start, middle, end])
        radius = rng.uniform(0.45, 1.0) * (1.0 - 0.7 * position)
        cover = rng.uniform(0.55, 0.95) * (radius - distance + 0.5).clamp_(0.0, 1.0)
        image = image + cover * (brown.view(3, 1, 1) - image)
    return image


def _to_curve(
    y: Plane, x: Plane, control: list[list[float] | tuple[float, ...]]
) -> tuple[Plane, Plane]:
    """Distance to a quadratic Bezier curve and where along it, 0 to 1, the nearest point is."""
    t = torch.linspace(0.0, 1.0, SEGMENTS + 1)
    blend = torch.stack(((1 - t) ** 2, 2 * t * (1 - t), t**2))
    points = torch.tensor([list(point) for point in control]).T @ blend
    nearest, position = torch.full_like(y, math.inf), torch.zeros_like(y)
    for i in range(SEGMENTS):
        (y0, x0), (y1, x1) = points[:, i].tolist(), points[:, i + 1].tolist()
        along_y, along_x = y1 - y0, x1 - x0
        share = ((y - y0) * along_y + (x - x0) * along_x) / (along_y**2 + along_x**2)
        share.clamp_(0.0, 1.0)
        distance = torch.hypot(y - y0 - share * along_y, x - x0 - share * along_x)
        closer = distance < nearest
        nearest = torch.where(closer, distance, nearest)
        position = torch.where(closer, (i + share) / SEGMENTS, position)
    return nearest, position


def paint_ruler(image: Colours, y: Plane, x: Plane, rng: SampleRng) -> Colours:
    """Ticks of a scale along the lower or upper edge, every tenth the longest."""
    pitch, offset = rng.uniform(6.0, 11.0), rng.uniform(0.0, 11.0)
    edge = float(y.max()) * (1.0 if rng.uniform(0.0, 1.0) < 0.7 else -1.0)
    tilt = rng.uniform(-0.06, 0.06)
    along, up = x + tilt * y, (edge - y - tilt * x) * math.copysign(1.0, edge)
    number = torch.round((along - offset) / pitch)
    length = 7.0 + 5.0 * (number % 5 == 0) + 5.0 * (number % 10 == 0)
    inside = torch.minimum(0.7 - (along - offset - number * pitch).abs(), length - up)
    cover = 0.85 * (inside + 0.5).clamp_(0.0, 1.0)
    return image * (1.0 - cover) + 0.05 * cover


def paint_bubbles(image: Colours, y: Plane, x: Plane, rng: SampleRng) -> Colours:
    """Up to six round bubbles: a bright rim, a dark one within, and a highlight."""
    for _ in range(int(7 * rng.uniform(0.0, 1.0) ** 2)):
        centre_y = rng.uniform(-1.0, 1.0) * float(y.max())
        centre_x = rng.uniform(-1.0, 1.0) * float(x.max())
        radius, strength = rng.uniform(3.0, 14.0), rng.uniform(0.1, 0.35)
        from_centre = torch.hypot(y - centre_y, x - centre_x)
        rim = torch.exp(-(((from_centre - radius) / 0.9) ** 2))
        shade = torch.exp(-(((from_centre - radius + 2.0) / 1.2) ** 2))
        from_spot = torch.hypot(y - centre_y + 0.45 * radius, x - centre_x + 0.45 * radius)
        spot = torch.exp(-((from_spot / (0.16 * radius)) ** 2))
        image = image * (1.0 - 0.5 * strength * shade)
        image = image + strength * (1.0 - image) * (rim + 1.6 * spot).clamp_(max=1.0)
    return image


def illuminate(image: Colours, y: Plane, x: Plane, rng: SampleRng) -> Colours:
    """Uneven light: a gradient, a vignette, a tinted lamp and, at times, the lens tube's edge."""
    diagonal = math.hypot(float(y.max()), float(x.max()))
    direction, slope = rng.uniform(0.0, 2.0 * math.pi), rng.uniform(0.0, 0.18)
    gradient = 1.0 + slope * (y * math.sin(direction) + x * math.cos(direction)) / diagonal
    from_centre = torch.hypot(y, x) / diagonal
    vignette = 1.0 - rng.uniform(0.0, 0.35) * from_centre**2
    lamp = torch.tensor([rng.uniform(0.94, 1.06) for _ in range(3)]).view(3, 1, 1)
    image = image * gradient * vignette * lamp * rng.uniform(0.85, 1.05)
    if rng.uniform(0.0, 1.0) < TUBE_PROBABILITY:
        radius, softness = rng.uniform(0.80, 0.98) * diagonal, rng.uniform(1.0, 6.0)
        centre_y, centre_x = rng.uniform(-8.0, 8.0), rng.uniform(-8.0, 8.0)
        inside = (radius - torch.hypot(y - centre_y, x - centre_x)) / softness
        image = image * torch.sigmoid(inside) + 0.02
    return image
