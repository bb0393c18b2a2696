"""Corruptions that multiply or bend intensities: bias fields and contrast."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from numpy.polynomial import legendre
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from spinforge.simulation.corruption.volume import (
    Image,
    LevelledConfig,
    PercentConfig,
    Record,
    SamplePath,
    Volume,
)
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.reconstruction import intensity_scale
from spinforge.simulation.rng import SampleRng

INU_PERCENT = (10.0, 20.0, 40.0, 60.0, 80.0)
BIAS_LOG_RANGE = (0.10, 0.20, 0.30, 0.40, 0.50)
LOG_GAMMA = (0.10, 0.20, 0.30, 0.45, 0.60)

SHAPE_OF_CONTRAST = {"T1": "A", "T2": "B", "PD": "C"}
"""BrainWeb's field of each of its contrasts."""

_DEGREES = [(p, q, r) for p in range(4) for q in range(4) for r in range(4) if 1 <= p + q + r <= 3]
_CONTROL_POINTS = 4
FIELD_LIMITS = (0.2, 2.0)

BRIGHTEST = 4.0
"""Of a slice's 99th percentile; a slice with anything brighter is all but empty."""


class NonUniformity(PercentConfig):
    """Intensity non-uniformity (INU) of 10, 20, 40, 60, 80 %, as BrainWeb measures it."""

    kind: Literal["inu"] = "inu"
    percent: float | None = Field(
        None,
        ge=-100,
        le=100,
        description="range over the brain itself [%], instead of a level; below 0 the field is "
        "turned over, as in BrainWeb's custom simulator",
    )
    shape: Literal["drawn", "A", "B", "C", "by_contrast"] = Field(
        "drawn",
        description="a shape of its own for each volume, one of three for all, or of these A for "
        "T1, B for T2 and C for PD, as BrainWeb has it",
    )
    unit_mean: bool = Field(False, description="divide the field by its mean over the brain")

    def draw(self, volume: Volume, path: SamplePath) -> "PolynomialField":
        """A field of the whole volume.

        Raises:
            SpinforgeError: If the volume has no brain to have the range over, or its contrast no
                shape.
        """
        shape = self.shape_for(volume.contrast)
        rng = path.rng("field") if shape == "drawn" else SampleRng(0, "inu", shape)
        deviations = [1 / (1 + sum(degrees)) for degrees in _DEGREES]
        coefficients = rng.normals(len(_DEGREES)) * deviations
        return polynomial_field(
            coefficients, self.percent_of(INU_PERCENT), volume, unit_mean=self.unit_mean
        )

    def shape_for(self, contrast: str) -> str:
        """Shape of the field of a contrast: drawn, A, B or C.

        Raises:
            SpinforgeError: If BrainWeb's is asked for, which has none for this contrast.
        """
        if self.shape != "by_contrast":
            return self.shape
        if contrast not in SHAPE_OF_CONTRAST:
            raise SpinforgeError(
                f"corruption inu, shape by_contrast: BrainWeb has no field for contrast "
                f"{contrast or 'unknown'!r}, only for {', '.join(SHAPE_OF_CONTRAST)}. Choose "
                f"drawn, A, B or C."
            )
        return SHAPE_OF_CONTRAST[contrast]


@dataclass(frozen=True)
class PolynomialField:
    """A smooth field with an exact range over the brain.

    Attributes:
        values: Factor of each voxel, positive.
        percent: Range over the brain [% of its middle].
        coefficients: Of Legendre products of total degree 1 to 3.
        mean: What the field was divided by.
    """

    values: Float[Tensor, "slice ky kx"]
    percent: float
    coefficients: tuple[float, ...]
    mean: float

    def apply(self, image: Image) -> Image:
        """Multiply."""
        return image * self.values.to(image.device)

    def record(self) -> Record:
        """Range, shape and normalisation."""
        return {
            "percent": self.percent,
            "coefficients": list(self.coefficients),
            "mean": self.mean,
        }


def polynomial_field(
    coefficients: NDArray[np.float64], percent: float, volume: Volume, *, unit_mean: bool
) -> PolynomialField:
    r"""Legendre products over the head's bounding box, scaled as BrainWeb scales its fields.

    $F = 1 + \frac{L}{100}\left(\frac{f - \min f}{\max f - \min f} - \frac12\right)$ with the
    extremes over the brain, so that F spans [1 - L/200, 1 + L/200] there; limited to [0.2, 2]
    elsewhere.

    Args:
        coefficients: One for each product.
        percent: Range L.
        volume: Its brain and head.
        unit_mean: Divide by the mean over the brain.

    Raises:
        SpinforgeError: If there is no brain.
    """
    if not volume.brain.any():
        raise SpinforgeError("corruption inu needs a brain, over which it has its range.")
    axes = [_along_head(volume.head, axis) for axis in range(3)]
    basis = [legendre.legvander(axis, 3) for axis in axes]
    weights = np.zeros((4, 4, 4))
    for degrees, value in zip(_DEGREES, coefficients, strict=True):
        weights[degrees] = value
    field = torch.from_numpy(np.einsum("zp,yq,xr,pqr->zyx", *basis, weights, optimize=True))
    inside = field[volume.brain]
    low, high = inside.min(), inside.max()
    scaled = 1 + percent / 100 * ((field - low) / (high - low) - 0.5)
    scaled = torch.where(volume.brain, scaled, scaled.clamp(*FIELD_LIMITS))
    mean = float(scaled[volume.brain].mean()) if unit_mean else 1.0
    return PolynomialField((scaled / mean).float(), percent, tuple(coefficients.tolist()), mean)


