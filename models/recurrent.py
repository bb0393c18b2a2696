"""Recurrent decoding: one convolutional cell climbs from the coarsest map to the finest."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from spinforge.models.blocks import Features, resize_to

State = tuple[Tensor, ...]
"""Maps a cell carries to the next stage, each (batch, width, ky, kx); the first is its output."""


class RecurrentCell(nn.Module):
    """What `RecurrentDecoder` relies on; subclasses set `n_maps` and define `forward`.

    Attributes:
        n_maps: Number of maps in the state: the output, and for an LSTM the cell memory.
    """

    n_maps: int

    def forward(self, x: Features, state: State) -> State:
        """One step: the input map and the state, resized to it, give the next state."""
        raise NotImplementedError


class ConvRNNCell(RecurrentCell):
    r"""Plain recurrent cell.

    $S_i = \mathrm{ReLU}(W * (X_i \oplus S_{i-1}) + b)$ with $\oplus$ joining channels and $W$ a
    3x3 convolution from `2 * width` to `width` channels.

    Args:
        width: Channels of the input and of the state.

    The bias starts at 1, which the paper leaves open: the output of the last stage is the logits,
    and with PyTorch's default a class often starts below zero everywhere, where the rectifier
    passes no gradient, and may never be found.

    Source:
        Wen et al., "Segmenting medical MRI via recurrent decoding cell" (AAAI 2020), eq. 3.
    """

    n_maps = 1

    def __init__(self, width: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(2 * width, width, 3, padding=1)
        nn.init.ones_(self.convolution.bias)  # type: ignore[arg-type]  # there is one

    def forward(self, x: Features, state: State) -> State:
        """One step.

        Args:
            x: (batch, width, ky, kx).
            state: One map of the same shape.

        Returns:
            One map of the same shape, not negative.
        """
        return (torch.relu(self.convolution(torch.cat((x, *state), dim=1))),)


class RecurrentDecoder(nn.Module):
    """Apply one cell, always with the same weights, from the coarsest map to the finest.

    Between stages the state is resized bilinearly to the next map; it starts at zero.

    Args:
        cell: The cell shared by all stages.
    """

    def __init__(self, cell: RecurrentCell) -> None:
        super().__init__()
        self.cell = cell

    def forward(
        self, maps: Sequence[Float[Tensor, "batch channel _h _w"]]
    ) -> Float[Tensor, "batch channel ky kx"]:
        """Decode.

        Args:
            maps: (batch, width, _, _) each, fine to coarse.

        Returns:
            Output of the last stage, same shape as the finest map.
        """
        state: State = (torch.zeros_like(maps[-1]),) * self.cell.n_maps
        for x in reversed(maps):
            state = self.cell(x, tuple(resize_to(carried, x) for carried in state))
        return state[0]
