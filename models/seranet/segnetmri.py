"""SegNetMRI: reconstruction and segmentation side by side, on the same encoders."""

from typing import Literal

import torch
from pydantic import Field
from torch import nn

from spinforge.models.layers.encoder import FeatureMaps, PlainEncoder
from spinforge.models.layers.sizes import MINIMUM_SIZE
from spinforge.models.layers.unet import Up, UpPath, doubled_widths
from spinforge.models.names import FolderName
from spinforge.models.seranet.consistency import ImagePair, data_consistency, zero_filled_channels
from spinforge.models.seranet.measurement import (
    KSpaceSegmentation,
    Measurement,
    require_usable,
)
from spinforge.models.seranet.reconstruction import AUTOENCODER_LEVELS, IMAGE_CHANNELS
from spinforge.simulation.config import Config


class SegNetMRIConfig(Config):
    """SegNetMRI; 15.0 million parameters.

    Its code is not public, and the number of blocks and the weight of the segmentation's loss
    could not be checked in its paper.
    """

    kind: Literal["segnetmri"] = Field(description="which network this is")
    name: FolderName = Field("segnetmri", description="folder name of its results")
    blocks: int = Field(5, ge=1, le=20, description="blocks in a row, each with its own weights")
    width: int = Field(
        64, ge=1, le=256, description="channels at full size, doubled at each of two halvings"
    )
    up: Up = Field(
        "bilinear",
        description="how decoders double a map: bilinear and a convolution, or transposed",
    )
    segmentation_weight: float = Field(
        0.01,
        gt=0,
        le=100,
        description="weight of the cross-entropy beside the reconstruction's mean squared error "
        "when both are trained together",
    )


class SegNetMRI(nn.Module):
    r"""Blocks of one encoder and two decoders: one for the image, one for the segmentation.

    $f_k = E_k(x^{k-1})$, $x^k = DC(x^{k-1} + R_k(f_k))$, $q_k = Q_k(f_k)$; the answer is a 1x1
    convolution of all $q_k$.

    Args:
        n_classes: Classes, background included.
        blocks: Number of blocks.
        width: Channels at full size, doubled at each of two halvings.
        up: How decoders double a map.

    Attributes:
        minimum_size: Smallest height and width of a slice [pixel].

    Source:
        Sun et al., "Joint CS-MRI reconstruction and segmentation with a unified deep network"
        (IPMI 2019), as Huang et al. (MICCAI 2019) describe it; encoder and decoders as in the
        latter's fig. 9b.
    """

    minimum_size = MINIMUM_SIZE

    def __init__(self, *, n_classes: int, blocks: int, width: int, up: Up) -> None:
        super().__init__()
        widths = doubled_widths(width, AUTOENCODER_LEVELS)

        def decoder(channels: int) -> nn.Sequential:
            return nn.Sequential(UpPath(widths, up=up), nn.Conv2d(width, channels, 1))

        self.encoders = nn.ModuleList(PlainEncoder(IMAGE_CHANNELS, widths) for _ in range(blocks))
        self.reconstructions = nn.ModuleList(decoder(IMAGE_CHANNELS) for _ in range(blocks))
        self.segmentations = nn.ModuleList(decoder(n_classes) for _ in range(blocks))
        self.merge = nn.Conv2d(blocks * n_classes, n_classes, 1)

    def forward(self, measurement: Measurement) -> KSpaceSegmentation:
        """Segment a batch of slices.

        Args:
            measurement: Of at least 16 x 16 points.

        Returns:
            The merged segmentation, and the image after each block.

        Raises:
            SpinforgeError: If the parts of the measurement do not fit, or it is too small.
        """
        require_usable(measurement)
        images, features = self._encode_and_reconstruct(measurement)
        opinions = [
            segmentation(maps)
            for segmentation, maps in zip(self.segmentations, features, strict=True)
        ]
        return KSpaceSegmentation((self.merge(torch.cat(opinions, dim=1)),), tuple(images))

    def reconstruct(self, measurement: Measurement) -> ImagePair:
        """The final image alone, without any segmentation: for pre-training."""
        images, _ = self._encode_and_reconstruct(measurement)
        return images[-1]

    def _encode_and_reconstruct(
        self, measurement: Measurement
    ) -> tuple[list[ImagePair], list[FeatureMaps]]:
        """Image and features of each block."""
        image = zero_filled_channels(measurement)
        images, features = [], []
        for encoder, reconstruction in zip(self.encoders, self.reconstructions, strict=True):
            features.append(encoder(image))
            image = data_consistency(image + reconstruction(features[-1]), measurement)
            images.append(image)
        return images, features


def build_segnetmri(config: SegNetMRIConfig, *, n_classes: int) -> SegNetMRI:
    """SegNetMRI with freshly drawn weights, from torch's global generator.

    Args:
        config: Which SegNetMRI.
        n_classes: Classes, background included.
    """
    return SegNetMRI(n_classes=n_classes, blocks=config.blocks, width=config.width, up=config.up)
