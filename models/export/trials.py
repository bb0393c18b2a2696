"""Inputs to try an exported network on, and the comparison with the network itself."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from spinforge.models.export.preprocessing import Preprocessing
from spinforge.models.export.segmenters import Segmentation
from spinforge.simulation.errors import SpinforgeError

TOLERANCE = 1e-3
"""Largest difference of a probability: a hundred times what the order of float32 sums makes of it,
and far below what a wrong operation would."""

ROUNDING = 4 * 2**-23
"""What softmax itself may add to the distance of two probabilities."""


@dataclass(frozen=True)
class Agreement:
    """How close a file's answer is to the network's own.

    Attributes:
        probability: Largest difference of a probability.
        undecided: Fraction of the pixels whose two likeliest classes lie no further apart than
            twice that, where either label is right.
        different: Fraction of the pixels with another label, these included.
    """

    probability: float
    undecided: float
    different: float


def require_agreement(
    found: Segmentation, expected: Segmentation, *, tolerance: float = TOLERANCE
) -> Agreement:
    """Compare the answer of a file with the network's.

    Args:
        found: Labels and probabilities of the file.
        expected: Those of the network.
        tolerance: Largest difference of a probability.

    Raises:
        SpinforgeError: If a probability differs by more than `tolerance` or is no number, or a
            label differs where the two likeliest classes lie further apart than twice the largest
            difference there is.
    """
    (found_labels, found_probabilities), (labels, probabilities) = found, expected
    difference = float((found_probabilities - probabilities).abs().max())
    other = found_labels != labels
    undecided = _margin(probabilities) <= 2 * difference + ROUNDING
    wrong = int((other & ~undecided).sum())
    # Not `difference > tolerance`: that is also false for what is no number.
    if wrong or not difference <= tolerance:
        raise SpinforgeError(
            f"the exported network does not answer as the network itself: probabilities differ by "
            f"up to {difference:.1e} (allowed: {tolerance:.0e}), labels in {wrong} decided pixels. "
            "No file was written"
        )
    fraction_undecided = float(undecided.double().mean())
    return Agreement(difference, fraction_undecided, float(other.double().mean()))


def image_inputs(
    shape: tuple[int, ...], preprocessing: Preprocessing, *, seed: int
) -> dict[str, Tensor]:
    """Smooth positive images, far from unit intensity where the file is to scale them.

    Args:
        shape: (batch, channel, ky, kx) or (batch, time, channel, ky, kx).
        preprocessing: Says whether `scale` is an input.
        seed: Seed of the images.

    Returns:
        Inputs of an `ImageSegmenter` by name.
    """
    generator = torch.Generator().manual_seed(seed)
    *leading, rows, columns = shape
    coarse = torch.rand(1, math.prod(leading), 8, 8, generator=generator)
    smooth = nn.functional.interpolate(coarse, size=(rows, columns), mode="bilinear")
    image = smooth.reshape(shape)
    if preprocessing.scaling == "none":
        return {"image": image}
    if preprocessing.scaling == "slice":
        return {"image": 1000 * image}
    return {"image": 1000 * image, "scale": 1000 * image.amax(dim=(-2, -1))}


def kspace_inputs(shape: tuple[int, int, int, int], *, seed: int) -> dict[str, Tensor]:
    """Random k-space far from unit intensity, a mask, and sensitivities of several coils.

    Args:
        shape: (batch, coil, ky, kx).
        seed: Seed of all of it.

    Returns:
        Inputs of a `KSpaceSegmenter` by name.
    """
    generator = torch.Generator().manual_seed(seed)
    batch, coils, rows, _ = shape
    kspace = 1000 * torch.randn(shape, dtype=torch.complex64, generator=generator)
    mask = torch.rand(batch, rows, generator=generator) < 0.5
    mask[:, rows // 2] = True
    if coils == 1:
        return {"kspace": kspace, "mask": mask}
    maps = torch.randn(shape, dtype=torch.complex64, generator=generator)
    return {"kspace": kspace, "mask": mask, "sensitivities": maps}


def _margin(probabilities: Tensor) -> Tensor:
    """By how much the likeliest class exceeds the next, or the foreground the background."""
    if probabilities.shape[-3] == 1:
        return (2 * probabilities[..., 0, :, :] - 1).abs()
    first, second = probabilities.topk(2, dim=-3).values.unbind(-3)
    return first - second
