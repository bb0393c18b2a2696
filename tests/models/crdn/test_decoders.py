"""The decoders CRDN is compared with, against small cases computed otherwise."""

import numpy as np
import numpy_layers as layers
import pytest
import torch
from torch import nn

from spinforge.models.crdn.decoders import (
    FCNDecoder,
    SegNetDecoder,
    UNetDecoder,
    fcn_heavy_head,
    fcn_light_head,
)
from spinforge.models.layers.encoder import PlainEncoder

# Sums of at most 60 products of order one in float64: far below 60^2 * 2^-53 = 4e-13.
CLOSE = {"rtol": 0.0, "atol": 4e-13}


def two_level_fcn(upsampling):
    return FCNDecoder(
        (2, 3),
        2,
        poolings=[nn.MaxPool2d(2), nn.MaxPool2d(2)],
        head=nn.Conv2d(3, 2, 1),
        upsampling=upsampling,
    ).double()


def test_fcn_adds_the_scores_of_pooled_maps(random_images):
    decoder = two_level_fcn("nearest")
    maps = [random_images(1, 2, 8, 8).double(), random_images(1, 3, 4, 4).double()]
    result = decoder(maps).detach().numpy()

    def score(features, convolution):
        return layers.convolution(layers.max_pool(features.numpy()), *layers.weights(convolution))

    def doubled(scores):
        return scores.repeat(2, axis=2).repeat(2, axis=3)

    coarse, fine = score(maps[1], decoder.head), score(maps[0], decoder.scores[0])
    np.testing.assert_allclose(result, doubled(doubled(coarse) + fine), **CLOSE)


def test_bilinear_fcn_makes_no_blocks(random_images):
    maps = [random_images(1, 2, 8, 8).double(), random_images(1, 3, 4, 4).double()]
    nearest, bilinear = (two_level_fcn(way)(maps)[..., ::2] for way in ("nearest", "bilinear"))
    assert torch.equal(nearest[..., ::2, :], nearest[..., 1::2, :])
    assert (bilinear[..., ::2, :] != bilinear[..., 1::2, :]).any()


def test_heavy_head_has_the_weights_of_vggs_fully_connected_layers():
    with torch.device("meta"):
        head = fcn_heavy_head(512, 4)
        assert head(torch.zeros(2, 512, 5, 3)).shape == (2, 4, 3, 1)
    assert [tuple(layer.weight.shape) for layer in head if isinstance(layer, nn.Conv2d)] == [
        (4096, 512, 3, 3),
        (4096, 4096, 1, 1),
        (4, 4096, 1, 1),
    ]
    assert sum(isinstance(layer, nn.Dropout2d) for layer in head) == 2


def test_light_head_gives_scores_that_are_not_negative(random_images):
    scores = fcn_light_head(5, 3)(random_images(2, 5, 4, 4))
    assert scores.shape == (2, 3, 4, 4)
    assert scores.min() == 0


@pytest.mark.parametrize("size", [(4, 6), (5, 7)], ids=str)
def test_segnet_puts_values_back_where_the_maxima_were(size, random_images):
    """With convolutions that do nothing, the maxima stay and all else is zero."""
    encoder = PlainEncoder(1, (1,), convolutions=(1,))
    decoder = SegNetDecoder(encoder, 1).eval()
    nn.init.dirac_(decoder.stages[0][0][0].weight)
    nn.init.zeros_(decoder.stages[0][0][0].bias)
    decoder.stages[0][0][1].eps = 0.0
    source = random_images(1, 1, *size).abs()
    result = decoder([source])

    expected = torch.zeros_like(source)
    for row in range(0, size[0] - 1, 2):
        for column in range(0, size[1] - 1, 2):
            window = source[0, 0, row : row + 2, column : column + 2]
            down, right = divmod(int(window.argmax()), 2)
            expected[0, 0, row + down, column + right] = window.max()
    assert torch.equal(result, expected)


def test_segnet_mirrors_its_encoder():
    encoder = PlainEncoder(1, (2, 4, 6), convolutions=(2, 1, 3))
    decoder = SegNetDecoder(encoder, 5)
    widths = [[(c[0].in_channels, c[0].out_channels) for c in stage] for stage in decoder.stages]
    assert widths == [[(2, 2), (2, 5)], [(4, 2)], [(6, 6), (6, 6), (6, 4)]]


def test_gradient_of_segnet_reaches_the_encoder_through_the_values_alone(random_images):
    source = random_images(1, 1, 4, 4).requires_grad_()
    SegNetDecoder(PlainEncoder(1, (1,)), 2)([source]).sum().backward()
    # One maximum in each of the four windows.
    assert torch.count_nonzero(source.grad) <= 4
    assert source.grad.abs().sum() > 0


def test_unet_joins_skip_and_doubled_map(random_images):
    decoder = UNetDecoder((2, 3), 2).double()
    skip, coarse = random_images(1, 2, 6, 4).double(), random_images(1, 3, 3, 2).double()
    result = decoder([skip, coarse])

    kernel = layers.weights(decoder.doublings[0])
    doubled = layers.transposed_convolution(coarse.numpy(), *kernel, padding=0)
    joined = np.concatenate((skip, doubled), axis=1)
    for convolution in (decoder.merges[0][0], decoder.merges[0][2]):
        joined = layers.relu(layers.convolution(joined, *layers.weights(convolution)))
    expected = layers.convolution(joined, *layers.weights(decoder.head))
    np.testing.assert_allclose(result.detach(), expected, **CLOSE)


def test_unet_decoder_has_no_normalisation():
    decoder = UNetDecoder((2, 3, 4), 2)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in decoder.modules())


def test_the_heavy_head_drops_half_of_its_channels():
    head = fcn_heavy_head(8, 4)
    assert [layer.p for layer in head if isinstance(layer, torch.nn.Dropout2d)] == [0.5, 0.5]


def test_segnet_is_the_same_where_only_deterministic_algorithms_are_allowed(random_images):
    """Odd sizes, whose last row and column belong to no window."""
    encoder = PlainEncoder(2, (3, 4, 5))
    decoder = SegNetDecoder(encoder, 2)
    images = random_images(2, 2, 21, 18)

    def gradient():
        encoder.zero_grad()
        found = decoder(encoder(images))
        found.square().sum().backward()
        return found.detach(), torch.cat([w.grad.flatten() for w in encoder.parameters()])

    expected = gradient()
    try:
        torch.use_deterministic_algorithms(True)
        found = gradient()
    finally:
        torch.use_deterministic_algorithms(False)
    assert torch.equal(found[0], expected[0])
    assert torch.equal(found[1], expected[1])
