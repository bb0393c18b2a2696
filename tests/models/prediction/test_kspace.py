"""Acquired lines get the labels that evaluation would give them; what does not fit is named."""

from dataclasses import replace

import hand_made_kspace
import numpy as np
import pytest
import torch
from planted import Levels, planted

from spinforge.datasets.reading.loading import ZeroFilledSlices
from spinforge.datasets.scans.set_scan import check_subject, read_subject
from spinforge.datasets.storage.arrays import StoredArray
from spinforge.models.inference import predict_labels
from spinforge.models.networks import build_network
from spinforge.models.prediction.ensemble import ensemble_of
from spinforge.models.prediction.kspace import segment_kspace
from spinforge.models.prediction.slices import Asked
from spinforge.models.seranet.baselines import FullySampledConfig, ZeroFillingConfig
from spinforge.models.seranet.unet import UNetConfig
from spinforge.models.weights import LoadedNetwork
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.sampling import Gaussian1D

UNET = UNetConfig(kind="unet", width=2)
ZERO_FILLING = ZeroFillingConfig(kind="zero_filling", width=2)
FULLY_SAMPLED = FullySampledConfig(kind="fully_sampled", width=2)


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """A set with that many coils."""
    folder = tmp_path_factory.mktemp("kspace")
    return {
        coils: hand_made_kspace.kspace_set(folder / f"{coils}.zarr", coils) for coils in (1, 3)
    }  # fmt: skip


def slices_of(store, config):
    slices = ZeroFilledSlices(store.path, ("head-000",), sampling=Gaussian1D(), masks="fixed")
    return slices if config is UNET else slices.showing("measurement")


def loaded_for(slices, config):
    network = build_network(config, in_channels=2, n_classes=4, seed=0).eval()
    return LoadedNetwork(network, config, 2, 4, slices.format)


class Seen(Levels):
    def forward(self, image):
        self.images = image
        return super().forward(image)


@pytest.mark.parametrize("coils", [1, 3])
@pytest.mark.parametrize(
    "config", [UNET, ZERO_FILLING, FULLY_SAMPLED], ids=lambda config: config.kind
)
def test_a_set_is_segmented_as_it_is_evaluated(config, coils, stores):
    slices = slices_of(stores[coils], config)
    loaded = loaded_for(slices, config)
    expected = predict_labels(loaded, slices)
    (scan,) = read_subject(stores[coils], "head-000", slices.format)
    found = segment_kspace(ensemble_of({"a": loaded}), scan)
    # (slice, ky, kx) are (z, x, y).
    np.testing.assert_array_equal(found.labels, expected.swapaxes(1, 2))
    assert found.notes == ()


def test_corrupted_lines_are_read_in_place_of_the_clean_ones(stores):
    store = stores[1]
    group = store.within("corrupt/motion/3")
    damaged = hand_made_kspace.kspace(1)[:, :, ::-1].copy()
    arrays = {"full": StoredArray(damaged, ("slice", "coil", "ky", "kx"))}
    about = {"subject": "head-000", "spacing_mm": list(hand_made_kspace.SPACING_ZYX)}
    group.write_subject("head-000", arrays, about)
    slices = ZeroFilledSlices(
        store.path, ("head-000",), sampling=Gaussian1D(), masks="fixed", variant=group.group
    )
    loaded = loaded_for(slices, UNET)
    (scan,) = read_subject(group, "head-000", slices.format)
    found = segment_kspace(ensemble_of({"a": loaded}), scan)
    np.testing.assert_array_equal(found.labels, predict_labels(loaded, slices).swapaxes(1, 2))


def unet_and_scan(stores, coils=1, **changes):
    slices = slices_of(stores[coils], UNET)
    (scan,) = read_subject(stores[coils], "head-000", slices.format)
    return ensemble_of({"a": loaded_for(slices, UNET)}), replace(scan, **changes)


@pytest.mark.parametrize("coils", [1, 3])
@pytest.mark.parametrize("config", [UNET, ZERO_FILLING], ids=lambda config: config.kind)
@pytest.mark.parametrize("other", [7 + 2j, np.nan, np.inf], ids=str)
def test_lines_that_were_not_acquired_do_not_matter(other, config, coils, stores):
    slices = slices_of(stores[coils], config)
    ensemble = ensemble_of({"a": loaded_for(slices, config)})
    (scan,) = read_subject(stores[coils], "head-000", slices.format)
    kept = scan.mask[:, None, :, None]
    others = [np.where(kept, scan.kspace, np.complex64(value)) for value in (0, other)]
    asked = Asked(probabilities=True, batch_size=2)
    first, second = (
        segment_kspace(ensemble, replace(scan, kspace=lines), asked=asked).probabilities
        for lines in others
    )
    assert np.isfinite(first).all()
    np.testing.assert_array_equal(first, second)


