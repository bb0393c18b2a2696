"""HLE-Net, its two enhancements, and the U-Nets it is compared with."""

import numpy as np
import numpy_layers as layers
import pytest
import torch

from spinforge.models.hlenet.blocks import (
    HighLevelEnhancement,
    LowLevelEnhancement,
    ResidualBlock,
)
from spinforge.models.hlenet.hlenet import HLENetConfig, ResUNet28Config, UNet28Config
from spinforge.models.networks import build_network, count_parameters

SMALL = {
    "hle": HLENetConfig(kind="hle_net", width=8),
    "hle-bilinear": HLENetConfig(kind="hle_net", width=8, lfe_up="bilinear"),
    "only-lfe": HLENetConfig(kind="hle_net", width=8, enhance="low"),
    "only-hfe": HLENetConfig(kind="hle_net", width=8, enhance="high"),
    "unet-28": UNet28Config(kind="unet_28", width=4),
    "res-unet-28": ResUNet28Config(kind="res_unet_28", width=4),
    "res-unet-28-bottleneck": ResUNet28Config(kind="res_unet_28", width=12, block="bottleneck"),
}

small_networks = pytest.mark.parametrize("config", SMALL.values(), ids=SMALL.keys())


def build(config, *, in_channels=1, n_classes=4):
    return build_network(config, in_channels=in_channels, n_classes=n_classes, seed=0)


def activated(x, block):
    """Convolution, group normalisation and ReLU with the weights of such a block."""
    kernel, bias, scale, shift = layers.weights(block)
    x = layers.convolution(x, kernel, bias)
    return layers.relu(layers.group_norm(x, scale, shift, n_groups=block[1].num_groups))


def high_level(x, module):
    """HFE in NumPy."""
    narrow, wide = module.channel_weights[0], module.channel_weights[2]
    z = layers.relu(layers.convolution(x.mean(axis=(2, 3), keepdims=True), *layers.weights(narrow)))
    z = layers.sigmoid(layers.convolution(z, *layers.weights(wide)))
    s = layers.sigmoid(layers.convolution(x, *layers.weights(module.pixel_weights)))
    assert z.shape[2:] == (1, 1)
    assert s.shape[1] == 1
    return activated(np.concatenate(((1 + z) * x, (1 + s) * x), axis=1), module.fuse)


def semantic_map(x, module):
    """The weights of LFE's pixels in NumPy."""
    fine = activated(x, module.fine)
    middle = activated(layers.max_pool(fine), module.middle)
    coarse = activated(layers.max_pool(middle), module.coarse)
    for finer, up, join in (
        (middle, module.up_to_middle, module.join_middle),
        (fine, module.up_to_fine, module.join_fine),
    ):
        doubled = layers.transposed_convolution(coarse, *layers.weights(up), padding=0)
        coarse = activated(np.concatenate((finer, doubled), axis=1), join)
    return layers.sigmoid(layers.convolution(coarse, *layers.weights(module.to_map)))


def low_level(x, module):
    """LFE in NumPy."""
    trunk = activated(activated(x, module.trunk[0]), module.trunk[1])
    return activated((1 + semantic_map(x, module)) * trunk, module.close)


def twice_activated(x, blocks):
    return activated(activated(x, blocks[0]), blocks[1])


def test_high_level_enhancement_follows_its_equations():
    module = HighLevelEnhancement(16).double()
    y = torch.randn(2, 16, 5, 6).double()
    # Normalised sums of 288 terms in float64.
    np.testing.assert_allclose(
        module(y).detach(), high_level(y.numpy(), module), rtol=0.0, atol=1e-12
    )


def test_low_level_enhancement_follows_its_equations():
    module = LowLevelEnhancement(3, 8, up="transposed").double()
    image = torch.randn(2, 3, 8, 12).double()
    weight = semantic_map(image.numpy(), module)
    assert weight.shape == (2, 1, 8, 12)
    # Normalised sums of up to 144 terms in float64, six in a row.
    np.testing.assert_allclose(module.semantic_map(image).detach(), weight, rtol=0.0, atol=1e-12)
    expected = low_level(image.numpy(), module)
    np.testing.assert_allclose(module(image).detach(), expected, rtol=0.0, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "encode", "decode", "n_groups"),
    [
        (
            "hle",
            low_level,
            lambda x, block: twice_activated(high_level(x, block[0]), block[1]),
            8,
        ),
        ("unet-28", twice_activated, twice_activated, 4),
    ],
)
def test_whole_network_follows_the_papers_figure(name, encode, decode, n_groups):
    """Max-pooling on the way down; the encoder's map before the doubled one on the way up."""
    network = build(SMALL[name]).double()
    norms = [module for module in network.modules() if isinstance(module, torch.nn.GroupNorm)]
    assert {norm.num_groups for norm in norms} == {n_groups}
    image = torch.randn(1, 1, 27, 37).double()
    padded = np.pad(image.numpy(), ((0, 0), (0, 0), (3, 2), (14, 13)), mode="reflect")
    skips, x = [], padded
    for block in network.encoder:
        skips.append(encode(x, block))
        x = layers.max_pool(skips[-1])
    x = twice_activated(x, network.bottom)
    for doubling, block, skip in zip(
        network.doublings, network.decoder, reversed(skips), strict=True
    ):
        doubled = layers.transposed_convolution(x, *layers.weights(doubling), padding=0)
        x = decode(np.concatenate((skip, doubled), axis=1), block)
    logits = layers.convolution(x, *layers.weights(network.head))[..., 3:30, 14:51]
    # Normalised sums in float64, some forty layers deep.
    np.testing.assert_allclose(network(image).detach(), logits, rtol=0.0, atol=1e-11)


@pytest.mark.parametrize("form", ["basic", "bottleneck"])
def test_residual_block_adds_a_projection(form):
    module = ResidualBlock(3, 8, form=form).double()
    image = torch.randn(2, 3, 5, 6).double()
    expected = image.numpy()
    convolutions, norms = module.residual[::3], module.residual[1::3]
    for step, (convolution, norm) in enumerate(zip(convolutions, norms, strict=True)):
        expected = layers.relu(expected) if step else expected
        expected = layers.convolution(expected, *layers.weights(convolution))
        expected = layers.group_norm(expected, *layers.weights(norm), n_groups=norm.num_groups)
    expected = expected + layers.convolution(image.numpy(), *layers.weights(module.shortcut))
    np.testing.assert_allclose(module(image).detach(), layers.relu(expected), rtol=0.0, atol=1e-12)


def test_levels_do_not_share_weights():
    network = build(SMALL["hle"])
    n_stored = sum(weight.numel() for weight in network.state_dict().values())
    assert n_stored == count_parameters(network)


@small_networks
def test_half_precision_stays_close(config, random_images):
    network = build(config).eval()
    image = random_images(2, 1, 32, 48)
    with torch.inference_mode():
        exact = network(image)
        with torch.autocast("cpu", torch.bfloat16):
            rough = network(image)
    # bfloat16 rounds by up to 2^-9 = 0.2 % in each of some forty layers.
    assert (rough.float() - exact).norm() < 0.08 * exact.norm()
