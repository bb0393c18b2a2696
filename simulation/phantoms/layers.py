"""Composing an anatomy from layers, the front one first."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch

from spinforge.simulation.arrays import Memberships
from spinforge.simulation.phantoms.random_fields import Volume
from spinforge.simulation.tissue import Tissue

Mixture = dict[Tissue, float]
"""Shares of tissues, which sum to 1."""


@dataclass(frozen=True)
class Layer:
    """One coat of paint: how much of each voxel it covers and what it consists of.

    Attributes:
        alpha: Share of what earlier layers left that it takes [1].
        mixture: What it consists of.
    """

    alpha: Volume
    mixture: Mixture


def compose_layers(layers: Iterable[Layer], tissues: tuple[Tissue, ...]) -> Memberships:
    """Put each layer behind all earlier ones; what all of them leave is `BACKGROUND`.

    Args:
        layers: At least one, the front one first.
        tissues: What the entries of the result's first axis are.

    Returns:
        (tissue, x, y, z), which sums to 1 over the tissues.
    """
    memberships = remaining = torch.empty(0)
    for layer in layers:
        if memberships.numel() == 0:
            memberships = torch.zeros((len(tissues), *layer.alpha.shape))
            remaining = torch.ones_like(layer.alpha)
        taken = remaining * layer.alpha
        for tissue, share in layer.mixture.items():
            memberships[tissues.index(tissue)].add_(taken, alpha=share)
        remaining.sub_(taken)
    memberships[tissues.index(Tissue.BACKGROUND)].add_(remaining)
    return memberships
