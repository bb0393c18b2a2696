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
from spinforge.models.hlenet.hlenet import (
    HLENetConfig,
    ResUNet28Config,
    UNet28Config,
    build_hle_net,
    build_unet_28,
)
from spinforge.models.networks import count_parameters
from spinforge.simulation.errors import SpinforgeError

SIZES = [(240, 240), (217, 181), (216, 180), (256, 192), (45, 54), (33, 17), (16, 31), (16, 16)]
HLE, ONLY_LFE, ONLY_HFE = (
    HLENetConfig(kind="hle_net", enhance=enhance) for enhance in ("both", "low", "high")
)
UNET_28, RES_UNET_28 = UNet28Config(kind="unet_28"), ResUNet28Config(kind="res_unet_28")
BOTTLENECK = ResUNet28Config(kind="res_unet_28", block="bottleneck")
BILINEAR = {
    enhance: HLENetConfig(kind="hle_net", enhance=enhance, lfe_up="bilinear")
    for enhance in ("both", "low")
}
SMALL = {
    "hle": HLE.model_copy(update={"width": 8}),
    "hle-bilinear": BILINEAR["both"].model_copy(update={"width": 8}),
    "only-lfe": ONLY_LFE.model_copy(update={"width": 8}),
    "only-hfe": ONLY_HFE.model_copy(update={"width": 8}),
    "unet-28": UNET_28.model_copy(update={"width": 4}),
    "res-unet-28": RES_UNET_28.model_copy(update={"width": 4}),
    "res-unet-28-bottleneck": BOTTLENECK.model_copy(update={"width": 12}),
}

small_networks = pytest.mark.parametrize("config", SMALL.values(), ids=SMALL.keys())


def build(config, *, in_channels=1, n_classes=4):
    make = build_hle_net if isinstance(config, HLENetConfig) else build_unet_28
    return make(config, in_channels=in_channels, n_classes=n_classes)


@pytest.fixture(autouse=True)
def _reproducible():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


@pytest.mark.parametrize(
    ("config", "in_channels", "expected"),
    [
        # One output. The paper's numbers, for an unstated number of channels:
        (UNET_28, 1, 5_946_445),  # 5.9 million
        (UNET_28, 3, 5_946_949),
        (UNET_28, 4, 5_947_201),
        (RES_UNET_28, 1, 6_214_321),  # 6.2 million
        (RES_UNET_28, 3, 6_214_881),
        (RES_UNET_28, 4, 6_215_161),
        (ONLY_HFE, 1, 3_600_165),  # 3.6 million
        (ONLY_HFE, 3, 3_600_453),
        (ONLY_HFE, 4, 3_600_597),
        (ONLY_LFE, 1, 3_874_277),  # 3.8 million
        (ONLY_LFE, 3, 3_874_853),
        (ONLY_LFE, 4, 3_875_141),
        (HLE, 1, 5_530_681),  # 5.5 million
        (HLE, 3, 5_531_257),
        (HLE, 4, 5_531_545),
        (BILINEAR["low"], 1, 3_808_517),  # 3.8 million
        (BILINEAR["both"], 1, 5_464_921),  # 5.5 million
        (BOTTLENECK, 1, 1_145_250),  # 6.2 million: the paper's words do not give its number
    ],
)
def test_parameter_counts_are_exact(config, in_channels, expected):
    assert count_parameters(build(config, in_channels=in_channels, n_classes=1)) == expected


@small_networks
def test_logits_have_the_size_of_the_image(config, random_images):
    for in_channels, n_classes in ((1, 4), (3, 1)):
        network = build(config, in_channels=in_channels, n_classes=n_classes).eval()
        with torch.inference_mode():
            for size in SIZES:
                logits = network(random_images(1, in_channels, *size))
                assert logits.shape == (1, n_classes, *size)


@small_networks
@pytest.mark.parametrize("size", [(15, 32), (32, 15), (1, 1)], ids=str)
def test_too_small_images_are_refused(config, size):
    message = rf"{size[0]} x {size[1]} pixels.*at least 16 x 16"
    with pytest.raises(SpinforgeError, match=message):
        build(config)(torch.zeros(2, 1, *size))


def activated(x, block):
    """Convolution, group normalisation and ReLU with the weights of such a block."""
    kernel, bias, scale, shift = layers.weights(block)
    x = layers.convolution(x, kernel, bias)
    return layers.relu(layers.group_norm(x, scale, shift, n_groups=block[1].num_groups))


def test_high_level_enhancement_follows_its_equations():
    module = HighLevelEnhancement(16).double()
    y = torch.randn(2, 16, 5, 6).double()
    x = y.numpy()
    narrow, wide = module.channel_weights[0], module.channel_weights[2]
    z = layers.relu(layers.convolution(x.mean(axis=(2, 3), keepdims=True), *layers.weights(narrow)))
    z = layers.sigmoid(layers.convolution(z, *layers.weights(wide)))
    s = layers.sigmoid(layers.convolution(x, *layers.weights(module.pixel_weights)))
    assert z.shape == (2, 16, 1, 1)
    assert s.shape == (2, 1, 5, 6)
    expected = activated(np.concatenate(((1 + z) * x, (1 + s) * x), axis=1), module.fuse)
    # Normalised sums of 288 terms in float64.
    np.testing.assert_allclose(module(y).detach(), expected, rtol=0.0, atol=1e-12)


def test_low_level_enhancement_follows_its_equations():
    module = LowLevelEnhancement(3, 8, up="transpose").double()
    image = torch.randn(2, 3, 8, 12).double()
    x = image.numpy()
    fine = activated(x, module.fine)
    middle = activated(layers.max_pool(fine), module.middle)
    coarse = activated(layers.max_pool(middle), module.coarse)
    for finer, up, join in (
        (middle, module.up_to_middle, module.join_middle),
        (fine, module.up_to_fine, module.join_fine),
    ):
        doubled = layers.transposed_convolution(coarse, *layers.weights(up), padding=0)
        coarse = activated(np.concatenate((finer, doubled), axis=1), join)
    weight = layers.sigmoid(layers.convolution(coarse, *layers.weights(module.to_map)))
    assert weight.shape == (2, 1, 8, 12)
    trunk = activated(activated(x, module.trunk[0]), module.trunk[1])
    # Normalised sums of up to 144 terms in float64, six in a row.
    np.testing.assert_allclose(module.semantic_map(image).detach(), weight, rtol=0.0, atol=1e-12)
    expected = activated((1 + weight) * trunk, module.close)
    np.testing.assert_allclose(module(image).detach(), expected, rtol=0.0, atol=1e-12)


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


@pytest.mark.parametrize("config", [HLENetConfig, UNet28Config, ResUNet28Config])
def test_every_field_is_described(config):
    assert all(field.description for field in config.model_fields.values())
