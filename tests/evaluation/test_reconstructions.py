"""Scores of planted reconstructions of a set of k-space."""

import numpy as np
import pytest
import torch
from tiny_kspace import TINY

from spinforge.datasets.products.making import make_subject
from spinforge.datasets.reading.loading import ZeroFilledSlices
from spinforge.datasets.storage.store import DatasetStore
from spinforge.evaluation.reconstructions import score_reconstructions
from spinforge.models.inference import predict_slices
from spinforge.models.networks import build_network
from spinforge.models.seranet.baselines import ZeroFillingConfig
from spinforge.models.weights import LoadedNetwork

SUBJECT = "head-001"


@pytest.fixture(scope="module")
def slices(tmp_path_factory) -> ZeroFilledSlices:
    store = DatasetStore(tmp_path_factory.mktemp("kspace") / "set.zarr")
    store.create(TINY.recipe())
    make_subject(TINY, SUBJECT, store)
    return ZeroFilledSlices(
        store.path, (SUBJECT,), sampling=TINY.sampling, masks="fixed", content="measurement"
    )


def references(slices) -> np.ndarray:
    return torch.stack([slices.fully_sampled(n).abs() for n in range(len(slices))]).numpy()


def scales(slices) -> np.ndarray:
    """From the k-space of items, which is the stored one divided by them."""
    ratios = [
        slices.slice_kspace(n).abs().sum() / slices[n]["kspace"].abs().sum() for n in range(14)
    ]
    return np.array([float(ratio) for ratio in ratios])


def values(scores):
    assert set(scores["tissue"]) == {"all"}
    return scores.set_index(["metric", "slice"])["value"]


def test_items_are_divided_by_the_scale(slices):
    found = [slices.scale(n) for n in range(len(slices))]
    np.testing.assert_allclose(found, scales(slices), rtol=1e-5)  # sums of 2000 in float32


def test_an_image_a_tenth_too_bright_has_the_errors_of_the_closed_form(slices):
    reference = references(slices)
    images = (1.1 * reference / scales(slices)[:, None, None]).astype(np.float32)
    scores = values(score_reconstructions(images, slices, network="planted"))
    error = 0.1 * np.sqrt(np.square(reference.astype(np.float64)).mean(axis=(1, 2)))
    expected = 20 * np.log10(reference.max() / error)
    # The scale is known to 1e-5, a ten-thousandth of the error of 0.1: 1e-3 dB.
    np.testing.assert_allclose(scores["nrmse"], 0.1, rtol=1e-3)
    np.testing.assert_allclose(scores["psnr_db"], expected, atol=2e-3)
    assert (scores["ssim"] < 1).all()
    assert len(scores) == 3 * len(slices)


def test_a_zero_filled_image_is_scored_as_it_was_before_scaling(slices):
    """Against the norms of k-space: what was not acquired is missing, whatever the scale."""
    config = ZeroFillingConfig(kind="zero_filling", width=2)
    network = build_network(config, in_channels=2, n_classes=4, seed=0)
    images = predict_slices(LoadedNetwork(network, config, 2, 4), slices).images
    shown = torch.stack([slices.showing("image")[n]["image"] for n in range(len(slices))])
    magnitude = shown.square().sum(dim=1).sqrt().numpy()
    np.testing.assert_allclose(images, magnitude, rtol=1e-4, atol=1e-5)
    scores = values(score_reconstructions(images, slices, network="zero-filling"))
    reference = references(slices)
    difference = magnitude * scales(slices)[:, None, None] - reference
    expected = np.linalg.norm(difference, axis=(1, 2)) / np.linalg.norm(reference, axis=(1, 2))
    np.testing.assert_allclose(scores["nrmse"], expected, rtol=1e-4)
    assert (expected > 0.05).all()


def test_an_image_for_each_slice_is_needed(slices):
    images = references(slices)
    with pytest.raises(ValueError, match="need one image per slice, got 13 for 14"):
        score_reconstructions(images[1:], slices, network="planted")
