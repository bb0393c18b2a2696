"""What tests ask of a finished study, or change in it."""

from spinforge.flows.evaluate import read_predictions
from spinforge.flows.slices import network_folder, scores_folder


def predictions(study, name):
    network = next(n for n in study.networks if n.name == name)
    return read_predictions(scores_folder(study, network) / "predictions.npz")


def changed_recipe(study):
    recipe = study.training.model_copy(update={"epochs": 1})
    return study.model_copy(update={"training": recipe})


def network_file(study):
    return network_folder(study, study.networks[0]) / "network.pt"
