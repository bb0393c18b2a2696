"""All that is random about augmentation, drawn before anything is computed.

A slice's numbers follow from the seed, the epoch, and which slice it is: its subject, its number
and, where there is one, its view. Neither its batch, nor the order, the number of workers or a
resume changes them, nor does another setting: one that is off is drawn all the same, and not used.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spinforge.models.augmentation.settings import Augmentation
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.philox import sample_keys
from spinforge.simulation.rng import SampleRng

MOVEMENTS = 2
"""How often a head moves while a slice is acquired."""

DEGREES = tuple((p, q) for p in range(4) for q in range(4) if 1 <= p + q <= 3)
"""Of the two Legendre polynomials, along ky and kx, in each product of a bias field."""

_GEOMETRY = 7
_PER_SCAN = 3 + MOVEMENTS * 4


class Draws(NamedTuple):
    """Drawn parameters of a batch; a named tuple, so that it moves to a device with its batch.

    An item is a slice or a sequence; it consists of one scan or several, the contrasts of a slice
    and the ages of a sequence. All of k-space's channels are one scan.

    Attributes:
        flips: Whether the first and second axis are turned over, (item, 2) bool.
        radians: Rotation from the first axis towards the second, (item,).
        zoom: How much larger, (item,).
        window: Share of height and width in the window, (item,).
        place: Where it lies along both axes, from -1 to 1 at the slice's ends, (item, 2).
        inu: Range of each scan's bias field [%], (item, scan).
        shape: Coefficients of its Legendre products, (item, scan, product).
        moments: When the head moves, sorted, as fractions of the time that is left after the
            centre of k-space, (item, scan, movement).
        poses: Rotation [degree] and shifts along ky and kx [pixel], (item, scan, movement, 3).
        noise: Standard deviation of the noise, (item, scan).
        noise_keys: Keys of its numbers in `philox`, (4, item) int64.
    """

    flips: Tensor
    radians: Tensor
    zoom: Tensor
    window: Tensor
    place: Tensor
    inu: Tensor
    shape: Tensor
    moments: Tensor
    poses: Tensor
    noise: Tensor
    noise_keys: Tensor

    def of_item(self, number: int) -> "Draws":
        """Those of one item, as of a batch of one."""
        one = slice(number, number + 1)
        *of_items, keys = self
        return Draws._make([*(values[one] for values in of_items), keys[:, one]])


def draw_augmentation(
    config: Augmentation, paths: Sequence[tuple[str | int, ...]], n_scans: int, *, seed: int
) -> Draws:
    """Draw a batch's parameters, on the processor.

    Args:
        config: Bounds.
        paths: Which slice and epoch each item is, of `slice_paths`.
        n_scans: Scans in each item.
        seed: Root seed.
    """
    rows = [_draw_item(config, SampleRng(seed, *path), n_scans) for path in paths]
    values = {name: torch.from_numpy(np.stack([row[name] for row in rows])) for name in rows[0]}
    keys = sample_keys([(*path, "noise") for path in paths], seed=seed)
    return Draws(**values, noise_keys=keys)


def _draw_item(config: Augmentation, rng: SampleRng, n_scans: int) -> dict[str, NDArray[Any]]:
    """The parameters of one item; the order of the draws must not change."""
    vertical, horizontal, turn, size, window, *place = rng.uniforms(_GEOMETRY)
    scans = rng.uniforms(n_scans, _PER_SCAN)
    shape = rng.normals(n_scans, len(DEGREES)) / [1 + sum(degrees) for degrees in DEGREES]
    strength, moments, poses = scans[:, :3], scans[:, 3 : 3 + MOVEMENTS], scans[:, 3 + MOVEMENTS :]
    poses = (2 * poses - 1).reshape(n_scans, MOVEMENTS, 3)
    drawn = {
        "radians": np.deg2rad(config.rotation_deg) * (2 * turn - 1),
        "zoom": 1 + config.scale * (2 * size - 1),
        "window": config.crop + (1 - config.crop) * window,
        "place": 2 * np.array(place) - 1,
        "inu": config.inu_percent * strength[:, 0],
        "shape": shape,
        "moments": np.sort(moments, axis=1),
        "poses": config.motion * strength[:, 1, None, None] * poses,
        "noise": config.noise_percent / 100 * strength[:, 2],
    }
    flips = np.array([vertical < config.flip_vertical, horizontal < config.flip_horizontal])
    return {"flips": flips} | {n: np.asarray(v, dtype=np.float32) for n, v in drawn.items()}


def slice_paths(batch: Mapping[str, Any], epoch: int) -> list[tuple[str | int, ...]]:
    """What the random numbers of each item of a batch are keyed by.

    Args:
        batch: With "subject" and "slice" of each item, on the processor, and perhaps "view".
        epoch: Counted from 0.

    Raises:
        SpinforgeError: If the batch does not say which slices it holds.
    """
    if "subject" not in batch or "slice" not in batch:
        raise SpinforgeError(
            "training.augmentation: the training slices do not say which they are, so nothing can "
            "be drawn for each of them; give every item a `subject` and a `slice`"
        )
    numbers = batch["slice"].tolist() if isinstance(batch["slice"], Tensor) else batch["slice"]
    views = batch.get("view") or [""] * len(numbers)
    return [
        ("augmentation", subject, view, int(number), f"epoch-{epoch}")
        for subject, view, number in zip(batch["subject"], views, numbers, strict=True)
    ]
