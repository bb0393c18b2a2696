"""The three encoders: their sizes, their published numbers of weights, and one block by formula."""

import pytest
import torch

from spinforge.models.crdn.encoders import Bottleneck, ResNet50, build_encoder, vgg16
from spinforge.models.layers.encoder import PlainEncoder
from spinforge.models.networks import count_parameters

WIDTHS = {
    "unet": (16, 32, 64, 128, 256),
    "vgg16": (64, 128, 256, 512, 512),
    "resnet50": (64, 256, 512, 1024, 2048),
}


def halved(size, times, *, up):
    """An image's size after so many halvings, odd sizes rounded up or down each time."""
    return tuple(-(-length // 2**times) if up else length // 2**times for length in size)


@pytest.mark.parametrize("name", WIDTHS)
@pytest.mark.parametrize(
    "size", [(240, 240), (217, 181), (216, 180), (256, 192), (17, 16)], ids=str
)
def test_five_maps_each_half_the_size_of_the_one_before(name, size):
    with torch.device("meta"):
        maps = build_encoder(name, 3)(torch.zeros(2, 3, *size))
    expected = [
        (2, width, *halved(size, level, up=name == "resnet50"))
        for level, width in enumerate(WIDTHS[name])
    ]
    assert [tuple(features.shape) for features in maps] == expected


def test_ceil_mode_rounds_odd_sizes_up():
    with torch.device("meta"):
        maps = vgg16(1, ceil_mode=True)(torch.zeros(1, 1, 217, 181))
    assert [tuple(features.shape[2:]) for features in maps] == [
        (217, 181), (109, 91), (55, 46), (28, 23), (14, 12)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # The classifiers' published totals less their fully connected layers: VGG16-BN
        # 138,365,992 - 123,642,856 and ResNet50 25,557,032 - 2,049,000.
        ("vgg16", 14_723_136),
        ("resnet50", 23_508_032),
    ],
)
def test_weights_are_those_of_the_classifier_without_its_last_layers(name, expected):
    with torch.device("meta"):
        assert count_parameters(build_encoder(name, 3)) == expected


def test_maps_are_taken_before_pooling(random_images):
    """With one convolution that does nothing, the first map is the rectified image itself."""
    encoder = PlainEncoder(1, (1, 1), convolutions=(1, 1)).eval()
    for stage in encoder.stages:
        torch.nn.init.dirac_(stage[0][0].weight)
        torch.nn.init.zeros_(stage[0][0].bias)
        stage[0][1].eps = 0.0
    image = random_images(1, 1, 5, 4)
    first, second = encoder(image)
    assert torch.equal(first, image.relu())
    windows = first[:, :, :4].unfold(2, 2, 2).unfold(3, 2, 2)
    assert torch.equal(second, windows.amax(dim=(-2, -1)))


@pytest.mark.parametrize(("stride", "size"), [(1, (5, 6)), (2, (3, 3))])
def test_bottleneck_is_the_rectified_shortcut_where_its_residual_is_zero(
    stride, size, random_images
):
    block = Bottleneck(6, 2, stride=stride).double().eval()
    torch.nn.init.zeros_(block.residual[-1].weight)
    features = random_images(2, 6, 5, 6).double()
    convolution, normalisation = block.shortcut
    projected = torch.einsum(
        "oc,bcyx->boyx", convolution.weight[:, :, 0, 0], features[:, :, ::stride, ::stride]
    )
    expected = (projected / (1 + normalisation.eps) ** 0.5).relu()
    result = block(features)
    assert result.shape == (2, 8, *size)
    # Six products and a division of numbers of order one, in float64.
    torch.testing.assert_close(result, expected, rtol=0.0, atol=1e-14)


def test_bottleneck_without_change_of_shape_adds_its_input(random_images):
    block = Bottleneck(8, 2, stride=1)
    torch.nn.init.zeros_(block.residual[-1].weight)
    features = random_images(2, 8, 5, 6)
    assert len(block.shortcut) == 0
    assert torch.equal(block(features), features.relu())


def test_resnet_starts_with_the_variance_that_keeps_gradients():
    weight = ResNet50(1).stages[3][2].residual[3].weight
    assert weight.shape == (512, 512, 3, 3)
    # The standard deviation of 2.4 million normal numbers is known to 1/sqrt(2 * 2.4e6) = 0.05 %.
    assert weight.std().item() == pytest.approx((2 / (9 * 512)) ** 0.5, rel=0.002)


def test_halving_is_the_3x3_convolutions_task():
    block = Bottleneck(6, 2, stride=2)
    strides = {
        layer.kernel_size: layer.stride for layer in block.residual if hasattr(layer, "stride")
    }
    assert strides == {(1, 1): (1, 1), (3, 3): (2, 2)}
