"""The robustness flow on the tiny finished study: what is scored, resumed, retrained, refused."""

import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError
from streamlit.testing.v1 import AppTest

from spinforge.datasets.corruption.settings import Corruptions
from spinforge.evaluation.robustness.long_table import CLEAN, RETRAINED, read_long_table
from spinforge.evaluation.score import read_scores, score_slices
from spinforge.flows.check_robustness import check_robustness
from spinforge.flows.config import Robustness, load_study
from spinforge.flows.preflight import check_evaluation, check_study
from spinforge.flows.robustness import robustness
from spinforge.flows.robustness_content import robustness_content
from spinforge.flows.robustness_trials import study_severities, trainings, trials_of
from spinforge.flows.run_folder import RunFolder
from spinforge.flows.slices import network_folder, scores_folder, study_slices
from spinforge.models.inference import predict_labels
from spinforge.models.weights import load_network
from spinforge.simulation.errors import SpinforgeError

SETS = {
    "sets": ["noise_gauss", {"name": "field", "chain": ["inu"], "percent": [40, 0, 20]}],
    "levels": [0, 2, 5],
}


def with_corruptions(study, content=None, **settings):
    corruptions = Corruptions.model_validate(content or SETS)
    changes = {"corruptions": corruptions, "robustness": Robustness(**settings)}
    return study.model_copy(update=changes)


@pytest.fixture(scope="module")
def robust(finished, tmp_path_factory):
    """The finished study's networks, tested under corruptions."""
    study, _ = finished
    out = tmp_path_factory.mktemp("robust")
    shutil.copytree(RunFolder.of(study).path, out / study.name)
    study = with_corruptions(study.model_copy(update={"out": out}))
    trained = sorted(p.name for p in RunFolder.of(study).networks.iterdir())
    answer = robustness(study)
    assert sorted(p.name for p in RunFolder.of(study).networks.iterdir()) == trained
    return study, answer, read_long_table(RunFolder.of(study).robustness / "robustness.parquet")


def test_severities_count_what_changes_the_images(tiny):
    """Level 0 and 0 % are the clean images; percentages count from the weakest."""
    found = [
        (s.transform, s.severity, s.strength) for s in study_severities(with_corruptions(tiny))
    ]
    assert found == [
        ("noise_gauss", 2, "level 2"),
        ("noise_gauss", 5, "level 5"),
        ("field", 1, "20 %"),
        ("field", 2, "40 %"),
    ]


def test_every_network_corruption_and_severity_is_in_the_table(robust):
    study, answer, table = robust
    assert answer["trials"] == 2 * 5
    counts = table.groupby(["model", "transform", "severity"]).size()
    strengths = {(CLEAN, 0), ("noise_gauss", 2), ("noise_gauss", 5), ("field", 1), ("field", 2)}
    assert set(counts.index) == {(n.name, *s) for n in study.networks for s in strengths}
    assert counts.nunique() == 1
    assert set(table["seed"]) == {study.seed}
    assert set(table["task"]) == {"seranet"}


def test_clean_rows_are_those_of_the_evaluation(robust):
    study, _, table = robust
    for network in study.networks:
        scores = read_scores(scores_folder(study, network) / "cases.parquet")
        clean = table[(table["model"] == network.name) & (table["transform"] == CLEAN)]
        assert sorted(clean["value"].dropna()) == sorted(scores["value"].dropna())


def test_corrupted_rows_are_scores_of_the_corrupted_images(robust):
    """Computed again, from the network's file and the set's images."""
    study, _, table = robust
    network = study.networks[0]
    corrupted = study.model_copy(update={"test_on": "noise_gauss/5"})
    clean, slices = study_slices(study, "test"), study_slices(corrupted, "test")
    assert not np.allclose(clean[5]["image"], slices[5]["image"])
    loaded = load_network(network_folder(study, network) / "network.pt")
    scores = score_slices(
        predict_labels(loaded, slices),
        np.stack([slices[i]["target"] for i in range(len(slices))]).astype(np.uint8),
        spacing_mm=slices.cases(0)[0].pixel_mm,
        subject="head-003",
        network=network.name,
        slices=range(len(slices)),
    )
    dice = scores[(scores["metric"] == "dice") & (scores["slice"] >= 0)]["value"]
    rows = table[
        (table["model"] == network.name)
        & (table["transform"] == "noise_gauss")
        & (table["severity"] == 5)
        & (table["metric"] == "dice")
        & (table["slice"] >= 0)
    ]
    np.testing.assert_array_equal(np.sort(dice.dropna()), np.sort(rows["value"].dropna()))


