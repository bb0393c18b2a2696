"""Loss of resolution: thick voxels and blur."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from spinforge.simulation.corruption.volume import (
    Image,
    LevelledConfig,
    Record,
    SamplePath,
    Volume,
)

ANISOTROPY = (1.5, 2.0, 3.0, 4.0, 5.0)
BLUR_SD_PX = (0.5, 0.8, 1.2, 1.8, 2.5)

_AXES = ("slice", "ky", "kx")


class Anisotropy(LevelledConfig):
    """Voxels 1.5 to 5 times as long along one axis, brought back to the grid linearly."""

    kind: Literal["aniso"] = "aniso"

    def draw(self, volume: Volume, path: SamplePath) -> "LongVoxels":
        """Which axis; of photographs one in the plane."""
        axes = (1, 2) if volume.is_photographs else (0, 1, 2)
        chosen = int(len(axes) * float(path.rng("axis").uniforms(1)[0]))
        return LongVoxels(axes[min(len(axes) - 1, chosen)], self.of(ANISOTROPY))


@dataclass(frozen=True)
class LongVoxels:
    """Means over `factor` voxels along an axis (0 slice, 1 ky, 2 kx), and back."""

    axis: int
    factor: float

    def apply(self, image: Image) -> Image:
        """Average and interpolate."""
        count = image.shape[self.axis]
        there_and_back = _interpolation(count, self.factor) @ _averages(count, self.factor)
        return _along(image, there_and_back, self.axis)

    def record(self) -> Record:
        """Axis and factor."""
        return {"axis": _AXES[self.axis], "factor": self.factor}


class Blur(LevelledConfig):
    """Gaussian blur in the plane, standard deviation 0.5 to 2.5 pixels."""

    kind: Literal["blur"] = "blur"

    def draw(self, volume: Volume, path: SamplePath) -> "GaussianBlur":
        """Nothing is random here."""
        return GaussianBlur(self.of(BLUR_SD_PX))


@dataclass(frozen=True)
class GaussianBlur:
    """Convolution with a Gaussian along ky and kx."""

    sd_px: float

    def apply(self, image: Image) -> Image:
        """Convolve; the edge is continued."""
        for axis in (1, 2):
            unit = np.eye(image.shape[axis])
            matrix = ndimage.gaussian_filter1d(unit, self.sd_px, axis=0, mode="nearest")
            image = _along(image, matrix, axis)
        return image

    def record(self) -> Record:
        """Its width."""
        return {"sd_px": self.sd_px}


def _along(image: Image, matrix: NDArray[np.float64], axis: int) -> Image:
    """Multiply one axis by a matrix."""
    weights = torch.from_numpy(matrix).to(image.device, image.dtype)
    return torch.movedim(torch.tensordot(weights, image, dims=([1], [axis])), 0, axis)


def _averages(count: int, factor: float) -> NDArray[np.float64]:
    """Means over boxes of `factor` voxels, (box, voxel); the last box may be cut off."""
    edges = np.minimum(np.arange(math.ceil(count / factor) + 1) * factor, count)
    voxels = np.arange(count)
    overlap = np.minimum(edges[1:, None], voxels + 1) - np.maximum(edges[:-1, None], voxels)
    overlap = np.clip(overlap, 0, None)
    return np.asarray(overlap / overlap.sum(1, keepdims=True))


def _interpolation(count: int, factor: float) -> NDArray[np.float64]:
    """Linear interpolation from the middles of the boxes to the voxels, (voxel, box)."""
    boxes = math.ceil(count / factor)
    edges = np.minimum(np.arange(boxes + 1) * factor, count)
    middles = (edges[1:] + edges[:-1]) / 2
    columns = [np.interp(np.arange(count) + 0.5, middles, unit) for unit in np.eye(boxes)]
    return np.stack(columns, axis=1)
