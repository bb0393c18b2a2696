"""HLE-Net with both, or one, of its feature enhancements, and the U-Nets it is compared with."""

import functools
import itertools
from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812 (the name everyone knows it by)
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from spinforge.models.hlenet.blocks import (
    HighLevelEnhancement,
    LowLevelEnhancement,
    ResidualBlock,
    double_conv,
)
from spinforge.models.layers.blocks import Features
from spinforge.models.layers.sizes import (
    MINIMUM_SIZE,
    crop_padding,
    pad_to_multiple,
    require_minimum_size,
)
from spinforge.models.layers.unet import Up
from spinforge.models.names import FolderName
from spinforge.simulation.config import Config

MakeBlock = Callable[[int, int], nn.Module]
"""From channels of the input and of the output to a block that keeps the size."""

MULTIPLE = 32
"""Three halvings in the encoder and two in its deepest block divide this [pixel]."""


class HLENetConfig(Config):
    """HLE-Net; 5.5 million parameters, 3.9 with only LFE, 3.6 with only HFE."""

    kind: Literal["hle_net"] = Field(description="which network this is")
    name: FolderName = Field("hle-net", description="folder name of its results")
    enhance: Literal["both", "low", "high"] = Field(
        "both", description="features enhanced: low is the paper's only LFE, high its only HFE"
    )
    lfe_up: Up = Field("transposed", description="how sizes are doubled within an LFE")
    width: int = Field(
        16, ge=8, le=256, multiple_of=8, description="channels at full size; the paper's are 16"
    )


class UNet28Config(Config):
    """Unet-28: U-Net with group normalisation and 28 channels; 5.9 million parameters."""

    kind: Literal["unet_28"] = Field(description="which network this is")
    name: FolderName = Field("unet-28", description="folder name of its results")
    width: int = Field(
        28, ge=4, le=256, multiple_of=4, description="channels at full size; the paper's are 28"
    )


class ResUNet28Config(Config):
    """Res-Unet-28: Unet-28 of residual blocks; 6.2 million parameters."""

    kind: Literal["res_unet_28"] = Field(description="which network this is")
    name: FolderName = Field("res-unet-28", description="folder name of its results")
    block: Literal["basic", "bottleneck"] = Field(
        "basic",
        description="residual blocks: bottleneck is what the paper's text says, basic what gives "
        "its number of parameters",
    )
    width: int = Field(
        28, ge=4, le=256, multiple_of=4, description="channels at full size; the paper's are 28"
    )


class BlockUNet(nn.Module):
    """Four max-poolings and four transposed convolutions around exchangeable blocks.

    Args:
        in_channels: Channels of the image.
        n_classes: Classes, background included; or 1, the foreground alone.
        width: Channels at full size, doubled at each of four halvings.
        encode: Makes a block of the encoder; its input is a multiple of 4 high and wide.
        bottom: Makes the block at a sixteenth of the size.
        decode: Makes a block of the decoder, from the two joined maps to the channels of one.

    Attributes:
        minimum_size: Smallest height and width of an image [pixel].

    Source:
        Wang et al., "High- and low-level feature enhancement for medical image segmentation" (MLMI
        2019), sec. 2.3 and fig. 3; widths and doublings as in the first author's later code.
    """

    minimum_size = MINIMUM_SIZE

    def __init__(
        self,
        *,
        in_channels: int,
        n_classes: int,
        width: int,
        encode: MakeBlock,
        bottom: MakeBlock,
        decode: MakeBlock,
    ) -> None:
        super().__init__()
        *fine, coarsest = (width << level for level in range(5))
        self.encoder = nn.ModuleList(
            encode(*channels) for channels in itertools.pairwise((in_channels, *fine))
        )
        self.bottom = bottom(fine[-1], coarsest)
        self.doublings = nn.ModuleList(
            nn.ConvTranspose2d(2 * channels, channels, 2, stride=2) for channels in reversed(fine)
        )
        self.decoder = nn.ModuleList(decode(2 * channels, channels) for channels in reversed(fine))
        self.head = nn.Conv2d(width, n_classes, 1)

    def forward(self, image: Features) -> Float[Tensor, "batch classes ky kx"]:
        """Logits of each class.

        Args:
            image: (batch, in_channels, ky, kx), at least 16 x 16 pixels, any size; padded by
                reflection to multiples of 32.

        Returns:
            (batch, n_classes, ky, kx), before the softmax, or with one class before the sigmoid.

        Raises:
            SpinforgeError: If the image is too small.
        """
        require_minimum_size(image, self.minimum_size)
        features = pad_to_multiple(image, MULTIPLE)
        skips = []
        for block in self.encoder:
            skips.append(block(features))
            features = F.max_pool2d(skips[-1], 2)
        features = self.bottom(features)
        for double, block, skip in zip(self.doublings, self.decoder, reversed(skips), strict=True):
            features = block(torch.cat((skip, double(features)), dim=1))
        return crop_padding(self.head(features), image, MULTIPLE)


def build_hle_net(config: HLENetConfig, *, in_channels: int, n_classes: int) -> BlockUNet:
    """HLE-Net with freshly drawn weights, from torch's global generator.

    Args:
        config: Enhanced features and width.
        in_channels: Channels of the images.
        n_classes: Classes, background included; or 1, the foreground alone.
    """
    enhance_low, enhance_high = config.enhance != "high", config.enhance != "low"
    return BlockUNet(
        in_channels=in_channels,
        n_classes=n_classes,
        width=config.width,
        encode=functools.partial(LowLevelEnhancement, up=config.lfe_up)
        if enhance_low
        else double_conv,
        bottom=double_conv,
        decode=_enhanced_double_conv if enhance_high else double_conv,
    )


def build_unet_28(
    config: UNet28Config | ResUNet28Config, *, in_channels: int, n_classes: int
) -> BlockUNet:
    """Unet-28 or Res-Unet-28 with freshly drawn weights, from torch's global generator.

    Args:
        config: Which of the two, and its width.
        in_channels: Channels of the images.
        n_classes: Classes, background included; or 1, the foreground alone.
    """
    make_block: MakeBlock = (
        functools.partial(ResidualBlock, form=config.block)
        if isinstance(config, ResUNet28Config)
        # 28 channels are no multiple of HLE-Net's 8 groups.
        else functools.partial(double_conv, n_groups=4)
    )
    return BlockUNet(
        in_channels=in_channels,
        n_classes=n_classes,
        width=config.width,
        encode=make_block,
        bottom=make_block,
        decode=make_block,
    )


def _enhanced_double_conv(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(HighLevelEnhancement(in_channels), double_conv(in_channels, out_channels))