def _along_head(head: Tensor, axis: int) -> NDArray[np.float64]:
    """Voxel positions along one axis, -1 and 1 at the ends of the head."""
    other = tuple(a for a in range(3) if a != axis)
    present = head.any(other[1]).any(other[0]).nonzero()[:, 0]
    first, last = (int(present[0]), int(present[-1])) if len(present) else (0, head.shape[axis] - 1)
    middle, half = (first + last) / 2, max((last - first) / 2, 0.5)
    return np.asarray((np.arange(head.shape[axis]) - middle) / half, dtype=np.float64)


class SplineBias(LevelledConfig):
    """A bias that N4 can undo: the exponential of a cubic B-spline of 4 x 4 x 4 points."""

    kind: Literal["bias_n4"] = "bias_n4"

    def draw(self, volume: Volume, path: SamplePath) -> "LogField":
        """Control points of the whole volume."""
        points = path.rng("points").normals(_CONTROL_POINTS, _CONTROL_POINTS, _CONTROL_POINTS)
        basis = [_cubic_basis(count) for count in volume.image.shape]
        field = np.einsum("zp,yq,xr,pqr->zyx", *basis, points, optimize=True)
        log_range = self.of(BIAS_LOG_RANGE)
        points *= log_range / np.abs(field).max()
        field *= log_range / np.abs(field).max()
        return LogField(torch.from_numpy(field).float(), log_range, tuple(points.ravel().tolist()))


@dataclass(frozen=True)
class LogField:
    """Logarithm of a bias field.

    Attributes:
        values: Of each voxel.
        log_range: Its largest absolute value.
        points: B-spline coefficients, the last axis (kx) fastest.
    """

    values: Float[Tensor, "slice ky kx"]
    log_range: float
    points: tuple[float, ...]

    def apply(self, image: Image) -> Image:
        """Multiply by the exponential."""
        return image * self.values.to(image.device).exp()

    def record(self) -> Record:
        """Range and coefficients."""
        return {"log_range": self.log_range, "points": list(self.points)}


def _cubic_basis(count: int) -> NDArray[np.float64]:
    """The four uniform cubic B-splines that overlap one interval, at `count` voxel centres.

    One interval over the field of view: its control points lie more than 40 mm apart.

    Returns:
        (voxel, spline).
    """
    t = (np.arange(count) + 0.5) / count
    splines = ((1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3)
    return np.asarray(np.stack(splines, axis=1) / 6, dtype=np.float64)


class Gamma(LevelledConfig):
    """Contrast bent by a power: exponents exp(+-0.10) to exp(+-0.60)."""

    kind: Literal["contrast_gamma"] = "contrast_gamma"

    def draw(self, volume: Volume, path: SamplePath) -> "Power":
        """Brighter or darker."""
        sign = 1 if float(path.rng("sign").uniforms(1)[0]) < 0.5 else -1
        return Power(math.exp(sign * self.of(LOG_GAMMA)), _white_point(volume.image))


@dataclass(frozen=True)
class Power:
    """Magnitudes to a power, on the scale where the slice's 99th percentile is 1.

    Attributes:
        exponent: The power.
        white: That percentile of every slice.
    """

    exponent: float
    white: tuple[float, ...]

    def apply(self, image: Image) -> Image:
        """Bend the magnitude, keep the phase."""
        bent = self._bent(image.abs())
        if not image.is_complex():
            return bent
        return torch.polar(bent, image.angle())

    def gain(self, image: Image) -> Image:
        """What multiplies each voxel; 1 where there is nothing."""
        magnitude = image.abs()
        return torch.where(magnitude > 0, self._bent(magnitude) / magnitude, 1.0)

    def _bent(self, magnitude: Image) -> Image:
        white = torch.tensor(self.white, device=magnitude.device)[:, None, None]
        return (magnitude / white) ** self.exponent * white

    def record(self) -> Record:
        """The exponent and what was 1."""
        return {"exponent": self.exponent, "white": list(self.white)}


def _white_point(image: Image) -> tuple[float, ...]:
    """The 99th percentile of each slice; its maximum where hardly anything is in it.

    There the percentile is that of air, and a power of what is so much brighter has no bounds.
    """
    magnitude = image.abs()
    percentile = intensity_scale(magnitude.to(torch.complex64))
    largest = magnitude.amax((1, 2))
    is_empty = largest > BRIGHTEST * percentile
    return tuple(torch.where(is_empty, largest, percentile).tolist())
