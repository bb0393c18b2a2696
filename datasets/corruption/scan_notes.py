"""How a corrupted subject was scanned, where that is not as the clean one: settings and noise."""

import math
from collections.abc import Mapping
from typing import Any

from spinforge.datasets.corruption.sources import CleanSubject, History
from spinforge.datasets.storage.arrays import StoredArray
from spinforge.simulation.corruption.corrupt import RESCANS
from spinforge.simulation.scanner import Scanner
from spinforge.simulation.sequences import PulseSequence

_NOISE = ("noise", "noise_gauss")
_ANOTHER_SCAN = tuple(kind.model_fields["kind"].default for kind in RESCANS)


def settings_of(sequence: PulseSequence, scanner: Scanner) -> dict[str, Any]:
    """Sequence and scanner of another scan, as a study says them."""
    return {
        "sequence": sequence.model_dump(mode="json"),
        "scanner": scanner.model_dump(mode="json"),
    }


def scan_notes(
    clean: CleanSubject,
    arrays: Mapping[str, StoredArray],
    histories: Mapping[str, History],
    rescanned: Mapping[str, dict[str, Any]],
) -> dict[str, Any]:
    """What a corrupted subject notes of its scan.

    Args:
        clean: What it was made from.
        arrays: Its own arrays.
        histories: What was done to each contrast.
        rescanned: `settings_of` the contrasts that were scanned again.

    Returns:
        `rescanned`, if any was; and of k-space `scan`, which is the clean one's but for TR and TE
        of another scan and the standard deviation of the noise, None where that is not known.
    """
    notes: dict[str, Any] = {"rescanned": dict(rescanned)} if rescanned else {}
    if not clean.is_kspace:
        return notes
    scan = dict(clean.attributes["scan"])
    scan["noise_std"] = noise_after(float(scan["noise_std"]), histories["full"])
    # Arrays hold one value a slice; all are the same.
    scan |= {f"{name}_s": float(arrays[name].values[0]) for name in ("tr", "te") if name in arrays}
    return notes | {"scan": scan}


def noise_after(std: float, history: History) -> float | None:
    """Standard deviation of each channel's noise after a row of corruptions.

    Independent noise adds in squares, and a scan that is simulated again has the clean one's.
    Anything else (a field, a blur, lost lines) changes noise in its own way, differently from
    place to place, so that no one number describes it any more; unless there was none.

    Args:
        std: Of the clean scan.
        history: Of its k-space, in order.

    Returns:
        In units of k-space, or None if it is not known.
    """
    found: float | None = std
    for step in history:
        if not step["parameters"] or step["id"] in _ANOTHER_SCAN:
            continue  # of strength 0, or with the clean scan's noise
        if step["id"] not in _NOISE:
            found = None if found is None or found > 0 else found
        elif found is not None:
            found = math.hypot(found, step["parameters"]["std"])
    return found
