"""The reconstruction module of the networks that start from k-space: blocks and consistency."""

import itertools
from collections.abc import Iterable
from typing import Literal

from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from spinforge.models.layers.blocks import Features, conv_bn_relu, conv_relu
from spinforge.models.layers.unet import UNet, Up, doubled_widths
from spinforge.models.seranet.consistency import ImagePair, data_consistency, zero_filled_channels
from spinforge.models.seranet.measurement import Measurement
from spinforge.simulation.config import Config

BlockKind = Literal["cnn", "autoencoder"]

IMAGE_CHANNELS = 2
"""Real and imaginary part."""

AUTOENCODER_LEVELS = 3
"""Of the paper's block of type B, fig. 9b."""


class ReconstructionConfig(Config):
    """Blocks and consistency of a reconstruction; the defaults are SERANet's with type A.

    The number of blocks is not in the paper, which varies it; MICCAN and the cascade that type A
    is taken from have 5.
    """

    block: BlockKind = Field(
        "cnn",
        description="regularisation block: cnn is five convolutions in a row (the paper's type A), "
        "autoencoder a U-Net of three levels (type B)",
    )
    blocks: int = Field(5, ge=1, le=20, description="blocks in a row, each with its own weights")
    width: int = Field(64, ge=1, le=256, description="channels of a block at full size")
    batch_norm: bool = Field(
        True,
        description="batch normalisation in blocks of kind cnn; the first such cascade has none",
    )
    up: Up = Field(
        "bilinear",
        description="how autoencoders double a map: bilinear and a convolution, or transposed",
    )
    residual: bool = Field(True, description="a block's output is added to its input")
    trust: float = Field(
        1.0,
        gt=0,
        le=1,
        description="weight of measured against estimated k-space; 1 takes noise for signal",
    )


class CascadedCNN(nn.Module):
    """Five 3x3 convolutions, a ReLU between each two: the paper's block of type A.

    Args:
        in_channels: Channels of the input.
        width: Channels between the convolutions.
        batch_norm: Normalise before each ReLU.

    Source:
        Huang et al. (MICCAI 2019), fig. 9a; without normalisation Schlemper et al. (IPMI 2017),
        with it the same first author's MICCAN (ISBI 2019).
    """

    def __init__(self, in_channels: int, *, width: int, batch_norm: bool) -> None:
        super().__init__()
        rectified = conv_bn_relu if batch_norm else conv_relu
        channels = (in_channels, width, width, width, width)
        self.layers = nn.Sequential(
            *(rectified(before, after) for before, after in itertools.pairwise(channels)),
            nn.Conv2d(width, IMAGE_CHANNELS, 3, padding=1),
        )

    def forward(self, image: Features) -> Float[Tensor, "batch 2 ky kx"]:
        """Image of two channels, same size."""
        return self.layers(image)


class Reconstruction(nn.Module):
    """Zero-filled image, improved by one block after the other and kept consistent with the data.

    $x^{k+1} = DC(x^k + Reg_k(x^k))$, from $x^0 = F^{-1}y$. Without blocks it is zero-filling.

    Args:
        blocks: From two channels to two, one after the other.
        residual: Add each block's output to its input, as MICCAN and the cascade of Schlemper et
            al. do; else it is the new image.
        trust: Of the measured lines; see `data_consistency`.

    Source:
        Huang et al. (MICCAI 2019), sec. 3.1 and fig. 2a.
    """

    def __init__(
        self, blocks: Iterable[nn.Module], *, residual: bool = True, trust: float = 1.0
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.residual = residual
        self.trust = trust

    def forward(self, measurement: Measurement) -> ImagePair:
        """Real and imaginary part of the reconstruction, (batch, 2, ky, kx)."""
        image = zero_filled_channels(measurement)
        for block in self.blocks:
            change = block(image)
            image = data_consistency(
                image + change if self.residual else change, measurement, trust=self.trust
            )
        return image


def build_block(config: ReconstructionConfig, *, in_channels: int) -> CascadedCNN | UNet:
    """One regularisation block with freshly drawn weights, from torch's global generator.

    Args:
        config: Kind of block and its switches.
        in_channels: Of what it reads; it gives an image of two channels.
    """
    match config.block:
        case "cnn":
            return CascadedCNN(in_channels, width=config.width, batch_norm=config.batch_norm)
        case "autoencoder":
            widths = doubled_widths(config.width, AUTOENCODER_LEVELS)
            return UNet(
                in_channels=in_channels, out_channels=IMAGE_CHANNELS, widths=widths, up=config.up
            )


def build_reconstruction(config: ReconstructionConfig) -> Reconstruction:
    """Reconstruction module with freshly drawn weights, from torch's global generator.

    Args:
        config: Blocks and consistency.
    """
    return Reconstruction(
        (build_block(config, in_channels=IMAGE_CHANNELS) for _ in range(config.blocks)),
        residual=config.residual,
        trust=config.trust,
    )
