"""The small parts every network is built from."""

from jaxtyping import Float
from torch import Tensor, nn

Features = Float[Tensor, "batch channel ky kx"]
"""Images, feature maps or logits of a batch of slices."""


def conv_bn_relu(in_channels: int, out_channels: int, *, kernel_size: int = 3) -> nn.Sequential:
    """Convolution with zero padding and bias, batch normalisation, ReLU; keeps the size.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: Odd height and width of the kernel [pixel].
    """
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


def conv_stage(in_channels: int, out_channels: int, *, convolutions: int = 2) -> nn.Sequential:
    """3x3 convolutions in a row, each with batch normalisation and ReLU; the first one widens."""
    return nn.Sequential(
        conv_bn_relu(in_channels, out_channels),
        *(conv_bn_relu(out_channels, out_channels) for _ in range(convolutions - 1)),
    )


def conv_relu(in_channels: int, out_channels: int) -> nn.Sequential:
    """3x3 convolution with zero padding and bias, and ReLU, without normalisation."""
    return nn.Sequential(nn.Conv2d(in_channels, out_channels, 3, padding=1), nn.ReLU(inplace=True))
