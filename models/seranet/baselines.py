"""SERANet's baselines: reconstruct, then segment, with nothing returned."""

from typing import Literal

from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from spinforge.models.layers.sizes import MINIMUM_SIZE
from spinforge.models.layers.unet import UNet, doubled_widths
from spinforge.models.names import FolderName
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
    build_reconstruction,
)
from spinforge.models.seranet.recurrent_unet import SegmentationUp, SegmentationWidth
from spinforge.models.seranet.unet import LEVELS
from spinforge.simulation.config import Config


class FullySampledConfig(Config):
    """U-Net on the image of all lines: the best that can be hoped for; 34.5 million parameters."""

    kind: Literal["fully_sampled"] = Field(description="which network this is")
    name: FolderName = Field("fully-sampled", description="folder name of its results")
    width: SegmentationWidth = 64
    up: SegmentationUp = "bilinear"


class ZeroFillingConfig(Config):
    """U-Net on the zero-filled image; 34.5 million parameters."""

    kind: Literal["zero_filling"] = Field(description="which network this is")
    name: FolderName = Field("zero-filling", description="folder name of its results")
    width: SegmentationWidth = 64
    up: SegmentationUp = "bilinear"


class TwoStepConfig(Config):
    """Reconstruction, then a U-Net, each trained on its own; 35.1 or 44.9 million parameters."""

    kind: Literal["two_step"] = Field(description="which network this is")
    name: FolderName = Field("two-step", description="folder name of its results")
    reconstruction: ReconstructionConfig = Field(
        ReconstructionConfig(), description="blocks of the reconstruction"
    )
    width: SegmentationWidth = 64
    up: SegmentationUp = "bilinear"


class JointConfig(Config):
    """The network of `two_step`, trained as one on the segmentation alone."""

    kind: Literal["joint"] = Field(description="which network this is")
    name: FolderName = Field("joint", description="folder name of its results")
    reconstruction: ReconstructionConfig = Field(
        ReconstructionConfig(), description="blocks of the reconstruction"
    )
    width: SegmentationWidth = 64
    up: SegmentationUp = "bilinear"


BaselineConfig = FullySampledConfig | ZeroFillingConfig | TwoStepConfig | JointConfig


class ReconstructThenSegment(nn.Module):
    """A reconstruction and a U-Net that reads it.

    Args:
        reconstruction: From a measurement to an image; without blocks it is zero-filling.
        segmentation: From an image of two channels to logits.
        every_line: Look at all lines of k-space, acquired or not.

    Attributes:
        minimum_size: Smallest height and width of a slice [pixel].

    Source:
        Huang et al., "Brain segmentation from k-space with end-to-end recurrent attention
        network" (MICCAI 2019), sec. 4.2.
    """

    minimum_size = MINIMUM_SIZE

    def __init__(
        self,
        reconstruction: Reconstruction,
        segmentation: UNet,
        *,
        every_line: bool = False,
    ) -> None:
        super().__init__()
        self.reconstruction = reconstruction
        self.segmentation = segmentation
        self.every_line = every_line

    def forward(self, measurement: Measurement) -> KSpaceSegmentation:
        """Segment a batch of slices.

        Args:
            measurement: Of at least 16 x 16 points; with all lines for `every_line`.

        Returns:
            One segmentation and the image it read.

        Raises:
            SpinforgeError: If the parts of the measurement do not fit, or it is too small.
        """
        require_usable(measurement)
        image = self.reconstruct(measurement)
        return KSpaceSegmentation((self.segment(image),), (image,))

    def reconstruct(self, measurement: Measurement) -> ImagePair:
        """The image that is segmented."""
        if self.every_line:
            measurement = measurement.with_every_line()
        image: ImagePair = self.reconstruction(measurement)
        return image

    def segment(self, image: ImagePair) -> Float[Tensor, "batch classes ky kx"]:
        """Logits of any image of two channels."""
        logits: Tensor = self.segmentation(image)
        return logits


def build_baseline(config: BaselineConfig, *, n_classes: int) -> ReconstructThenSegment:
    """A baseline with freshly drawn weights, from torch's global generator.

    Args:
        config: Which of the four.
        n_classes: Classes, background included.
    """
    match config:
        case FullySampledConfig() | ZeroFillingConfig():
            reconstruction = Reconstruction([])
        case TwoStepConfig() | JointConfig():
            reconstruction = build_reconstruction(config.reconstruction)
    segmentation = UNet(
        in_channels=IMAGE_CHANNELS,
        out_channels=n_classes,
        widths=doubled_widths(config.width, LEVELS),
        up=config.up,
    )
    return ReconstructThenSegment(
        reconstruction, segmentation, every_line=isinstance(config, FullySampledConfig)
    )
