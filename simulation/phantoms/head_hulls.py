"""The brain's smooth outlines, before folding, and the cavity of the skull around them."""

from dataclasses import dataclass

import torch

from spinforge.simulation.phantoms.block import Block, Box
from spinforge.simulation.phantoms.random_fields import Volume
from spinforge.simulation.phantoms.shapes import ellipsoid, smooth_max, tube


@dataclass(frozen=True)
class Hulls:
    """Distance inside each part of the brain [mm]."""

    cerebrum: Volume
    cerebellum: Volume
    brain_stem: Volume

    def cropped(self, box: Box) -> "Hulls":
        """The part within `box`."""
        return Hulls(
            self.cerebrum[box].contiguous(),
            self.cerebellum[box].contiguous(),
            self.brain_stem[box].contiguous(),
        )


def brain_hulls(block: Block) -> Hulls:
    """Outlines of the unfolded brain."""
    return Hulls(_cerebrum(block), _cerebellum(block), _brain_stem(block))


def intracranial_cavity(block: Block, hulls: Hulls, subarachnoid_mm: float) -> Volume:
    """The brain with its seams filled, in a coat of subarachnoid space and basal cisterns."""
    brain = smooth_max(hulls.cerebrum, hulls.cerebellum, 14.0)
    brain = smooth_max(brain, hulls.brain_stem, 12.0).add_(subarachnoid_mm)
    cisterns = ellipsoid(block, (0, -18, -12), (27, 33, 24))
    return smooth_max(brain, cisterns, 12.0)


def _cerebrum(block: Block) -> Volume:
    """A tall vault on a flat base, with frontal, occipital and temporal lobes."""
    vault = ellipsoid(block, (0, -19, 10), (68, 86.5, 70.5))
    base = ellipsoid(block, (0, -19, 10), (68, 86.5, 36))
    cerebrum = torch.where(block.z > 10.0, vault, base)
    sides = block.mirrored
    frontal = ellipsoid(sides, (16, 34, 3), (36, 33.5, 32))
    occipital = ellipsoid(sides, (15, -74, 5), (33, 32, 30))
    temporal = ellipsoid(sides, (43, -15, -20), (22.5, 44, 21.5), tilt=-0.12)
    temporal_pole = ellipsoid(sides, (38, 14, -26), (20, 20, 17))
    cerebrum = smooth_max(cerebrum, frontal, 8.0)
    cerebrum = smooth_max(cerebrum, occipital, 8.0)
    return smooth_max(cerebrum, smooth_max(temporal, temporal_pole, 8.0), 7.0)


def _cerebellum(block: Block) -> Volume:
    """Two hemispheres joined by the vermis."""
    hemisphere = ellipsoid(block.mirrored, (21, -62, -37), (29.5, 29.5, 24), tilt=0.1)
    vermis = ellipsoid(block, (0, -62, -36), (16, 28, 24))
    return smooth_max(hemisphere, vermis, 6.0)


def _brain_stem(block: Block) -> Volume:
    """Midbrain, pons and medulla, on to the cervical cord."""
    path = [
        (0, -16, -4),
        (0, -22, -14),
        (0, -27, -28),
        (0, -31, -44),
        (0, -36, -60),
        (0, -40, -78),
    ]
    return tube(block, path, [13, 14, 15, 11.5, 8.5, 7.5], squeeze=(0.92, 1, 1))
