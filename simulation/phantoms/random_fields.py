"""Smooth random fields: drawn on a grid fixed in millimetres, sampled anywhere."""

import itertools
import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from scipy import fft
from torch import Tensor

from spinforge.simulation.rng import SampleRng

Axes = tuple[Float[Tensor, " x"], Float[Tensor, " y"], Float[Tensor, " z"]]
Volume = Float[Tensor, "x y z"]
Volumes = Float[Tensor, "field x y z"]
Band = tuple[float, float]
"""Shortest and longest wavelength [mm]."""

NOISE_SAMPLES_PER_WAVE = 4.0


@dataclass(frozen=True)
class RandomFields:
    """Periodic random fields of zero mean and unit variance.

    Attributes:
        values: Samples, the first plane of each axis repeated at its end; index 0 is at 0 mm.
        step_mm: Distance between samples along each axis [mm].
    """

    values: Volumes
    step_mm: tuple[float, float, float]

    def on_grid(self, axes: Axes) -> Volumes:
        """Sample at every combination of the three axes [mm], by separable cubic splines."""
        positions = [axis.double() / step for axis, step in zip(axes, self.step_mm, strict=True)]
        first = math.floor(float(positions[0].min())) - 1
        last = math.floor(float(positions[0].max())) + 2
        planes = torch.arange(first, last + 1) % (self.values.shape[1] - 1)
        values = self.values[:, planes]
        values = _interpolate(values, 2, positions[1], period=self.values.shape[2] - 1)
        values = _interpolate(values, 3, positions[2], period=self.values.shape[3] - 1)
        return _interpolate(values, 1, positions[0] - first, period=planes.numel())

    def at(self, x: Volume, y: Volume, z: Volume) -> Volumes:
        """Sample at the points (x, y, z) [mm], by trilinear interpolation."""
        normalised = []
        for axis, points in enumerate((x, y, z)):
            intervals = self.values.shape[1 + axis] - 1
            wrapped = torch.remainder(points / self.step_mm[axis], intervals)
            normalised.append(wrapped * (2.0 / intervals) - 1.0)
        # grid_sample counts its axes from the last to the first.
        points = torch.stack(normalised[::-1], dim=-1)
        sampled = torch.nn.functional.grid_sample(
            self.values[None], points[None], mode="bilinear", align_corners=True
        )
        return sampled[0]


def draw_random_fields(
    rng: SampleRng,
    bands: list[Band],
    *,
    box_mm: tuple[float, float, float] = (256.0, 288.0, 256.0),
    samples_per_wave: float = 5.0,
) -> RandomFields:
    r"""Draw one independent field per band, all on one grid.

    White noise is filtered with $H(k) = \exp(-\frac12 (\ln(k/k_0)/\sigma)^2) / k$, where
    $k_0$ is the geometric mean of the band's limits and $\sigma$ half their logarithmic
    distance; dividing by $k$ keeps long waves as strong as short ones.

    Args:
        rng: Source of the noise.
        bands: Wavelengths of each field [mm].
        box_mm: Period along each axis [mm].
        samples_per_wave: Samples in the shortest wavelength of all bands.
    """
    shortest = min(low for low, _ in bands)
    coarse = [math.ceil(NOISE_SAMPLES_PER_WAVE * edge / shortest) for edge in box_mm]
    fine = [math.ceil(samples_per_wave * edge / shortest) for edge in box_mm]
    noise = rng.normals(len(bands), *coarse).astype(np.float32)
    fields = np.stack(
        [
            _refine(_band_pass(white, band, box_mm), fine)
            for white, band in zip(noise, bands, strict=True)
        ]
    )
    fields = np.pad(fields, ((0, 0), (0, 1), (0, 1), (0, 1)), mode="wrap")
    step_x, step_y, step_z = (edge / count for edge, count in zip(box_mm, fine, strict=True))
    return RandomFields(torch.from_numpy(fields), (step_x, step_y, step_z))


def _band_pass(
    noise: NDArray[np.float32], band: Band, box_mm: tuple[float, float, float]
) -> NDArray[np.float32]:
    """Filter white noise as `draw_random_fields` says and scale it to unit variance."""
    counts = noise.shape
    kx = fft.fftfreq(counts[0], box_mm[0] / counts[0])[:, None, None]
    ky = fft.fftfreq(counts[1], box_mm[1] / counts[1])[None, :, None]
    kz = fft.rfftfreq(counts[2], box_mm[2] / counts[2])[None, None, :]
    k = np.sqrt(kx**2 + ky**2 + kz**2)
    k[0, 0, 0] = np.inf  # no mean
    k0 = 1.0 / math.sqrt(band[0] * band[1])
    width = 0.5 * math.log(band[1] / band[0])
    with np.errstate(over="ignore"):
        response = np.exp(-0.5 * (np.log(k / k0) / width) ** 2) / k
    filtered = fft.irfftn(fft.rfftn(noise) * response.astype(np.float32), s=counts)
    return np.asarray(filtered / filtered.std(), dtype=np.float32)


def _refine(values: NDArray[np.float32], counts: list[int]) -> NDArray[np.float32]:
    """Resample a periodic volume on a finer grid, exactly: its spectrum is padded with zeros."""
    for axis, count in enumerate(counts):
        spectrum = fft.rfft(values, axis=axis)
        values = fft.irfft(spectrum, n=count, axis=axis) * (count / values.shape[axis])
    return values.astype(np.float32)


def _interpolate(
    values: Float[Tensor, "field _ _ _"],
    axis: int,
    positions: Float[Tensor, " n"],
    *,
    period: int,
) -> Float[Tensor, "field _ _ _"]:
    """Catmull and Rom's cubic through the four samples around each position, along one axis.

    Source:
        Keys, IEEE Trans. ASSP 29(6):1153 (1981), with a = -1/2.
    """
    below = torch.floor(positions)
    t = positions - below
    weights = (
        ((2.0 - t) * t - 1.0) * t / 2.0,
        ((3.0 * t - 5.0) * t * t + 2.0) / 2.0,
        ((4.0 - 3.0 * t) * t + 1.0) * t / 2.0,
        (t - 1.0) * t * t / 2.0,
    )
    shape = [1, 1, 1, 1]
    shape[axis] = positions.numel()
    total = torch.zeros(())
    for offset, weight in zip(itertools.count(-1), weights, strict=False):
        neighbours = values.index_select(axis, (below.long() + offset) % period)
        total = neighbours.mul_(weight.float().view(shape)).add_(total)
    return total
