"""CRDN: an encoder whose maps are squeezed to one channel a class and decoded recurrently."""

from typing import Literal

from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from spinforge.models.blocks import Features, conv_bn_relu, require_minimum_size
from spinforge.models.encoders import Encoder, unet_like
from spinforge.models.names import FolderName
from spinforge.models.recurrent import ConvRNNCell, RecurrentCell, RecurrentDecoder
from spinforge.simulation.config import Config


class CRDNConfig(Config):
    """Convolutional network with a recurrent decoding cell; 1.2 million parameters."""

    kind: Literal["crdn"] = Field(description="which network this is")
    name: FolderName = Field("crdn", description="folder name of its results")
    encoder: Literal["unet"] = Field(
        "unet", description="encoder: unet is U-Net-like, 16 to 256 channels"
    )
    cell: Literal["rnn"] = Field("rnn", description="decoding cell: rnn is a plain ConvRNN")
    squeeze_kernel: Literal[3, 5] = Field(
        5, description="kernel of the squeezing convolutions [pixel]; the paper has 5"
    )


class CRDN(nn.Module):
    """Encoder, one squeezing convolution per map, recurrent decoder.

    The decoder's last state is the result: with a plain recurrent cell the logits are not
    negative. There is no convolution after it, as in the paper.

    Args:
        encoder: Gives five maps, fine to coarse.
        cell: Recurrent cell of width `n_classes`.
        n_classes: Classes, background included.
        squeeze_kernel: Odd kernel size of the squeezing convolutions [pixel].

    Source:
        Wen et al., "Segmenting medical MRI via recurrent decoding cell" (AAAI 2020), eqs. 1-3.
    """

    def __init__(
        self, encoder: Encoder, cell: RecurrentCell, *, n_classes: int, squeeze_kernel: int
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.squeezes = nn.ModuleList(
            conv_bn_relu(width, n_classes, kernel_size=squeeze_kernel) for width in encoder.widths
        )
        self.decoder = RecurrentDecoder(cell)

    def forward(self, image: Features) -> Float[Tensor, "batch classes ky kx"]:
        """Logits of each class.

        Args:
            image: (batch, in_channels, ky, kx), at least 16 x 16 pixels, any size.

        Returns:
            (batch, n_classes, ky, kx), before the softmax.

        Raises:
            SpinforgeError: If the image is too small.
        """
        require_minimum_size(image)
        maps = self.encoder(image)
        return self.decoder(
            [squeeze(features) for squeeze, features in zip(self.squeezes, maps, strict=True)]
        )


def build_crdn(config: CRDNConfig, *, in_channels: int, n_classes: int) -> CRDN:
    """CRDN with freshly drawn weights, from torch's global generator."""
    return CRDN(
        unet_like(in_channels),
        ConvRNNCell(n_classes),
        n_classes=n_classes,
        squeeze_kernel=config.squeeze_kernel,
    )
