"""The convolutional LSTM against its equations."""

import numpy as np
import numpy_layers as layers
import pytest
import torch

from spinforge.models.layers.conv_lstm import ConvLSTM


@pytest.mark.parametrize(("name", "gate"), [("sigmoid", layers.sigmoid), ("relu", layers.relu)])
def test_cell_keeps_forgets_and_shows_by_its_gates(name, gate, random_images):
    cell = ConvLSTM(2, 3, gate=name).double()
    x, state = random_images(2, 2, 6, 5).double(), random_images(2, 2, 3, 6, 5).double()
    output, memory = state
    result, remembered = cell(x, (output, memory))

    joined = np.concatenate((x, output), axis=1)
    sums = layers.convolution(joined, *layers.weights(cell.convolution))
    i, f, o, g = (sums[:, 3 * part : 3 * part + 3] for part in range(4))
    expected = gate(f) * memory.numpy() + gate(i) * np.tanh(g)
    # 46 terms below 4 in size, summed twice in float64; products of what comes of them.
    np.testing.assert_allclose(remembered.detach(), expected, rtol=0.0, atol=1e-12)
    np.testing.assert_allclose(result.detach(), gate(o) * np.tanh(expected), rtol=0.0, atol=1e-12)


def test_state_starts_at_zero(random_images):
    cell, x = ConvLSTM(2, 3), random_images(1, 2, 6, 5)
    zero = torch.zeros(1, 3, 6, 5)
    for found, expected in zip(cell(x), cell(x, (zero, zero)), strict=True):
        assert torch.equal(found, expected)
