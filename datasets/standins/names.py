"""Names and axes that all stand-ins share."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor


def numbered(prefix: str, count: int, named: Iterable[str] = ()) -> list[str]:
    """prefix-000, prefix-001, ..., and further ones of this form that are given by name; sorted."""
    names = {f"{prefix}-{index:03d}" for index in range(count)}
    return sorted(names | {name for name in named if re.fullmatch(rf"{prefix}-\d{{3}}", name)})


def as_zyx(volume: Tensor) -> NDArray[Any]:
    """(x, y, z) -> (z, y, x), in one piece."""
    return np.ascontiguousarray(volume.numpy().transpose(2, 1, 0))


def placed(spacing_mm: Sequence[float], first_mm: Sequence[float]) -> NDArray[np.float64]:
    """Affine of a grid along the axes of the world.

    Args:
        spacing_mm: Voxel size along x, y and z [mm].
        first_mm: Centre of the first voxel, x, y and z [mm].

    Returns:
        4 x 4, from voxel (x, y, z) to world coordinates [mm].
    """
    affine = np.diag([*spacing_mm, 1.0])
    affine[:3, 3] = first_mm
    return affine


def centred(spacing_mm: Sequence[float], shape_xyz: Sequence[int]) -> NDArray[np.float64]:
    """Affine of a grid whose middle is the origin; arguments as of `placed`."""
    first = [-(n - 1) / 2 * size for n, size in zip(shape_xyz, spacing_mm, strict=True)]
    return placed(spacing_mm, first)
