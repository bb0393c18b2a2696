"""HLE-Net's blocks: enhancement of low- and high-level features, and residual convolutions."""

import math
from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812 (the name everyone knows it by)
from jaxtyping import Float
from torch import Tensor, nn

from spinforge.models.layers.blocks import Features
from spinforge.models.layers.unet import Up


def conv_gn_relu(in_channels: int, out_channels: int, *, n_groups: int = 8) -> nn.Sequential:
    """3x3 convolution with zero padding and bias, group normalisation, ReLU; keeps the size.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output, a multiple of `n_groups`.
        n_groups: Groups of channels normalised together.
    """
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, padding=1),
        nn.GroupNorm(n_groups, out_channels),
        nn.ReLU(inplace=True),
    )


def double_conv(in_channels: int, out_channels: int, *, n_groups: int = 8) -> nn.Sequential:
    """Two 3x3 convolutions in a row, each with group normalisation and ReLU."""
    return nn.Sequential(
        conv_gn_relu(in_channels, out_channels, n_groups=n_groups),
        conv_gn_relu(out_channels, out_channels, n_groups=n_groups),
    )


class LowLevelEnhancement(nn.Module):
    r"""LFE: convolutions whose result is weighted by what a small U-Net sees around each pixel.

    $\tilde X = (1 + \sigma(s')) F(X)$ with $F$ two convolutions and $s'$ the one map of the
    semantic branch, which halves the size twice and doubles it twice. A last convolution follows,
    which is not in the paper but in the first author's later code, and which the published number
    of parameters needs.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output, a multiple of 8.
        up: How the branch doubles sizes: transposed convolutions as in the author's later code, or
            bilinearly.

    Source:
        Wang et al., "High- and low-level feature enhancement for medical image segmentation" (MLMI
        2019), sec. 2.2 and fig. 2; github.com/HiLab-git/CFENet for the channels of the branch.
    """

    def __init__(self, in_channels: int, out_channels: int, *, up: Up) -> None:
        super().__init__()
        self.trunk = double_conv(in_channels, out_channels)
        self.fine = conv_gn_relu(in_channels, out_channels)
        self.middle = conv_gn_relu(out_channels, out_channels)
        self.coarse = conv_gn_relu(out_channels, 2 * out_channels)
        self.up_to_middle, middle_channels = _doubling(2 * out_channels, out_channels, up)
        self.join_middle = conv_gn_relu(out_channels + middle_channels, out_channels)
        self.up_to_fine, fine_channels = _doubling(out_channels, out_channels, up)
        self.join_fine = conv_gn_relu(out_channels + fine_channels, out_channels)
        self.to_map = nn.Conv2d(out_channels, 1, 1)
        self.close = conv_gn_relu(out_channels, out_channels)

    def semantic_map(self, x: Features) -> Float[Tensor, "batch 1 ky kx"]:
        """Weight of each pixel, between 0 and 1; height and width must be multiples of 4."""
        fine = self.fine(x)
        middle = self.middle(F.max_pool2d(fine, 2))
        coarse = self.coarse(F.max_pool2d(middle, 2))
        middle = self.join_middle(torch.cat((middle, self.up_to_middle(coarse)), dim=1))
        fine = self.join_fine(torch.cat((fine, self.up_to_fine(middle)), dim=1))
        return torch.sigmoid(self.to_map(fine))

    def forward(self, x: Features) -> Float[Tensor, "batch out ky kx"]:
        """Enhanced features of the same size.

        Args:
            x: (batch, in_channels, ky, kx), height and width multiples of 4.

        Returns:
            (batch, out_channels, ky, kx).
        """
        return self.close(self.trunk(x) * (1 + self.semantic_map(x)))


class HighLevelEnhancement(nn.Module):
    r"""HFE: one copy of the features weighted by channel, one by pixel, then joined.

    $\tilde Y = [(1 + z) Y, (1 + s) Y]$ with $z$ one weight a channel, from the means of all
    channels over the slice, and $s$ one weight a pixel, from all channels there; a 3x3 convolution
    brings the channels back to their number.

    Args:
        channels: Channels of the encoder's and the decoder's map together, a multiple of 8. The
            paper gives neither the hidden channels of $z$ nor the output's; half as many and as
            many as there are is what gives the published number of parameters.

    Source:
        Wang et al. (MLMI 2019), sec. 2.1 and fig. 1.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channel_weights = nn.Sequential(
            nn.Conv2d(channels, channels // 2, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels // 2, channels, 1),
            nn.Sigmoid(),
        )
        self.pixel_weights = nn.Sequential(nn.Conv2d(channels, 1, 1), nn.Sigmoid())
        self.fuse = conv_gn_relu(2 * channels, channels)

    def forward(self, y: Features) -> Features:
        """Enhanced features of the same shape.

        Args:
            y: (batch, channels, ky, kx).
        """
        by_channel = y * (1 + self.channel_weights(y.mean(dim=(-2, -1), keepdim=True)))
        by_pixel = y * (1 + self.pixel_weights(y))
        return self.fuse(torch.cat((by_channel, by_pixel), dim=1))


class ResidualBlock(nn.Module):
    """Convolutions beside a 1x1 convolution of the input; ReLU of the sum.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output, a multiple of 4.
        form: basic, two 3x3 convolutions; or bottleneck, 1x1 to a quarter of the channels, 3x3,
            and 1x1 back.

    Source:
        He et al., "Deep residual learning for image recognition" (CVPR 2016), figs. 2 and 5.
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, form: Literal["basic", "bottleneck"]
    ) -> None:
        super().__init__()
        basic, narrow = form == "basic", out_channels // 4
        steps = (
            [(in_channels, out_channels, 3), (out_channels, out_channels, 3)]
            if basic
            else [(in_channels, narrow, 1), (narrow, narrow, 3), (narrow, out_channels, 1)]
        )
        layers: list[nn.Module] = []
        for before, after, kernel_size in steps:
            layers += [
                nn.Conv2d(before, after, kernel_size, padding=kernel_size // 2),
                # Four groups, but a narrow bottleneck may have 7 channels, or 14.
                nn.GroupNorm(math.gcd(4, after), after),
                nn.ReLU(inplace=True),
            ]
        self.residual = nn.Sequential(*layers[:-1])
        self.shortcut = nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, x: Features) -> Float[Tensor, "batch out ky kx"]:
        """Same height and width.

        Args:
            x: (batch, in_channels, ky, kx).

        Returns:
            (batch, out_channels, ky, kx), not negative.
        """
        return torch.relu(self.residual(x) + self.shortcut(x))


def _doubling(in_channels: int, out_channels: int, up: Up) -> tuple[nn.Module, int]:
    """What doubles height and width, and the channels it gives: bilinearly, they stay."""
    if up == "transposed":
        return nn.ConvTranspose2d(in_channels, out_channels, 2, stride=2), out_channels
    # Corners are not aligned, unlike in SERANet's U-Net: each pixel becomes four around its own
    # place, as with the transposed convolution that this replaces.
    return nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False), in_channels
