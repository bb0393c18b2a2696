"""What of an item is scored, and under which name."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, UInt8

from spinforge.datasets.reading.network_input import IGNORE_INDEX


@dataclass(frozen=True)
class Case:
    """A slice that is scored on its own.

    Attributes:
        volume: What it is a slice of: the subject, and where there are several the view or age,
            such as "sub-01/axial" or "sub-01/6 months".
        number: Its place in that volume.
        pixel_mm: Distance between pixel centres along its two axes [mm].
        frame: Time point within a sequence; None for single slices.
        slice_mm: Distance between slices of neighbouring numbers [mm]; None where they are no
            parts of one object, such as photographs.
    """

    volume: str
    number: int
    pixel_mm: tuple[float, float]
    frame: int | None = None
    slice_mm: float | None = None


def scored_target(
    item: Any, case: Case
) -> tuple[UInt8[np.ndarray, "ky kx"], Bool[np.ndarray, "ky kx"]]:
    """Labels of a case, 0 where there is none, and the pixels that have one."""
    target = item["target"] if case.frame is None else item["target"][case.frame]
    known = target != IGNORE_INDEX
    return (target * known).numpy().astype(np.uint8), known.numpy()
