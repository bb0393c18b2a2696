"""A small head-like volume for the tests of corruptions, and which corruptions there are."""

import torch

from spinforge.simulation.corruption.corrupt import KINDS, RESCANS
from spinforge.simulation.corruption.volume import Volume

_SCANNED_AGAIN = {rescan().kind for rescan in RESCANS}
IMAGE_KINDS = [kind for kind in KINDS if kind not in _SCANNED_AGAIN]
NOISE = ["noise", "noise_gauss"]
"""Drawn for each colour of a photograph and each coil."""

DRAWN_ONCE = [kind for kind in IMAGE_KINDS if kind not in NOISE]


def make_volume(*, complex_image, shape=(6, 60, 72), reference_signal=0.8):
    """An ellipsoid of 0.5 with a brain of 0.8 and a pattern in it; air is 0."""
    z, y, x = torch.meshgrid(
        *((2 * torch.arange(count) + 1) / count - 1 for count in shape), indexing="ij"
    )
    radius = torch.sqrt((z / 1.5) ** 2 + (y / 0.8) ** 2 + (x / 0.8) ** 2)
    head, brain = radius < 1, radius < 0.75
    pattern = 0.1 * ((torch.sin(12 * y) * torch.cos(9 * x)) > 0)
    image = 0.5 * head + (reference_signal - 0.5 - pattern) * brain
    if complex_image:
        image = torch.polar(image, 0.7 * y + 0.4 * x)
    return Volume(
        image=image,
        reference_signal=reference_signal,
        brain=brain,
        head=head,
        voxel_mm=(3.0, 3.0, 3.0),
    )