def test_what_is_there_is_not_done_again_and_what_was_lost_comes_back_the_same(robust):
    study, answer, table = robust
    folder = RunFolder.of(study)
    lost, *kept = sorted(folder.robustness.glob("*/*/predictions.npz"))
    before = [path.stat().st_mtime_ns for path in kept]
    lost.unlink()
    (folder.robustness / "robustness.parquet").unlink()
    assert robustness(study) == answer
    assert lost.is_file()
    assert [path.stat().st_mtime_ns for path in kept] == before
    again = read_long_table(folder.robustness / "robustness.parquet")
    pd.testing.assert_frame_equal(again, table)


def test_the_resolved_study_stays_the_whole_one(robust):
    study, *_ = robust
    resolved = load_study(RunFolder.of(study).study_file)
    assert (resolved.seed, resolved.train_on, resolved.test_on) == (study.seed, None, None)
    assert resolved.robustness == study.robustness


def test_trainings_and_trials_of_both_protocols_and_two_seeds(tiny):
    study = with_corruptions(tiny, seeds=(3, 4), protocols=("clean", "retrained"))
    assert [(t.seed, t.train_on) for t in trainings(study)][:3] == [
        (3, None),
        (3, "noise_gauss/2"),
        (3, "noise_gauss/5"),
    ]
    trials = list(trials_of(study))
    assert len(trainings(study)) == 2 * (1 + 4)
    assert len(trials) == 2 * 2 * (1 + 2 * 4)
    clean = trials[0]
    assert {c.protocol for c in clean.conditions} == {"trained clean", RETRAINED}
    for trial in trials[4:]:
        retrained = trial.conditions[0].protocol == RETRAINED
        assert trial.study.train_on == (trial.study.test_on if retrained else None)


