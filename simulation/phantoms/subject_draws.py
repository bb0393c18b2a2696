"""Sizes that differ between subjects: normal and lognormal, cut at two of their spreads."""

import math

import numpy as np

from spinforge.simulation.rng import SampleRng


class SubjectDraws:
    """Normal numbers of one subject, drawn together and handed out one by one.

    Args:
        rng: Random numbers of the subject's sizes.
        count: How many sizes will be asked for.
    """

    def __init__(self, rng: SampleRng, count: int) -> None:
        self._normals = iter(np.clip(rng.normals(count), -2.0, 2.0).tolist())

    def normal(self, typical: float, spread: float) -> float:
        """Normal around `typical`, `spread` being the standard deviation."""
        return typical + spread * float(next(self._normals))

    def lognormal(self, typical: float, spread: float) -> float:
        """Lognormal around `typical`, `spread` being the standard deviation of the logarithm."""
        return typical * math.exp(spread * next(self._normals))
