"""What every sampling pattern gives: a mask with its counts, and a fully sampled centre."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True)
class MaskResult:
    """A sampling mask and what it promises.

    Attributes:
        mask: True where k-space is acquired, (ky,) or (ky, kz); zero frequency at N // 2.
        target: Number of samples aimed at, and acquired by all kinds but fastMRI's two:
            `random1d` without `exact` keeps so many on average, `equispaced_fraction` within 2.
        acceleration: Nominal acceleration as configured, which for `equispaced` ignores the ACS.
        acs: Width of the fully sampled centre along each axis: `c` lines are the offsets
            -(c // 2) .. c - c // 2 - 1 from the zero frequency.
    """

    mask: Bool[Tensor, "*phase"]
    target: int
    acceleration: float
    acs: tuple[int, ...]

    @property
    def acquired(self) -> int:
        """Number of samples in the mask."""
        return int(self.mask.sum())

    @property
    def effective_acceleration(self) -> float:
        """All positions over those acquired, the centre included; infinite for an empty mask."""
        return self.mask.numel() / self.acquired if self.acquired else math.inf


def central(n_lines: int, count: int) -> NDArray[np.bool_]:
    """Mask of the `count` central lines: offsets -(count // 2) .. count - count // 2 - 1.

    fastMRI's centre is the same, but one line higher if `n_lines` is odd and `count` even.
    """
    offset = np.arange(n_lines) - n_lines // 2
    return (offset >= -(count // 2)) & (offset < count - count // 2)


def centre_and_best(score: NDArray[np.float64], centre: int, count: int) -> NDArray[np.bool_]:
    """The central lines and, up to `count`, the others of the highest score."""
    n_lines = len(score)
    preferred = np.where(central(n_lines, centre), np.inf, score)
    mask = np.zeros(n_lines, dtype=bool)
    mask[np.argsort(-preferred, kind="stable")[:count]] = True
    return mask
