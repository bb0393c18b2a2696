"""SegNetMRI's size and its data flow."""

import torch
from measured import random_measurement

from spinforge.models.seranet.consistency import data_consistency, zero_filled_channels
from spinforge.models.seranet.segnetmri import SegNetMRIConfig, build_segnetmri


def small_segnetmri(blocks=3):
    config = SegNetMRIConfig(kind="segnetmri", width=2, blocks=blocks)
    return build_segnetmri(config, n_classes=4).double().eval()


def test_both_decoders_read_the_features_of_their_block():
    network = small_segnetmri()
    measurement = random_measurement(2, 1, (17, 22))
    with torch.inference_mode():
        found = network(measurement)
        image, opinions = zero_filled_channels(measurement), []
        for number in range(3):
            features = network.encoders[number](image)
            opinions.append(network.segmentations[number](features))
            change = network.reconstructions[number](features)
            image = data_consistency(image + change, measurement)
            assert torch.equal(found.images[number], image)
        # A 1x1 convolution is a matrix for the channels of each pixel.
        matrix = network.merge.weight[:, :, 0, 0]
        expected = torch.einsum("oc,bcyx->boyx", matrix, torch.cat(opinions, dim=1))
        expected += network.merge.bias[:, None, None]
        (logits,) = found.logits
    # Twelve products and a bias, near 1, in float64.
    torch.testing.assert_close(logits, expected, rtol=0.0, atol=1e-13)
    assert len(found.images) == 3


def test_pretraining_sees_the_same_final_image():
    network = small_segnetmri()
    measurement = random_measurement(2, 3, (17, 22))
    with torch.inference_mode():
        assert torch.equal(network.reconstruct(measurement), network(measurement).images[-1])