@pytest.mark.slow
def test_retrained_networks_learn_from_the_corrupted_images(copy):
    """Each level has a network of its own, which no clean training stands for."""
    sets = {"sets": ["noise_gauss"], "levels": [5]}
    study = with_corruptions(copy, sets, protocols=("clean", "retrained"))
    robustness(study)
    folder = RunFolder.of(study)
    assert len(list(folder.networks.iterdir())) == 2 * len(study.networks)
    table = read_long_table(folder.robustness / "robustness.parquet")
    retrained = next(t for t in trials_of(study) if t.study.train_on)
    assert retrained.study.train_on == retrained.study.test_on == "noise_gauss/5"
    scores = read_scores(scores_folder(retrained.study, retrained.network) / "cases.parquet")
    rows = table[(table["protocol"] == RETRAINED) & (table["severity"] == 5)]
    rows = rows[rows["model"] == retrained.network.name]
    assert sorted(rows["value"].dropna()) == sorted(scores["value"].dropna())
    weights = [
        load_network(network_folder(of, retrained.network) / "network.pt").network.state_dict()
        for of in (study, retrained.study)
    ]
    assert any(not torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    clean = table[table["severity"] == 0].groupby(["protocol", "model"])["value"].sum()
    assert clean["trained clean"].equals(clean[RETRAINED])
    learned = study_slices(study.model_copy(update={"train_on": "noise_gauss/5"}), "train")
    assert not np.allclose(learned.kspace, study_slices(study, "train").kspace)


def test_bad_settings_are_refused_before_any_work(tiny):
    with pytest.raises(SpinforgeError, match="says no corruptions"):
        check_robustness(tiny)
    only_clean = with_corruptions(tiny, {"sets": ["motion"], "levels": [0]})
    with pytest.raises(SpinforgeError, match="leaves the images as they are"):
        check_robustness(only_clean)
    with pytest.raises(SpinforgeError, match="chooses the corruption sets itself"):
        check_robustness(with_corruptions(tiny).model_copy(update={"test_on": "motion/1"}))
    fresh = tiny.training.model_copy(update={"fresh": "noise"})
    both = with_corruptions(tiny, protocols=("clean", "retrained"))
    with pytest.raises(SpinforgeError, match="fresh is noise"):
        check_robustness(both.model_copy(update={"training": fresh}))
    with pytest.raises(ValidationError, match="names one twice"):
        Robustness(seeds=(1, 1))
    assert not RunFolder.of(tiny).path.exists()


def test_a_baseline_must_be_a_network_of_the_study(tiny_file):
    with pytest.raises(SpinforgeError, match=r"choose one of unet, crdn"):
        load_study(tiny_file, ["robustness.baseline=resnet"])


@pytest.mark.parametrize("setting", ["train_on", "test_on"])
def test_a_corruption_set_that_is_not_there_is_named(copy, setting):
    study = copy.model_copy(update={setting: "motion/3"})
    check = check_evaluation if setting == "test_on" else check_study
    with pytest.raises(SpinforgeError, match=rf"{setting}: .*corrupt/motion/3.*spinforge corrupt"):
        check(study)


def _dashboard(out):
    from pathlib import Path

    from spinforge.evaluation.dashboard.page import show_page
    from spinforge.flows.dashboard_studies import RunFolders

    show_page(RunFolders(Path(out)))


@pytest.mark.parametrize("tab", ["Overview", "Curves", "Compare", "Samples", "Runs"])
def test_the_dashboard_shows_the_run_and_changes_nothing(robust, tab):
    study, _, _ = robust
    before = {path: path.stat().st_mtime_ns for path in study.out.rglob("*") if path.is_file()}
    page = AppTest.from_function(_dashboard, default_timeout=120, args=(str(study.out),))
    page.query_params["tab"] = tab
    page.run()
    assert not page.exception
    assert not page.error
    assert not page.warning
    models = [network.name for network in study.networks]
    assert page.multiselect(f"networks of {study.name}").value == models
    if tab == "Samples":
        html = "".join(element.proto.body for element in page.get("html"))
        assert html.count("<figure>") == 8
    if tab == "Runs":
        assert set(models) <= set(page.dataframe[0].value["run"])
    after = {path: path.stat().st_mtime_ns for path in study.out.rglob("*") if path.is_file()}
    assert after == before


@pytest.mark.parametrize("tab", ["Overview", "Curves", "Compare", "Samples", "Runs"])
def test_without_its_data_set_a_study_has_all_but_its_pictures(robust, tmp_path, tab):
    study, _, table = robust
    folder = RunFolder.of(study)
    # Its table, notes and study file are left, as where only results were copied to.
    left_out = shutil.ignore_patterns(folder.store.path.name)
    shutil.copytree(folder.path, tmp_path / study.name, ignore=left_out)
    shutil.copy(study.out / "mlflow.db", tmp_path)
    page = AppTest.from_function(_dashboard, default_timeout=120, args=(str(tmp_path),))
    page.query_params["tab"] = tab
    page.run()
    assert not page.exception
    assert not page.error
    assert page.dataframe[0].value.shape[0] >= 2
    warnings = [element.value for element in page.warning]
    if tab == "Samples":
        assert len(warnings) == 1
        assert "the images are gone" in warnings[0]
    else:
        assert not warnings
    tissues = page.selectbox(f"tissue of {study.name}").options
    assert len(tissues) == table["class"].nunique()


def test_the_report_needs_the_data_set(robust, tmp_path):
    study, *_ = robust
    folder = RunFolder.of(study)
    left_out = shutil.ignore_patterns(folder.store.path.name)
    shutil.copytree(folder.path, tmp_path / study.name, ignore=left_out)
    with pytest.raises(SpinforgeError, match=folder.store.path.name):
        robustness_content(study.model_copy(update={"out": tmp_path}), tracked=False)
