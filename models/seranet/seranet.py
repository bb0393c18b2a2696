"""SERANet: segmentation from k-space that returns to the reconstruction with what it has seen."""

from typing import Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from spinforge.models.layers.sizes import MINIMUM_SIZE
from spinforge.models.names import FolderName
from spinforge.models.seranet.attention import AttentionReconstruction
from spinforge.models.seranet.consistency import ImagePair
from spinforge.models.seranet.measurement import (
    KSpaceSegmentation,
    Measurement,
    require_usable,
)
from spinforge.models.seranet.reconstruction import (
    IMAGE_CHANNELS,
    Reconstruction,
    ReconstructionConfig,
    build_block,
    build_reconstruction,
)
from spinforge.models.seranet.recurrent_unet import (
    MemoryPlace,
    RecurrentUNet,
    SegmentationUp,
    SegmentationWidth,
)
from spinforge.simulation.config import Config


class SERANetConfig(Config):
    """SERANet-N; 35.5 million parameters with blocks of kind cnn, 47.2 with autoencoders."""

    kind: Literal["seranet"] = Field(description="which network this is")
    name: FolderName = Field("seranet", description="folder name of its results")
    recurrences: int = Field(
        3, ge=1, le=10, description="how often attention is applied: the N of SERANet-N"
    )
    pretrained: bool = Field(
        False,
        description="SERANet-N++: reconstruction and segmentation are trained on their own first",
    )
    reconstruction: ReconstructionConfig = Field(
        ReconstructionConfig(), description="blocks of the reconstruction and of the attention"
    )
    attention_residual: bool = Field(
        True, description="the attention's block is added to its image, which the paper leaves open"
    )
    width: SegmentationWidth = 64
    up: SegmentationUp = "bilinear"
    memory: MemoryPlace = Field(
        "last",
        description="place of the ConvLSTM in the U-Net: last (after the decoder), input or "
        "bottleneck",
    )


class SERANet(nn.Module):
    r"""Reconstruct, segment, then N times: attend to the classes, reconstruct, segment again.

    One segmentation module and one attention module serve all recurrences; the segmentation's
    ConvLSTM remembers from one to the next, starting at zero.

    Args:
        reconstruction: From a measurement to the first image.
        attention: From image and logits to the next image.
        segmentation: From an image of two channels to logits, with its memory.
        recurrences: N; there are N + 1 segmentations.

    Attributes:
        minimum_size: Smallest height and width of a slice [pixel].

    Source:
        Huang et al., "Brain segmentation from k-space with end-to-end recurrent attention
        network" (MICCAI 2019), fig. 2 and eqs. 3-6.
    """

    minimum_size = MINIMUM_SIZE

    def __init__(
        self,
        reconstruction: Reconstruction,
        attention: AttentionReconstruction,
        segmentation: RecurrentUNet,
        *,
        recurrences: int,
    ) -> None:
        super().__init__()
        self.reconstruction = reconstruction
        self.attention = attention
        self.segmentation = segmentation
        self.recurrences = recurrences

    def forward(self, measurement: Measurement) -> KSpaceSegmentation:
        """Segment a batch of slices.

        Args:
            measurement: Of at least 16 x 16 points.

        Returns:
            N + 1 segmentations and the image each of them read; the paper's loss takes the last
            segmentation alone.

        Raises:
            SpinforgeError: If the parts of the measurement do not fit, or it is too small.
        """
        require_usable(measurement)
        image = self.reconstruction(measurement)
        logits, state = self.segmentation(image)
        images, segmentations = [image], [logits]
        for _ in range(self.recurrences):
            image = self.attention(image, logits, measurement)
            logits, state = self.segmentation(image, state)
            images.append(image)
            segmentations.append(logits)
        return KSpaceSegmentation(tuple(segmentations), tuple(images))

    def reconstruct(self, measurement: Measurement) -> ImagePair:
        """The first image alone: for pre-training."""
        image: ImagePair = self.reconstruction(measurement)
        return image

    def segment(self, image: ImagePair) -> Float[Tensor, "batch classes ky kx"]:
        """Logits of any image of two channels, with nothing to remember: for pre-training."""
        logits, _ = self.segmentation(image)
        return logits

    @torch.no_grad()
    def start_attention_from_reconstruction(self) -> None:
        """Give the attention's block the weights of the last block of the reconstruction.

        Its first convolution reads a copy of the image per class; each copy gets the same kernel.
        As the copies sum to the image, the attention starts as one more block of the pre-trained
        reconstruction. This is how we start SERANet-N++, whose attention has no target of its
        own; the paper does not say.
        """
        source = self.reconstruction.blocks[-1].state_dict()
        started = {
            name: weight.repeat(1, own.shape[1] // weight.shape[1], 1, 1)
            if weight.shape != own.shape
            else weight
            for (name, own), weight in zip(
                self.attention.block.state_dict().items(), source.values(), strict=True
            )
        }
        self.attention.block.load_state_dict(started)


def build_seranet(config: SERANetConfig, *, n_classes: int) -> SERANet:
    """SERANet with freshly drawn weights, from torch's global generator.

    Args:
        config: Which SERANet.
        n_classes: Classes, background included.
    """
    return SERANet(
        build_reconstruction(config.reconstruction),
        AttentionReconstruction(
            build_block(config.reconstruction, in_channels=n_classes * IMAGE_CHANNELS),
            residual=config.attention_residual,
            trust=config.reconstruction.trust,
        ),
        RecurrentUNet(
            in_channels=IMAGE_CHANNELS,
            n_classes=n_classes,
            width=config.width,
            up=config.up,
            memory=config.memory,
        ),
        recurrences=config.recurrences,
    )
