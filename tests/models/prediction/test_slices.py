"""Slices to maps: what is kept of them, and what becomes of the networks."""

import weakref

import numpy as np
import pytest
import torch
from planted import Levels, planted

from spinforge.models.inference import predict_labels
from spinforge.models.networks import build_network
from spinforge.models.prediction.ensemble import ensemble_of
from spinforge.models.prediction.slices import Asked, segment_slices
from spinforge.models.seranet.unet import UNetConfig
from spinforge.models.weights import LoadedNetwork
from spinforge.simulation.errors import SpinforgeError

UNET = UNetConfig(kind="unet", width=2)


@pytest.mark.parametrize("uncertainty", [False, True])
def test_probabilities_that_nobody_asked_for_are_not_kept(uncertainty):
    """Maps of the scan's pixels are gone when the next batch has come."""
    maps, alive = [], []

    def restored(batch):
        alive.append([map_ for map_ in maps if map_() is not None])
        values = batch.numpy().copy()
        maps.append(weakref.ref(values))
        return torch.from_numpy(values)  # the tensor's memory is that of the array

    batches = ({"image": torch.rand(2, 1, 16, 16)} for _ in range(3))
    ensemble = ensemble_of({"levels": planted(Levels())})
    asked = Asked(uncertainty=uncertainty)
    found = segment_slices(ensemble, batches, count=6, restored=restored, asked=asked)
    assert found.labels.shape == (6, 16, 16)
    assert found.maps.shape == (2 * uncertainty, 6, 16, 16)
    assert alive == [[], [], []]
    assert all(map_() is None for map_ in maps)


@pytest.mark.parametrize("training", [True, False])
def test_evaluation_and_prediction_leave_a_network_as_it_was(training):
    network = build_network(UNET, in_channels=1, n_classes=4, seed=0).train(training)
    loaded = LoadedNetwork(network, UNET, 1, 4, planted(Levels()).reads)
    images = torch.rand(2, 1, 16, 16)
    evaluated = predict_labels(loaded, [{"image": image} for image in images])
    batches = [{"image": images}]
    found = segment_slices(ensemble_of({"a": loaded}), batches, count=2, asked=Asked())
    np.testing.assert_array_equal(found.labels, evaluated)
    assert network.training == training
    assert {weight.device.type for weight in network.parameters()} == {"cpu"}
    network(images).sum().backward()  # may still be trained
    assert all(weight.grad is not None for weight in network.parameters())


def test_a_network_is_as_it_was_after_a_batch_that_it_does_not_read():
    network = build_network(UNET, in_channels=1, n_classes=4, seed=0).train()
    loaded = LoadedNetwork(network, UNET, 1, 4, planted(Levels()).reads)
    sizes = [{"image": torch.zeros(1, 1, *size)} for size in ((16, 16), (2, 2))]
    with pytest.raises(SpinforgeError):
        segment_slices(ensemble_of({"a": loaded}), sizes, count=2, asked=Asked())
    assert network.training
