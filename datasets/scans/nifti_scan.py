"""A scan from NIfTI files, one a contrast: any orientation, any voxel size."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from spinforge.datasets.export.bids_names import SUFFIXES
from spinforge.datasets.public.nifti import (
    Header,
    check_same_grid,
    read_header,
    read_image,
    read_labels,
)
from spinforge.datasets.reading.slice_format import COMPLEX_CHANNELS
from spinforge.datasets.scans.scan import ImageScan, Place, require_channels
from spinforge.simulation.errors import SpinforgeError

NIFTI_SUFFIXES = (".nii", ".nii.gz", ".hdr")

_OBLIQUE_DEGREES = 1.0
"""Below this nobody minds."""


def is_nifti(path: Path) -> bool:
    """Whether a file's name says that it is one."""
    return path.name.lower().endswith(NIFTI_SUFFIXES)


def assign_contrasts(
    files: Sequence[Path], named: Mapping[str, Path], channels: tuple[str, ...]
) -> dict[str, Path]:
    """Which file is which contrast.

    A file without a name is recognised by the end of its own: "sub-01_T1w.nii.gz" and "t1.nii" are
    T1. A single file for a network of one channel may be called anything.

    Args:
        files: Those whose contrast was not said.
        named: Contrast -> file, as the user said it; capital letters do not matter.
        channels: What the network reads, in order.

    Returns:
        Channel -> file, in the order of the channels.

    Raises:
        SpinforgeError: If a file is no contrast of the network, two are the same one, or one is
            missing; says how to name them.
    """
    asked = {_key(channel): channel for channel in channels}
    if unknown := [name for name in named if _key(name) not in asked]:
        raise SpinforgeError(
            f"{unknown[0]}={named[unknown[0]]}: the network reads {', '.join(channels)}, and no "
            f"{unknown[0]}"
        )
    found = {asked[_key(name)]: path for name, path in named.items()}
    if len(files) == 1 and len(channels) == 1 and not found:
        return {channels[0]: files[0]}
    for path in files:
        channel = _contrast_of(path, channels)
        if channel is None or channel in found:
            _refuse(path, channel, len(files) + len(named), channels)
        else:
            found[channel] = path
    require_channels("this scan", channels, tuple(found))
    return {channel: found[channel] for channel in channels}


def read_nifti_scan(contrasts: Mapping[str, Path], *, brain: Path | None = None) -> ImageScan:
    """Read one scan; voxels only after all headers are found to fit.

    Args:
        contrasts: Name -> file.
        brain: Mask of the brain: 0 outside, 1 inside.

    Raises:
        SpinforgeError: If a file is missing, damaged or no volume, or two are not of one grid.
    """
    headers = {name: read_header(path) for name, path in contrasts.items()}
    first = next(iter(headers.values()))
    placed = {name: header.placed_like(first) for name, header in headers.items()}
    for header in placed.values():
        check_same_grid(first, header)
    mask = None
    if brain is not None:
        header = read_header(brain).placed_like(first)
        check_same_grid(first, header)
        mask = read_labels(header, {0: 0, 1: 1}).astype(np.bool_)
    return ImageScan(
        name=_stem(first.path),
        contrasts={name: read_image(header) for name, header in placed.items()},
        place=Place(first.spacing_mm, first.affine, first),
        brain=mask,
        notes=_notes(first),
    )


def _notes(header: Header) -> tuple[str, ...]:
    notes = []
    if header.oblique_degrees > _OBLIQUE_DEGREES:
        notes.append(
            f"the axes are oblique by up to {header.oblique_degrees:.0f} degrees; slices follow "
            f"the file's own axes, each taken for the nearest of the body's"
        )
    if not header.is_placed:
        notes.append(
            "the file does not say how it is oriented; its axes were taken as right to left, "
            "posterior to anterior, inferior to superior"
        )
    return tuple(notes)


def _contrast_of(path: Path, channels: tuple[str, ...]) -> str | None:
    """The channel that a file's name ends with; of several the longest."""
    ends = {channel: _is_called(path, channel) for channel in channels}
    best = max(ends, key=lambda channel: ends[channel])
    return best if ends[best] else None


def _is_called(path: Path, channel: str) -> int:
    """Length of the end of a file's name that says the channel; 0 if it does not."""
    stem, key = _stem(path), _key(channel)
    bids = SUFFIXES.get(key)
    if bids is not None and re.search(rf"(^|_){re.escape(bids)}$", stem, re.IGNORECASE):
        return len(bids)
    own = re.search(rf"(^|[_.\s-]){re.escape(channel)}w?$", stem, re.IGNORECASE)
    return len(channel) if own else 0


def _refuse(path: Path, channel: str | None, n_files: int, channels: tuple[str, ...]) -> None:
    """Raise the error for a file that is none of the missing contrasts."""
    reads = f"the network reads {len(channels)} ({', '.join(channels)})"
    if channels == COMPLEX_CHANNELS:
        raise SpinforgeError(
            f"{path}: the network learned from complex images, whose phase a magnitude image does "
            f"not have. Give it k-space, or both parts: real=FILE imaginary=FILE"
        )
    if n_files != len(channels):
        raise SpinforgeError(
            f"{path}: {n_files} image file{'s' * (n_files != 1)} given, {reads}; give one scan, "
            f"one file a contrast"
        )
    why = "its name does not say its contrast" if channel is None else f"{channel} is given twice"
    raise SpinforgeError(f"{path}: {why}; {reads}. Name the files, such as {channels[0]}={path}")


def _stem(path: Path) -> str:
    return re.sub(r"(\.nii)?(\.gz)?$|\.hdr$", "", path.name, count=1, flags=re.IGNORECASE)


def _key(name: str) -> str:
    """As `SUFFIXES` counts contrasts: letters and digits, without a final W."""
    return re.sub(r"[^0-9A-Z]", "", name.upper()).removesuffix("W")
