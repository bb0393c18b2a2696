"""The blocks' sizes, and the iteration that they are part of."""

import numpy as np
import pytest
import torch
from measured import random_measurement
from torch import nn

from spinforge.models.networks import count_parameters
from spinforge.models.seranet.reconstruction import (
    Reconstruction,
    ReconstructionConfig,
    build_block,
    build_reconstruction,
)
from spinforge.simulation.reconstruction import zero_filled


@pytest.mark.parametrize("block", ["cnn", "autoencoder"])
@pytest.mark.parametrize("up", ["bilinear", "transposed"])
def test_blocks_keep_any_size(block, up, random_images):
    module = build_block(ReconstructionConfig(block=block, up=up, width=2), in_channels=8)
    for size in [(4, 4), (5, 7), (30, 33)]:
        assert module(random_images(2, 8, *size)).shape == (2, 2, *size)


def test_every_block_has_its_own_weights():
    module = build_reconstruction(ReconstructionConfig(width=4, blocks=3))
    one = build_block(ReconstructionConfig(width=4), in_channels=2)
    assert count_parameters(module) == 3 * count_parameters(one)


@pytest.mark.parametrize("residual", [True, False])
def test_iteration_is_the_one_of_the_paper(residual):
    """x <- DC(x + Reg x), or DC(Reg x), with two known blocks, in NumPy."""
    measurement = random_measurement(1, 1)

    class Scale(nn.Module):
        def __init__(self, factor):
            super().__init__()
            self.factor = factor

        def forward(self, image):
            return self.factor * image.tanh()

    module = Reconstruction([Scale(0.5), Scale(-2.0)], residual=residual)
    found = module(measurement)[0]

    kspace, mask = measurement.kspace[0, 0].numpy(), measurement.mask[0].numpy()[:, None]
    image = np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(kspace * mask), norm="ortho"))
    for factor in (0.5, -2.0):
        change = factor * (np.tanh(image.real) + 1j * np.tanh(image.imag))
        estimate = image + change if residual else change
        predicted = np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(estimate), norm="ortho"))
        filled = np.where(mask, kspace, predicted)
        image = np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(filled), norm="ortho"))
    # Six FFTs of 340 numbers near 1 in float64.
    np.testing.assert_allclose(found, np.stack((image.real, image.imag)), rtol=0.0, atol=1e-12)


def test_without_blocks_it_is_zero_filling():
    measurement = random_measurement(2, 1)
    expected = zero_filled(measurement.kspace[:, 0], measurement.mask)
    found = Reconstruction([])(measurement)
    assert torch.equal(torch.complex(found[:, 0], found[:, 1]), expected)
