"""The structured LSTM: a recurrent layer over time whose gates may hold any operators."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

Frames = Float[Tensor, "frame *features"]
"""Every time point of every sequence, time by time: frame `t * batch + b` is sequence b at t."""

States = Float[Tensor, "frame *state"]
"""Hidden states in the order of `Frames`."""

Operator = Callable[[], nn.Module]
"""Makes one operator with weights of its own."""

N_GATES = 4
"""Input gate, forget gate, output gate, candidate; in this order everywhere."""


class StructuredLSTM(nn.Module):
    r"""LSTM with an arbitrary operator in place of each matrix.

    $i_t = \sigma(\Psi_{xi}(x_t) + \Psi_{hi}(h_{t-1}))$, in the same way $f_t$ and $o_t$, and
    $g_t = \tanh(\Psi_{xg}(x_t) + \Psi_{hg}(h_{t-1}))$; then $c_t = f_t c_{t-1} + i_t g_t$ and
    $h_t = o_t \tanh(c_t)$, products element by element, $h$ and $c$ zero before the first time
    point. The biases of the paper's equation are those of the operators. Linear operators give the
    classic LSTM, convolutions the convolutional one.

    The $\Psi_x$ remember nothing, so they are applied to all time points at once. Batch
    normalisation within them therefore uses the statistics of all time points together, in
    training as in evaluation; applied time by time it would take away in training, and only
    there, the changes of contrast from one time point to the next.

    Args:
        input_operator: Makes $\Psi_x$; called once a gate.
        hidden_operator: Makes $\Psi_h$, which keeps the shape that $\Psi_x$ gives; called once a
            gate.

    Source:
        Gao et al., "Fully convolutional structured LSTM networks for joint 4D medical image
        segmentation" (ISBI 2018), eq. 1 and fig. 2.
    """

    def __init__(self, input_operator: Operator, hidden_operator: Operator) -> None:
        super().__init__()
        self.input_operators = nn.ModuleList(input_operator() for _ in range(N_GATES))
        self.hidden_operators = nn.ModuleList(hidden_operator() for _ in range(N_GATES))

    def forward(self, frames: Frames, *, n_times: int) -> States:
        """Run through the sequences, first time point first.

        Args:
            frames: (n_times * batch, ...), time by time.
            n_times: Time points of each sequence.

        Returns:
            The hidden states, in the same order.
        """
        # Not chunk(): export cannot tell that it gives n_times parts for every number of sequences.
        from_input = [
            operator(frames).unflatten(0, (n_times, -1)).unbind()
            for operator in self.input_operators
        ]
        hidden = memory = torch.zeros_like(from_input[0][0])
        states = []
        for now in zip(*from_input, strict=True):
            input_gate, forget_gate, output_gate, candidate = (
                from_x + operator(hidden)
                for from_x, operator in zip(now, self.hidden_operators, strict=True)
            )
            memory = torch.sigmoid(forget_gate) * memory
            memory = memory + torch.sigmoid(input_gate) * torch.tanh(candidate)
            hidden = torch.sigmoid(output_gate) * torch.tanh(memory)
            states.append(hidden)
        return torch.cat(states)
