"""SERANet's segmentation module: a U-Net that remembers what it saw one recurrence before."""

from typing import Annotated, Literal

from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from spinforge.models.layers.blocks import Features
from spinforge.models.layers.conv_lstm import ConvLSTM, State
from spinforge.models.layers.encoder import PlainEncoder
from spinforge.models.layers.sizes import require_minimum_size
from spinforge.models.layers.unet import Up, UpPath, doubled_widths
from spinforge.models.seranet.unet import LEVELS

MemoryPlace = Literal["last", "input", "bottleneck"]
"""Where the ConvLSTM sits: between decoder and head, before the encoder, or on the coarsest map."""

SegmentationWidth = Annotated[
    int, Field(ge=1, le=256, description="channels of the segmenting U-Net at full size")
]
SegmentationUp = Annotated[
    Up,
    Field(
        description="how the segmenting U-Net doubles a map: bilinear and a convolution, or "
        "transposed"
    ),
]


class RecurrentUNet(nn.Module):
    """U-Net of five levels with a ConvLSTM in one place.

    Args:
        in_channels: Channels of the image.
        n_classes: Classes, background included.
        width: Channels at full size, doubled at each of four halvings.
        up: How a map is doubled on the way up.
        memory: Where the ConvLSTM sits. The paper integrates one "into the UNet" and does not say
            where.

    Source:
        Huang et al., "Brain segmentation from k-space with end-to-end recurrent attention
        network" (MICCAI 2019), sec. 3.3 and fig. 9c.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        n_classes: int,
        width: int,
        up: Up = "bilinear",
        memory: MemoryPlace,
    ) -> None:
        super().__init__()
        widths = doubled_widths(width, LEVELS)
        self.memory_place = memory
        match memory:
            case "input":
                self.memory = ConvLSTM(in_channels, width)
                in_channels = width
            case "bottleneck":
                self.memory = ConvLSTM(widths[-1], widths[-1])
            case "last":
                self.memory = ConvLSTM(width, width)
        self.encoder = PlainEncoder(in_channels, widths)
        self.ups = UpPath(widths, up=up)
        self.head = nn.Conv2d(width, n_classes, 1)

    def forward(
        self, image: Features, state: State | None = None
    ) -> tuple[Float[Tensor, "batch classes ky kx"], State]:
        """Logits of each class, and what the next recurrence is to remember.

        Args:
            image: (batch, in_channels, ky, kx), at least 16 x 16 pixels, any size.
            state: What the recurrence before returned; None at the first.

        Returns:
            Logits (batch, n_classes, ky, kx), before the softmax, and the state.

        Raises:
            SpinforgeError: If the image is too small.
        """
        require_minimum_size(image)
        image, state = self._remember("input", image, state)
        *maps, coarsest = self.encoder(image)
        coarsest, state = self._remember("bottleneck", coarsest, state)
        features = self.ups([*maps, coarsest])
        features, state = self._remember("last", features, state)
        assert state is not None  # one of the three places has passed the ConvLSTM
        return self.head(features), state

    def _remember(
        self, place: MemoryPlace, features: Features, state: State | None
    ) -> tuple[Tensor, State | None]:
        """Pass the ConvLSTM where it sits in this place; anywhere else change nothing."""
        if self.memory_place != place:
            return features, state
        state = self.memory(features, state)
        return state[0], state
