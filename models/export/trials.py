"""Inputs to try an exported network on, and the comparison with the network itself."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from spinforge.models.export.preprocessing import Preprocessing
from spinforge.models.export.segmenters import Segmentation
from spinforge.simulation.errors import SpinforgeError

TOLERANCE = 1e-3
"""Largest difference of a probability: ten times what the order of float32 sums makes of it in the
largest network (FCN-2s on ResNet50), and far below what a wrong operation would."""

ROUNDING = 4 * 2**-23
"""What softmax itself may add to the distance of two probabilities."""


@dataclass(frozen=True)
class Agreement:
    """How close a file's answer is to the network's own.

    Attributes:
        difference: Largest one of a probability, but for the pixels that jumped.
        jumped: Fraction of the pixels where one differs by more than the tolerance; 0 but for
            networks that put maxima back where they were, which rounding may move.
        undecided: Fraction of the pixels whose two likeliest classes lie no further apart than
            twice the largest difference, where either label is right.
        different: Fraction of the pixels with another label, these included.
    """

    difference: float
    jumped: float
    undecided: float
    different: float


def require_agreement(
    found: Segmentation,
    expected: Segmentation,
    *,
    tolerance: float = TOLERANCE,
    may_jump: float = 0.0,
) -> Agreement:
    """Compare the answer of a file with the network's.

    Args:
        found: Labels and probabilities of the file.
        expected: Those of the network.
        tolerance: Largest difference of a probability.
        may_jump: Fraction of the pixels that may differ by more, for networks that jump.

    Returns:
        How close the two are.

    Raises:
        SpinforgeError: If more pixels than these differ by more than `tolerance`, if a probability
            is no number, or if a label differs where the two likeliest classes lie further apart
            than twice the largest difference there is.
    """
    (found_labels, found_probabilities), (labels, probabilities) = found, expected
    distance = (found_probabilities - probabilities).abs().amax(dim=-3)
    # What is no number is not within the tolerance either.
    jumped = ~(distance <= tolerance)
    others = distance[~jumped]
    difference = float(others.max()) if len(others) else 0.0
    other = found_labels != labels
    undecided = _margin(probabilities) <= 2 * difference + ROUNDING
    wrong = int((other & ~undecided & ~jumped).sum())
    finite = bool(torch.isfinite(distance).all())
    if wrong or not finite or _fraction(jumped) > may_jump:
        raise SpinforgeError(
            "the exported network does not answer as the network itself: probabilities differ by "
            f"up to {float(distance.max()):.1e}, by more than {tolerance:.0e} in "
            f"{_fraction(jumped):.2%} of the pixels (allowed: {may_jump:.2%}); labels differ in "
            f"{wrong} decided pixels"
        )
    return Agreement(difference, _fraction(jumped), _fraction(undecided), _fraction(other))


def image_inputs(
    shape: tuple[int, ...], preprocessing: Preprocessing, *, seed: int
) -> dict[str, Tensor]:
    """Smooth positive images with noise, far from unit intensity where the file scales them.

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
    # Noise, for nothing measured is so smooth that neighbours are equal to rounding.
    image = smooth.reshape(shape) + 0.1 * torch.rand(shape, generator=generator)
    if preprocessing.window is not None:
        low, high = preprocessing.window
        densities = low + (high - low) * (1.2 * image - 0.1)  # some lie beyond
        return {"image": densities, "scale": torch.ones(shape[:-2])}
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


def _fraction(pixels: Tensor) -> float:
    return float(pixels.double().mean())


def _margin(probabilities: Tensor) -> Tensor:
    """By how much the likeliest class exceeds the next, or the foreground the background."""
    if probabilities.shape[-3] == 1:
        return (2 * probabilities[..., 0, :, :] - 1).abs()
    first, second = probabilities.topk(2, dim=-3).values.unbind(-3)
    return first - second
