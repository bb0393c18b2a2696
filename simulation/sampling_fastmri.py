"""fastMRI's two patterns of phase-encoding lines, random and equispaced."""

from typing import Literal

import numpy as np
import torch
from pydantic import Field

from spinforge.simulation.config import Config
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.rng import SampleRng
from spinforge.simulation.sampling_mask import MaskResult, central, centre_and_best


class Random1D(Config):
    """fastMRI's random lines: a fully sampled centre, then every line with the same chance.

    fastMRI's usual pairs (acceleration, centre_fraction) are (4, 0.08) and (8, 0.04).
    """

    kind: Literal["random1d"] = "random1d"
    acceleration: float = Field(4, ge=1, le=64, description="number of lines over lines kept")
    centre_fraction: float = Field(
        0.08, ge=0, le=1, description="fraction of the lines that is the centre, always kept"
    )
    exact: bool = Field(
        False,
        description="keep exactly round(lines / acceleration); fastMRI keeps so many on average",
    )


class EquispacedFraction(Config):
    """fastMRI's equispaced lines, spread wider so that the centre counts as acquired lines."""

    kind: Literal["equispaced_fraction"] = "equispaced_fraction"
    acceleration: float = Field(4, ge=1, le=64, description="number of lines over lines kept")
    centre_fraction: float = Field(
        0.08, ge=0, le=1, description="fraction of the lines that is the centre, always kept"
    )


def random1d(sampling: Random1D, n_lines: int, rng: SampleRng) -> MaskResult:
    """Draw the centre and Bernoulli lines, or with `exact` a fixed number of them.

    The chance of a line outside the centre, (N / R - c) / (N - c) for c central of N lines,
    makes the expected count N / R.

    Raises:
        SpinforgeError: If the centre alone is more than N / R.

    Source:
        fastMRI 0.3.0, `fastmri.data.subsample.RandomMaskFunc`; Zbontar et al.,
        arXiv:1811.08839.
    """
    centre, target = _centre_and_target(sampling, n_lines)
    draws = rng.uniforms(n_lines)
    if sampling.exact:
        mask = centre_and_best(draws, centre, target)
    else:
        others = n_lines - centre
        chance = (n_lines / sampling.acceleration - centre) / others if others else 0.0
        mask = (draws < chance) | central(n_lines, centre)
    return MaskResult(torch.from_numpy(mask), target, sampling.acceleration, (centre,))


def equispaced_fraction(sampling: EquispacedFraction, n_lines: int, rng: SampleRng) -> MaskResult:
    """Take lines at a distance that makes them and the centre N / R together.

    With c central of N lines the distance is R (c - N) / (c R - N), positions are rounded to
    whole lines, and so the spacing is not constant. The count is within 2 lines of N / R, as both
    gaps beside the centre round.

    Raises:
        SpinforgeError: If the centre alone is N / R or more.

    Source:
        fastMRI 0.3.0, `fastmri.data.subsample.EquispacedMaskFractionFunc`.
    """
    centre, target = _centre_and_target(sampling, n_lines)
    nominal = sampling.acceleration
    mask = central(n_lines, centre)
    if centre * nominal < n_lines:
        spacing = nominal * (centre - n_lines) / (centre * nominal - n_lines)
        offset = int(round(spacing) * rng.uniforms(1)[0])
        mask[np.around(np.arange(offset, n_lines - 1, spacing)).astype(int)] = True
    return MaskResult(torch.from_numpy(mask), target, nominal, (centre,))


def _centre_and_target(sampling: Random1D | EquispacedFraction, n_lines: int) -> tuple[int, int]:
    """Central lines, round(centre_fraction * N), and lines to keep, round(N / R)."""
    centre = round(sampling.centre_fraction * n_lines)
    target = round(n_lines / sampling.acceleration)
    if centre > target or target == 0:
        raise SpinforgeError(
            f"data.sampling: centre_fraction = {sampling.centre_fraction:g} keeps {centre} central "
            f"lines, but acceleration = {sampling.acceleration:g} leaves only {target} of "
            f"{n_lines}. Lower centre_fraction to {target / n_lines:.3g} or less, or lower "
            f"acceleration."
        )
    return centre, target
