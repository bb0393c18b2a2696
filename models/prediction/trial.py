"""Whether networks take slices of a size: tried without weights, in no time."""

import functools

import torch

from spinforge.models.networks import (
    KSpaceNetwork,
    NetworkConfig,
    SequenceNetwork,
    weightless_network,
)
from spinforge.models.prediction.ensemble import Ensemble
from spinforge.models.seranet.measurement import Measurement
from spinforge.simulation.errors import SpinforgeError


def try_size(ensemble: Ensemble, size: tuple[int, int]) -> None:
    """Refuse slices that are too small, before any work.

    Args:
        ensemble: The networks.
        size: Rows and columns of what they would see [pixel].

    Raises:
        SpinforgeError: Naming network and size.
    """
    for loaded in ensemble.networks:
        try:
            _try(loaded.config, loaded.in_channels, loaded.n_classes, size)
        except SpinforgeError as error:
            raise SpinforgeError(
                f"slices of {size[0]} x {size[1]} pixels do not suit network "
                f"{loaded.config.name!r}: {error}"
            ) from None


@functools.lru_cache
def _try(config: NetworkConfig, in_channels: int, n_classes: int, size: tuple[int, int]) -> None:
    """Call the network on nothing; once for all scans of one size."""
    network = weightless_network(config, in_channels=in_channels, n_classes=n_classes).eval()
    image = torch.empty(1, in_channels, *size, device="meta")
    lines = torch.empty(1, size[0], device="meta", dtype=torch.bool)
    measured = Measurement(torch.empty_like(image[:, :1], dtype=torch.complex64), lines)
    if isinstance(config, KSpaceNetwork):
        network(measured)
    else:
        network(image[:, None] if isinstance(config, SequenceNetwork) else image)
