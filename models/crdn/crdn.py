"""CRDN: an encoder whose maps are squeezed to one channel a class and decoded recurrently."""

from collections.abc import Callable
from typing import Any, Literal

from jaxtyping import Float
from pydantic import Field, model_serializer, model_validator
from torch import Tensor, nn

from spinforge.models.crdn.encoders import EncoderName, build_encoder
from spinforge.models.crdn.recurrent import (
    CellName,
    GRUReset,
    RecurrentDecoder,
    build_cell,
)
from spinforge.models.layers.blocks import Features, conv_bn_relu
from spinforge.models.layers.conv_lstm import GateName
from spinforge.models.layers.encoder import Encoder
from spinforge.models.layers.sizes import MINIMUM_SIZE, require_minimum_size
from spinforge.models.names import FolderName
from spinforge.simulation.config import Config


class CRDNConfig(Config):
    """Convolutional network with a recurrent decoding cell.

    1.2 million parameters with the U-Net-like encoder, 14.9 with VGG16, 23.6 with ResNet50.
    """

    kind: Literal["crdn"] = Field(description="which network this is")
    name: FolderName = Field("crdn", description="folder name of its results")
    encoder: EncoderName = Field(
        "unet",
        description="encoder: unet is U-Net-like, 16 to 256 channels; vgg16; resnet50",
    )
    cell: CellName = Field("rnn", description="decoding cell: rnn is a plain ConvRNN; lstm; gru")
    squeeze_kernel: Literal[3, 5] = Field(
        default_factory=lambda chosen: 3 if chosen.get("encoder") == "resnet50" else 5,
        description="kernel of the squeezing convolutions [pixel]; the paper has 5, but the "
        "number of parameters it gives for resnet50 is that of 3, the default there",
    )
    gate: GateName = Field(
        "sigmoid",
        description="activation of the gates of lstm and gru; the paper's text names relu, with "
        "which some trainings fail",
    )
    gru_reset: GRUReset = Field(
        "after",
        description="where the reset gate of gru acts: after the state's convolution, as in the "
        "paper, or before it",
    )
    upsampling: Literal["bilinear", "transposed"] = Field(
        "bilinear",
        description="how the state grows between stages: bilinear resizing, or a transposed "
        "convolution shared by all stages first",
    )

    @model_validator(mode="after")
    def _switches_matter(self) -> "CRDNConfig":
        if self.cell == "rnn" and self.gate != "sigmoid":
            raise ValueError("`gate` is for the cells lstm and gru; an rnn has no gates")
        if self.cell != "gru" and self.gru_reset != "after":
            raise ValueError(f"`gru_reset` is for the cell gru, not for {self.cell}")
        return self

    @model_serializer(mode="wrap")
    def _omit_switches_at_their_default(
        self, serialize: Callable[["CRDNConfig"], dict[str, Any]]
    ) -> dict[str, Any]:
        """Initial weights and folders of networks without these switches are keyed without them."""
        defaults = {"gate": "sigmoid", "gru_reset": "after", "upsampling": "bilinear"}
        return {key: value for key, value in serialize(self).items() if defaults.get(key) != value}


class CRDN(nn.Module):
    """Encoder, one squeezing convolution per map, recurrent decoder.

    The decoder's last state is the result: with a plain recurrent cell the logits are not
    negative, with the others they lie between -1 and 1 while the gates are logistic. There is no
    convolution after it, as in the paper.

    Args:
        encoder: Gives five maps, fine to coarse.
        decoder: Recurrent decoder of width `n_classes`.
        n_classes: Classes, background included.
        squeeze_kernel: Odd kernel size of the squeezing convolutions [pixel].

    Attributes:
        minimum_size: Smallest height and width of an image [pixel].

    Source:
        Wen et al., "Segmenting medical MRI via recurrent decoding cell" (AAAI 2020), eqs. 1-5.
    """

    minimum_size = MINIMUM_SIZE

    def __init__(
        self, encoder: Encoder, decoder: RecurrentDecoder, *, n_classes: int, squeeze_kernel: int
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.squeezes = nn.ModuleList(
            conv_bn_relu(width, n_classes, kernel_size=squeeze_kernel) for width in encoder.widths
        )
        self.decoder = decoder

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
        maps = self.encoder(image)
        return self.decoder(
            [squeeze(features) for squeeze, features in zip(self.squeezes, maps, strict=True)]
        )


def build_crdn(config: CRDNConfig, *, in_channels: int, n_classes: int) -> CRDN:
    """CRDN with freshly drawn weights, from torch's global generator.

    Args:
        config: Encoder, cell and switches.
        in_channels: Channels of the images.
        n_classes: Classes, background included.
    """
    encoder = build_encoder(config.encoder, in_channels)
    cell = build_cell(config.cell, n_classes, gate=config.gate, gru_reset=config.gru_reset)
    doubling = (
        nn.ConvTranspose2d(n_classes, n_classes, 2, stride=2)
        if config.upsampling == "transposed"
        else None
    )
    return CRDN(
        encoder,
        RecurrentDecoder(cell, doubling),
        n_classes=n_classes,
        squeeze_kernel=config.squeeze_kernel,
    )
