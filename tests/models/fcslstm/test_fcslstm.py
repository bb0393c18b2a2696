"""The concise FCN, the structured LSTM layer and FCSLSTM."""

import numpy as np
import numpy_layers as layers
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from network_gates import settle
from torch import nn

from spinforge.models.fcslstm.fcslstm import (
    BackEnd,
    ConciseFCNConfig,
    FCSLSTMConfig,
    Level,
    build_concise_fcn,
    build_fcslstm,
)
from spinforge.models.fcslstm.structured_lstm import StructuredLSTM
from spinforge.models.layers.sizes import crop_padding, pad_to_multiple


def fcn(in_channels=2, **options):
    config = ConciseFCNConfig(kind="concise_fcn", **options)
    return build_concise_fcn(config, in_channels=in_channels, n_classes=4)


def fcslstm(in_channels=2, **options):
    config = FCSLSTMConfig(kind="fcslstm", **options)
    return build_fcslstm(config, in_channels=in_channels, n_classes=4)


def test_maps_before_pooling_also_give_logits_of_the_size_of_the_image(random_images):
    network = fcn(in_channels=3, fuse="pre").eval()
    with torch.inference_mode():
        for size in [(217, 181), (33, 17), (16, 31)]:
            assert network(random_images(1, 3, *size)).shape == (1, 4, *size)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("n_times", [1, 2, 5])
def test_sequences_may_have_any_length(bidirectional, n_times, random_images):
    network = fcslstm(in_channels=1, bidirectional=bidirectional).eval()
    with torch.inference_mode():
        assert network(random_images(3, n_times, 1, 16, 24)).shape == (3, n_times, 4, 16, 24)


def test_padding_reflects_and_is_cropped_again(random_images):
    image = random_images(2, 3, 45, 54)
    padded = pad_to_multiple(image, 32)
    around = ((0, 0), (0, 0), (10, 9), (5, 5))
    assert np.array_equal(padded, np.pad(image.numpy(), around, mode="reflect"))
    assert torch.equal(crop_padding(padded, image, 32), image)


def test_linear_operators_give_the_classic_lstm():
    """PyTorch's LSTM is the authority; its gates stand in another order: i, f, g, o."""
    layer = StructuredLSTM(
        lambda: nn.Linear(3, 5, dtype=torch.float64), lambda: nn.Linear(5, 5, dtype=torch.float64)
    )
    authority = nn.LSTM(3, 5, dtype=torch.float64)
    order = [0, 1, 3, 2]
    state = {}
    for suffix, operators in (("ih", layer.input_operators), ("hh", layer.hidden_operators)):
        ordered = [operators[gate] for gate in order]
        state[f"weight_{suffix}_l0"] = torch.cat([operator.weight for operator in ordered])
        state[f"bias_{suffix}_l0"] = torch.cat([operator.bias for operator in ordered])
    authority.load_state_dict(state)
    sequence = torch.randn(6, 2, 3, dtype=torch.float64)

    expected, _ = authority(sequence)
    hidden = layer(sequence.flatten(0, 1), n_times=6)
    # Bounded by 1; six steps of a few dozen float64 operations each.
    torch.testing.assert_close(hidden.unflatten(0, (6, 2)), expected, rtol=0.0, atol=1e-14)


def test_layer_follows_its_equation_with_operators_of_any_kind():
    """Two rectified convolutions of the input, a 3x3 convolution of the hidden state."""

    def operator():
        return nn.Sequential(
            nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.Conv2d(3, 3, 1), nn.ReLU()
        )

    layer = StructuredLSTM(operator, lambda: nn.Conv2d(3, 3, 3, padding=1)).double()
    frames = torch.randn(3 * 2, 2, 6, 5, dtype=torch.float64)
    output = layer(frames, n_times=3).detach().numpy()

    hidden = memory = np.zeros((2, 3, 6, 5))
    for time in range(3):
        x = frames[2 * time : 2 * time + 2].numpy()
        sums = []
        for of_input, of_hidden in zip(layer.input_operators, layer.hidden_operators, strict=True):
            first = layers.relu(layers.convolution(x, *layers.weights(of_input[0])))
            second = layers.relu(layers.convolution(first, *layers.weights(of_input[2])))
            sums.append(second + layers.convolution(hidden, *layers.weights(of_hidden)))
        i, f, o = (layers.sigmoid(a) for a in sums[:3])
        memory = f * memory + i * np.tanh(sums[3])
        hidden = o * np.tanh(memory)
        # States are below 1 in size, sums of at most 27 terms below 1 in float64.
        np.testing.assert_allclose(output[2 * time : 2 * time + 2], hidden, rtol=0.0, atol=1e-13)


