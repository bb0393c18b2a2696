"""SERANet's segmentation module: a U-Net that may remember what it saw one recurrence before."""

from typing import Annotated, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from spinforge.models.crdn.recurrent import State
from spinforge.models.layers.blocks import Features
from spinforge.models.layers.encoder import PlainEncoder
from spinforge.models.layers.sizes import require_minimum_size
from spinforge.models.seranet.reconstruction import Up, UpPath

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


class ConvLSTM(nn.Module):
    r"""Convolutional long short-term memory, without peepholes.

    $(i, f, o, g) = W * (x \oplus h) + b$, $c' = \sigma(f)\,c + \sigma(i) \tanh g$,
    $h' = \sigma(o) \tanh c'$ with $\oplus$ joining channels and $W$ a 3x3 convolution.

    Args:
        in_channels: Channels of the input.
        width: Channels of hidden state and memory.

    Source:
        Shi et al., "Convolutional LSTM network" (NeurIPS 2015), eq. 3, whose peepholes are left
        out as usual.
    """

    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__()
        self.width = width
        self.gates = nn.Conv2d(in_channels + width, 4 * width, 3, padding=1)

    def forward(self, x: Features, state: State | None = None) -> State:
        """One step.

        Args:
            x: (batch, in_channels, ky, kx).
            state: Hidden state and memory, (batch, width, ky, kx) each; None is zero.

        Returns:
            The next hidden state, which is the output, and memory.
        """
        if state is None:
            zero = x.new_zeros(x.shape[0], self.width, *x.shape[-2:])
            state = (zero, zero)
        hidden, memory = state
        i, f, o, g = self.gates(torch.cat((x, hidden), dim=1)).chunk(4, dim=1)
        memory = f.sigmoid() * memory + i.sigmoid() * g.tanh()
        return o.sigmoid() * memory.tanh(), memory


class RecurrentUNet(nn.Module):
    """U-Net of five levels with a ConvLSTM in one place, or none.

    Args:
        in_channels: Channels of the image.
        n_classes: Classes, background included.
        width: Channels at full size, doubled at each of four halvings.
        up: How a map is doubled on the way up.
        memory: Where the ConvLSTM sits; None leaves it out. The paper integrates one "into the
            UNet" and does not say where.

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
        memory: MemoryPlace | None = None,
    ) -> None:
        super().__init__()
        widths = tuple(width * factor for factor in (1, 2, 4, 8, 16))
        self.memory_place = memory
        self.memory: ConvLSTM | None = None
        match memory:
            case "input":
                self.memory = ConvLSTM(in_channels, width)
                in_channels = width
            case "bottleneck":
                self.memory = ConvLSTM(widths[-1], widths[-1])
            case "last":
                self.memory = ConvLSTM(width, width)
        self.encoder = PlainEncoder(in_channels, widths)
        self.decoder = UpPath(widths, up=up)
        self.head = nn.Conv2d(width, n_classes, 1)

    def forward(
        self, image: Features, state: State | None = None
    ) -> tuple[Float[Tensor, "batch classes ky kx"], State | None]:
        """Logits of each class, and what the next recurrence is to remember.

        Args:
            image: (batch, in_channels, ky, kx), at least 16 x 16 pixels, any size.
            state: What the recurrence before returned; None at the first.

        Returns:
            Logits (batch, n_classes, ky, kx), before the softmax, and the state; None without a
            ConvLSTM.

        Raises:
            SpinforgeError: If the image is too small.
        """
        require_minimum_size(image)
        image, state = self._remember("input", image, state)
        *maps, coarsest = self.encoder(image)
        coarsest, state = self._remember("bottleneck", coarsest, state)
        features = self.decoder([*maps, coarsest])
        features, state = self._remember("last", features, state)
        return self.head(features), state

    def _remember(
        self, place: MemoryPlace, features: Features, state: State | None
    ) -> tuple[Tensor, State | None]:
        """Pass the ConvLSTM where it sits in this place; anywhere else change nothing."""
        if self.memory is None or self.memory_place != place:
            return features, state
        state = self.memory(features, state)
        return state[0], state
