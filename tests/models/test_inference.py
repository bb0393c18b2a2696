"""Label maps from images."""

import numpy as np
import pytest
import torch
from measured import random_measurement
from torch import nn

from spinforge.models.fcslstm.fcslstm import FCSLSTMConfig
from spinforge.models.inference import (
    labels_of,
    predict_labels,
    predict_slices,
    probabilities_of,
)
from spinforge.models.networks import build_network
from spinforge.models.seranet.baselines import (
    FullySampledConfig,
    JointConfig,
    ZeroFillingConfig,
)
from spinforge.models.seranet.consistency import zero_filled_channels
from spinforge.models.seranet.segnetmri import SegNetMRIConfig
from spinforge.models.seranet.seranet import SERANetConfig
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


MEASUREMENT = random_measurement(3, 2, (32, 37), dtype=torch.complex64)
MEASURED = [
    dict(zip(("kspace", "mask", "sensitivities"), parts, strict=True))
    for parts in zip(*MEASUREMENT, strict=True)
]


def test_measurements_are_segmented():
    ours = loaded(ZeroFillingConfig(kind="zero_filling", width=2))
    labels = predict_labels(ours, MEASURED, batch_size=2)
    with torch.no_grad():
        expected = ours.network.eval()(MEASUREMENT).logits[0].argmax(dim=1)
    np.testing.assert_array_equal(labels, expected.numpy())


def test_slices_that_a_network_does_not_read_are_refused(random_images):
    (image,) = random_images(1, 2, 32, 37)
    with pytest.raises(SpinforgeError, match="starts from k-space"):
        predict_labels(loaded(ZeroFillingConfig(kind="zero_filling", width=2)), items([image]))
    with pytest.raises(SpinforgeError, match="reads sequences"):
        predict_labels(loaded(FCSLSTMConfig(kind="fcslstm")), items([image]))


def test_labels_are_those_of_the_logits_where_probabilities_round_to_equal_ones():
    logits = torch.tensor([0.0, 1e-9, -9.0]).reshape(1, 3, 1, 1)
    found = predict_slices(IDENTITY, items(logits))
    assert probabilities_of(logits).argmax(dim=1).item() == 0
    assert found.labels.item() == 1
    assert found.confidence.item() == pytest.approx(1 / (2 + np.exp(-9)), rel=1e-6)


@pytest.mark.parametrize("sharpness", [0.0, 1.0, 1000.0])
def test_confidence_is_the_softmax_at_the_label(random_images, sharpness):
    images = sharpness * random_images(5, 3, 8, 6)
    found = predict_slices(IDENTITY, items(images), batch_size=2)
    logits = images.double().numpy()
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    expected = np.take_along_axis(
        powers / powers.sum(axis=1, keepdims=True), found.labels[:, None], 1
    )
    assert found.confidence.dtype == np.float32
    np.testing.assert_allclose(
        found.confidence, expected[:, 0], rtol=1e-6
    )  # float32 rounds by 6e-8
    # A third is no float32; the next one is above it.
    assert 1 / 3 <= found.confidence.min()
    assert found.confidence.max() <= 1
    assert found.images is None


def test_confidence_of_a_foreground_alone_is_a_half_or_more():
    logits = torch.tensor([-2.0, 0.0, 2.0]).reshape(1, 1, 1, 3)
    confidence = predict_slices(IDENTITY, items(logits)).confidence.ravel()
    sure = 1 / (1 + np.exp(-2))
    np.testing.assert_allclose(confidence, [sure, 0.5, sure], rtol=1e-6)


def test_confidence_of_sequences_is_that_of_their_frames(random_images):
    sequences = random_images(6, 2, 32, 37).unflatten(0, (3, 2))
    ours = loaded(FCSLSTMConfig(kind="fcslstm"))
    found = predict_slices(ours, items(sequences), batch_size=2)
    with torch.no_grad():
        expected = probabilities_of(ours.network.eval()(sequences)).amax(dim=2)
    # Convolutions of other batches sum in another order.
    np.testing.assert_allclose(found.confidence, expected.numpy(), rtol=1e-5)


def test_no_number_is_the_confidence_of_a_network_that_gives_none():
    logits = torch.full((1, 3, 1, 1), float("nan"))
    assert np.isnan(predict_slices(IDENTITY, items(logits)).confidence).all()


@pytest.mark.parametrize(
    "config",
    [
        ZeroFillingConfig(kind="zero_filling", width=2),
        JointConfig(kind="joint", width=2, reconstruction={"blocks": 2, "width": 2}),
        SegNetMRIConfig(kind="segnetmri", width=2, blocks=2),
        SERANetConfig(
            kind="seranet", width=2, recurrences=1, reconstruction={"blocks": 1, "width": 2}
        ),
    ],
    ids=lambda config: config.kind,
)
def test_the_image_is_the_last_one_of_the_network(config):
    ours = loaded(config)
    found = predict_slices(ours, MEASURED, batch_size=2)
    with torch.no_grad():
        images = ours.network.eval()(MEASUREMENT).images
    expected = images[-1].square().sum(dim=1).sqrt().numpy()
    np.testing.assert_allclose(found.images, expected, rtol=1e-4, atol=1e-5)
    zero_filled = zero_filled_channels(MEASUREMENT).square().sum(dim=1).sqrt().numpy()
    assert np.allclose(found.images, zero_filled) == (config.kind == "zero_filling")


def test_a_network_that_is_given_all_lines_reconstructs_nothing():
    ours = loaded(FullySampledConfig(kind="fully_sampled", width=2))
    assert predict_slices(ours, MEASURED).images is None
