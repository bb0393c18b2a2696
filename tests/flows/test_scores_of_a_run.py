"""Calibration and reconstructions in the scores of whole runs."""

import shutil

import numpy as np
import pandas as pd
import pytest
from finished_study import predictions

from spinforge.evaluation.pooled import read_pooled
from spinforge.evaluation.score import VOLUME
from spinforge.flows.evaluate import evaluate
from spinforge.flows.report import report
from spinforge.flows.run_folder import RunFolder
from spinforge.flows.slices import network_folder, scores_folder
from spinforge.flows.train import train
from spinforge.models.seranet.baselines import (
    FullySampledConfig,
    JointConfig,
    ZeroFillingConfig,
)
from spinforge.models.seranet.reconstruction import ReconstructionConfig
from spinforge.models.weights import load_network, save_network

IMAGE_METRICS = {"psnr_db", "ssim", "nrmse"}


def case_table(study) -> pd.DataFrame:
    return pd.read_parquet(RunFolder.of(study).evaluation / "cases.parquet")


def values(scores, network, metric):
    rows = scores[(scores["network"] == network) & (scores["metric"] == metric)]
    assert set(rows["tissue"]) <= {"all"}
    return rows.set_index("slice")["value"]


def test_a_run_leaves_each_paper_s_figure_of_every_network(finished):
    study, answer = finished
    table = pd.read_csv(RunFolder.of(study).evaluation / "aggregated.csv")
    of_all = table[table["tissue"] == "all"].set_index(["aggregation", "network", "metric"])
    for network in study.networks:
        dice = of_all.loc[("seranet", network.name, "dice"), "value"]
        assert dice == pytest.approx(answer["dice"][network.name], rel=1e-12)
        pooled = read_pooled(scores_folder(study, network))
        assert of_all.loc[("crdn", network.name, "dice"), "value"] == pytest.approx(pooled.dice)


def test_every_slice_and_volume_of_a_run_has_a_calibration_error(finished):
    study, _ = finished
    scores = case_table(study)
    for network in study.networks:
        errors = values(scores, network.name, "ece")
        assert len(errors) == 12 + 1
        assert ((errors >= 0) & (errors <= 1)).all()
    assert not IMAGE_METRICS & set(scores["metric"])  # neither of them reconstructs


def test_a_network_that_is_always_sure_of_background_has_the_error_of_the_closed_form(copy):
    """Every pixel is background with p = e^8 / (e^8 + 3); the share that is right is known."""
    network = next(n for n in copy.networks if n.name == "unet")
    path = network_folder(copy, network) / "network.pt"
    loaded = load_network(path)
    weights = loaded.network.state_dict()
    *_, kernel, bias = weights  # of the last convolution
    assert weights[bias].shape == (4,)
    weights[kernel].zero_()
    weights[bias].copy_(weights[bias].new_tensor([8.0, 0.0, 0.0, 0.0]))
    save_network(path, weights, network, in_channels=2, n_classes=4, reads=loaded.reads)
    shutil.rmtree(scores_folder(copy, network))
    evaluate(copy)
    assert not predictions(copy, "unet").any()
    right = RunFolder.of(copy).store.read("head-003", "target") == 0
    sure = np.exp(8) / (np.exp(8) + 3)
    expected = sure - right.mean(axis=(1, 2))
    assert (expected > 0.05).any()  # over-confident
    errors = values(case_table(copy), "unet", "ece")
    # Confidences are float32.
    np.testing.assert_allclose(errors[errors.index >= 0].sort_index(), abs(expected), atol=1e-6)
    assert errors[VOLUME] == pytest.approx(sure - right.mean(), abs=1e-6)


def test_networks_that_reconstruct_are_scored_by_their_images(untrained):
    small = {"blocks": 1, "width": 2}
    networks = (
        ZeroFillingConfig(kind="zero_filling", width=2),
        FullySampledConfig(kind="fully_sampled", width=2),
        JointConfig(kind="joint", width=2, reconstruction=ReconstructionConfig(**small)),
    )
    recipe = untrained.training.model_copy(update={"epochs": 1})
    study = untrained.model_copy(update={"networks": networks, "training": recipe})
    train(study)
    evaluate(study)
    scores = case_table(study)
    for name in ("zero-filling", "joint"):
        for metric in IMAGE_METRICS:
            found = values(scores, name, metric)
            assert sorted(found.index) == list(range(12))
            assert np.isfinite(found).all()
    given = scores[scores["network"] == "fully-sampled"]
    assert not IMAGE_METRICS & set(given["metric"])
    assert "ece" in set(given["metric"])
    nrmse = values(scores, "zero-filling", "nrmse")
    assert ((nrmse > 0.01) & (nrmse < 1)).all()
    report(study)
    page = RunFolder.of(study).report.read_text()
    for heading in ("ECE, slices", "ECE, volumes", "PSNR [dB]", "SSIM", "NRMSE"):
        assert f'<th scope="col">{heading}</th>' in page
