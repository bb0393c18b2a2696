"""FCN-2s, SegNet and U-Net on CRDN's encoders: the networks its table 2 compares it with."""

from typing import Literal

from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor, nn

from spinforge.models.crdn.decoders import (
    HEAD_CHANNELS,
    FCNDecoder,
    ScoreUpsampling,
    SegNetDecoder,
    UNetDecoder,
    fcn_heavy_head,
    fcn_light_head,
)
from spinforge.models.crdn.encoders import EncoderName, ResNet50, build_encoder, unet_like, vgg16
from spinforge.models.layers.blocks import Features
from spinforge.models.layers.encoder import Encoder
from spinforge.models.layers.sizes import require_minimum_size
from spinforge.models.names import FolderName
from spinforge.simulation.config import Config


class EncoderDecoderConfig(Config):
    """One of CRDN's encoders with the decoder of another network; 1.2 to 116 million parameters."""

    kind: Literal["encoder_decoder"] = Field(description="which network this is")
    name: FolderName = Field("encoder-decoder", description="folder name of its results")
    encoder: EncoderName = Field(
        "unet",
        description="encoder: unet is U-Net-like, 16 to 256 channels; vgg16; resnet50",
    )
    decoder: Literal["fcn", "segnet", "unet"] = Field(
        description="decoder: fcn is FCN-2s; segnet, not with resnet50; unet"
    )
    score_upsampling: ScoreUpsampling = Field(
        "nearest", description="how fcn enlarges its scores; the authors' code: nearest pixel"
    )
    head_channels: int = Field(
        HEAD_CHANNELS,
        ge=1,
        le=HEAD_CHANNELS,
        description="width of fcn's head on vgg16 and resnet50; as published: 4096",
    )

    @model_validator(mode="after")
    def _parts_fit(self) -> "EncoderDecoderConfig":
        if self.decoder == "segnet" and self.encoder == "resnet50":
            raise ValueError(
                "segnet does not work with resnet50, which halves its maps with strided "
                "convolutions: there are no maxima to put back. Take unet or vgg16"
            )
        if self.decoder != "fcn" and self.score_upsampling != "nearest":
            raise ValueError(f"`score_upsampling` is for the decoder fcn, not for {self.decoder}")
        heavy = self.decoder == "fcn" and self.encoder != "unet"
        if not heavy and self.head_channels != HEAD_CHANNELS:
            raise ValueError(
                "`head_channels` is for the decoder fcn on vgg16 or resnet50, not for "
                f"{self.decoder} on {self.encoder}"
            )
        return self


class EncoderDecoder(nn.Module):
    """An encoder, and a decoder of its five maps.

    Args:
        encoder: Gives five maps, fine to coarse, the first at the image's size.
        decoder: From these maps to logits at the size of the first.
        minimum_size: Smallest height and width of an image for which no map vanishes [pixel].

    Attributes:
        minimum_size: Smallest height and width of an image [pixel].

    Source:
        Wen et al., "Segmenting medical MRI via recurrent decoding cell" (AAAI 2020), table 2.
    """

    def __init__(self, encoder: Encoder, decoder: nn.Module, *, minimum_size: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.minimum_size = minimum_size

    def forward(self, image: Features) -> Float[Tensor, "batch classes ky kx"]:
        """Logits of each class.

        Args:
            image: (batch, in_channels, ky, kx), of any size from `minimum_size` on.

        Returns:
            (batch, n_classes, ky, kx), before the softmax.

        Raises:
            SpinforgeError: If the image is too small.
        """
        require_minimum_size(image, self.minimum_size)
        return self.decoder(self.encoder(image))


def build_encoder_decoder(
    config: EncoderDecoderConfig, *, in_channels: int, n_classes: int
) -> EncoderDecoder:
    """Network with freshly drawn weights, from torch's global generator.

    Args:
        config: Encoder and decoder.
        in_channels: Channels of the images.
        n_classes: Classes, background included.
    """
    match config.decoder:
        case "fcn":
            return _build_fcn(config, in_channels, n_classes)
        case "segnet":
            encoder = vgg16(in_channels) if config.encoder == "vgg16" else unet_like(in_channels)
            return EncoderDecoder(encoder, SegNetDecoder(encoder, n_classes), minimum_size=32)
        case "unet":
            backbone = build_encoder(config.encoder, in_channels)
            decoder = UNetDecoder(backbone.widths, n_classes)
            return EncoderDecoder(backbone, decoder, minimum_size=16)


def _build_fcn(config: EncoderDecoderConfig, in_channels: int, n_classes: int) -> EncoderDecoder:
    """FCN-2s as its authors' repository has it, where the three encoders are treated differently.

    Plain encoders are read after each pooling, so the head is at 1/32 of the size. ResNet50 is read
    after the stem's pooling and after its four stages, so the head is at 1/16.
    """
    encoder: Encoder
    poolings: list[nn.Module]
    match config.encoder:
        case "unet":
            encoder = unet_like(in_channels)
            poolings = [nn.MaxPool2d(2) for _ in range(5)]
            head, minimum_size = fcn_light_head(256, n_classes), 32
        case "vgg16":
            encoder = vgg16(in_channels, ceil_mode=True)
            poolings = [nn.MaxPool2d(2, ceil_mode=True) for _ in range(5)]
            # Smaller images reach the head's 3x3 convolution with fewer than 3 pixels.
            head = fcn_heavy_head(512, n_classes, width=config.head_channels)
            minimum_size = 65
        case "resnet50":
            encoder = ResNet50(in_channels)
            poolings = [nn.MaxPool2d(3, stride=2, padding=1), *(nn.Identity() for _ in range(4))]
            head = fcn_heavy_head(2048, n_classes, width=config.head_channels)
            minimum_size = 33
    decoder = FCNDecoder(
        encoder.widths, n_classes, poolings=poolings, head=head, upsampling=config.score_upsampling
    )
    return EncoderDecoder(encoder, decoder, minimum_size=minimum_size)
