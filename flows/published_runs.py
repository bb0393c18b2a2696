"""The scored networks of finished runs, for the comparison with published numbers."""

from pathlib import Path

from spinforge.evaluation.published.matching import Scored
from spinforge.evaluation.score import read_scores
from spinforge.flows.config import Study, load_study
from spinforge.flows.slices import network_folder, scores_folder
from spinforge.simulation.errors import SpinforgeError


def scored_networks(runs: Path) -> tuple[list[Scored], list[str]]:
    """Every scored network of every study below a folder.

    Args:
        runs: Folder of runs, or of a single one.

    Returns:
        The networks, and for every study that was left out a sentence.

    Raises:
        SpinforgeError: If there is no such folder.
    """
    if not runs.is_dir():
        raise SpinforgeError(f"--runs {runs}: there is no such folder; name one that holds runs")
    files = [runs / "study.yaml", *sorted(runs.glob("*/study.yaml"))]
    found: list[Scored] = []
    left_out: list[str] = []
    for file in files:
        if not file.is_file():
            continue
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
    for network in study.networks:
        scores = scores_folder(study, network) / "cases.parquet"
        if scores.is_file():
            found.append(
                Scored(
                    run=str(folder),
                    folder=str(network_folder(study, network).relative_to(folder)),
                    network=network,
                    data=study.data,
                    training=study.training,
                    seed=study.seed,
                    scores=read_scores(scores),
                )
            )
    return found


def _where_it_lies(study: Study, folder: Path) -> Study:
    """The study with the folder it was found in, which may have been moved or renamed."""
    return study.model_copy(update={"out": folder.parent, "name": folder.name})
