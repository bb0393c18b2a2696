"""Which contrast a file is, by its name or as the user said."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from spinforge.datasets.export.bids_names import SUFFIXES
from spinforge.datasets.reading.slice_format import COMPLEX_CHANNELS
from spinforge.datasets.scans.scan import require_channels
from spinforge.simulation.errors import SpinforgeError

_NEVER_READ = {"T2STAR": "T2starw", "DWI": "dwi", "BOLD": "bold", "CT": "CT"}
"""More contrasts that a name may say; no network here has learned from the first three."""


def assign_contrasts(
    files: Sequence[Path], named: Mapping[str, Path], channels: tuple[str, ...]
) -> dict[str, Path]:
    """Which file is which contrast.

    A file without a name is recognised by the end of its own: "sub-01_T1w.nii.gz" and "t1.nii" are
    T1, and "sub-01_acq-IR_T1w.nii.gz" is an inversion recovery. A single file for a network of one
    channel may be called anything but another contrast.

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
        _require_no_other(files[0], channels)
        return {channels[0]: files[0]}
    for path in files:
        channel = _contrast_of(path, channels)
        if channel is None and channels != COMPLEX_CHANNELS:
            _require_no_other(path, channels)
        if channel is None or channel in found:
            _refuse(path, channel, len(files) + len(named), channels)
        else:
            found[channel] = path
    require_channels("this scan", channels, tuple(found))
    return {channel: found[channel] for channel in channels}


def _contrast_of(path: Path, channels: tuple[str, ...]) -> str | None:
    """The channel that a file's name says; None if it says none, or another contrast."""
    said = _said(path, channels)
    meant = [channel for channel in channels if _suffix(channel) == said]
    return max(meant, key=lambda channel: _is_called(path, channel), default=None)


def _said(path: Path, channels: tuple[str, ...]) -> str | None:
    """Of all contrasts that are known, the suffix of the one with the longest name at the end."""
    lengths: dict[str, int] = {}
    for name in (*SUFFIXES, *_NEVER_READ, *channels):
        suffix = _suffix(name)
        lengths[suffix] = max(lengths.get(suffix, 0), _is_called(path, name))
    best = max(lengths, key=lambda suffix: lengths[suffix])
    return best if lengths[best] else None


def _require_no_other(path: Path, channels: tuple[str, ...]) -> None:
    """Refuse a file whose name says a contrast, if no channel of the network can be that."""
    said = _said(path, channels)
    if said is None or any(_suffix(channel) == said for channel in channels):
        return
    if all(_key(channel) in (*SUFFIXES, *_NEVER_READ) for channel in channels):
        raise SpinforgeError(
            f"{path}: its name says {said}, and the network reads {', '.join(channels)}; if it is "
            f"one of these all the same, say so, such as {channels[0]}={path}"
        )


def _suffix(contrast: str) -> str:
    """What BIDS calls a contrast, its own name if nothing."""
    return SUFFIXES.get(_key(contrast), _NEVER_READ.get(_key(contrast), contrast))


def _is_called(path: Path, contrast: str) -> int:
    """Length of the end of a file's name that says the contrast; 0 if it does not."""
    stem, suffix = stem_of(path), _suffix(contrast)
    acquisition, _, last = suffix.rpartition("_")
    entity = rf"{re.escape(acquisition)}_(.+_)?" if acquisition else ""
    if re.search(rf"(^|_){entity}{re.escape(last)}$", stem, re.IGNORECASE):
        return len(suffix)
    own = re.search(rf"(^|[_.\s-]){re.escape(contrast)}w?$", stem, re.IGNORECASE)
    return len(contrast) if own else 0


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


def stem_of(path: Path) -> str:
    """Name of a file without the endings of its format."""
    return re.sub(r"(\.nii)?(\.gz)?$|\.hdr$", "", path.name, count=1, flags=re.IGNORECASE)


def _key(name: str) -> str:
    """As `SUFFIXES` counts contrasts: letters and digits, without a final W."""
    return re.sub(r"[^0-9A-Z]", "", name.upper()).removesuffix("W")
