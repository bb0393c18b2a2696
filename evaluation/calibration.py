"""Whether a network that says 90 % is right in 90 % of the pixels.

Everything is counted in bins of confidence, so that slices add up to volumes and test sets without
their probabilities being kept.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64

BINS = 15
"""Of equal width from 0 to 1, as Guo et al. have them."""

Probabilities = Float[np.ndarray, "classes *place"]


@dataclass(frozen=True)
class Reliability:
    """Pixels counted by the confidence with which they were labelled.

    Attributes:
        pixels: Of each bin.
        confidence: Sum of their confidences.
        right: How many of them are right.
    """

    pixels: Int64[np.ndarray, " bin"]
    confidence: Float64[np.ndarray, " bin"]
    right: Int64[np.ndarray, " bin"]

    def __add__(self, other: "Reliability") -> "Reliability":
        return Reliability(
            self.pixels + other.pixels,
            self.confidence + other.confidence,
            self.right + other.right,
        )

    def expected_error(self) -> float:
        r"""Expected calibration error: $\sum_b n_b |a_b - c_b| / n$, between 0 and 1.

        With $n_b$ the pixels of bin b, $c_b$ their mean confidence and $a_b$ the share that is
        right. NaN without any pixel.

        Source:
            Naeini et al., AAAI 2015; Guo et al., ICML 2017, eq. 3.
        """
        total = self.pixels.sum()
        gaps = np.abs(self.right - self.confidence).sum()
        return float(gaps / total) if total else float("nan")

    def largest_error(self) -> float:
        """Largest |a_b - c_b| of any bin that has pixels; NaN without any."""
        filled = self.pixels > 0
        gaps = np.abs(self.right[filled] - self.confidence[filled]) / self.pixels[filled]
        return float(gaps.max()) if filled.any() else float("nan")


def reliability(
    confidence: Float[np.ndarray, "*place"], right: Bool[np.ndarray, "*place"], *, bins: int = BINS
) -> Reliability:
    """Count pixels by confidence.

    Args:
        confidence: Probability of the class that was chosen, 0 to 1.
        right: Whether it is the true one, same shape.
        bins: Number of bins; each holds its upper end, as Guo et al. have it.

    Raises:
        ValueError: If the shapes differ or a probability is not between 0 and 1.
    """
    if confidence.shape != right.shape:
        raise ValueError(f"need equal shapes, got {confidence.shape} and {right.shape}")
    values = confidence.astype(np.float64).ravel()
    if not ((values >= 0) & (values <= 1)).all():
        raise ValueError("need probabilities between 0 and 1")
    edges = np.arange(1, bins) / bins
    number = np.searchsorted(edges, values, side="left")
    return Reliability(
        pixels=np.bincount(number, minlength=bins),
        confidence=np.bincount(number, weights=values, minlength=bins).astype(np.float64),
        right=np.bincount(number[right.ravel()], minlength=bins),
    )


def reliability_of_labels(
    probabilities: Probabilities,
    target: np.ndarray,
    *,
    scored: np.ndarray | None = None,
    bins: int = BINS,
) -> Reliability:
    """Of the labels that these probabilities mean: the likeliest class of every pixel.

    Args:
        probabilities: (classes, ...) that sum to 1 in each pixel.
        target: True codes (...).
        scored: Pixels that count; all of them by default.
        bins: Number of bins.

    Raises:
        ValueError: As `reliability`.
    """
    right = probabilities.argmax(axis=0) == target
    kept = np.ones(target.shape, dtype=bool) if scored is None else scored
    return reliability(probabilities.max(axis=0)[kept], right[kept], bins=bins)


def reliability_of_class(
    probabilities: Probabilities,
    target: np.ndarray,
    *,
    code: int,
    scored: np.ndarray | None = None,
    bins: int = BINS,
) -> Reliability:
    """Of one class's probability: "it is this class" against "it is".

    Wherever a class is improbable and absent, as in most pixels, it is well calibrated; so this is
    smaller than the error of the labels, and to be compared between networks only.

    Args:
        probabilities: (classes, ...).
        target: True codes (...).
        code: The class.
        scored: Pixels that count; all of them by default.
        bins: Number of bins.

    Raises:
        ValueError: As `reliability`.

    Source:
        The summands of Kumar et al., NeurIPS 2019, definition 2.4, with absolute differences.
    """
    kept = np.ones(target.shape, dtype=bool) if scored is None else scored
    return reliability(probabilities[code][kept], (target == code)[kept], bins=bins)
