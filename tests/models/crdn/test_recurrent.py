"""The decoding cells against their equations, and the sharing of their weights."""

import numpy as np
import numpy_layers as layers
import pytest
import torch

from spinforge.models.crdn.crdn import CRDNConfig
from spinforge.models.crdn.recurrent import (
    ConvGRUCell,
    ConvRNNCell,
    RecurrentDecoder,
    build_cell,
)
from spinforge.models.layers.conv_lstm import ConvLSTM
from spinforge.models.networks import build_network, count_parameters

GATES = {"sigmoid": layers.sigmoid, "relu": layers.relu}


def test_cell_is_a_rectified_convolution_of_input_and_state(random_images):
    cell = ConvRNNCell(3).double()
    x, state = random_images(2, 2, 3, 6, 5).double()
    (output,) = cell(x, (state,))

    expected = layers.convolution(
        np.concatenate((x, state), axis=1), *layers.weights(cell.convolution)
    )
    # 55 terms below 1 in size, summed twice in float64: at most 55^2 * 2^-53 = 3.4e-13.
    np.testing.assert_allclose(output.detach(), layers.relu(expected), rtol=0.0, atol=3.4e-13)


@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("reset", ["after", "before"])
def test_gru_mixes_its_state_with_a_candidate(gate, reset, random_images):
    cell = ConvGRUCell(3, gate=gate, reset=reset).double()
    x, state = random_images(2, 2, 3, 6, 5).double()
    (output,) = cell(x, (state,))

    x, state = x.numpy(), state.numpy()
    gates = GATES[gate](
        layers.convolution(np.concatenate((x, state), axis=1), *layers.weights(cell.convolution))
    )
    r, z = gates[:, :3], gates[:, 3:]
    if reset == "after":
        remembered = r * layers.convolution(state, *layers.weights(cell.candidate_of_state), 0)
    else:
        remembered = layers.convolution(r * state, *layers.weights(cell.candidate_of_state), 0)
    from_input = layers.convolution(x, *layers.weights(cell.candidate_of_input))
    candidate = np.tanh(from_input + remembered)
    expected = z * state + (1 - z) * candidate
    np.testing.assert_allclose(output.detach(), expected, rtol=0.0, atol=3e-12)


def test_the_reset_gate_acts_in_two_ways_on_the_same_weights(random_images):
    after, before = ConvGRUCell(2), ConvGRUCell(2, reset="before")
    before.load_state_dict(after.state_dict())
    x, state = random_images(2, 1, 2, 6, 5)
    assert not torch.allclose(after(x, (state,))[0], before(x, (state,))[0])


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_outputs_of_logistic_gates_stay_within_one(name, random_images):
    """From the zero start on; so the probabilities of such logits stay soft."""
    decoder = RecurrentDecoder(build_cell(name, 2))
    maps = [1e3 * random_images(1, 2, 16 >> level, 16 >> level) for level in range(5)]
    assert decoder(maps).abs().max() <= 1


def test_decoder_starts_at_zero_with_the_coarsest_map(random_images):
    cell = ConvRNNCell(2)
    x = random_images(1, 2, 8, 8)
    (expected,) = cell(x, (torch.zeros_like(x),))
    assert torch.equal(RecurrentDecoder(cell)([x]), expected)


def test_chain_of_stages_is_the_one_of_the_paper(random_images):
    """Output and memory of each stage, resized to the next map, in NumPy."""
    maps = [random_images(2, 2, *size).double() for size in ((13, 10), (6, 5), (3, 2))]
    cell = ConvLSTM(2, 2).double()
    output = memory = np.zeros(maps[-1].shape)
    for x in reversed(maps):
        output, memory = (layers.bilinear(carried, x.shape[2:]) for carried in (output, memory))
        joined = np.concatenate((x.numpy(), output), axis=1)
        sums = layers.convolution(joined, *layers.weights(cell.convolution))
        i, f, o = (layers.sigmoid(sums[:, 2 * part : 2 * part + 2]) for part in range(3))
        memory = f * memory + i * np.tanh(sums[:, 6:])
        output = o * np.tanh(memory)
    # Three stages of sums of 37 terms near 1, in float64.
    np.testing.assert_allclose(RecurrentDecoder(cell)(maps).detach(), output, rtol=0.0, atol=1e-12)


