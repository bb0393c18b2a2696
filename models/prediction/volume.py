"""Any scan of images to a label map on its own grid, by networks of slices."""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 (the name everyone knows it by)

from spinforge.datasets.reading.network_input import common_size, intensity_99
from spinforge.datasets.reading.slice_format import (
    COMPLEX_CHANNELS,
    Plane,
    SliceFormat,
    image_planes,
)
from spinforge.datasets.scans.scan import ImageScan, require_channels
from spinforge.datasets.slice_table import View
from spinforge.models.export.preprocessing import crop_to_image, pad_to_trained
from spinforge.models.prediction.ensemble import Ensemble
from spinforge.models.prediction.image_checks import (
    check_scan,
    check_takes_images,
    notes_on_values,
)
from spinforge.models.prediction.slices import Asked, Segmentation, segment_slices, segmentation_of
from spinforge.models.prediction.trial import try_size
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.reconstruction import intensity_scale

TOLERANCE = 0.05
"""Relative difference of pixel sizes that is left alone: heads differ by more themselves."""

_INSIDE = 0.5
"""Share of brain from which a resampled pixel is brain."""

_MOST_RESAMPLED = 10.0
"""Ratio of pixel sizes beyond which one of the two is a mistake."""

_THICKER = 1.5
"""Ratio of slice distances from which a note is made."""


def segment_volume(
    ensemble: Ensemble, scan: ImageScan, *, view: View | None = None, asked: Asked | None = None
) -> Segmentation:
    """Segment a scan slice by slice, as the networks learned to.

    Slices are cut in a plane of training, resampled in it to training's pixels where they differ
    by more than `TOLERANCE`, scaled and padded as there. Probabilities are resampled back before
    the largest is taken. Slices are never resampled across: a network sees
    each alone.

    Args:
        ensemble: Networks of images.
        scan: With every contrast that they read.
        view: Plane to cut; by default the one of training whose pixels fit best.
        asked: What is wanted, and how; labels only by default.

    Returns:
        Maps on the scan's grid.

    Raises:
        SpinforgeError: If the networks start from k-space, a contrast is missing, shows nothing or
            is of another kind, they learned no such plane or from no brains alone, pixels are of
            quite another size, or a slice is too small for them.
    """
    asked, reads = asked or Asked(), ensemble.reads
    check_takes_images(ensemble)
    require_channels(scan.name, reads.channels, tuple(scan.contrasts))
    check_scan(ensemble, scan)
    plane = choose_plane(reads, scan.place.spacing_mm, view)
    order = _axis_order(plane)
    slice_mm, row_mm, column_mm = (scan.place.spacing_mm[axis] for axis in order)
    own_mm = (row_mm, column_mm)
    _, *in_plane = (scan.contrasts[reads.channels[0]].shape[axis] for axis in order)
    own = (in_plane[0], in_plane[1])
    fitted = _resampled_size(scan.name, own, own_mm, plane.pixel_mm)
    seen = common_size([fitted, reads.size]) if reads.is_padded else fitted
    try_size(ensemble, seen)
    stack = stack_of(scan, reads, order, fitted)

    def batches() -> Iterator[dict[str, Tensor]]:
        for image in stack.split(asked.batch_size):
            yield {"image": pad_to_trained(image, seen)}

    def restored(maps: Tensor) -> Tensor:
        inside = crop_to_image(maps, torch.empty(len(maps), 1, *fitted, device="meta"))
        return _resized(inside, own)

    found = segment_slices(ensemble, batches(), count=len(stack), restored=restored, asked=asked)
    return segmentation_of(
        found,
        lambda slices: slices.transpose(np.argsort(order)),
        asked,
        (*scan.notes, *_notes(scan, reads, plane, slice_mm, own_mm if fitted != own else None)),
    )


def choose_plane(
    reads: SliceFormat, spacing_mm: tuple[float, float, float], view: View | None
) -> Plane:
    """The plane to cut: as asked for, else the one of training with the pixels nearest to its own.

    Args:
        reads: What the networks were shown; photographs lie in no plane and stay as they are.
        spacing_mm: Of the scan, along z, y and x [mm].
        view: What was asked for; None for any.

    Returns:
        One of the planes of training.

    Raises:
        SpinforgeError: If the networks saw no such plane.
    """
    if not reads.planes:
        return image_planes(("axial",), spacing_mm)[0]
    if view is None:

        def misfit(plane: Plane) -> float:
            own = [spacing_mm[axis] for axis in _axis_order(plane)[1:]]
            ratios = np.array(own) / np.array(plane.pixel_mm)
            return float(np.abs(np.log(ratios)).max())

        return min(reads.planes, key=misfit)
    for plane in reads.planes:
        if plane.view == view:
            return plane
    known = ", ".join(plane.view for plane in reads.planes)
    raise SpinforgeError(f"the network learned {known} slices, no {view} ones")


