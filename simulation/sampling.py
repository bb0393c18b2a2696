"""Which phase-encoding lines a Cartesian scan acquires."""

from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import BeforeValidator, Field, model_validator

from spinforge.simulation.arrays import LineMask
from spinforge.simulation.config import Config
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.rng import SampleRng
from spinforge.simulation.sampling_fastmri import (
    EquispacedFraction,
    Random1D,
    equispaced_fraction,
    random1d,
)
from spinforge.simulation.sampling_mask import MaskResult, central, centre_and_best


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


class Equispaced(Config):
    """Every R-th line plus a fully sampled centre, the regular pattern of SENSE and GRAPPA."""

    kind: Literal["equispaced"] = "equispaced"
    acceleration: int = Field(4, ge=1, le=64, description="distance of the regular lines")
    acs_lines: int = Field(16, ge=0, le=1024, description="central lines always kept (ACS)")
    offset: int | None = Field(
        None, ge=0, le=63, description="first regular line; drawn for each mask if not given"
    )

    @model_validator(mode="after")
    def _offset_within_spacing(self) -> "Equispaced":
        if self.offset is not None and self.offset >= self.acceleration:
            raise ValueError(
                f"offset = {self.offset} must be below acceleration = {self.acceleration}"
            )
        return self


class PartialFourier(Config):
    """One contiguous block of lines that leaves out one end of k-space."""

    kind: Literal["partial_fourier"] = "partial_fourier"
    fraction: float = Field(0.75, ge=5 / 8, le=1, description="fraction of the lines kept")
    omit: Literal["negative", "positive"] = Field(
        "negative", description="sign of the spatial frequencies left out"
    )


def _gaussian1d_unless_named(value: Any) -> Any:
    """Study files may leave out the kind of the paper's own mask."""
    if isinstance(value, dict) and "kind" not in value:
        return {"kind": "gaussian1d", **value}
    return value


LineSampling = Annotated[
    Gaussian1D | Random1D | Equispaced | EquispacedFraction | PartialFourier,
    Field(discriminator="kind"),
    BeforeValidator(_gaussian1d_unless_named),
]
"""Any choice of phase-encoding lines that a study file may name, told apart by `kind`."""


def draw_line_mask(sampling: LineSampling, n_lines: int, rng: SampleRng) -> LineMask:
    """Draw a mask of any kind; see `draw_lines`.

    Returns:
        (ky,) bool, True where a line is acquired; zero frequency at n_lines // 2.
    """
    return draw_lines(sampling, n_lines, rng).mask


def draw_lines(sampling: LineSampling, n_lines: int, rng: SampleRng) -> MaskResult:
    """Draw a mask of any kind with its counts.

    Args:
        sampling: Kind and its settings.
        n_lines: Number of phase-encoding positions.
        rng: Random numbers of this mask.

    Raises:
        SpinforgeError: If the settings do not fit `n_lines`; for every `rng` or for none.
    """
    match sampling:
        case Gaussian1D():
            return gaussian1d(sampling, n_lines, rng)
        case Random1D():
            return random1d(sampling, n_lines, rng)
        case Equispaced():
            return equispaced(sampling, n_lines, rng)
        case EquispacedFraction():
            return equispaced_fraction(sampling, n_lines, rng)
        case PartialFourier():
            return partial_fourier(sampling, n_lines)


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


def gaussian1d(sampling: Gaussian1D, n_lines: int, rng: SampleRng) -> MaskResult:
    """Draw exactly `lines_kept` lines, the central ones always among them.

    The others are drawn without replacement with weights exp(-k^2 / 2 s^2): the largest values
    of log-weight plus Gumbel noise (Efraimidis and Spirakis, Inf. Process. Lett. 97:181, 2006).

    Raises:
        SpinforgeError: If the ACS lines are more than the lines kept.
    """
    kept = lines_kept(sampling, n_lines)
    offset = np.arange(n_lines) - n_lines // 2
    log_weight = -(offset**2) / (2 * (sampling.sigma_fraction * n_lines) ** 2)
    score = log_weight + rng.gumbels(n_lines)
    mask = centre_and_best(score, sampling.acs_lines, kept)
    return MaskResult(torch.from_numpy(mask), kept, 1 / sampling.keep, (sampling.acs_lines,))


def equispaced(sampling: Equispaced, n_lines: int, rng: SampleRng) -> MaskResult:
    """Take every R-th line from the offset on, and the centre.

    The acceleration reported as effective counts the centre: 180 lines at R = 4 with 16 ACS
    lines are 57 acquired lines, 3.16 and not 4.

    Raises:
        SpinforgeError: If there are fewer lines than ACS lines.

    Source:
        Griswold et al., Magn. Reson. Med. 47:1202 (2002): GRAPPA with a central ACS block.
    """
    spacing, centre = sampling.acceleration, sampling.acs_lines
    if centre > n_lines:
        raise SpinforgeError(
            f"data.sampling: acs_lines = {centre} are more than the {n_lines} lines there are. "
            f"Lower acs_lines."
        )
    drawn = int(spacing * rng.uniforms(1)[0])
    offset = drawn if sampling.offset is None else sampling.offset
    mask = central(n_lines, centre)
    mask[offset::spacing] = True

    def regular_below(line: int) -> int:
        return max(0, -(-(line - offset) // spacing))

    first = n_lines // 2 - centre // 2
    overlap = regular_below(first + centre) - regular_below(first)
    target = regular_below(n_lines) + centre - overlap
    return MaskResult(torch.from_numpy(mask), target, float(spacing), (centre,))


def partial_fourier(sampling: PartialFourier, n_lines: int) -> MaskResult:
    """Take round(fraction * N) neighbouring lines up to one end of k-space.

    Raises:
        SpinforgeError: If so few lines leave out the zero frequency.

    Source:
        Bernstein et al., Handbook of MRI Pulse Sequences (2004), section 13.4.
    """
    kept = round(sampling.fraction * n_lines)
    first = n_lines - kept if sampling.omit == "negative" else 0
    below = n_lines // 2 - first
    above = first + kept - 1 - n_lines // 2
    if min(below, above) < 0:
        raise SpinforgeError(
            f"data.sampling: fraction = {sampling.fraction:g} of {n_lines} lines does not reach "
            f"the centre of k-space. Raise fraction."
        )
    mask = np.zeros(n_lines, dtype=bool)
    mask[first : first + kept] = True
    acs = max(2 * min(below, above + 1), 2 * min(below, above) + 1)
    return MaskResult(torch.from_numpy(mask), kept, 1 / sampling.fraction, (acs,))
