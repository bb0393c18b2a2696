"""What an exported network does first is what its data set did in training."""

import numpy as np
import pytest
import torch
from head_slice import head_slice
from torch import nn

from spinforge.datasets.reading.network_input import common_size, intensity_99, padded
from spinforge.models.export.preprocessing import (
    Preprocessing,
    crop_to_image,
    divide_by,
    magnitude_99,
    pad_to_trained,
)
from spinforge.models.export.segmenters import ImageSegmenter
from spinforge.simulation.reconstruction import intensity_scale, real_channels

# A dozen roundings, each of half a unit of 2**-23.
ROUNDING = {"rtol": 12 * 2**-24, "atol": 0}


@pytest.mark.parametrize("gain", [1e-30, 1e-6, 1.0, 4095.0, 1e30], ids="{:g}".format)
def test_slice_scaling_is_that_of_zero_filled_slices_at_any_gain(gain):
    image = head_slice()
    expected = real_channels(image / intensity_scale(image))
    raw = real_channels(image)[None] * gain
    torch.testing.assert_close((raw / magnitude_99(raw))[0], expected, **ROUNDING)


@pytest.mark.parametrize("size", [(1, 1), (7, 7), (5, 10), (16, 31), (45, 54)], ids=str)
def test_slice_scale_is_the_same_value_of_the_same_rank(size, random_images):
    images = random_images(3, 1, *size)
    expected = intensity_scale(torch.complex(images[:, 0], torch.zeros(3, *size)))
    torch.testing.assert_close(magnitude_99(images).flatten(), expected, **ROUNDING)


def test_air_stays_finite():
    air = torch.zeros(1, 2, 16, 16)
    assert torch.equal(air / magnitude_99(air), air)


def test_volume_scaling_is_that_of_image_slices_bit_for_bit():
    volume = head_slice().abs().numpy()[None] * 700
    expected = volume / np.float32(intensity_99(volume))
    scale = torch.tensor([[intensity_99(volume)]])
    assert torch.equal(divide_by(torch.from_numpy(volume)[None], scale)[0], torch.tensor(expected))


def test_densities_are_windowed_before_they_are_divided():
    """By hand, in the window of -160 to 240 HU: air, fat, the window's middle, bone."""
    image = torch.tensor([[[[-1000.0, -60.0, 40.0, 900.0]]]])
    preprocessing = Preprocessing(scaling="volume", window=(-160.0, 240.0))
    seen = []
    network = nn.Identity()
    network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    ImageSegmenter(network, preprocessing)(image, torch.tensor([[0.5]]))
    assert seen[0].flatten().tolist() == [0.0, 0.5, 1.0, 2.0]
    assert "-160 to 240 HU" in preprocessing.in_words


def test_a_scale_of_0_stands_for_a_volume_without_values(random_images):
    image = random_images(1, 2, 4, 5)
    scaled = divide_by(image, torch.tensor([[0.0, 2.0]]))
    assert torch.equal(scaled, image / torch.tensor([1.0, 2.0])[:, None, None])


@pytest.mark.parametrize("size", [(17, 20), (16, 31), (32, 32)], ids=str)
def test_padding_is_that_of_the_data_sets_and_is_undone(size, random_images):
    image = random_images(2, 3, *size)
    wanted = common_size([size])
    zeros_around = pad_to_trained(image, wanted)
    np.testing.assert_array_equal(zeros_around, padded(image.numpy(), wanted, value=0))
    assert torch.equal(crop_to_image(zeros_around, image), image)


@pytest.mark.parametrize("leading", [(3,), (3, 2)], ids=["images", "sequences"])
def test_the_network_sees_padded_images_and_the_answer_is_cropped(leading, random_images):
    seen = []
    network = nn.Identity()
    network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape))
    segmenter = ImageSegmenter(network, Preprocessing(scaling="none", padded_to=(32, 32)))
    image = random_images(*leading, 4, 17, 20)
    labels, probabilities = segmenter(image)
    assert seen == [(*leading, 4, 32, 32)]
    assert torch.equal(labels, image.argmax(dim=-3).to(torch.uint8))
    torch.testing.assert_close(probabilities, image.softmax(dim=-3))