def test_the_gain_does_not_matter(stores):
    """Powers of two change no digit."""
    ensemble, scan = unet_and_scan(stores)
    louder = replace(scan, kspace=scan.kspace * np.float32(2**20))
    np.testing.assert_array_equal(
        segment_kspace(ensemble, scan).labels, segment_kspace(ensemble, louder).labels
    )


def test_sensitivities_that_nobody_gave_are_estimated(stores):
    """Their root sum of squares is 1, so magnitudes are those of all coils together."""
    _, scan = unet_and_scan(stores, 3)
    reads = dict(slices_of(stores[3], UNET).format)
    del reads["class_names"]
    network = planted(Seen(), **reads)
    full = replace(scan, mask=np.ones_like(scan.mask), sensitivities=None)
    found = segment_kspace(ensemble_of({"a": network}), full)
    assert "sensitivities of 3 coils were estimated (ESPIRiT, 20 lines)" in found.notes[0]
    magnitude = torch.hypot(*network.network.images.unbind(1)).numpy()
    energy = (abs(hand_made_kspace.coil_maps(3)) ** 2).sum(1)
    combined = np.abs(hand_made_kspace.image()) * np.sqrt(energy)
    inside = np.s_[:, 6:13, 8:17]
    ratio = magnitude[inside] / combined[inside]
    # One number a slice, but for noise of 2 % and maps that are smoother than they should be.
    assert np.all(ratio.std(axis=(1, 2)) < 0.05 * ratio.mean(axis=(1, 2)))


def test_too_few_central_lines_for_an_estimate_are_counted(stores):
    ensemble, scan = unet_and_scan(stores, 3, sensitivities=None)
    few = scan.mask.copy()
    few[:, 13] = False
    with pytest.raises(SpinforgeError, match=r"only the 6 central lines .* need 8 to estimate"):
        segment_kspace(ensemble, replace(scan, mask=few))


def test_networks_of_images_take_no_k_space(stores):
    _, scan = unet_and_scan(stores)
    with pytest.raises(SpinforgeError, match=r"reads images \(T1\), and this scan is k-space"):
        segment_kspace(ensemble_of({"a": planted(Levels())}), scan)


@pytest.mark.parametrize("absent", [0, np.nan, np.inf], ids=str)
def test_a_network_of_all_lines_gets_all_lines(absent, stores):
    slices = slices_of(stores[1], FULLY_SAMPLED)
    (scan,) = read_subject(stores[1], "head-000", slices.format)
    missing = np.where(scan.mask[:, None, :, None], scan.kspace, np.complex64(absent))
    ensemble = ensemble_of({"a": loaded_for(slices, FULLY_SAMPLED)})
    with pytest.raises(SpinforgeError, match=r"needs every line of k-space, and only 6. %"):
        segment_kspace(ensemble, replace(scan, kspace=missing))


def test_damaged_lines_are_named(stores):
    ensemble, scan = unet_and_scan(stores)
    damaged = scan.kspace.copy()
    damaged[1, 0, 10, 3] = np.nan
    with pytest.raises(SpinforgeError, match="head-000: k-space holds NaN"):
        segment_kspace(ensemble, replace(scan, kspace=damaged))


def test_lines_without_signal_are_refused(stores):
    ensemble, scan = unet_and_scan(stores)
    with pytest.raises(SpinforgeError, match="head-000: no acquired line of k-space holds any"):
        segment_kspace(ensemble, replace(scan, kspace=np.zeros_like(scan.kspace)))
    with pytest.raises(SpinforgeError, match="head-000: no acquired line of k-space holds any"):
        segment_kspace(ensemble, replace(scan, mask=np.zeros_like(scan.mask)))


def test_what_is_unlike_training_is_noted(stores):
    ensemble, scan = unet_and_scan(stores)
    coarse = replace(scan.place, spacing_mm=(6.0, 3.0, 4.0))
    found = segment_kspace(
        ensemble, replace(scan, mask=np.ones_like(scan.mask), place=coarse)
    )  # fmt: skip
    lines, pixels = found.notes
    assert "100 % of the lines were acquired, in training 6" in lines
    assert "pixels are 4 x 3 mm, in training 4 x 2 mm" in pixels


def test_a_set_of_k_space_is_not_for_networks_of_images(stores):
    with pytest.raises(SpinforgeError, match=r"kspace/head-000 holds k-space; .* images \(T1\)"):
        check_subject(stores[1], "head-000", planted(Levels()).reads)
