"""Which phase-encoding lines a Cartesian scan acquires."""

import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import torch
from jaxtyping import Bool
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field, model_validator
from torch import Tensor

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


class EquispacedFraction(Config):
    """fastMRI's equispaced lines, spread wider so that the centre counts as acquired lines."""

    kind: Literal["equispaced_fraction"] = "equispaced_fraction"
    acceleration: float = Field(4, ge=1, le=64, description="number of lines over lines kept")
    centre_fraction: float = Field(
        0.08, ge=0, le=1, description="fraction of the lines that is the centre, always kept"
    )


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
    mask = _centre_and_best(score, sampling.acs_lines, kept)
    return MaskResult(torch.from_numpy(mask), kept, 1 / sampling.keep, (sampling.acs_lines,))


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
        mask = _centre_and_best(draws, centre, target)
    else:
        others = n_lines - centre
        chance = (n_lines / sampling.acceleration - centre) / others if others else 0.0
        mask = (draws < chance) | central(n_lines, centre)
    return MaskResult(torch.from_numpy(mask), target, sampling.acceleration, (centre,))


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


def central(n_lines: int, count: int) -> NDArray[np.bool_]:
    """Mask of the `count` central lines: offsets -(count // 2) .. count - count // 2 - 1.

    fastMRI's centre is the same, but one line higher if `n_lines` is odd and `count` even.
    """
    offset = np.arange(n_lines) - n_lines // 2
    return (offset >= -(count // 2)) & (offset < count - count // 2)


def _centre_and_best(score: NDArray[np.float64], centre: int, count: int) -> NDArray[np.bool_]:
    """The central lines and, up to `count`, the others of the highest score."""
    n_lines = len(score)
    preferred = np.where(central(n_lines, centre), np.inf, score)
    mask = np.zeros(n_lines, dtype=bool)
    mask[np.argsort(-preferred, kind="stable")[:count]] = True
    return mask


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