def _axis_order(plane: Plane) -> tuple[int, int, int]:
    """Axes of (z, y, x) that slices, rows and columns are."""
    first, second, third = ("SAR".index(letter) for letter in plane.axes)
    return first, second, third


def stack_of(
    scan: ImageScan, reads: SliceFormat, order: tuple[int, int, int], size: tuple[int, int]
) -> Float32[Tensor, "slice channel row column"]:
    """All slices, resampled, then windowed (CT) and scaled, then without what is not brain.

    Args:
        scan: With every channel that is read.
        reads: What was done in training.
        order: Axes of (z, y, x) that slices, rows and columns are.
        size: Rows and columns wanted.

    Returns:
        What the networks see, but for padding.

    In this order, as training's volumes were scaled at their own resolution, with the skull: a
    percentile changes with the pixels, which mix tissue with its neighbours.
    """
    channels = []
    for name in reads.channels:
        channel = _resampled(scan.contrasts[name], order, size)
        if reads.window is not None and scan.window is None:
            low, high = reads.window
            channel = (channel.clamp(low, high) - low) / (high - low)
        if reads.scaling == "volume":
            channel = channel / (scan.scale.get(name) or intensity_99(channel.numpy()))
        channels.append(channel)
    stack = torch.stack(channels, dim=1)
    if reads.scaling == "slice":
        stack = stack / _slice_scale(stack)
    if scan.brain is not None:
        brain = _resampled(scan.brain.astype(np.float32), order, size)
        stack = stack * (brain >= _INSIDE)[:, None]
    return stack


def _resampled(
    volume: Float32[np.ndarray, "z y x"], order: tuple[int, int, int], size: tuple[int, int]
) -> Float32[Tensor, "slice row column"]:
    slices = torch.from_numpy(np.ascontiguousarray(volume.transpose(order)))
    return _resized(slices[:, None], size)[:, 0]


def _slice_scale(image: Float32[Tensor, "item channel row column"]) -> Tensor:
    """`intensity_scale` of each slice, (item, 1, 1, 1)."""
    if image.shape[1] == len(COMPLEX_CHANNELS):
        magnitude = torch.complex(image[:, 0], image[:, 1])
    else:
        magnitude = torch.complex(image[:, 0], torch.zeros_like(image[:, 0]))
    return intensity_scale(magnitude)[:, None, None, None]


def _resampled_size(
    name: str, size: tuple[int, int], own_mm: tuple[float, float], wanted_mm: tuple[float, float]
) -> tuple[int, int]:
    """Rows and columns after resampling; the same where the pixels are near enough already."""
    ratios = [own / wanted for own, wanted in zip(own_mm, wanted_mm, strict=True)]
    if max(*ratios, *(1 / ratio for ratio in ratios)) > _MOST_RESAMPLED:
        raise SpinforgeError(
            f"{name}: its pixels are {own_mm[0]:.3g} x {own_mm[1]:.3g} mm and training's "
            f"{wanted_mm[0]:.3g} x {wanted_mm[1]:.3g} mm, more than {_MOST_RESAMPLED:g} times "
            f"apart; set the right voxel size and unit in its header, or take another network"
        )
    if all(abs(ratio - 1) <= TOLERANCE for ratio in ratios):
        return size
    rows, columns = (max(1, round(n * r)) for n, r in zip(size, ratios, strict=True))
    return rows, columns


def _resized(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Linear interpolation that keeps the outer edges; pixels that shrink are averaged."""
    if (images.shape[-2], images.shape[-1]) == size:
        return images
    return F.interpolate(images, size=size, mode="bilinear", align_corners=False, antialias=True)


def _notes(
    scan: ImageScan,
    reads: SliceFormat,
    plane: Plane,
    slice_mm: float,
    resampled_mm: tuple[float, float] | None,
) -> list[str]:
    """What was done, and what is unlike training."""
    notes: list[str] = []
    if not reads.planes:
        return notes
    notes += notes_on_values(scan, reads)
    if len(reads.planes) > 1:
        notes.append(f"{plane.view} slices were cut")
    if resampled_mm is not None:
        notes.append(
            f"pixels of {resampled_mm[0]:.3g} x {resampled_mm[1]:.3g} mm were resampled to "
            f"training's {plane.pixel_mm[0]:.3g} x {plane.pixel_mm[1]:.3g} mm, probabilities back"
        )
    ratio = slice_mm / plane.slice_mm
    if max(ratio, 1 / ratio) > _THICKER:
        notes.append(
            f"slices lie {slice_mm:.3g} mm apart, in training {plane.slice_mm:.3g} mm: they show "
            f"tissue borders otherwise"
        )
    if reads.is_brain_only and scan.brain is None:
        notes.append(
            "the network learned from brains without anything around them, at the brightness of "
            "the whole head; no mask of the brain was given, so whatever is in the images was "
            "taken for brain"
        )
    return notes
