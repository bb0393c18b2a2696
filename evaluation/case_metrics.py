"""All metrics of slices and volumes, of each tissue and of all together."""

import numpy as np
from jaxtyping import Bool, Float, Float64

from spinforge.evaluation import overlap
from spinforge.evaluation.calibration import reliability
from spinforge.evaluation.empty_masks import ALL, EMPTY_VALUES, mask_cases, settled
from spinforge.evaluation.outlines import LabelMaps
from spinforge.evaluation.overlap import Confusion, LabelSlices, Scored
from spinforge.evaluation.row_hausdorff import row_hausdorff_of_classes
from spinforge.evaluation.surface import surface_distances

METRICS = (*EMPTY_VALUES, "mean_pixel_accuracy", "ece")
"""In the order in which they stand in the table; the last two are of all tissues only."""

Values = dict[tuple[str, str], np.ndarray]
"""One value per slice or volume, by (tissue, metric)."""

PerTissue = Float64[np.ndarray, "case tissue"]


def slice_values(
    predicted: LabelSlices,
    target: LabelSlices,
    confusion: Confusion,
    spacing_mm: tuple[float, float],
    tissues: tuple[str, ...],
) -> Values:
    """Everything that label slices alone tell.

    Args:
        predicted: Predicted class codes.
        target: True class codes, same shape.
        confusion: Of `confusion_matrices`.
        spacing_mm: Distance between pixel centres along ky and kx [mm].
        tissues: Names of the classes, without the background.
    """
    values = overlap_values(confusion, tissues)
    del values[ALL, "jaccard"]  # one summary of overlap per slice is enough
    values |= distance_values(predicted, target, spacing_mm, tissues)
    rows = row_hausdorff_of_classes(predicted, target, classes=len(tissues) + 1)
    return values | _by_tissue({"hd_rows": rows}, tissues)


def overlap_values(confusion: Confusion, tissues: tuple[str, ...]) -> Values:
    """Sizes, overlaps and their means.

    Args:
        confusion: One matrix a slice or volume.
        tissues: Names of the classes, without the background.
    """
    shared, true, found = (size[:, 1:] for size in overlap.class_sizes(confusion))
    cases = mask_cases(true, found)
    by_formula = {
        "dice": overlap.dice(confusion),
        "jaccard": overlap.jaccard(confusion),
        "precision": overlap.precision(confusion),
        "recall": overlap.recall(confusion),
        "volume_difference": overlap.volume_difference(confusion),
        "pixel_accuracy": overlap.one_against_rest_accuracy(confusion),
    }
    of_tissues = {
        metric: settled(metric, values[:, 1:], cases) for metric, values in by_formula.items()
    }
    counts = {"true_pixels": true, "predicted_pixels": found, "shared_pixels": shared}
    of_tissues |= {metric: sizes.astype(np.float64) for metric, sizes in counts.items()}
    return _by_tissue(of_tissues, tissues) | {
        (ALL, "dice"): overlap.mean_of_defined(of_tissues["dice"]),
        (ALL, "jaccard"): overlap.mean_of_defined(of_tissues["jaccard"]),
        (ALL, "pixel_accuracy"): overlap.pixel_accuracy(confusion),
        (ALL, "mean_pixel_accuracy"): overlap.mean_pixel_accuracy(confusion),
        (ALL, "true_pixels"): confusion.sum(axis=(1, 2)).astype(np.float64),
        (ALL, "shared_pixels"): np.trace(confusion, axis1=1, axis2=2).astype(np.float64),
    }


def distance_values(
    predicted: LabelMaps, target: LabelMaps, spacing_mm: tuple[float, ...], tissues: tuple[str, ...]
) -> Values:
    """Distances between the surfaces of slices or volumes.

    Args:
        predicted: Predicted class codes.
        target: True class codes, same shape.
        spacing_mm: Distance between pixel centres along each axis but the first [mm].
        tissues: Names of the classes, without the background.
    """
    found = surface_distances(predicted, target, spacing_mm=spacing_mm, classes=len(tissues) + 1)
    return _by_tissue(
        {
            "hausdorff_mm": found.hausdorff_mm,
            "hd95_mm": found.hd95_mm,
            "assd_mm": found.assd_mm,
            "surface_dice_1mm": found.surface_dice,
        },
        tissues,
    )


def calibration_values(
    confidence: Float[np.ndarray, "slice ky kx"],
    right: Bool[np.ndarray, "slice ky kx"],
    scored: Scored | None,
) -> tuple[Float64[np.ndarray, " slice"], Float64[np.ndarray, " volume"]]:
    """Expected calibration error of every slice, and of all of them together.

    It is not a number where a confidence that counts is none, as of a network that gives up.

    Args:
        confidence: Probability of each predicted class.
        right: Whether it is the true one.
        scored: Pixels that count; all of them by default.
    """
    kept = np.ones_like(right) if scored is None else scored
    known = ~np.isnan(confidence)
    counted = [
        reliability(c[k & n], r[k & n])
        for c, r, k, n in zip(confidence, right, kept, known, strict=True)
    ]
    errors = np.array([one.expected_error() for one in counted])
    lacking = (kept & ~known).any(axis=(1, 2))
    errors[lacking] = np.nan
    whole = sum(counted[1:], start=counted[0]).expected_error()
    return errors, np.array([np.nan if lacking.any() else whole])


def _by_tissue(values: dict[str, PerTissue], tissues: tuple[str, ...]) -> Values:
    """Split (case, tissue) arrays into one column per tissue and metric."""
    return {
        (tissue, metric): value[:, column]
        for column, tissue in enumerate(tissues)
        for metric, value in values.items()
    }
