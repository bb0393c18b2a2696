"""Noise drawn anew for each epoch, in place of the noise that a k-space set was stored with."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from spinforge.simulation.arrays import CoilKSpace
from spinforge.simulation.noise import correlated_coils
from spinforge.simulation.philox import noise_on_lines, sample_keys


@dataclass(frozen=True)
class FreshNoise:
    """Noise of every slice in any epoch; a function of both, see `simulation.philox`.

    Attributes:
        index: Subject and number of each slice.
        std: Standard deviation of the real and of the imaginary channel of each slice.
        coil_correlation: Correlation of any two coils.
        seed: Root seed.
    """

    index: list[tuple[str, int]]
    std: Float[Tensor, " slice"]
    coil_correlation: float
    seed: int

    def add(
        self,
        kspace: CoilKSpace,
        lines: Bool[Tensor, "slice ky"],
        positions: Sequence[int],
        epoch: int,
    ) -> None:
        """Add noise to some lines, in place, without waiting for the device of `kspace`.

        Args:
            kspace: Of a batch.
            lines: Where noise is wanted, on the processor.
            positions: Which slices these are.
            epoch: Counted from 0.
        """
        paths = []
        for position in positions:
            subject, number = self.index[position]
            paths.append(("training", subject, f"slice-{number:03d}", f"epoch-{epoch}", "noise"))
        keys = sample_keys(paths, seed=self.seed)
        std = self.std[torch.tensor(positions)]
        add_noise_on_lines(kspace, lines, keys, std, self.coil_correlation)


def add_noise_on_lines(
    kspace: CoilKSpace,
    lines: Bool[Tensor, "slice ky"],
    keys: Int64[Tensor, "4 slice"],
    std: Float[Tensor, " slice"],
    coil_correlation: float,
) -> None:
    """Add noise to some lines, in place, without waiting for the device of `kspace`.

    Args:
        kspace: Of a batch.
        lines: Where noise is wanted; these and the next on the processor.
        keys: Of each slice's random numbers, see `simulation.philox`.
        std: Standard deviation of the real and of the imaginary channel of each slice.
        coil_correlation: Correlation of any two coils.
    """
    noise = noise_on_lines(keys, lines, (kspace.shape[1], kspace.shape[3]), kspace.device)
    if coil_correlation:
        noise = correlated_coils(noise, coil_correlation)
    sample, line = lines.nonzero().unbind(1)
    sample, line, level = (sent(part, kspace.device) for part in (sample, line, std[sample]))
    kspace[sample, :, line] += level[:, None, None] * noise


def sent(values: Tensor, device: torch.device) -> Tensor:
    """A small tensor on the device, without waiting for it."""
    if device.type != "cuda":
        return values
    return values.pin_memory().to(device, non_blocking=True)