def test_every_map_of_the_state_is_enlarged_by_one_transposed_convolution(random_images):
    """A kernel of 0.5 and a bias of 1 turn output and memory s into 0.5 s + 1 at twice the size."""
    doubling = torch.nn.ConvTranspose2d(1, 1, 2, stride=2)
    torch.nn.init.constant_(doubling.weight, 0.5)
    torch.nn.init.ones_(doubling.bias)
    seen = []

    class Recording(ConvLSTM):
        def forward(self, x, state):
            seen.append(state)
            return torch.full_like(x, 2.0), torch.full_like(x, 4.0)

    RecurrentDecoder(Recording(1, 1), doubling)(
        [random_images(1, 1, 7, 5), random_images(1, 1, 3, 2)]
    )
    (start, first_memory), (output, memory) = seen
    assert torch.equal(start, torch.zeros(1, 1, 3, 2))
    assert torch.equal(first_memory, torch.zeros(1, 1, 3, 2))
    # 6 x 4 pixels of one value, resized to 7 x 5.
    torch.testing.assert_close(output, torch.full((1, 1, 7, 5), 2.0))
    torch.testing.assert_close(memory, torch.full((1, 1, 7, 5), 3.0))


def test_one_set_of_weights_decodes_all_stages():
    network = build_network(CRDNConfig(kind="crdn"), in_channels=1, n_classes=4, seed=0)
    assert count_parameters(network.decoder) == 9 * (2 * 4) * 4 + 4


def test_gradient_is_the_sum_over_the_five_stages(random_images):
    """Copies of the cell, one a stage, must together receive the shared cell's gradient."""
    maps = [random_images(1, 3, 32 >> level, 32 >> level).double() for level in range(5)]
    cell = ConvRNNCell(3).double()
    # Away from the kinks and the dead half of the rectifier, every stage contributes.
    torch.nn.init.constant_(cell.convolution.bias, 1.0)
    torch.nn.init.normal_(
        cell.convolution.weight, std=0.05, generator=torch.Generator().manual_seed(1)
    )
    RecurrentDecoder(cell)(maps).square().sum().backward()

    copies = []

    class Unshared(ConvRNNCell):
        def forward(self, x, state):
            copy = ConvRNNCell(3).double()
            copy.load_state_dict(cell.state_dict())
            copies.append(copy)
            return copy(x, state)

    RecurrentDecoder(Unshared(3))(maps).square().sum().backward()
    gradients = [copy.convolution.weight.grad for copy in copies]
    assert len(gradients) == 5
    assert all(gradient.abs().max() > 0 for gradient in gradients)
    # The same products, summed in float64 in another order: 5 stages of up to 32 x 32 pixels.
    # Where terms cancel, what counts is the size of the largest gradients.
    scale = max(gradient.abs().max().item() for gradient in gradients)
    torch.testing.assert_close(
        cell.convolution.weight.grad, sum(gradients), rtol=0.0, atol=5 * 32 * 32 * 2**-53 * scale
    )


def test_classes_rarely_start_where_they_cannot_learn(random_images):
    """A logit of exactly zero passes no gradient, so each class needs pixels above it.

    With PyTorch's default bias nearly every seed gives a class that is zero in most pixels;
    two unlucky seeds in twenty are let pass.
    """
    image = random_images(1, 2, 48, 48)
    smallest = []
    for seed in range(20):
        network = build_network(CRDNConfig(kind="crdn"), in_channels=2, n_classes=4, seed=seed)
        smallest.append((network(image) > 0).float().mean(dim=(0, 2, 3)).min())
    assert sum(share > 0.5 for share in smallest) >= 18
    assert min(smallest) > 0