@pytest.mark.parametrize("fuse", ["post", "pre"])
def test_back_end_doubles_and_adds_the_scores_of_finer_maps(fuse):
    widths = (2, 3, 4, 5, 6)
    back_end = BackEnd(widths, n_classes=3, fuse=fuse).double()
    levels = [
        Level(
            torch.randn(1, width, 32 >> depth, 64 >> depth).double(),
            torch.randn(1, width, 16 >> depth, 32 >> depth).double(),
        )
        for depth, width in enumerate(widths)
    ]
    skips = [level.pooled for level in levels[3::-1]]
    if fuse == "pre":
        skips = [level.full for level in levels[::-1]]

    expected = layers.convolution(levels[4].pooled.numpy(), *layers.weights(back_end.score))
    for step, double in enumerate(back_end.doublings):
        expected = layers.transposed_convolution(expected, *layers.weights(double), padding=1)
        if step < len(skips):
            kernel = layers.weights(back_end.skip_scores[step])
            expected = expected + layers.convolution(skips[step].numpy(), *kernel)
    assert expected.shape == (1, 3, 32, 64)
    # Five stages of sums of up to 12 terms in float64, of size 10 at most.
    np.testing.assert_allclose(back_end(levels).detach(), expected, rtol=0.0, atol=1e-12)


def test_pooling_takes_the_maximum_four_times_and_then_the_mean():
    """Blocks that change nothing, and a back-end that passes on the fifth pooled map."""
    network = fcn(in_channels=4)
    network.blocks = nn.ModuleList(nn.Identity() for _ in range(5))
    network.back_end = nn.Module()
    network.back_end.forward = lambda levels: F.interpolate(levels[-1].pooled, scale_factor=32)
    image = torch.randn(1, 4, 64, 32)
    expected = image.reshape(1, 4, 4, 16, 2, 16).amax(dim=(3, 5))
    expected = expected.reshape(1, 4, 2, 2, 1, 2).mean(dim=(3, 5))
    torch.testing.assert_close(network(image)[..., ::32, ::32], expected)


def test_gates_have_their_own_weights_and_times_share_them(random_images):
    network = fcslstm()
    for layer in network.forwards:
        starts = [operator[0][0].weight for operator in layer.input_operators]
        assert all(not torch.equal(starts[0], other) for other in starts[1:])
    # One direction cannot see the future: the beginning of a sequence is a shorter sequence.
    network = settle(network.double(), random_images(1, 4, 2, 32, 32).double())
    sequence = random_images(2, 4, 2, 32, 32).double()
    with torch.inference_mode():
        whole, beginning = network(sequence), network(sequence[:, :2])
        torch.testing.assert_close(whole[:, :2], beginning, rtol=1e-11, atol=1e-12)
        # And it remembers the past: the same slice again is another one's third.
        alone = network(sequence[:, 2:3])
    assert (whole[:, 2] - alone[:, 0]).abs().max() > 1e-3


@pytest.mark.parametrize("merge", ["concat", "sum"])
def test_two_directions_are_two_passes(merge, random_images):
    """The back-end is affine, so its logits are the sum of those of each direction alone."""
    sequence = random_images(1, 2, 2, 32, 64).double()
    both = settle(fcslstm(bidirectional=True, merge=merge).double(), sequence)
    passes = []
    for stack, part in ((both.forwards, 0), (both.backwards, 1)):
        single = fcslstm().double().eval()
        single.forwards = stack
        for name, weight in both.back_end.named_parameters():
            if merge == "concat" and "score" in name and weight.ndim == 4:
                weight = weight.chunk(2, dim=1)[part]
            # The biases must be counted once.
            value = weight if part == 0 or weight.ndim == 4 else torch.zeros_like(weight)
            single.back_end.get_parameter(name).data.copy_(value)
        passes.append(single)
    ahead, back = passes
    with torch.inference_mode():
        expected = ahead(sequence) + back(sequence.flip(1)).flip(1)
        torch.testing.assert_close(both(sequence), expected, rtol=1e-11, atol=1e-11)


def test_initial_weights_are_kaimings():
    """He et al., ICCV 2015: variance 2 / (channels in * kernel area); biases zero."""
    convolution = fcn().blocks[4][1][0]
    variance = convolution.weight.var().item()
    # The relative standard deviation of the variance of 147,456 normal numbers is 0.4 %.
    assert variance == pytest.approx(2 / (128 * 9), rel=0.02)
    assert not convolution.bias.any()


@pytest.mark.parametrize("make", [fcn, fcslstm], ids=["fcn", "fcslstm"])
def test_half_precision_stays_close(make, random_images):
    shape = (2, 2, 32, 48) if make is fcn else (1, 2, 2, 32, 48)
    images = random_images(*shape)
    network = settle(make(), images)
    with torch.inference_mode():
        exact = network(images)
        with torch.autocast("cpu", torch.bfloat16):
            rough = network(images)
    # bfloat16 rounds by up to 2^-9 = 0.2 % in each of some twenty layers.
    assert (rough.float() - exact).norm() < 0.04 * exact.norm()
