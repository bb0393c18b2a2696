"""Acquired lines of k-space to a label map, by networks of k-space or of its images."""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Bool, Complex64
from torch import Tensor

from spinforge.datasets.scans.scan import KSpaceScan
from spinforge.models.prediction.ensemble import Ensemble
from spinforge.models.prediction.slices import Asked, Segmentation, segment_slices, segmentation_of
from spinforge.models.prediction.trial import try_size
from spinforge.models.prediction.volume import TOLERANCE
from spinforge.models.seranet.baselines import FullySampledConfig
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.reconstruction import intensity_scale, real_channels, zero_filled_combined
from spinforge.simulation.reconstruction_parallel import espirit_maps

_WIDEST_CALIBRATION, _NARROWEST_CALIBRATION = 24, 8

_OTHER_SHARE = 0.1
"""Difference in the share of acquired lines from which a note is made."""


def segment_kspace(
    ensemble: Ensemble, scan: KSpaceScan, *, asked: Asked | None = None
) -> Segmentation:
    """Segment acquired lines, slice by slice.

    Every slice is divided by the 99th percentile of its zero-filled image's magnitude, as in
    training. Sensitivities of several coils that nobody gave are estimated by ESPIRiT from the
    centre of k-space. The root sum of squares of the coils would not do: the networks learned from
    complex images.

    Args:
        ensemble: Networks that learned from k-space, of lines or of zero-filled images.
        scan: The lines.
        asked: What is wanted, and how; labels only by default.

    Returns:
        Maps (z, y, x): slice, kx, ky.

    Raises:
        SpinforgeError: If the networks learned from other images, a line is damaged, lines are
            missing that they need, or a slice is too small for them.
    """
    asked = asked or Asked()
    check_takes_kspace(ensemble)
    check_lines(ensemble, scan)
    try_size(ensemble, (scan.kspace.shape[-2], scan.kspace.shape[-1]))
    kspace, mask = torch.from_numpy(scan.kspace), torch.from_numpy(scan.mask)
    notes = list(scan.notes)
    single = kspace.shape[1] == 1
    maps = kspace[:1] if single else _sensitivities(scan, notes)

    def batches() -> Iterator[dict[str, Tensor]]:
        for start in range(0, len(kspace), asked.batch_size):
            part = slice(start, start + asked.batch_size)
            own = maps[part] if len(maps) > 1 else maps
            image = zero_filled_combined(kspace[part], mask[part], own)
            scale = intensity_scale(image)[:, None, None]
            if not ensemble.starts_from_kspace:
                yield {"image": real_channels(image / scale)}
                continue
            batch = {"kspace": kspace[part] / scale[:, None], "mask": mask[part]}
            yield batch if single else batch | {"sensitivities": own}

    found = segment_slices(ensemble, batches(), count=len(kspace), asked=asked)
    notes += _unlike_training(ensemble, scan)
    return segmentation_of(found, lambda slices: slices.swapaxes(1, 2), asked, tuple(notes))


def check_takes_kspace(ensemble: Ensemble) -> None:
    """Refuse networks that learned from anything but k-space and its images.

    Raises:
        SpinforgeError: If they did.
    """
    if ensemble.reads.acquired is None:
        raise SpinforgeError(
            f"the network reads images ({', '.join(ensemble.reads.channels)}), and this scan is "
            f"k-space; reconstruct it first, and give the images as NIfTI files"
        )


def check_lines(ensemble: Ensemble, scan: KSpaceScan) -> None:
    """Refuse k-space with numbers that are none, without signal or lines that a network needs.

    Raises:
        SpinforgeError: If it is so.
    """
    lines = scan.kspace.swapaxes(1, 2)[scan.mask]
    if not np.isfinite(lines).all():
        raise SpinforgeError(f"{scan.name}: k-space holds NaN or infinite values: it is damaged")
    if not lines.any():
        raise SpinforgeError(f"{scan.name}: no acquired line of k-space holds any signal")
    peak = np.abs(scan.kspace).max(axis=(1, 3))
    measured = np.isfinite(peak) & (peak > 0)
    for loaded in ensemble.networks:
        if isinstance(loaded.config, FullySampledConfig) and not measured.all():
            raise SpinforgeError(
                f"{scan.name}: network {loaded.config.name!r} needs every line of k-space, and "
                f"only {100 * float(measured.mean()):.0f} % of them are there"
            )


def _sensitivities(scan: KSpaceScan, notes: list[str]) -> Complex64[Tensor, "#slice coil ky kx"]:
    """Those given, or an estimate, of which a note is made."""
    if scan.sensitivities is not None:
        return torch.from_numpy(scan.sensitivities)
    width = min(_WIDEST_CALIBRATION, _fully_sampled_centre(scan.mask), scan.kspace.shape[-1])
    if width < _NARROWEST_CALIBRATION:
        raise SpinforgeError(
            f"{scan.name}: {scan.kspace.shape[1]} coils without sensitivities, and only the "
            f"{width} central lines were acquired in every slice; need {_NARROWEST_CALIBRATION} to "
            f"estimate them"
        )
    notes.append(
        f"sensitivities of {scan.kspace.shape[1]} coils were estimated (ESPIRiT, {width} lines); "
        f"brightness and phase over the image may differ from training's"
    )
    masked = np.where(scan.mask[:, None, :, None], scan.kspace, np.complex64(0))
    return espirit_maps(torch.from_numpy(masked), calibration_width=width)


def _fully_sampled_centre(mask: Bool[np.ndarray, "slice ky"]) -> int:
    """Lines around the centre that every slice has, as ESPIRiT counts them."""
    everywhere = np.asarray(mask.all(axis=0))
    middle, width = len(everywhere) // 2, 0
    for wanted in range(1, len(everywhere) + 1):
        first = middle - wanted // 2
        if not everywhere[first : first + wanted].all():
            break
        width = wanted
    return width


def _unlike_training(ensemble: Ensemble, scan: KSpaceScan) -> list[str]:
    notes = []
    (plane, *_), share = ensemble.reads.planes, float(scan.mask.mean())
    wanted = ensemble.reads.acquired or 1.0
    if abs(share - wanted) > _OTHER_SHARE:
        notes.append(
            f"{100 * share:.0f} % of the lines were acquired, in training {100 * wanted:.0f} %"
        )
    _, y, x = scan.place.spacing_mm
    if any(abs(own / mm - 1) > TOLERANCE for own, mm in zip((x, y), plane.pixel_mm, strict=True)):
        notes.append(
            f"pixels are {x:.3g} x {y:.3g} mm, in training {plane.pixel_mm[0]:.3g} x "
            f"{plane.pixel_mm[1]:.3g} mm; k-space is not resampled"
        )
    return notes
