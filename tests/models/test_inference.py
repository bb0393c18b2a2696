"""Label maps from images."""

import numpy as np
import pytest
import torch
from measured import random_measurement
from torch import nn

from spinforge.models.fcslstm.fcslstm import FCSLSTMConfig
from spinforge.models.inference import labels_of, predict_labels, probabilities_of
from spinforge.models.networks import build_network
from spinforge.models.seranet.baselines import ZeroFillingConfig
from spinforge.models.seranet.unet import UNetConfig
from spinforge.models.weights import LoadedNetwork
from spinforge.simulation.errors import SpinforgeError

UNET = UNetConfig(kind="unet", width=2)
IDENTITY = LoadedNetwork(nn.Identity(), UNET, 3, 3)


def loaded(config=UNET, *, in_channels=2):
    network = build_network(config, in_channels=in_channels, n_classes=4, seed=0)
    return LoadedNetwork(network, config, in_channels, 4)


def items(images):
    return [{"image": image} for image in images]


def test_label_is_the_channel_with_the_largest_logit(random_images):
    images = random_images(5, 3, 8, 6)
    labels = predict_labels(IDENTITY, items(images), batch_size=2)
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels, images.argmax(dim=1).numpy())


def test_foreground_alone_is_1_where_it_is_likelier_than_not():
    logits = torch.tensor([-1.0, 0.0, 1.0]).reshape(1, 1, 1, 3)
    assert labels_of(logits).tolist() == [[[0, 0, 1]]]
    assert predict_labels(IDENTITY, items(logits)).tolist() == [[[0, 0, 1]]]
    expected = torch.tensor([1 / (1 + np.e), 0.5, np.e / (1 + np.e)], dtype=torch.float32)
    torch.testing.assert_close(probabilities_of(logits)[0, 0, 0], expected)


def test_probabilities_sum_to_1_over_the_classes_of_any_batch(random_images):
    logits = random_images(2, 3, 4, 5, 6).bfloat16()
    total = probabilities_of(logits).sum(dim=2)
    torch.testing.assert_close(total, torch.ones(2, 3, 5, 6))  # in float32, whatever the logits are


def test_batch_size_does_not_matter(discs):
    data = discs(7)
    one, all_together = (predict_labels(loaded(), data, batch_size=size) for size in (1, 7))
    np.testing.assert_array_equal(one, all_together)
    assert len(np.unique(one)) > 1
    assert one.shape == (7, 32, 24)


@pytest.mark.parametrize("training", [True, False])
def test_network_keeps_its_mode_and_its_statistics(training, discs):
    ours = loaded()
    network = ours.network.train(training)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    predict_labels(ours, discs(2))
    assert network.training == training
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_no_images_is_an_error():
    with pytest.raises(SpinforgeError, match="no images"):
        predict_labels(IDENTITY, [])


@pytest.mark.parametrize("batch_size", [1, 2])
def test_images_of_different_sizes_are_refused(batch_size):
    images = [torch.zeros(1, 4, 4), torch.zeros(1, 4, 5)]
    with pytest.raises(SpinforgeError, match="differ in"):
        predict_labels(IDENTITY, items(images), batch_size=batch_size)


def test_sequences_keep_their_time_points(random_images):
    sequences = random_images(6, 2, 32, 37).unflatten(0, (3, 2))
    labels = predict_labels(loaded(FCSLSTMConfig(kind="fcslstm")), items(sequences), batch_size=2)
    assert labels.shape == (3, 2, 32, 37)


def test_a_network_of_images_reads_the_frames_of_sequences_one_by_one(random_images):
    images = random_images(6, 2, 32, 37)
    together = predict_labels(loaded(), items(images.unflatten(0, (3, 2))))
    np.testing.assert_array_equal(
        together.reshape(6, 32, 37), predict_labels(loaded(), items(images))
    )


def test_measurements_are_segmented():
    measurement = random_measurement(3, 2, (32, 37), dtype=torch.complex64)
    slices = [
        dict(zip(("kspace", "mask", "sensitivities"), parts, strict=True))
        for parts in zip(*measurement, strict=True)
    ]
    ours = loaded(ZeroFillingConfig(kind="zero_filling", width=2))
    labels = predict_labels(ours, slices, batch_size=2)
    with torch.no_grad():
        expected = ours.network.eval()(measurement).logits[0].argmax(dim=1)
    np.testing.assert_array_equal(labels, expected.numpy())


def test_slices_that_a_network_does_not_read_are_refused(random_images):
    (image,) = random_images(1, 2, 32, 37)
    with pytest.raises(SpinforgeError, match="starts from k-space"):
        predict_labels(loaded(ZeroFillingConfig(kind="zero_filling", width=2)), items([image]))
    with pytest.raises(SpinforgeError, match="reads sequences"):
        predict_labels(loaded(FCSLSTMConfig(kind="fcslstm")), items([image]))
