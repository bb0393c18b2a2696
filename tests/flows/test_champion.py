"""Which network becomes the champion; MLflow's part is in test_mlflow_records.py."""

from types import SimpleNamespace

import pytest
from mlflow.entities import LoggedModelStatus

from spinforge.datasets.products.infant_settings import InfantBric
from spinforge.flows import champion, model_registry
from spinforge.flows.config import Study
from spinforge.models.seranet.unet import UNetConfig

NETWORKS = tuple(UNetConfig(kind="unet", name=name) for name in ("small", "large", "new"))


@pytest.fixture
def crowned(monkeypatch):
    """The folders that the tracker was told of."""
    seen = SimpleNamespace(registered=[], crowned=[])
    tracker = SimpleNamespace(register=seen.registered.append, crown=seen.crowned.append)
    monkeypatch.setattr(champion, "Tracker", lambda study: tracker)
    monkeypatch.setattr(champion, "network_folder", lambda study, network: network.name)
    return seen


def summaries(monkeypatch, **found):
    """Validation Dice and parameters of the networks that are trained."""
    trained = {
        name: SimpleNamespace(best_validation_dice=dice, parameters=parameters)
        for name, (dice, parameters) in found.items()
    }
    monkeypatch.setattr(champion, "_summary", trained.get)


def test_the_highest_validation_dice_wins_and_all_are_registered(crowned, monkeypatch):
    summaries(monkeypatch, small=(0.8, 10), large=(0.9, 1000))
    assert champion.crown_champion(Study(networks=NETWORKS)) == "large"
    assert crowned.registered == ["small", "large"]
    assert crowned.crowned == ["large"]


def test_of_equal_ones_the_smaller_wins(crowned, monkeypatch):
    summaries(monkeypatch, large=(0.9, 1000), small=(0.9, 10))
    assert champion.crown_champion(Study(networks=NETWORKS)) == "small"


def test_where_nothing_is_trained_there_is_no_champion(crowned, monkeypatch):
    summaries(monkeypatch)
    assert champion.crown_champion(Study(networks=NETWORKS)) is None
    assert not crowned.registered


def test_test_ages_that_stand_in_for_validation_choose_nothing(crowned, monkeypatch):
    summaries(monkeypatch, small=(0.8, 10))
    study = Study(networks=NETWORKS, data=InfantBric(product="infant_bric"))
    assert champion.crown_champion(study) is None
    assert crowned.registered == ["small"]
    assert not crowned.crowned


def test_a_model_that_was_cut_short_is_never_registered():
    logged = {
        "old": (LoggedModelStatus.READY, 1),
        "whole": (LoggedModelStatus.READY, 2),
        "cut": (LoggedModelStatus.PENDING, 3),
    }
    models = {
        name: SimpleNamespace(model_id=name, status=status, creation_timestamp=time)
        for name, (status, time) in logged.items()
    }
    outputs = SimpleNamespace(model_outputs=[models[n] for n in ("whole", "old", "cut")])
    client = SimpleNamespace(
        get_run=lambda run: SimpleNamespace(outputs=outputs), get_logged_model=models.get
    )
    assert model_registry._logged_model(client, "run") == "models:/whole"
    outputs.model_outputs = [models["cut"]]
    assert model_registry._logged_model(client, "run") is None
