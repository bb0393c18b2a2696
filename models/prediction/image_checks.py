"""What of a scan of images does not suit networks, found before any work."""

import numpy as np
from jaxtyping import Float32

from spinforge.datasets.reading.slice_format import SliceFormat
from spinforge.datasets.scans.scan import ImageScan
from spinforge.models.prediction.ensemble import Ensemble
from spinforge.simulation.errors import SpinforgeError

_FEW = 0.01
"""Share of values below 0 that interpolation may leave in a magnitude image."""


def check_takes_images(ensemble: Ensemble) -> None:
    """Refuse networks that cannot be shown single images.

    Raises:
        SpinforgeError: If they start from k-space or read sequences.
    """
    kind = ensemble.networks[0].config.kind
    if ensemble.reads_sequences:
        raise SpinforgeError(
            f"network {kind} reads sequences of scans of one infant, and a single scan is none; "
            f"give it a longitudinal set"
        )
    if ensemble.starts_from_kspace:
        raise SpinforgeError(
            f"network {kind} starts from k-space, and this scan is images; give it ISMRMRD or "
            f"fastMRI files, or a set of k-space"
        )


def check_takes_files(reads: SliceFormat, name: str) -> None:
    """Refuse files for networks whose images they cannot be.

    Args:
        reads: What the networks were shown.
        name: What to call the scan.

    Raises:
        SpinforgeError: If the networks read photographs, or CT in a window that nobody noted.
    """
    if not reads.planes:
        raise SpinforgeError(
            f"{name}: the network reads photographs ({', '.join(reads.channels)}), not scans; "
            f"photographs are segmented from a set"
        )
    if "CT" in reads.channels and reads.window is None:
        raise SpinforgeError(
            f"{name}: the network's file does not say which window of densities [HU] it learned "
            f"from: it was written before that was noted. Train it again with: spinforge train"
        )


def check_takes_mask(ensemble: Ensemble) -> None:
    """Refuse a mask of the brain for networks that learned from whole heads.

    Raises:
        SpinforgeError: If they did.
    """
    if not ensemble.reads.is_brain_only:
        raise SpinforgeError(
            "a mask of the brain is given, but the network learned from whole heads and never saw "
            "a brain alone; leave the mask out"
        )


def check_scan(ensemble: Ensemble, scan: ImageScan) -> None:
    """Refuse a scan whose values nothing can be told from, or which are of another kind.

    Args:
        ensemble: The networks.
        scan: With every contrast that they read.

    Raises:
        SpinforgeError: If a contrast is the same everywhere, without any value above 0, or not in
            the window of the networks' CT; if a mask is empty, or none should be given.
    """
    reads = ensemble.reads
    if scan.place.file is not None:
        check_takes_files(reads, scan.name)
    if scan.brain is not None:
        check_takes_mask(ensemble)
        if not scan.brain.any():
            raise SpinforgeError(f"{scan.name}: the mask of the brain is empty: 1 is inside")
    if None not in (scan.window, reads.window) and scan.window != reads.window:
        raise SpinforgeError(
            f"{scan.name}: its densities are stored in a window of {scan.window} HU, the network "
            f"learned from {reads.window}"
        )
    if reads.scaling == "slice":  # one of two parts of complex images may well be 0
        if not any(scan.contrasts[name].any() for name in reads.channels):
            raise SpinforgeError(f"{scan.name} is 0 everywhere: there is nothing to segment")
        return
    for name in reads.channels:
        _check_values(f"{scan.name}: {name}", scan.contrasts[name], scan, reads)


def _check_values(
    what: str, values: Float32[np.ndarray, "z y x"], scan: ImageScan, reads: SliceFormat
) -> None:
    low, high = float(values.min()), float(values.max())
    if low == high:
        raise SpinforgeError(f"{what} is {low:g} everywhere: there is nothing to segment")
    if reads.window is not None and scan.window is None:
        if high <= reads.window[0] or low >= reads.window[1]:
            raise SpinforgeError(
                f"{what} holds values from {low:g} to {high:g}, all beyond training's window of "
                f"{reads.window[0]:g} to {reads.window[1]:g} HU; give it in Hounsfield units"
            )
    elif reads.scaling == "volume" and high <= 0:
        raise SpinforgeError(f"{what} holds no value above 0; the network reads magnitudes")


def notes_on_values(scan: ImageScan, reads: SliceFormat) -> list[str]:
    """What of a scan's values is unlike training, in words."""
    notes = []
    for name in reads.channels:
        values = scan.contrasts[name]
        if reads.window is not None and scan.window is None:
            if values.min() > reads.window[0]:
                notes.append(
                    f"{name} holds no value below {reads.window[0]:g}, as air has in Hounsfield "
                    f"units; if its unit is another, its labels mean nothing"
                )
        elif reads.scaling == "volume" and (share := float((values < 0).mean())) > _FEW:
            notes.append(
                f"{100 * share:.0f} % of {name}'s values are below 0, and training's were "
                f"magnitudes: if another program normalised them, give the scan as it was before"
            )
    return notes
