"""What the networks that start from k-space take, and what they give."""

from typing import NamedTuple

import torch
from torch import Tensor

from spinforge.models.layers.sizes import require_minimum_size
from spinforge.simulation.errors import SpinforgeError


class Measurement(NamedTuple):
    """One batch of acquired slices: the only argument of every network that starts from k-space.

    A named tuple, so that loaders, devices and compilers take it apart like any other tuple.

    Attributes:
        kspace: (batch, coil, ky, kx) complex, centred and orthonormal as in `simulation.fourier`,
            divided by the `intensity_scale` of its slice's zero-filled image, so that a network
            sees the same range at any gain. Lines outside the mask may hold anything, NaN too: no
            network looks at them, but for `fully_sampled` and, in training, the stages that compare
            with the image of all lines. These uncover the rest of a full scan with
            `with_every_line`.
        mask: (batch, ky) bool, True where a line was acquired.
        sensitivities: (batch or 1, coil, ky, kx) complex receive sensitivities. None will do for
            one coil, whose sensitivity is never used: its shading stays in the image, as in
            `zero_filled_combined`.
    """

    kspace: Tensor
    mask: Tensor
    sensitivities: Tensor | None = None

    def with_every_line(self) -> "Measurement":
        """The full scan, for k-space that holds all its lines."""
        return self._replace(mask=torch.ones_like(self.mask))


class KSpaceSegmentation(NamedTuple):
    """All that a loss may want of one pass through a network that starts from k-space.

    Attributes:
        logits: (batch, classes, ky, kx) of each segmentation, before the softmax; the last is
            the answer.
        images: (batch, 2, ky, kx) real and imaginary part of each reconstruction; the last is the
            final one. SERANet gives as many as segmentations, each read by one of them.
    """

    logits: tuple[Tensor, ...]
    images: tuple[Tensor, ...]


def require_usable(measurement: Measurement) -> None:
    """Refuse a measurement whose parts do not belong together, or that is too small.

    Raises:
        SpinforgeError: If a part has the wrong number of axes, another size than k-space or the
            wrong type of numbers, if several coils come without sensitivities, or if ky or kx is
            below `MINIMUM_SIZE`.
    """
    kspace, mask, sensitivities = measurement
    if not kspace.is_complex() or mask.dtype != torch.bool:
        raise SpinforgeError(
            f"k-space must be complex and its mask bool, not {kspace.dtype} and {mask.dtype}"
        )
    if kspace.ndim != 4:
        raise SpinforgeError(
            f"k-space of shape {tuple(kspace.shape)} needs four axes: batch, coil, ky, kx"
        )
    require_minimum_size(kspace.real)
    batch, coils, rows, columns = kspace.shape
    if mask.shape != (batch, rows):
        raise SpinforgeError(
            f"the mask of shape {tuple(mask.shape)} does not fit k-space of shape "
            f"{tuple(kspace.shape)}: it needs the shape {(batch, rows)}, a value a line"
        )
    if sensitivities is None:
        if coils > 1:
            raise SpinforgeError(
                f"k-space has {coils} coils; give their sensitivities, or combine them first"
            )
    elif sensitivities.shape not in ((batch, coils, rows, columns), (1, coils, rows, columns)):
        raise SpinforgeError(
            f"the sensitivities of shape {tuple(sensitivities.shape)} do not fit k-space of shape "
            f"{tuple(kspace.shape)}"
        )
