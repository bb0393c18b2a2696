"""Which of the two phase encodings of a 3-D Cartesian scan are acquired: Poisson discs."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from spinforge.simulation.config import Config
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.rng import SampleRng
from spinforge.simulation.sampling_mask import MaskResult, central


class Poisson2D(Config):
    """Random samples that keep their distance, which grows away from the centre of k-space."""

    kind: Literal["poisson2d"] = "poisson2d"
    acceleration: float = Field(4, ge=1, le=64, description="number of positions over those kept")
    calibration: tuple[int, int] = Field(
        (16, 16), description="fully sampled centre along ky and kz (ACS)"
    )
    crop_corners: bool = Field(True, description="leave out positions beyond the inscribed ellipse")


@dataclass(frozen=True)
class _Points:
    """One candidate in each grid cell: its place, and the order in which they come up."""

    order: list[int]
    ky: NDArray[np.float64]
    kz: NDArray[np.float64]


def _draw_points(shape: tuple[int, int], rng: SampleRng) -> _Points:
    order = rng.permutation(shape[0] * shape[1]).tolist()
    # Half a cell of jitter: distances between whole positions take few values, and a lattice
    # would form where the radius passes one of them.
    ky, kz = rng.uniforms(2, *shape) - 0.5
    return _Points(order, ky + np.arange(shape[0])[:, None], kz + np.arange(shape[1]))


def poisson2d(sampling: Poisson2D, shape: tuple[int, int], rng: SampleRng) -> MaskResult:
    r"""Draw exactly round(ky * kz / acceleration) samples of a variable-density Poisson disc.

    Each grid cell has one candidate, jittered within the cell. The candidates come up in one
    random order; each is taken unless it lies within the disc of an earlier one. Disc radii are
    $\min(s, 1) + s\,\rho$ grid steps, $\rho$ the normalised distance from the calibration block.
    Bisection finds the largest slope $s$ that still yields enough samples, and the drawing stops
    when the count is reached. So the count is exact, and no candidate outside the calibration
    block is closer to an earlier one than the latter's radius.

    `sigpy.mri.poisson` has the same density, 1 / (1 + s rho), but reaches the acceleration only
    to a tolerance, and draws from numba's global generator.

    Args:
        sampling: Acceleration, calibration block and corners.
        shape: Number of positions along ky and kz.
        rng: Random numbers of this mask.

    Returns:
        Mask (ky, kz) with its counts.

    Raises:
        SpinforgeError: If the calibration block or the samples do not fit.

    Source:
        Bridson, SIGGRAPH sketches (2007), fast Poisson disks; Cook, ACM Trans. Graph. 5:51
        (1986), dart throwing; variable density as sigpy 0.1.27, `sigpy.mri.samp.poisson`.
    """
    allowed, calibration = _allowed(sampling, shape), _calibration(sampling, shape)
    target = round(shape[0] * shape[1] / sampling.acceleration)
    _check_fits(sampling, shape, int((allowed | calibration).sum()), int(calibration.sum()), target)

    points = _draw_points(shape, rng)
    distance = _distance_from_calibration(sampling, shape)
    low, high = 0.0, float(max(shape))
    mask = _dart_throwing(points, min(low, 1) + low * distance, allowed, calibration, target)
    # A slope of 0 takes every position; 2^-12 of the matrix is less than a tenth of a grid step.
    for _ in range(12):
        middle = (low + high) / 2
        trial = _dart_throwing(
            points, min(middle, 1) + middle * distance, allowed, calibration, target
        )
        if trial.sum() == target:
            low, mask = middle, trial
        else:
            high = middle
    return MaskResult(torch.from_numpy(mask), target, sampling.acceleration, sampling.calibration)


def _dart_throwing(
    points: _Points,
    radius: NDArray[np.float64],
    allowed: NDArray[np.bool_],
    calibration: NDArray[np.bool_],
    target: int,
) -> NDArray[np.bool_]:
    """Take positions in random order that no earlier disc covers, until there are `target`."""
    height, width = radius.shape
    mask = calibration.copy()
    blocked = calibration | ~allowed
    is_blocked = memoryview(blocked.reshape(-1))  # type: ignore[arg-type]  # fast scalar reads
    missing = target - int(calibration.sum())
    for index in points.order:
        if missing == 0:
            break
        if is_blocked[index]:
            continue
        y, x = divmod(index, width)
        mask[y, x] = blocked[y, x] = True
        missing -= 1
        reach = int(radius[y, x]) + 1
        near = (
            slice(max(0, y - reach), min(height, y + reach + 1)),
            slice(max(0, x - reach), min(width, x + reach + 1)),
        )
        rows = points.ky[near] - points.ky[y, x]
        columns = points.kz[near] - points.kz[y, x]
        blocked[near] |= rows * rows + columns * columns < radius[y, x] ** 2
    return mask


def _calibration(sampling: Poisson2D, shape: tuple[int, int]) -> NDArray[np.bool_]:
    rows, columns = (central(n, c) for n, c in zip(shape, sampling.calibration, strict=True))
    return rows[:, None] & columns


def _allowed(sampling: Poisson2D, shape: tuple[int, int]) -> NDArray[np.bool_]:
    if not sampling.crop_corners:
        return np.ones(shape, dtype=bool)
    rows, columns = ((np.arange(n) - n // 2) / (n / 2) for n in shape)
    return rows[:, None] ** 2 + columns**2 <= 1


def _distance_from_calibration(sampling: Poisson2D, shape: tuple[int, int]) -> NDArray[np.float64]:
    """0 in the calibration block, 1 at the middle of the far edges."""
    rows, columns = (
        np.maximum(np.abs(np.arange(n) - n // 2) - c / 2, 0) / max(n / 2 - c / 2, 1)
        for n, c in zip(shape, sampling.calibration, strict=True)
    )
    return np.hypot(rows[:, None], columns)


def _check_fits(
    sampling: Poisson2D, shape: tuple[int, int], available: int, calibration: int, target: int
) -> None:
    if min(sampling.calibration) < 0 or any(
        c > n for c, n in zip(sampling.calibration, shape, strict=True)
    ):
        raise SpinforgeError(
            f"poisson2d: calibration = {sampling.calibration} must lie between (0, 0) and the "
            f"matrix, {shape}."
        )
    if calibration > target:
        raise SpinforgeError(
            f"poisson2d: calibration = {sampling.calibration} keeps {calibration} samples, but "
            f"acceleration = {sampling.acceleration:g} leaves only {target} of {shape[0]} x "
            f"{shape[1]}. Lower calibration or acceleration."
        )
    if target > available:
        least = math.ceil(100 * shape[0] * shape[1] / available) / 100
        raise SpinforgeError(
            f"poisson2d: acceleration = {sampling.acceleration:g} asks for {target} samples, but "
            f"without the corners there are {available}. Raise acceleration to "
            f"{least:g} or more, or set crop_corners: false."
        )
