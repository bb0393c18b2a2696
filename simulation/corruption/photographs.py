"""Corruptions of photographs: every slice is another picture, every contrast one of its colours."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from spinforge.simulation.corruption.corrupt import Corrupted, ImageCorruption, corrupt
from spinforge.simulation.corruption.volume import SamplePath, Volume


def corrupt_photographs(
    volume: Volume,
    corruptions: Sequence[ImageCorruption],
    path: SamplePath,
    *,
    couple_levels: bool = False,
    first_position: int = 0,
) -> Corrupted:
    """Corrupt every slice by itself, as `corrupt` does a volume of one slice.

    With the same path every colour moves, ghosts, bends and is shaded alike; its noise is its own.

    Args:
        volume: One colour of the photographs, with `is_photographs`.
        corruptions: In the order in which they happen.
        path: Of the data set and subject, the same for all colours.
        couple_levels: Draw the same random numbers for every level.
        first_position: What came before them in the row.

    Returns:
        The image, and one entry a corruption, whose `parameters` hold the `rng_path` and what was
        drawn for each photograph.

    Raises:
        SpinforgeError: If a corruption does not go with this image.
    """
    names = [f"photograph-{index:03d}" for index in range(len(volume.image))]
    done = [
        corrupt(
            _photograph(volume, index),
            corruptions,
            path.below(name),
            couple_levels=couple_levels,
            first_position=first_position,
        )
        for index, name in enumerate(names)
    ]
    steps = zip(*(one.history for one in done), strict=True)
    history = [_together(dict(zip(names, entries, strict=True)), path) for entries in steps]
    return Corrupted(torch.cat([one.image for one in done]), history)


def _photograph(volume: Volume, index: int) -> Volume:
    one = slice(index, index + 1)
    return replace(volume, image=volume.image[one], brain=volume.brain[one], head=volume.head[one])


def _together(entries: dict[str, dict[str, Any]], path: SamplePath) -> dict[str, Any]:
    """One corruption's entries of all photographs as one."""
    drawn = {
        name: {"rng_path": entry["rng_path"], **entry["parameters"]}
        for name, entry in entries.items()
        if entry["parameters"]
    }
    first = next(iter(entries.values()))
    return {"id": first["id"], "level": first["level"], "rng_path": str(path), "parameters": drawn}
