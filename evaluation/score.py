"""The table of scores: one row per network, subject, slice, tissue and metric."""

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float, Float64

from spinforge.datasets.storage.files import replacing
from spinforge.evaluation.case_metrics import (
    METRICS,
    Values,
    calibration_values,
    distance_values,
    overlap_values,
    slice_values,
)
from spinforge.evaluation.empty_masks import ALL as ALL  # also imported from here
from spinforge.evaluation.overlap import LabelSlices, Scored, confusion_matrices
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.tissue import TARGET_NAMES

METRICS_VERSION = "metrics-4"
"""Version of prediction and metrics; whatever changes a score changes it."""

VOLUME = -1
"""In the slice column: the whole volume."""

COLUMNS = ["network", "subject", "slice", "tissue", "metric", "value"]


def score_slices(
    predicted: LabelSlices,
    target: LabelSlices,
    *,
    spacing_mm: tuple[float, float],
    subject: str,
    network: str,
    slices: Sequence[int],
    classes: Sequence[str] = TARGET_NAMES,
    scored: Scored | None = None,
    slice_mm: float | None = None,
    confidence: Float[np.ndarray, "slice ky kx"] | None = None,
) -> pd.DataFrame:
    """Score one network's label maps of one subject, slice by slice and as a volume.

    The metrics are those of `case_metrics.py`; `docs/metrics.md` has their formulas. For the
    volume, slice -1, overlaps are those of the pixels of all slices together, and distances those
    of its surfaces in three dimensions, if its slices lie beside each other without a gap.

    Args:
        predicted: Predicted class codes in the order of `classes`.
        target: True class codes, same shape.
        spacing_mm: Distance between pixel centres along ky and kx [mm].
        subject: Name of the subject.
        network: Name of the network.
        slices: Index of each slice in the subject's volume, 0 or above, all different.
        classes: Names of the classes, the background, which is not scored, first.
        scored: Pixels that count; all of them by default. Distances take the others for background
            in both label maps.
        slice_mm: Distance between slices of neighbouring indices [mm]; without it the volume has
            no distances.
        confidence: Probability of each predicted class; without it there is no calibration.

    Returns:
        Columns network, subject, slice, tissue, metric, value. Undefined values (tissue in
        neither map) are NaN; distances of a tissue that is in one map only are infinite; see
        `empty_masks.py`.

    Raises:
        ValueError: If shapes, class codes, spacing or slice indices are not as above.
    """
    indices = list(slices)
    if not indices or len(indices) != len(target):
        raise ValueError(f"need one index per slice, got {len(indices)} for {len(target)} slices")
    if min(indices) < 0 or len(set(indices)) < len(indices):
        raise ValueError(f"need different slice indices of 0 or above, got {indices}")
    tissues = tuple(classes[1:])
    confusion = confusion_matrices(predicted, target, classes=len(classes), scored=scored)
    if scored is not None:
        predicted, target = predicted * scored, target * scored
    per_slice = slice_values(predicted, target, confusion, spacing_mm, tissues)
    volume = overlap_values(confusion.sum(axis=0, keepdims=True), tissues)
    if slice_mm is not None and (order := _consecutive(indices)) is not None:
        maps = predicted[order][None], target[order][None]
        volume |= distance_values(*maps, (slice_mm, *spacing_mm), tissues)
    if confidence is not None:
        per_slice[ALL, "ece"], volume[ALL, "ece"] = calibration_values(
            confidence, predicted == target, scored
        )
    table = pd.concat(
        [_long_table([VOLUME], volume, tissues), _long_table(indices, per_slice, tissues)],
        ignore_index=True,
    )
    return table.assign(network=network, subject=subject)[COLUMNS]


def _consecutive(indices: list[int]) -> np.ndarray | None:
    """Order of slices that lie beside each other without a gap; None if there are gaps."""
    order = np.argsort(indices)
    return order if max(indices) - min(indices) == len(indices) - 1 else None


def _long_table(slices: list[int], scores: Values, tissues: tuple[str, ...]) -> pd.DataFrame:
    """Columns slice, tissue, metric, value; all rows of a slice stand together."""
    keys = [key for key in itertools.product((*tissues, ALL), METRICS) if key in scores]
    return pd.DataFrame(
        {
            "slice": np.repeat(np.asarray(slices, dtype=np.int64), len(keys)),
            "tissue": [tissue for tissue, _ in keys] * len(slices),
            "metric": [metric for _, metric in keys] * len(slices),
            "value": np.stack([scores[key] for key in keys], axis=1).ravel(),
        }
    )


