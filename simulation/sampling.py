"""Which phase-encoding lines are acquired."""

from typing import Literal

import numpy as np
import torch
from pydantic import Field

from spinforge.simulation.arrays import LineMask
from spinforge.simulation.config import Config
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.rng import SampleRng


class Gaussian1D(Config):
    """Variable-density lines: a fully sampled centre, then a zero-mean Gaussian density."""

    kind: Literal["gaussian1d"] = "gaussian1d"
    keep: float = Field(0.30, gt=0, le=1, description="fraction of phase-encoding lines kept")
    acs_lines: int = Field(16, ge=0, le=1024, description="central lines always kept (ACS)")
    sigma_fraction: float = Field(
        1 / 6,
        gt=0,
        le=10,
        description="standard deviation of the density as a fraction of the number of lines",
    )


def lines_kept(sampling: Gaussian1D, n_lines: int) -> int:
    """Number of acquired lines, round(keep * n_lines).

    Raises:
        SpinforgeError: If the ACS lines alone are more than that.
    """
    kept = round(sampling.keep * n_lines)
    if sampling.acs_lines > kept:
        raise SpinforgeError(
            f"data.sampling: acs_lines = {sampling.acs_lines} does not fit in the {kept} lines "
            f"that keep = {sampling.keep:g} leaves of {n_lines}. Lower acs_lines or raise keep."
        )
    return kept


def draw_line_mask(sampling: Gaussian1D, n_lines: int, rng: SampleRng) -> LineMask:
    """Draw exactly `lines_kept` lines, the central ones always among them.

    The others are drawn without replacement with weights exp(-k^2 / 2 s^2): the largest values
    of log-weight plus Gumbel noise (Efraimidis and Spirakis, Inf. Process. Lett. 97:181, 2006).

    Args:
        sampling: Density and fraction.
        n_lines: Number of phase-encoding positions.
        rng: Random numbers of this mask.

    Returns:
        (ky,) bool, True where a line is acquired; zero frequency at n_lines // 2.
    """
    kept = lines_kept(sampling, n_lines)
    offset = np.arange(n_lines) - n_lines // 2
    centre = sampling.acs_lines
    is_acs = (offset >= -(centre // 2)) & (offset < centre - centre // 2)
    log_weight = -(offset**2) / (2 * (sampling.sigma_fraction * n_lines) ** 2)
    score = np.where(is_acs, np.inf, log_weight + rng.gumbels(n_lines))
    mask = np.zeros(n_lines, dtype=bool)
    mask[np.argsort(-score, kind="stable")[:kept]] = True
    return torch.from_numpy(mask)
