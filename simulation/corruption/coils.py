"""Corruptions of multi-coil k-space: drawn once for the head, seen by every coil."""

import torch
from jaxtyping import Complex
from torch import Tensor

from spinforge.simulation.corruption.intensity import Power
from spinforge.simulation.corruption.motion import Poses
from spinforge.simulation.corruption.noise import NoiseOfSlices
from spinforge.simulation.corruption.volume import Drawn, Image

CoilStack = Complex[Tensor, "slice coil ky kx"]
Sensitivities = Complex[Tensor, "#slice coil ky kx"]


def apply_to_coils(
    drawn: Drawn, head: Image, coils: CoilStack, sensitivities: Sensitivities
) -> CoilStack:
    """Apply a drawn corruption to the image of every coil.

    A field, lost lines, spikes and blur act on every coil alike. A bent contrast is the head's, not
    that of a coil's shading; a head that moves does so under coils that do not; and the noise of
    each coil is its own.

    Args:
        drawn: Of the combined image.
        head: Combined image of all coils, (slice, ky, kx).
        coils: Their images.
        sensitivities: Their sensitivities.

    Returns:
        Of the same shape.
    """
    if isinstance(drawn, Power):
        return coils * drawn.gain(head)[:, None]
    images = []
    for number in range(coils.shape[1]):
        image = coils[:, number]
        if isinstance(drawn, Poses):
            images.append(drawn.apply_to_coil(image, head, sensitivities[:, number]))
        elif isinstance(drawn, NoiseOfSlices):
            images.append(drawn.of_coil(number).apply(image))
        else:
            images.append(drawn.apply(image))
    return torch.stack(images, dim=1)
