"""CRDN's encoders: an image becomes five feature maps, each half the size of the one before."""

from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812 (the name everyone knows it by)
from jaxtyping import Float
from torch import Tensor, nn

from spinforge.models.layers.blocks import Features
from spinforge.models.layers.encoder import Encoder, PlainEncoder

EncoderName = Literal["unet", "vgg16", "resnet50"]


def unet_like(in_channels: int) -> PlainEncoder:
    """CRDN's U-Net-like encoder, 16 to 256 channels."""
    return PlainEncoder(in_channels, (16, 32, 64, 128, 256))


def vgg16(in_channels: int, *, ceil_mode: bool = False) -> PlainEncoder:
    """VGG16's thirteen convolutions, with batch normalisation and without the last pooling.

    Args:
        in_channels: Channels of the image.
        ceil_mode: Whether pooling rounds odd sizes up.

    Source:
        Simonyan and Zisserman, "Very deep convolutional networks for large-scale image
        recognition" (ICLR 2015), table 1, column D.
    """
    return PlainEncoder(
        in_channels, (64, 128, 256, 512, 512), convolutions=(2, 2, 3, 3, 3), ceil_mode=ceil_mode
    )


class Bottleneck(nn.Module):
    """Residual block: 1x1, 3x3 and 1x1 convolution, added to the input.

    The shortcut is the input itself, or a 1x1 convolution of it where size or channels change.
    Halving is the 3x3 convolution's task. No convolution has a bias: normalisation follows each.

    Args:
        in_channels: Channels of the input.
        width: Channels between; the output has four times as many.
        stride: 1 keeps the size, 2 halves it, odd sizes rounded up.

    Source:
        He et al., "Deep residual learning for image recognition" (CVPR 2016), fig. 5 right; the
        stride on the 3x3 convolution is the common later choice.
    """

    def __init__(self, in_channels: int, width: int, *, stride: int) -> None:
        super().__init__()
        out_channels = 4 * width
        self.residual = nn.Sequential(
            *_unbiased_conv_bn(in_channels, width, 1),
            nn.ReLU(inplace=True),
            *_unbiased_conv_bn(width, width, 3, stride=stride),
            nn.ReLU(inplace=True),
            *_unbiased_conv_bn(width, out_channels, 1),
        )
        self.shortcut = nn.Sequential()
        if stride != 1 or in_channels != out_channels:
            self.shortcut.extend(_unbiased_conv_bn(in_channels, out_channels, 1, stride=stride))

    def forward(
        self, features: Float[Tensor, "batch channel ky kx"]
    ) -> Float[Tensor, "batch wide _h _w"]:
        """Shape (batch, in_channels, ky, kx) to (batch, 4 * width, ky / stride, kx / stride)."""
        return torch.relu(self.residual(features) + self.shortcut(features))


class ResNet50(Encoder):
    r"""ResNet50 whose first convolution keeps the size, so that there is a map at full size.

    The 7x7 convolution has stride 1 instead of 2; then follow the 3x3 max-pooling of stride 2 and
    3, 4, 6 and 3 bottleneck blocks. Weights of the convolutions start normal with variance
    $2 / (k^2 c_{out})$, so that signals keep their size on the way back through fifty layers.

    Args:
        in_channels: Channels of the image.

    Source:
        He et al., CVPR 2016, table 1; the stride and the initial weights as in the CRDN authors'
        repository.
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.widths = (64, 256, 512, 1024, 2048)
        self.stem = nn.Sequential(*_unbiased_conv_bn(in_channels, 64, 7), nn.ReLU(inplace=True))
        self.stages = nn.ModuleList(
            nn.Sequential(
                Bottleneck(narrow, wide // 4, stride=stride),
                *(Bottleneck(wide, wide // 4, stride=1) for _ in range(blocks - 1)),
            )
            for narrow, wide, blocks, stride in zip(
                self.widths[:-1], self.widths[1:], (3, 4, 6, 3), (1, 2, 2, 2), strict=True
            )
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, image: Features) -> list[Float[Tensor, "batch _c _h _w"]]:
        """Five maps, fine to coarse; the first is the stem's output before it is pooled.

        Args:
            image: (batch, in_channels, ky, kx).

        Returns:
            Maps k = 0..4 of shape (batch, widths[k], ky / 2**k, kx / 2**k), rounded up.
        """
        maps = [self.stem(image)]
        features = F.max_pool2d(maps[0], 3, stride=2, padding=1)
        for stage in self.stages:
            features = stage(features)
            maps.append(features)
        return maps


def build_encoder(name: EncoderName, in_channels: int) -> Encoder:
    """Encoder with freshly drawn weights, from torch's global generator.

    Args:
        name: Which encoder.
        in_channels: Channels of the images.
    """
    match name:
        case "unet":
            return unet_like(in_channels)
        case "vgg16":
            return vgg16(in_channels)
        case "resnet50":
            return ResNet50(in_channels)


def _unbiased_conv_bn(
    in_channels: int, out_channels: int, kernel_size: int, *, stride: int = 1
) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    convolution = nn.Conv2d(
        in_channels,
        out_channels,
        kernel_size,
        stride=stride,
        padding=kernel_size // 2,
        bias=False,
    )
    return convolution, nn.BatchNorm2d(out_channels)
