"""Recurrent decoding: one convolutional cell climbs from the coarsest map to the finest."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from spinforge.models.layers.blocks import Features
from spinforge.models.layers.conv_lstm import GATE_FUNCTIONS, ConvLSTM, GateName, State
from spinforge.models.layers.encoder import FeatureMaps
from spinforge.models.layers.sizes import resize_to

CellName = Literal["rnn", "lstm", "gru"]
GRUReset = Literal["after", "before"]


class ConvRNNCell(nn.Module):
    r"""Plain recurrent cell.

    $S_i = \mathrm{ReLU}(W * (X_i \oplus S_{i-1}) + b)$ with $\oplus$ joining channels and $W$ a
    3x3 convolution from `2 * width` to `width` channels.

    The bias starts at 1, which the paper leaves open: the output of the last stage is the logits,
    and with PyTorch's default a class often starts below zero everywhere, where the rectifier
    passes no gradient, and may never be found.

    Args:
        width: Channels of the input and of the state.

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


class ConvGRUCell(nn.Module):
    r"""Gated recurrent unit.

    $$(r, z) = \sigma(W * (X \oplus S) + b), \quad
    \tilde S = \tanh(W_x * X + b_x + r (W_s * S)), \quad S' = z S + (1 - z) \tilde S.$$

    $W$ is a 3x3 convolution from `2 * width` to `2 * width` channels that computes r and z, in this
    order; $W_x$ and $W_s$ are 3x3 from `width` to `width`. With the logistic function for $\sigma$
    the output lies between -1 and 1; see `ConvLSTM`.

    Args:
        width: Channels of the input and of the state.
        gate: The function $\sigma$, as in `ConvLSTM`.
        reset: Whether r multiplies after the convolution, as in the paper, or before it,
            $W_s * (r S)$, as in the authors' code. The weights are the same.

    Source:
        Wen et al. (AAAI 2020), eq. 5, where the product of $W_x$ and X is printed as a pointwise
        one; only a convolution fits the channels.
    """

    n_maps = 1

    def __init__(
        self, width: int, *, gate: GateName = "sigmoid", reset: GRUReset = "after"
    ) -> None:
        super().__init__()
        self.gate = GATE_FUNCTIONS[gate]
        self.reset = reset
        self.convolution = nn.Conv2d(2 * width, 2 * width, 3, padding=1)
        self.candidate_of_input = nn.Conv2d(width, width, 3, padding=1)
        self.candidate_of_state = nn.Conv2d(width, width, 3, padding=1, bias=False)

    def forward(self, x: Features, state: State) -> State:
        """One step.

        Args:
            x: (batch, width, ky, kx).
            state: One map of the same shape.

        Returns:
            One map of the same shape.
        """
        (previous,) = state
        r, z = self.gate(self.convolution(torch.cat((x, previous), dim=1))).chunk(2, dim=1)
        if self.reset == "after":
            remembered = r * self.candidate_of_state(previous)
        else:
            remembered = self.candidate_of_state(r * previous)
        candidate = torch.tanh(self.candidate_of_input(x) + remembered)
        return (z * previous + (1 - z) * candidate,)


RecurrentCell = ConvRNNCell | ConvLSTM | ConvGRUCell
"""What `RecurrentDecoder` applies: `n_maps` is the number of maps in its state."""


class RecurrentDecoder(nn.Module):
    """Apply one cell, always with the same weights, from the coarsest map to the finest.

    Between stages every map of the state is brought to the size of the next input: resized
    bilinearly, or doubled by a transposed convolution first. The state starts at zero.

    Args:
        cell: The cell shared by all stages.
        doubling: Transposed convolution of stride 2 that keeps the number of channels, shared by
            all stages and maps of the state; None leaves the doubling to the bilinear resizing.
    """

    def __init__(self, cell: RecurrentCell, doubling: nn.ConvTranspose2d | None = None) -> None:
        super().__init__()
        self.cell = cell
        self.doubling = doubling

    def forward(self, maps: FeatureMaps) -> Float[Tensor, "batch channel ky kx"]:
        """Decode.

        Args:
            maps: (batch, width, _, _) each, fine to coarse.

        Returns:
            Output of the last stage, same shape as the finest map.
        """
        *finer, coarsest = maps
        state: State = self.cell(coarsest, (torch.zeros_like(coarsest),) * self.cell.n_maps)
        for x in reversed(finer):
            state = self.cell(x, tuple(self._enlarge(carried, x) for carried in state))
        return state[0]

    def _enlarge(self, carried: Tensor, partner: Tensor) -> Tensor:
        doubled = carried if self.doubling is None else self.doubling(carried)
        return resize_to(doubled, partner)


def build_cell(
    name: CellName, width: int, *, gate: GateName = "sigmoid", gru_reset: GRUReset = "after"
) -> RecurrentCell:
    """Cell with freshly drawn weights, from torch's global generator.

    Args:
        name: Which cell.
        width: Channels of its input and state.
        gate: Activation of the gates of `lstm` and `gru`.
        gru_reset: Where the reset gate of `gru` acts.
    """
    match name:
        case "rnn":
            return ConvRNNCell(width)
        case "lstm":
            return ConvLSTM(width, width, gate=gate)
        case "gru":
            return ConvGRUCell(width, gate=gate, reset=gru_reset)
