"""The U-Net that segments in SERANet, at any width."""

from typing import Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from spinforge.models.layers.blocks import Features, conv_stage
from spinforge.models.layers.encoder import PlainEncoder
from spinforge.models.layers.sizes import MINIMUM_SIZE, pad_to, require_minimum_size
from spinforge.models.names import FolderName
from spinforge.simulation.config import Config


class UNetConfig(Config):
    """U-Net; 34.5 million parameters at width 64, 2.2 million at width 16."""

    kind: Literal["unet"] = Field(description="which network this is")
    name: FolderName = Field("unet", description="folder name of its results")
    width: int = Field(
        64, ge=1, le=256, description="channels at full size, doubled at each of four halvings"
    )


class UpStage(nn.Module):
    """Double the size, join with the encoder's map, convolve twice.

    Args:
        in_channels: Channels of the coarse map.
        out_channels: Channels of the encoder's map and of the result.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.up = nn.Sequential(
            nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True),
            nn.Conv2d(in_channels, out_channels, 3, padding=1),
        )
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


class UNet(nn.Module):
    """Five levels of two 3x3 convolutions; bilinear doubling and a convolution on the way up.

    Args:
        in_channels: Channels of the image.
        n_classes: Classes, background included.
        width: Channels at full size, doubled at each of four halvings.

    Attributes:
        minimum_size: Smallest height and width of an image [pixel].

    Source:
        Huang et al., "Brain segmentation from k-space with end-to-end recurrent attention
        network" (MICCAI 2019), fig. 9c; the way up as in the same author's MICCAN (ISBI 2019).
    """

    minimum_size = MINIMUM_SIZE

    def __init__(self, *, in_channels: int, n_classes: int, width: int) -> None:
        super().__init__()
        widths = tuple(width * factor for factor in (1, 2, 4, 8, 16))
        self.encoder = PlainEncoder(in_channels, widths)
        self.ups = nn.ModuleList(
            UpStage(coarse, fine)
            for coarse, fine in zip(widths[:0:-1], widths[-2::-1], strict=True)
        )
        self.head = nn.Conv2d(width, n_classes, 1)

    def forward(self, image: Features) -> Float[Tensor, "batch classes ky kx"]:
        """Logits of each class.

        Args:
            image: (batch, in_channels, ky, kx), at least 16 x 16 pixels, any size.

        Returns:
            (batch, n_classes, ky, kx), before the softmax.

        Raises:
            SpinforgeError: If the image is too small.
        """
        require_minimum_size(image, self.minimum_size)
        *skips, features = self.encoder(image)
        for up, skip in zip(self.ups, reversed(skips), strict=True):
            features = up(features, skip)
        return self.head(features)
