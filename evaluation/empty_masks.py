"""What a metric says of a class that is in one label map only, or in neither.

One table for all metrics, shown in `docs/metrics.md`. What is in one map only was missed or is a
false positive: no agreement at all, so every overlap is 0 and every distance infinite, also where
the formula alone would say 0 / 0. What is in neither says nothing: undefined, NaN. Nothing is
dropped: `count_mask_cases` counts all of it beside every mean.
"""

import math
from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float64, Num, Shaped

ALL = "all"
"""In the tissue column: all tissues together."""


class MaskCase(StrEnum):
    """Which of the two maps a class is in."""

    BOTH = "both"
    MISSED = "missed"
    FALSE_POSITIVE = "false positive"
    NEITHER = "neither"


class EmptyValues(NamedTuple):
    """Value of a metric in each case but the first; None: what its formula says."""

    missed: float | None
    false_positive: float | None
    neither: float | None


_OVERLAP = EmptyValues(0.0, 0.0, math.nan)
_DISTANCE = EmptyValues(math.inf, math.inf, math.nan)
_COUNT = EmptyValues(None, None, None)

EMPTY_VALUES: Mapping[str, EmptyValues] = {
    "dice": _OVERLAP,
    "jaccard": _OVERLAP,
    "precision": _OVERLAP,
    "recall": _OVERLAP,
    "volume_difference": EmptyValues(-1.0, math.inf, math.nan),
    "pixel_accuracy": EmptyValues(None, None, None),
    "hausdorff_mm": _DISTANCE,
    "hd95_mm": _DISTANCE,
    "assd_mm": _DISTANCE,
    "surface_dice_1mm": _OVERLAP,
    "hd_rows": EmptyValues(None, None, math.nan),
    "true_pixels": _COUNT,
    "predicted_pixels": _COUNT,
    "shared_pixels": _COUNT,
}
"""Of every metric of a class."""


def mask_cases(
    true_pixels: Num[np.ndarray, "*shape"], predicted_pixels: Num[np.ndarray, "*shape"]
) -> Shaped[np.ndarray, "*shape"]:
    """The case of each class.

    Args:
        true_pixels: Its pixels in the true map.
        predicted_pixels: Its pixels in the predicted map, same shape.
    """
    true, found = true_pixels > 0, predicted_pixels > 0
    return np.select(
        [true & found, true, found],
        [MaskCase.BOTH.value, MaskCase.MISSED.value, MaskCase.FALSE_POSITIVE.value],
        MaskCase.NEITHER.value,
    )


def settled(
    metric: str, values: Float64[np.ndarray, "*shape"], cases: Shaped[np.ndarray, "*shape"]
) -> Float64[np.ndarray, "*shape"]:
    """The values, with those of empty masks as `EMPTY_VALUES` says.

    Args:
        metric: Its name.
        values: By its formula, where there are both masks.
        cases: Of `mask_cases`, same shape.
    """
    instead = EMPTY_VALUES[metric]
    for case, value in zip(tuple(MaskCase)[1:], instead, strict=True):
        if value is not None:
            values = np.where(cases == case.value, value, values)
    return values


def count_mask_cases(scores: pd.DataFrame) -> pd.DataFrame:
    """How often each class of each network was in which map.

    Args:
        scores: Rows of `score_slices`.

    Returns:
        One row per network, level ("slice" or "volume") and tissue, with a column for each
        `MaskCase`; they sum to the number of slices or volumes.

    Raises:
        ValueError: If the sizes of masks are not among the metrics.
    """
    keys = ["network", "subject", "slice", "tissue"]
    names = ["true_pixels", "predicted_pixels"]
    sizes = scores[scores["metric"].isin(names) & (scores["tissue"] != ALL)]
    if set(sizes["metric"]) != set(names):
        raise ValueError(f"need rows of the metrics {names} to count missed and invented masks")
    wide = sizes.pivot(index=keys, columns="metric", values="value").reset_index()
    cases = mask_cases(wide["true_pixels"].to_numpy(), wide["predicted_pixels"].to_numpy())
    level = np.where(wide["slice"] < 0, "volume", "slice")
    counted = (
        wide.assign(case=cases, level=level)
        .groupby(["network", "level", "tissue", "case"], sort=False)
        .size()
        .unstack("case", fill_value=0)
    )
    return counted.reindex(columns=[case.value for case in MaskCase], fill_value=0).reset_index()
