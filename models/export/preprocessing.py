"""What an exported network does with an image first: what its data set did in training."""

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 (the name everyone knows it by)

from spinforge.datasets.reading.slice_format import Scaling as Scaling
from spinforge.datasets.reading.slice_format import SliceFormat
from spinforge.models.layers.blocks import Features
from spinforge.simulation.config import Config
from spinforge.simulation.reconstruction import percentile_rank

IN_WORDS: dict[Scaling, str] = {
    "slice": "each slice is divided by the 99th percentile of its magnitude over all its pixels; "
    "one channel is an image, two are its real and imaginary part",
    "volume": "each channel is divided by its entry of `scale`: the 99th percentile of the values "
    "above 0 of the whole volume that the slice is from, or 1 if there are none",
    "none": "the values are taken as they are, such as photographs from 0 to 1",
}
"""What each `Scaling` does, for the file."""


class Preprocessing(Config):
    """From the image a person has to the image the network learned from."""

    scaling: Scaling = Field(
        description="how intensities are divided: slice as `ZeroFilledSlices` does; volume as "
        "`ImageSlices` and `LongitudinalSlices` do; none for photographs"
    )
    padded_to: tuple[int, int] | None = Field(
        None,
        description="height and width that images were padded to with zeros in training, such as "
        "`ImageSlices.size` [pixel]; the result is cropped again",
    )
    window: tuple[float, float] | None = Field(
        None, description="CT: the densities that become 0 and 1 [HU]; those beyond are clipped"
    )

    @classmethod
    def of(cls, reads: SliceFormat) -> "Preprocessing":
        """What the slices of a training went through, as a network's file notes it."""
        return cls(scaling=reads.scaling, padded_to=reads.padded_to, window=reads.window)

    @property
    def in_words(self) -> str:
        """For the file and whoever opens it."""
        words = IN_WORDS[self.scaling]
        if self.window is not None:
            low, high = self.window
            words = f"{low:g} to {high:g} HU become 0 to 1, what lies beyond is clipped; {words}"
        if self.padded_to is not None:
            rows, columns = self.padded_to
            words += f"; then zeros around it up to {rows} x {columns} pixels"
        return words


def magnitude_99(
    image: Float[Tensor, "*batch channel ky kx"],
) -> Float[Tensor, "*batch 1 1 1"]:
    """The `intensity_scale` of slices whose channels are real and imaginary part.

    To rounding the same. ONNX can neither sort out the k-th value nor take the magnitude of a
    complex number, so the largest values are sorted out, and squares are kept from overflowing.

    Args:
        image: (..., channel, ky, kx); a single channel is real.

    Returns:
        (..., 1, 1, 1), above 0: one number a slice.
    """
    tiny = torch.finfo(image.dtype).tiny
    peak = image.abs().amax(dim=(-3, -2, -1), keepdim=True).clamp_min(tiny)
    magnitude = (image / peak).square().sum(dim=-3).sqrt().flatten(-2)
    n_above = magnitude.shape[-1] - percentile_rank(magnitude.shape[-1])
    percentile = magnitude.topk(n_above + 1, dim=-1).values[..., -1]
    return (percentile[..., None, None, None] * peak).clamp_min(tiny)


def windowed(
    image: Float[Tensor, "*batch channel ky kx"], window: tuple[float, float]
) -> Float[Tensor, "*batch channel ky kx"]:
    """Densities [HU] brought from the window to 0 and 1; what lies beyond is clipped."""
    low, high = window
    return ((image - low) / (high - low)).clamp(0, 1)


def divide_by(
    image: Float[Tensor, "*batch channel ky kx"], scale: Float[Tensor, "*batch channel"]
) -> Float[Tensor, "*batch channel ky kx"]:
    """Divide each channel by its own number; 0 stands for a volume without values, like 1."""
    return image / scale.where(scale > 0, 1)[..., None, None]


def pad_to_trained(image: Features, size: tuple[int, int]) -> Float[Tensor, "batch channel _h _w"]:
    """Zeros around the image, as `datasets.reading.network_input.padded` adds them.

    Args:
        image: (batch, channel, ky, kx), no larger than `size`.
        size: Height and width wanted.
    """
    (top, bottom), (left, right) = _margins_larger_last(image, size)
    return F.pad(image, (left, right, top, bottom))


def crop_to_image(
    padded: Float[Tensor, "batch channel _h _w"], image: Float[Tensor, "batch _c ky kx"]
) -> Float[Tensor, "batch channel ky kx"]:
    """Undo `pad_to_trained`, on maps of any number of channels."""
    rows, columns = image.shape[-2:]
    (top, _), (left, _) = _margins_larger_last(image, (padded.shape[-2], padded.shape[-1]))
    return padded[..., top : top + rows, left : left + columns]


def _margins_larger_last(image: Tensor, size: tuple[int, int]) -> list[tuple[int, int]]:
    """Pixels before and after; of an odd number the larger half comes last, as in the data sets."""
    missing = [want - have for want, have in zip(size, image.shape[-2:], strict=True)]
    return [(gap // 2, gap - gap // 2) for gap in missing]
