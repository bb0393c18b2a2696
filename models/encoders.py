"""Encoders: an image becomes five feature maps, each half the size of the one before."""

import itertools
from collections.abc import Sequence

import torch.nn.functional as F  # noqa: N812 (the name everyone knows it by)
from jaxtyping import Float
from torch import Tensor, nn

from spinforge.models.blocks import Features, conv_stage


class Encoder(nn.Module):
    """What decoders rely on; subclasses set `widths` and define `forward`.

    Attributes:
        widths: Channels of the five maps, fine to coarse.
    """

    widths: tuple[int, ...]

    def forward(self, image: Features) -> list[Float[Tensor, "batch _c _h _w"]]:
        """Five maps, fine to coarse, at 1, 1/2, 1/4, 1/8 and 1/16 of the image's size."""
        raise NotImplementedError


class PlainEncoder(Encoder):
    """Stages of two 3x3 convolutions with 2x2 max-pooling between them.

    Args:
        in_channels: Channels of the image.
        widths: Channels of the five maps, fine to coarse.

    Source:
        Ronneberger et al., MICCAI 2015, fig. 1, with padding and batch normalisation added.
    """

    def __init__(self, in_channels: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.widths = tuple(widths)
        self.stages = nn.ModuleList(
            conv_stage(narrow, wide)
            for narrow, wide in itertools.pairwise((in_channels, *self.widths))
        )

    def forward(self, image: Features) -> list[Float[Tensor, "batch _c _h _w"]]:
        """Five maps, fine to coarse; odd sizes are floored by the pooling.

        Args:
            image: (batch, in_channels, ky, kx), at least 16 x 16 pixels.

        Returns:
            Maps k = 0..4 of shape (batch, widths[k], ky // 2**k, kx // 2**k).
        """
        maps = [self.stages[0](image)]
        for stage in self.stages[1:]:
            maps.append(stage(F.max_pool2d(maps[-1], 2)))
        return maps


def unet_like(in_channels: int) -> PlainEncoder:
    """CRDN's U-Net-like encoder, 16 to 256 channels."""
    return PlainEncoder(in_channels, (16, 32, 64, 128, 256))
