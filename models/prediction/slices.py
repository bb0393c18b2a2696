"""Batches of slices to maps of labels, probabilities and uncertainty."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch import Tensor

from spinforge.models.inference import apply_to_batches
from spinforge.models.prediction.ensemble import Ensemble, answer

Advance = Callable[[int, int], object]
"""Told how many slices are done, of how many."""


@dataclass(frozen=True)
class Asked:
    """What of a segmentation is wanted, and how it is computed.

    Attributes:
        probabilities: Keep the probability of each class.
        uncertainty: Keep entropy and mutual information.
        batch_size: Slices at a time.
        device: Where to compute; the processor by default.
        advance: Called after each batch.
    """

    probabilities: bool = False
    uncertainty: bool = False
    batch_size: int = 8
    device: torch.device | None = None
    advance: Advance | None = None


@dataclass(frozen=True)
class Segmentation:
    """Maps of one scan on its own grid; what was not asked for is None.

    Attributes:
        labels: The likeliest class of each voxel, of equal ones the first, (z, y, x).
        probabilities: Mean over the networks, (class, z, y, x).
        entropy: Of these, (z, y, x) [nat].
        mutual_information: What of it is disagreement of the networks, (z, y, x) [nat].
        notes: What was done to the scan or is unlike training, in words.
    """

    labels: UInt8[np.ndarray, "z y x"]
    probabilities: Float32[np.ndarray, "class z y x"] | None
    entropy: Float32[np.ndarray, "z y x"] | None
    mutual_information: Float32[np.ndarray, "z y x"] | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class SliceMaps:
    """The same, slice by slice, in the axes of the slices.

    Attributes:
        labels: (slice, row, column).
        maps: Probabilities, then entropy and mutual information, as far as asked for,
            (map, slice, row, column).
    """

    labels: UInt8[np.ndarray, "slice row column"]
    maps: Float32[np.ndarray, "map slice row column"]


def segment_slices(
    ensemble: Ensemble,
    batches: Iterable[Mapping[str, Tensor]],
    *,
    count: int,
    restored: Callable[[Tensor], Tensor] | None = None,
    asked: Asked,
) -> SliceMaps:
    """Segment slices batch by batch.

    Args:
        ensemble: The networks; at the end where they were before.
        batches: What they read.
        count: Slices in all batches.
        restored: From maps (item, map, row, column) of what the networks saw to the scan's own
            pixels, if they are others; probabilities go through it before the largest is looked
            for.
        asked: What to keep.

    Returns:
        All slices in the order of the batches.

    Raises:
        SpinforgeError: If a batch is not of the kind that the networks read.
    """
    done = 0

    def ask(batch: dict[str, Tensor]) -> tuple[np.ndarray, np.ndarray]:
        nonlocal done
        found = answer(ensemble, batch)
        uncertainty = [found.entropy[:, None], found.mutual_information[:, None]]
        wanted = uncertainty if asked.uncertainty else []
        maps = torch.cat([found.probabilities, *wanted], dim=1)
        maps = maps if restored is None else restored(maps)
        n_classes = found.probabilities.shape[1]
        labels = maps[:, :n_classes].argmax(1).to(torch.uint8).cpu().numpy()
        kept = maps if asked.probabilities else maps[:, n_classes:]
        done += len(labels)
        if asked.advance is not None:
            asked.advance(done, count)
        # A copy: a view, even of nothing, would keep the maps of all classes in memory.
        return labels, np.array(kept.transpose(0, 1).cpu().numpy())

    networks = [loaded.network for loaded in ensemble.networks]
    device = asked.device or torch.device("cpu")
    labels, maps = zip(*apply_to_batches(networks, batches, ask, device=device), strict=True)
    return SliceMaps(np.concatenate(labels), np.concatenate(maps, axis=1))


def segmentation_of(
    maps: SliceMaps,
    as_volume: Callable[[np.ndarray], np.ndarray],
    asked: Asked,
    notes: tuple[str, ...],
) -> Segmentation:
    """Put slices together.

    Args:
        maps: Of all slices.
        as_volume: From (slice, row, column) to (z, y, x).
        asked: What the maps are.
        notes: In words.

    Returns:
        Maps of the whole scan; None of what was not asked for.
    """
    volumes = [np.ascontiguousarray(as_volume(one)) for one in maps.maps]
    uncertainty = volumes[-2:] if asked.uncertainty else [None, None]
    probabilities = volumes[: len(volumes) - 2] if asked.uncertainty else volumes
    return Segmentation(
        labels=np.ascontiguousarray(as_volume(maps.labels)),
        probabilities=np.stack(probabilities) if asked.probabilities else None,
        entropy=uncertainty[0],
        mutual_information=uncertainty[1],
        notes=notes,
    )
