"""The convolutional LSTM, as CRDN decodes with it and SERANet remembers with it."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from spinforge.models.layers.blocks import Features

GateName = Literal["sigmoid", "relu"]

GATE_FUNCTIONS: dict[GateName, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "relu": torch.relu,
}

State = tuple[Tensor, ...]
"""Maps a recurrent cell hands on, each (batch, width, ky, kx); the first is its output."""


class ConvLSTM(nn.Module):
    r"""Convolutional long short-term memory, without peepholes.

    $$(i, f, o) = \sigma(W * (X \oplus S) + b), \quad g = \tanh(W_g * (X \oplus S) + b_g),$$
    $$C' = f C + i g, \quad S' = o \tanh(C')$$

    with $\oplus$ joining channels. One 3x3 convolution computes i, f, o and g, in this order.

    With the logistic function for $\sigma$ the output lies between -1 and 1. As logits of n classes
    it keeps the probabilities soft: the cross-entropy cannot fall below
    $\log(1 + (n - 1) e^{-2})$, 0.341 for four classes.

    Args:
        in_channels: Channels of the input X.
        width: Channels of the output S and of the memory C.
        gate: The function $\sigma$. The sentence after CRDN's eq. 4 names ReLU; its authors' code
            has the logistic function, as is usual, and with ReLU some trainings fail.

    Source:
        Shi et al., "Convolutional LSTM network" (NeurIPS 2015), eq. 3, whose peepholes are left
        out as usual; Wen et al. (AAAI 2020), eq. 4; Huang et al. (MICCAI 2019), sec. 3.3.
    """

    n_maps = 2

    def __init__(self, in_channels: int, width: int, *, gate: GateName = "sigmoid") -> None:
        super().__init__()
        self.width = width
        self.gate = GATE_FUNCTIONS[gate]
        self.convolution = nn.Conv2d(in_channels + width, 4 * width, 3, padding=1)

    def forward(self, x: Features, state: State | None = None) -> State:
        """One step.

        Args:
            x: (batch, in_channels, ky, kx).
            state: Output and memory of the step before, (batch, width, ky, kx) each; None is zero.

        Returns:
            The next output and memory.
        """
        if state is None:
            # Channels last in memory: joined with maps of that order they keep it, while
            # ordinary maps stay ordinary either way.
            zero = x.new_zeros(x.shape[0], *x.shape[-2:], self.width).movedim(-1, 1)
            state = (zero, zero)
        output, memory = state
        i, f, o, g = self.convolution(torch.cat((x, output), dim=1)).chunk(4, dim=1)
        memory = self.gate(f) * memory + self.gate(i) * torch.tanh(g)
        return self.gate(o) * torch.tanh(memory), memory
