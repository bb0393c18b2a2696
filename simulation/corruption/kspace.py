"""Corruptions of k-space lines and samples: ghosts, spikes, truncation, undersampling."""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from spinforge.simulation.corruption.volume import (
    Image,
    LevelledConfig,
    Record,
    SamplePath,
    Volume,
    through_kspace,
)
from spinforge.simulation.sampling import Gaussian1D, draw_line_mask

GHOST = ((0.05, 5.0), (0.10, 10.0), (0.20, 20.0), (0.35, 35.0), (0.50, 60.0))
"""Loss of amplitude and phase [degree] of every m-th line."""

SPIKES = ((1, 0.05), (1, 0.15), (2, 0.25), (3, 0.5), (4, 1.0))
"""Number of points a slice, and their magnitude relative to the largest of k-space."""

CENTRAL_FRACTION = (0.80, 0.65, 0.50, 0.40, 0.30)
KEPT_LINES = (0.60, 0.45, 0.30, 0.25, 0.20)

_SPIKE_FREE_CENTRE = 0.2
_MOST_ACS_LINES = 16


class Ghost(LevelledConfig):
    """Every second to fourth line weaker and turned, as by breathing or pulsation."""

    kind: Literal["ghost"] = "ghost"

    def draw(self, volume: Volume, path: SamplePath) -> "TurnedLines":
        """Which lines; the same for all slices, which are acquired in turn."""
        rng = path.rng("lines")
        period = 2 + min(2, int(3 * float(rng.uniforms(1)[0])))
        first = min(period - 1, int(period * float(rng.uniforms(1)[0])))
        loss, phase_deg = self.of(GHOST)
        return TurnedLines(period, first, loss, phase_deg)


@dataclass(frozen=True)
class TurnedLines:
    """Every `period`-th line from `first` on, scaled by 1 - loss and turned by a phase."""

    period: int
    first: int
    loss: float
    phase_deg: float

    def apply(self, image: Image) -> Image:
        """Scale and turn the lines."""
        lines = torch.ones(image.shape[1], dtype=torch.complex64, device=image.device)
        gain, turn = torch.tensor(1 - self.loss), torch.tensor(math.radians(self.phase_deg))
        lines[self.first :: self.period] = torch.polar(gain, turn).to(lines)
        return through_kspace(image, lambda kspace: kspace * lines[:, None])

    def record(self) -> Record:
        """Which lines, and how."""
        return {
            "period": self.period,
            "first": self.first,
            "loss": self.loss,
            "phase_deg": self.phase_deg,
        }


class Spike(LevelledConfig):
    """Single wrong samples, which cover a slice with stripes."""

    kind: Literal["spike"] = "spike"

    def draw(self, volume: Volume, path: SamplePath) -> "Spikes":
        """Position and phase of every slice's spikes, outside the central fifth of each axis."""
        count, magnitude = self.of(SPIKES)
        outer = _outer_samples(volume.image.shape[1], volume.image.shape[2])
        spikes = []
        for index in range(len(volume.image)):
            where, phase = path.rng(f"slice-{index:03d}").uniforms(2, count)
            chosen = outer[torch.from_numpy(where * len(outer)).long()]
            spikes += [
                (index, int(ky), int(kx), 2 * math.pi * float(turn))
                for (ky, kx), turn in zip(chosen, phase, strict=True)
            ]
        return Spikes(tuple(spikes), magnitude)


@dataclass(frozen=True)
class Spikes:
    """Samples that get a burst added.

    Attributes:
        spikes: Slice, ky, kx and phase [rad] of each.
        magnitude: Relative to the largest of the slice's k-space.
    """

    spikes: tuple[tuple[int, int, int, float], ...]
    magnitude: float

    def apply(self, image: Image) -> Image:
        """Add the bursts."""

        def add(kspace: Tensor) -> Tensor:
            largest = kspace.abs().amax((1, 2))
            for index, ky, kx, phase in self.spikes:
                burst = complex(math.cos(phase), math.sin(phase))
                kspace[index, ky, kx] += self.magnitude * largest[index] * burst
            return kspace

        return through_kspace(image, add)

    def record(self) -> Record:
        """All of them, one after the other."""
        return {
            "magnitude": self.magnitude,
            "slice_ky_kx": [value for spike in self.spikes for value in spike[:3]],
            "phase_rad": [spike[3] for spike in self.spikes],
        }


def _outer_samples(n_lines: int, n_samples: int) -> Tensor:
    """Index of every sample outside the central fifth of both axes, (sample, 2)."""
    ky, kx = (
        (torch.arange(count) - count // 2).abs() / (count / 2) for count in (n_lines, n_samples)
    )
    return (torch.maximum(ky[:, None], kx[None, :]) > _SPIKE_FREE_CENTRE).nonzero()


class Truncation(LevelledConfig):
    """Only the centre of k-space, 80 to 30 % of each axis: Gibbs ringing and blur."""

    kind: Literal["gibbs"] = "gibbs"

    def draw(self, volume: Volume, path: SamplePath) -> "CentralSamples":
        """Nothing is random here."""
        return CentralSamples(self.of(CENTRAL_FRACTION))


@dataclass(frozen=True)
class CentralSamples:
    """The central fraction of each axis; the rest is 0."""

    fraction: float

    def apply(self, image: Image) -> Image:
        """Set the outer samples to 0."""
        ky, kx = (self._kept(count).to(image.device) for count in image.shape[1:])
        return through_kspace(image, lambda kspace: kspace * (ky[:, None] & kx))

    def _kept(self, count: int) -> Tensor:
        kept = round(self.fraction * count)
        offset = torch.arange(count) - count // 2
        return (offset >= -(kept // 2)) & (offset < kept - kept // 2)

    def record(self) -> Record:
        """The fraction."""
        return {"fraction": self.fraction}


class Undersampling(LevelledConfig):
    """Lines left out at random, 60 to 20 % kept, and zero-filling."""

    kind: Literal["undersample"] = "undersample"

    def draw(self, volume: Volume, path: SamplePath) -> "AcquiredLines":
        """The lines of every slice."""
        keep, n_lines = self.of(KEPT_LINES), volume.image.shape[1]
        # A small matrix has no room for all central lines.
        acs_lines = min(_MOST_ACS_LINES, int(keep * n_lines / 2))
        sampling = Gaussian1D(keep=keep, acs_lines=acs_lines)
        masks = [
            draw_line_mask(sampling, n_lines, path.rng(f"slice-{index:03d}"))
            for index in range(len(volume.image))
        ]
        return AcquiredLines(keep, torch.stack(masks))


@dataclass(frozen=True)
class AcquiredLines:
    """Lines that were acquired.

    Attributes:
        keep: Fraction of them.
        masks: (slice, ky) bool.
    """

    keep: float
    masks: Tensor

    def apply(self, image: Image) -> Image:
        """Set the others to 0."""
        masks = self.masks.to(image.device)
        return through_kspace(image, lambda kspace: kspace * masks[:, :, None])

    def record(self) -> Record:
        """Fraction and lines: every slice's as a hexadecimal number, the first line foremost."""
        digits = ["".join("1" if line else "0" for line in mask) for mask in self.masks.tolist()]
        return {"keep": self.keep, "masks": " ".join(f"{int(d, 2):x}" for d in digits)}
