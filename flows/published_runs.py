"""The scored networks of finished runs, for the comparison with published numbers."""

from pathlib import Path

from spinforge.datasets.corruption.checks import chosen_sets
from spinforge.datasets.corruption.sets import sets_in
from spinforge.evaluation.published.figures import CaseScores
from spinforge.evaluation.published.matching import CLEAN, Scored, condition_of
from spinforge.evaluation.published.tables import Condition
from spinforge.evaluation.robustness.long_table import RETRAINED, TRAINED_CLEAN
from spinforge.evaluation.robustness.severities import severities
from spinforge.evaluation.score import read_scores
from spinforge.flows.config import Study, load_study
from spinforge.flows.run_folder import RunFolder
from spinforge.flows.slices import checked_store, network_folder, scores_folder
from spinforge.simulation.errors import SpinforgeError


def scored_networks(runs: Path) -> tuple[list[Scored], list[str]]:
    """Every scored network of every study below a folder.

    Args:
        runs: Folder of runs, or of a single one.

    Returns:
        The networks, and for every study that was left out a sentence.

    Raises:
        SpinforgeError: If there is no such folder, or no run in it.
    """
    if not runs.is_dir():
        raise SpinforgeError(f"--runs {runs}: there is no such folder; name one that holds runs")
    files = [runs / "study.yaml", *sorted(runs.glob("*/study.yaml"))]
    files = [file for file in files if file.is_file()]
    if not files:
        raise SpinforgeError(f"--runs {runs} holds no run: there is no */study.yaml in it")
    found: list[Scored] = []
    left_out: list[str] = []
    for file in files:
        try:
            networks = _networks_of(file.parent)
        except SpinforgeError as error:
            left_out.append(f"{file.parent}: {' '.join(str(error).split())}")
            continue
        found += networks
        if not networks:
            left_out.append(f"{file.parent}: no network has been scored as it is now")
    return found, left_out


def _networks_of(folder: Path) -> list[Scored]:
    study = _where_it_lies(load_study(folder / "study.yaml"), folder)
    found = []
    for seed in dict.fromkeys((study.seed, *(study.robustness.seeds or ()))):
        seeded = study.model_copy(update={"seed": seed, "train_on": None, "test_on": None})
        found += _scored(seeded, CLEAN, TRAINED_CLEAN)
        for group, condition in _corrupted(study).items():
            tested = seeded.model_copy(update={"test_on": group})
            found += _scored(tested, condition, TRAINED_CLEAN)
            found += _scored(tested.model_copy(update={"train_on": group}), condition, RETRAINED)
    return found


def _corrupted(study: Study) -> dict[str, Condition]:
    """Corruption sets that are there and of which papers have numbers, by their groups."""
    store = checked_store(study)
    there = {f"{name}/{strength}" for name, all_of in sets_in(store).items() for strength in all_of}
    if not there:
        return {}
    found = {
        one.group: condition_of(one.chosen.chain)
        for one in severities(chosen_sets(study.data, study.corruptions))
        if one.group in there
    }
    return {group: condition for group, condition in found.items() if condition is not None}


def _scored(study: Study, condition: Condition, protocol: str) -> list[Scored]:
    """The networks of a study that were trained and tested so; none if a set is not complete."""
    folder, found = RunFolder.of(study).path, []
    for network in study.networks:
        try:
            scores = scores_folder(study, network) / "cases.parquet"
        except SpinforgeError:
            if condition == CLEAN:
                raise
            return []  # a corruption set without training subjects, or still being made
        if scores.is_file():
            found.append(
                Scored(
                    run=str(folder),
                    folder=str(network_folder(study, network).relative_to(folder)),
                    network=network,
                    data=study.data,
                    training=study.training,
                    seed=study.seed,
                    scores=CaseScores(read_scores(scores)),
                    condition=condition,
                    protocol=protocol,
                )
            )
    return found


def _where_it_lies(study: Study, folder: Path) -> Study:
    """The study with the folder it was found in, which may have been moved or renamed."""
    return study.model_copy(update={"out": folder.parent, "name": folder.name})
