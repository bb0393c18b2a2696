"""Losses that must be finite numbers, and the slices they are of."""

import math
from typing import Any

import torch
from torch import Tensor

from spinforge.models.collective import sum_over_processes, texts_of_processes
from spinforge.simulation.errors import SpinforgeError

NAMES = ("subject", "slice")
"""Keys of a batch that say which slices it holds."""


class UncheckedLosses:
    """Losses that nobody looked at yet; looking waits for the device they are computed on."""

    def __init__(self) -> None:
        self._losses: list[tuple[Tensor, str]] = []

    def __len__(self) -> int:
        return len(self._losses)

    def add(self, loss: Tensor, batch: dict[str, Any], which: str) -> None:
        """Remember a loss.

        Args:
            loss: One number, on any device.
            batch: What it is of; only the names of its slices are kept.
            which: The batch, for a message.
        """
        self._losses.append((loss.detach(), which + _slice_names(batch)))

    def require_finite(self, kind: str, epoch: int, device: torch.device) -> None:
        """Look at all of them, and forget them; every process that trains has to come here.

        Args:
            kind: Which losses these are, for the message.
            epoch: Counted from 0.
            device: Where this process computes.

        Raises:
            SpinforgeError: If one of any process is infinite or not a number; names its batch and
                its slices.
        """
        losses, self._losses = self._losses, []
        values = torch.stack([loss for loss, _ in losses]).tolist() if losses else []
        named = zip(values, (of for _, of in losses), strict=True)
        bad = [f"{value} in {of}" for value, of in named if not math.isfinite(value)]
        if sum_over_processes(torch.tensor(len(bad), device=device)):
            texts = filter(None, texts_of_processes("; ".join(bad[:1])))
            raise SpinforgeError(
                f"the {kind} loss of epoch {epoch + 1} became {'; '.join(texts)}; check these "
                "images and their labels, or lower the learning rate"
            )


def _slice_names(batch: dict[str, Any]) -> str:
    """Which slices a batch holds, where it says so."""
    keys = [key for key in NAMES if key in batch]
    if not keys:
        return ""
    columns = [
        batch[key].tolist() if isinstance(batch[key], Tensor) else batch[key] for key in keys
    ]
    rows = (" ".join(map(str, row)) for row in zip(*columns, strict=True))
    return f" ({'/'.join(keys)}: {', '.join(rows)})"
