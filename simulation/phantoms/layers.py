"""Composing an anatomy from layers, the front one first."""

from collections.abc import Iterable
from dataclasses import dataclass

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


def paint_layers(
    memberships: Memberships,
    remaining: Volume,
    layers: Iterable[Layer],
    tissues: tuple[Tissue, ...],
) -> None:
    """Put each layer behind all earlier ones; what all of them leave is `BACKGROUND`.

    Args:
        memberships: What is there already, (tissue, x, y, z); the layers are added to it.
        remaining: Share of each voxel that is still empty; overwritten [1].
        layers: The front one first.
        tissues: What the entries of the memberships' first axis are.
    """
    for layer in layers:
        taken = remaining * layer.alpha
        for tissue, share in layer.mixture.items():
            memberships[tissues.index(tissue)].add_(taken, alpha=share)
        remaining.sub_(taken)
    memberships[tissues.index(Tissue.BACKGROUND)].add_(remaining)
