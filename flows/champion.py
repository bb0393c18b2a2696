"""Which network of a study MLflow's registry calls its champion."""

from pathlib import Path

from spinforge.datasets.products.infant_settings import InfantProduct
from spinforge.flows.config import Study
from spinforge.flows.orchestration import Tracker
from spinforge.flows.slices import network_folder
from spinforge.models.networks import NetworkConfig
from spinforge.models.training.fit import TrainingSummary, read_summary


def crown_champion(study: Study) -> str | None:
    """Register every trained network of a study; the alias `champion` goes to the best of them.

    The best is the one of the highest pooled Dice of its tissues on the *validation* slices, in the
    epoch whose weights were kept; of equal ones the one with fewer parameters, then the first by
    name. Test scores have no say, so they remain what the champion is to be expected to reach.

    Args:
        study: Whose registered model has the study's name.

    Returns:
        Name of the champion; None if nothing is trained, or nothing validates (infants, whose test
        ages stand in for validation).
    """
    tracker, scores = Tracker(study), {}
    for network in study.networks:
        if (summary := _summary(network_folder(study, network))) is not None:
            tracker.register(network_folder(study, network))
            scores[network.name] = (-summary.best_validation_dice, summary.parameters, network.name)
    if not scores or isinstance(study.data, InfantProduct):
        return None
    champion = min(scores, key=lambda name: scores[name])
    tracker.crown(network_folder(study, _named(study, champion)))
    return champion


def _summary(folder: Path) -> TrainingSummary | None:
    """What came of a finished training."""
    return read_summary(folder) if (folder / "network.pt").is_file() else None


def _named(study: Study, name: str) -> NetworkConfig:
    return next(network for network in study.networks if network.name == name)
