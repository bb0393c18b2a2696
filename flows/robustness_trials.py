"""Which networks a robustness study trains, and on which images it tests them."""

from collections.abc import Iterator
from typing import NamedTuple

from spinforge.datasets.corruption.checks import chosen_sets
from spinforge.evaluation.robustness.content import Condition
from spinforge.evaluation.robustness.long_table import CLEAN, RETRAINED, TRAINED_CLEAN
from spinforge.evaluation.robustness.severities import Severity, severities
from spinforge.flows.config import Study
from spinforge.models.networks import NetworkConfig
from spinforge.simulation.errors import SpinforgeError


class Trial(NamedTuple):
    """One trained network under one corruption.

    Attributes:
        study: The study with the seed and the corruption sets of this trial.
        network: The network.
        conditions: How the long table calls it; twice where both protocols have the same network.
    """

    study: Study
    network: NetworkConfig
    conditions: tuple[Condition, ...]


def study_severities(study: Study) -> list[Severity]:
    """Every corruption set of a study that changes something, weakest first in each transform.

    Raises:
        SpinforgeError: If there is none.
    """
    found = severities(chosen_sets(study.data, study.corruptions))
    if not found:
        raise SpinforgeError(
            "corruptions: every set leaves the images as they are (level 0 or 0 %). Add levels "
            "from 1 to 5"
        )
    return found


def with_corrupted_subjects(study: Study) -> Study:
    """The study with all subjects that its trials need under `corruptions.subjects`."""
    needed = ("all",) if "retrained" in study.robustness.protocols else ("test",)
    subjects = tuple(dict.fromkeys((*study.corruptions.subjects, *needed)))
    corruptions = study.corruptions.model_copy(update={"subjects": subjects})
    return study.model_copy(update={"corruptions": corruptions})


def trainings(study: Study) -> list[Study]:
    """One study for each training of all its networks: for each seed and, retrained, each level."""
    learned: list[str | None] = [None]
    if "retrained" in study.robustness.protocols:
        learned += [severity.group for severity in study_severities(study)]
    return [
        study.model_copy(update={"seed": seed, "train_on": variant})
        for seed in seeds_of(study)
        for variant in learned
    ]


def seeds_of(study: Study) -> tuple[int, ...]:
    """Seeds of the trainings."""
    return study.robustness.seeds or (study.seed,)


def trials_of(study: Study) -> Iterator[Trial]:
    """All trials; those on the same images come one after the other."""
    protocols = {"clean": TRAINED_CLEAN, "retrained": RETRAINED}
    chosen = [protocols[name] for name in study.robustness.protocols]
    for seed in seeds_of(study):
        for network in study.networks:
            # Without any corruption the protocols are the same network.
            names = tuple(Condition(network.name, CLEAN, 0, seed, p) for p in chosen)
            yield Trial(_trial_study(study, seed, None, None), network, names)
    for one in study_severities(study):
        for protocol in chosen:
            learned = one.group if protocol == RETRAINED else None
            for seed in seeds_of(study):
                for network in study.networks:
                    name = Condition(network.name, one.transform, one.severity, seed, protocol)
                    trial = _trial_study(study, seed, learned, one.group)
                    yield Trial(trial, network, (name,))


def trial_study(study: Study, condition: Condition, tested: str | None) -> Study:
    """The study of one trial.

    Args:
        study: The robustness study.
        condition: The trial.
        tested: Its corruption set, as `Severity.group`; None for the clean images.
    """
    learned = tested if condition.protocol == RETRAINED else None
    return _trial_study(study, condition.seed, learned, tested)


def _trial_study(study: Study, seed: int, learned: str | None, tested: str | None) -> Study:
    return study.model_copy(update={"seed": seed, "train_on": learned, "test_on": tested})
