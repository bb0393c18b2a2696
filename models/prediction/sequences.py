"""An infant's scans at several ages to a label map of each, by networks of sequences."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from jaxtyping import Float32, Integer
from torch import Tensor, empty, from_numpy, stack

from spinforge.datasets.products.infant import NOWHERE
from spinforge.datasets.reading.network_input import common_size
from spinforge.datasets.scans.scan import SequenceScan, require_channels
from spinforge.datasets.volumes import IGNORE
from spinforge.models.export.preprocessing import crop_to_image, pad_to_trained
from spinforge.models.prediction.ensemble import Ensemble
from spinforge.models.prediction.image_checks import check_scan
from spinforge.models.prediction.slices import (
    Asked,
    Segmentation,
    SliceMaps,
    segment_slices,
    segmentation_of,
)
from spinforge.models.prediction.trial import try_size
from spinforge.models.prediction.volume import stack_of
from spinforge.simulation.errors import SpinforgeError

_AXIAL = (0, 1, 2)


def segment_sequence(
    ensemble: Ensemble, scan: SequenceScan, *, asked: Asked | None = None
) -> tuple[Segmentation, ...]:
    """Segment the slices of all ages at each height together.

    A slice that stands for several heights of a larger head gets the mean of their probabilities.
    Slices at heights that another age does not reach are in no sequence: they get the label
    `IGNORE`, probabilities of 0, and of entropy and mutual information, which nobody knows, NaN.

    Args:
        ensemble: Networks of sequences.
        scan: With every contrast that they read, at every age.
        asked: What is wanted, and how; labels only by default.

    Returns:
        Maps of each age on its own grid.

    Raises:
        SpinforgeError: If the networks read no sequences, a contrast is missing or shows nothing,
            no height has a slice of every age, or slices are too small.
    """
    asked, reads = asked or Asked(), ensemble.reads
    if not ensemble.reads_sequences:
        raise SpinforgeError(f"{scan.name} is a sequence; the network reads single slices")
    for frame in scan.frames:
        require_channels(frame.name, reads.channels, tuple(frame.contrasts))
        check_scan(ensemble, frame)
    heights = scan.heights[(scan.heights != NOWHERE).all(axis=1)].astype(np.int64)
    if not len(heights):
        raise SpinforgeError(f"{scan.name}: no height has a slice of every age")
    rows, columns = next(iter(scan.frames[0].contrasts.values())).shape[1:]
    seen = common_size([(rows, columns), reads.size])
    try_size(ensemble, seen)
    stacks = [stack_of(frame, reads, _AXIAL, (rows, columns)) for frame in scan.frames]

    def batches() -> Iterator[dict[str, Tensor]]:
        for start in range(0, len(heights), asked.batch_size):
            part = from_numpy(heights[start : start + asked.batch_size])
            ages = zip(stacks, part.unbind(1), strict=True)
            image = stack([slices[numbers] for slices, numbers in ages], dim=1)
            padded = pad_to_trained(image.flatten(0, 1), seen)
            yield {"image": padded.unflatten(0, image.shape[:2])}

    found = segment_slices(
        ensemble,
        batches(),
        count=heights.size,
        restored=lambda maps: crop_to_image(maps, empty(len(maps), 1, rows, columns)),
        asked=replace(asked, probabilities=True),
    )
    return tuple(
        _of_age(
            found.maps[:, age :: len(stacks)], heights[:, age], len(stacks[age]), ensemble, asked
        )
        for age in range(len(stacks))
    )


def _of_age(
    maps: Float32[np.ndarray, "map height y x"],
    slices: Integer[np.ndarray, " height"],
    count: int,
    ensemble: Ensemble,
    asked: Asked,
) -> Segmentation:
    """Maps of one age, from those at every height."""
    times = np.bincount(slices, minlength=count)
    total = np.zeros((count, len(maps), *maps.shape[2:]), np.float32)
    np.add.at(total, slices, maps.swapaxes(0, 1))
    mean = total.swapaxes(0, 1) / np.maximum(times, 1).astype(np.float32)[:, None, None]
    n_classes = len(ensemble.class_names)
    labels = mean[:n_classes].argmax(0).astype(np.uint8)
    labels[times == 0] = IGNORE
    mean[n_classes:, times == 0] = np.nan  # 0 would mean that the networks are certain
    missing = int((times == 0).sum())
    note = f"{missing} of {count} slices have no label ({IGNORE}): another age does not reach them"
    kept = mean if asked.probabilities else mean[n_classes:]
    return segmentation_of(
        SliceMaps(labels, kept), lambda volume: volume, asked, (note,) if missing else ()
    )
