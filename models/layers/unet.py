"""The U-Net of SERANet, MICCAN and SegNetMRI: any number of levels, two ways of doubling."""

import itertools
from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from spinforge.models.layers.blocks import Features, conv_stage
from spinforge.models.layers.encoder import FeatureMaps, PlainEncoder
from spinforge.models.layers.sizes import pad_to, require_minimum_size

Up = Literal["bilinear", "transposed"]
"""Doubling of a map: bilinear, here with a 3x3 convolution after it, or a transposed 2x2 one."""


class UpStage(nn.Module):
    """Double the size, join with the encoder's map, convolve twice.

    Args:
        in_channels: Channels of the coarse map.
        out_channels: Channels of the encoder's map and of the result.
        up: How the coarse map is doubled.
    """

    def __init__(self, in_channels: int, out_channels: int, *, up: Up) -> None:
        super().__init__()
        self.up = _doubling(in_channels, out_channels, up)
        self.merge = conv_stage(2 * out_channels, out_channels)

    def forward(
        self, coarse: Float[Tensor, "batch coarse _h _w"], skip: Float[Tensor, "batch fine ky kx"]
    ) -> Float[Tensor, "batch fine ky kx"]:
        """Join the coarse map with the encoder's map of twice its size, or one pixel more.

        Args:
            coarse: (batch, in_channels, ky // 2, kx // 2).
            skip: (batch, out_channels, ky, kx).

        Returns:
            Same shape as `skip`.
        """
        return self.merge(torch.cat((skip, pad_to(self.up(coarse), skip)), dim=1))


class UpPath(nn.ModuleList):
    """The way up of a U-Net: from the coarsest map to the finest, joined with the encoder's.

    Args:
        widths: Channels of the encoder's maps, fine to coarse.
        up: How a map is doubled.
    """

    def __init__(self, widths: Sequence[int], *, up: Up) -> None:
        super().__init__(
            UpStage(coarse, fine, up=up)
            for fine, coarse in reversed(list(itertools.pairwise(widths)))
        )

    def forward(self, maps: FeatureMaps) -> Float[Tensor, "batch width ky kx"]:
        """Climb.

        Args:
            maps: (batch, widths[k], ky // 2**k, kx // 2**k) each, fine to coarse.

        Returns:
            Same shape as the finest map.
        """
        *skips, features = maps
        for stage, skip in zip(self, reversed(skips), strict=True):
            features = stage(features, skip)
        return features


class UNet(nn.Module):
    """Two 3x3 convolutions a level, max-pooling between, the way up, and a 1x1 convolution.

    Args:
        in_channels: Channels of the image.
        out_channels: Channels of the result.
        widths: Channels of the levels, fine to coarse.
        up: How a map is doubled on the way up.

    Attributes:
        minimum_size: Smallest height and width for which no level vanishes [pixel].

    Source:
        Huang et al., "Brain segmentation from k-space with end-to-end recurrent attention
        network" (MICCAI 2019), figs. 9b and 9c; the way up as in the same author's MICCAN (ISBI
        2019).
    """

    def __init__(
        self, *, in_channels: int, out_channels: int, widths: Sequence[int], up: Up = "bilinear"
    ) -> None:
        super().__init__()
        self.minimum_size = 1 << (len(widths) - 1)
        self.encoder = PlainEncoder(in_channels, widths)
        self.ups = UpPath(widths, up=up)
        self.head = nn.Conv2d(widths[0], out_channels, 1)

    def forward(self, image: Features) -> Float[Tensor, "batch out ky kx"]:
        """Of the same size.

        Args:
            image: (batch, in_channels, ky, kx), of any size from `minimum_size` on.

        Returns:
            (batch, out_channels, ky, kx).

        Raises:
            SpinforgeError: If the image is too small.
        """
        require_minimum_size(image, self.minimum_size)
        return self.head(self.ups(self.encoder(image)))


def doubled_widths(width: int, levels: int) -> tuple[int, ...]:
    """Channels that double at each halving, fine to coarse."""
    return tuple(width << level for level in range(levels))


def _doubling(in_channels: int, out_channels: int, up: Up) -> nn.Sequential:
    """What doubles height and width, and changes the channels."""
    if up == "transposed":
        return nn.Sequential(nn.ConvTranspose2d(in_channels, out_channels, 2, stride=2))
    return nn.Sequential(
        # Corners are aligned, as where maps are resized elsewhere; not so in HLE-Net's blocks,
        # which double between sizes that always halve evenly.
        nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True),
        nn.Conv2d(in_channels, out_channels, 3, padding=1),
    )
