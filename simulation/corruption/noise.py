"""Noise of images and of k-space."""

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch

from spinforge.simulation.corruption.volume import (
    Image,
    PercentConfig,
    Record,
    SamplePath,
    Volume,
    through_kspace,
)
from spinforge.simulation.noise import draw_noise

RICIAN_PERCENT = (1.0, 3.0, 5.0, 7.0, 9.0)
COMPLEX_PERCENT = (5.0, 10.0, 15.0, 20.0, 30.0)


class RicianNoise(PercentConfig):
    """BrainWeb's noise: 1, 3, 5, 7, 9 % on both channels, then the magnitude.

    Of complex images and k-space the magnitude is left to whoever shows them: it is Rician then.
    """

    kind: Literal["noise"] = "noise"
    of_each_colour: ClassVar = True

    def draw(self, volume: Volume, path: SamplePath) -> "NoiseOfSlices":
        """Noise of every slice."""
        percent = self.percent_of(RICIAN_PERCENT)
        return NoiseOfSlices(percent, percent / 100 * volume.reference_signal, path)


class ComplexNoise(PercentConfig):
    """White noise of 5, 10, 15, 20, 30 % in k-space."""

    kind: Literal["noise_gauss"] = "noise_gauss"
    of_each_colour: ClassVar = True

    def draw(self, volume: Volume, path: SamplePath) -> "NoiseOfSlices":
        """Noise of every slice."""
        percent = self.percent_of(COMPLEX_PERCENT)
        return NoiseOfSlices(percent, percent / 100 * volume.reference_signal, path)


@dataclass(frozen=True)
class NoiseOfSlices:
    """White Gaussian noise of each slice, the transform being orthonormal.

    Attributes:
        percent: Of the reference signal.
        std: Standard deviation of each channel, in the image's units.
        path: Of its random numbers.
    """

    percent: float
    std: float
    path: SamplePath

    def apply(self, image: Image) -> Image:
        """Add it in k-space."""
        shape = tuple(image.shape[1:])
        noise = [
            draw_noise(self.path.rng(f"slice-{index:03d}"), shape, self.std)
            for index in range(len(image))
        ]
        return through_kspace(image, lambda kspace: kspace + torch.stack(noise).to(kspace.device))

    def of_coil(self, number: int) -> "NoiseOfSlices":
        """As strong, but independent noise: that of one coil."""
        return replace(self, path=self.path.below(f"coil-{number:02d}"))

    def record(self) -> Record:
        """Level and standard deviation."""
        return {"percent": self.percent, "std": self.std}
