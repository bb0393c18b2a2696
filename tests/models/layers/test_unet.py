"""The U-Net's way up, against a few lines of NumPy, and its sizes."""

import numpy as np
import numpy_layers as layers
import pytest
import torch

from spinforge.models.layers.unet import UNet, UpPath, UpStage, doubled_widths
from spinforge.simulation.errors import SpinforgeError


@pytest.mark.parametrize("up", ["bilinear", "transposed"])
def test_stage_doubles_pads_joins_and_convolves(up, random_images):
    stage = UpStage(3, 2, up=up).double().eval()
    coarse, skip = random_images(2, 3, 3, 4).double(), random_images(2, 2, 7, 9).double()
    if up == "bilinear":
        doubled = layers.bilinear(coarse.numpy(), (6, 8))
        doubled = layers.convolution(doubled, *layers.weights(stage.up[1]))
    else:
        kernel = layers.weights(stage.up[0])
        doubled = layers.transposed_convolution(coarse.numpy(), *kernel, padding=0)
    doubled = np.pad(doubled, ((0, 0), (0, 0), (1, 0), (1, 0)))
    expected = np.concatenate((skip, doubled), axis=1)
    for convolution, _, _ in stage.merge:
        expected = layers.convolution(expected, *layers.weights(convolution))
        # Running statistics of a new network: mean 0, variance 1.
        expected = layers.relu(expected / np.sqrt(1 + 1e-5))
    # Three convolutions of up to 36 terms near 1, in float64.
    np.testing.assert_allclose(stage(coarse, skip).detach(), expected, rtol=0.0, atol=1e-12)


def test_way_up_meets_the_encoders_maps_from_coarse_to_fine(random_images):
    path = UpPath((1, 2, 4), up="bilinear").eval()
    maps = [random_images(1, channels, 12 // channels, 8 // channels) for channels in (1, 2, 4)]
    by_hand = path[1](path[0](maps[2], maps[1]), maps[0])
    assert torch.equal(path(maps), by_hand)


@pytest.mark.parametrize(("levels", "minimum"), [(3, 4), (5, 16)])
def test_the_minimum_is_one_pixel_on_the_coarsest_level(levels, minimum, random_images):
    network = UNet(in_channels=1, out_channels=2, widths=doubled_widths(2, levels)).eval()
    size = (minimum, minimum + 3)
    assert network(random_images(2, 1, *size)).shape == (2, 2, *size)
    with pytest.raises(SpinforgeError, match=rf"at least {minimum} x {minimum}"):
        network(torch.zeros(2, 1, minimum - 1, 64))
