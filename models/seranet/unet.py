"""The U-Net that segments in SERANet, as a network of images, at any width."""

from typing import Literal

from pydantic import Field

from spinforge.models.layers.unet import UNet, doubled_widths
from spinforge.models.names import FolderName
from spinforge.simulation.config import Config

LEVELS = 5


class UNetConfig(Config):
    """U-Net; 34.5 million parameters at width 64, 2.2 million at width 16."""

    kind: Literal["unet"] = Field(description="which network this is")
    name: FolderName = Field("unet", description="folder name of its results")
    width: int = Field(
        64, ge=1, le=256, description="channels at full size, doubled at each of four halvings"
    )


def build_unet(config: UNetConfig, *, in_channels: int, n_classes: int) -> UNet:
    """U-Net with freshly drawn weights, from torch's global generator.

    Args:
        config: Its width.
        in_channels: Channels of the images.
        n_classes: Classes, background included.
    """
    widths = doubled_widths(config.width, LEVELS)
    return UNet(in_channels=in_channels, out_channels=n_classes, widths=widths)
