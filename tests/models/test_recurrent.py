"""The decoding cell against its equation, and the sharing of its weights."""

import numpy as np
import torch

from spinforge.models.crdn import CRDNConfig
from spinforge.models.networks import build_network, count_parameters
from spinforge.models.recurrent import ConvRNNCell, RecurrentDecoder


def test_cell_is_a_rectified_convolution_of_input_and_state(random_images):
    cell = ConvRNNCell(3).double()
    x, state = random_images(2, 2, 3, 6, 5).double()
    (output,) = cell(x, (state,))

    kernel, bias = (weight.detach().numpy() for weight in cell.convolution.parameters())
    joined = np.pad(np.concatenate((x, state), axis=1), ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(joined, (3, 3), axis=(2, 3))
    expected = np.einsum("bcyxij,ocij->boyx", windows, kernel) + bias[:, None, None]
    # 55 terms below 1 in size, summed twice in float64: at most 55^2 * 2^-53 = 3.4e-13.
    np.testing.assert_allclose(output.detach(), np.maximum(expected, 0), rtol=0.0, atol=3.4e-13)


def test_decoder_starts_at_zero_with_the_coarsest_map(random_images):
    cell = ConvRNNCell(2)
    x = random_images(1, 2, 8, 8)
    (expected,) = cell(x, (torch.zeros_like(x),))
    assert torch.equal(RecurrentDecoder(cell)([x]), expected)


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