def summarise(scores: pd.DataFrame) -> pd.DataFrame:
    """Describe the distribution of each metric, for each network and tissue.

    All statistics are over the finite values only; what was left out is counted beside them.
    A network that misses a tissue therefore loses those slices from its mean distance: read
    `n_infinite` together with it. (Its Dice there is 0 and does count.) `sd` is the sample
    standard deviation over rows; slices of one subject are not independent, so it must not be
    turned into a confidence interval by dividing by the square root of `n`.

    Args:
        scores: Rows of `score_slices`, any number of networks and subjects.

    Returns:
        One row per network, level ("slice" or "volume"), tissue and metric, in order of first
        appearance: n (finite values), mean, sd, median, q25, q75, n_undefined (tissue in
        neither map, NaN), n_infinite (of distances: tissue in one map only; `count_mask_cases`
        tells the missed from the false positives).
    """
    keys = ["network", "level", "tissue", "metric"]
    level = np.where(scores["slice"] == VOLUME, "volume", "slice")
    groups = scores.assign(level=level).groupby(keys, sort=False)["value"]
    rows = [
        dict(zip(keys, key, strict=True)) | _describe(values.to_numpy(dtype=np.float64))
        for key, values in groups
    ]
    return pd.DataFrame(rows)


def _describe(values: Float64[np.ndarray, " row"]) -> dict[str, int | float]:
    """Statistics of the finite values, and counts of the others."""
    finite = values[np.isfinite(values)]
    n = len(finite)
    q25, median, q75 = np.percentile(finite, [25, 50, 75]) if n else [np.nan] * 3
    return {
        "n": n,
        "mean": float(finite.mean()) if n else np.nan,
        "sd": float(finite.std(ddof=1)) if n > 1 else np.nan,
        "median": float(median),
        "q25": float(q25),
        "q75": float(q75),
        "n_undefined": int(np.isnan(values).sum()),
        "n_infinite": int(np.isinf(values).sum()),
    }


def tissues_of(scores: pd.DataFrame) -> tuple[str, ...]:
    """Tissues in a table of scores, in their order."""
    return tuple(str(name) for name in scores["tissue"].unique() if name != ALL)


def average_dice(scores: pd.DataFrame) -> dict[str, float]:
    """One figure per network: the mean over slices of each tissue's Dice, then over the tissues.

    The mean of the three tissues is what SERANet's tables call "Average" (Huang et al., MICCAI
    2019, Table 1). That a tissue's Dice there is a mean over slices is our reading: the paper
    does not say whether it is taken per slice or per volume.
    """
    is_dice = (scores["metric"] == "dice") & (scores["tissue"] != ALL)
    per_slice = scores[is_dice & (scores["slice"] != VOLUME)]
    per_tissue = per_slice.groupby(["network", "tissue"])["value"].mean()
    means = per_tissue.groupby("network").mean()
    return {str(network): float(value) for network, value in means.items()}


def write_scores(scores: pd.DataFrame, folder: Path) -> None:
    """Write the table as cases.parquet and cases.csv, each completely or not at all.

    NaN and infinite values are kept apart in both: "NaN" and "inf" in the CSV.

    Args:
        scores: Rows of `score_slices`.
        folder: Where to write; created if missing. Existing files are replaced.
    """
    with replacing(folder / "cases.parquet") as path:
        scores.to_parquet(path, index=False)
    with replacing(folder / "cases.csv") as path:
        scores.to_csv(path, index=False, na_rep="NaN")


def read_scores(path: Path) -> pd.DataFrame:
    """Read cases.parquet or cases.csv back, equal to what was written.

    Names stay text: subject "04" keeps its zero and a network called "NA" is not missing.

    Raises:
        SpinforgeError: If it does not exist or is damaged.
    """
    if not path.is_file():
        raise SpinforgeError(f"{path} does not exist. Run: spinforge evaluate")
    try:
        scores = pd.read_parquet(path) if path.suffix == ".parquet" else _read_csv(path)
    except (OSError, ValueError, LookupError, TypeError, NotImplementedError) as error:
        # Whatever the parsers make of damaged bytes; pyarrow's and pandas' errors are among them.
        reason = str(error).strip()
        raise SpinforgeError(
            f"{path} cannot be read ({reason}). Run: spinforge evaluate"
        ) from error
    if list(scores.columns) != COLUMNS:
        raise SpinforgeError(f"{path} is not a table of scores. Run: spinforge evaluate")
    return scores


def _read_csv(path: Path) -> pd.DataFrame:
    """Text stays text; values are parsed by Python, exactly, unlike by some parsers of CSV."""
    types = dict.fromkeys(COLUMNS, "str") | {"slice": "int64"}
    scores = pd.read_csv(path, dtype=types, keep_default_na=False)
    return scores.astype({"value": np.float64})
