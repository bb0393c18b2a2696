"""Everything about a finished robustness study, gathered from its run folder."""

import os
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, NoReturn

import pandas as pd

from spinforge.datasets.corruption.checks import chosen_sets
from spinforge.datasets.corruption.sets import sets_digest
from spinforge.datasets.products.making import split_of
from spinforge.evaluation.report.content import CaseImages
from spinforge.evaluation.report.shown_slices import ShownSlices
from spinforge.evaluation.robustness.content import Condition, RobustnessContent
from spinforge.evaluation.robustness.long_table import CLEAN, read_long_table
from spinforge.evaluation.robustness.severities import transform_in_words
from spinforge.evaluation.score import ALL
from spinforge.flows.config import Study, study_yaml
from spinforge.flows.evaluate import read_predictions
from spinforge.flows.orchestration import Tracker
from spinforge.flows.report import machine_and_versions
from spinforge.flows.robustness_trials import seeds_of, study_severities, trial_study
from spinforge.flows.run_folder import RunFolder
from spinforge.flows.slices import checked_store, network_folder, scores_folder, study_slices
from spinforge.models.networks import NetworkConfig
from spinforge.models.training.product_slices import StudySlices
from spinforge.simulation.errors import SpinforgeError

OPEN_SETS = 3
"""Corruption sets whose images are kept in memory at a time."""


class _Images(NamedTuple):
    """What only the data set knows."""

    load_case: Callable[[Condition, str, int], CaseImages]
    classes: tuple[str, ...]
    seen: str
    axes: str
    hashes: dict[str, str]


def robustness_content(
    study: Study,
    *,
    table: pd.DataFrame | None = None,
    tracked: bool = True,
    images_needed: bool = True,
) -> RobustnessContent:
    """What the report and the dashboard show of one study.

    Args:
        study: As its run folder's study.yaml says it.
        table: Its long table, if that was read already, or as much of it as is wanted.
        tracked: Whether to ask MLflow for the runs, which makes its record if there is none.
        images_needed: Whether a data set that is gone is an error at once, or only when a picture
            is asked for.

    Raises:
        SpinforgeError: If it was not run, its table does not belong to it, or its data set is gone.
    """
    folder = RunFolder.of(study)
    table_file = folder.robustness / "robustness.parquet"
    table = read_long_table(table_file) if table is None else table
    names = {network.name: network for network in study.networks}
    if strangers := sorted(set(table["model"]) - set(names)):
        raise SpinforgeError(
            f"{table_file} has the networks {', '.join(strangers)}, which study {study.name} has "
            f"not. Run: spinforge robustness"
        )
    chosen, sets = study_severities(study), chosen_sets(study.data, study.corruptions)
    images = _images(study) if images_needed else _images_if_any(study, table_file)
    tracker = Tracker(study) if tracked else None
    made = datetime.fromtimestamp(os.path.getmtime(table_file)).astimezone()
    return RobustnessContent(
        name=study.name,
        created=made.strftime("%d %B %Y, %H:%M %Z"),
        table=table,
        strengths={(one.transform, one.severity): one.strength for one in chosen},
        transforms={one.transform: transform_in_words(sets, one.transform) for one in chosen},
        networks={name: _in_words(network) for name, network in names.items()},
        baseline=study.robustness.baseline or study.networks[0].name,
        classes=images.classes,
        load_case=images.load_case,
        seen=images.seen,
        axes=images.axes,
        configuration=study_yaml(study),
        provenance=images.hashes
        | _provenance(study)
        | ({"MLflow": tracker.uri} if tracker else {}),
        runs=_runs(study, tracker) if tracker else {},
        files=_files(folder),
    )


class ShownTrials:
    """Pictures of single slices under any corruption, with what one network made of them.

    Args:
        study: The robustness study.
    """

    def __init__(self, study: Study) -> None:
        self._study = study
        self._groups = {(s.transform, s.severity): s.group for s in study_severities(study)}
        self._networks = {network.name: network for network in study.networks}
        self._slices_of = lru_cache(OPEN_SETS)(self._open)
        self._shown_of = lru_cache(4 * OPEN_SETS)(self._shown)
        self.clean = self._slices_of(None)
        self.shown = ShownSlices(self.clean, {})

    def __call__(self, condition: Condition, volume: str, number: int) -> CaseImages:
        """One slice with the truth and the network's labels.

        Args:
            condition: Which network under which corruption.
            volume: As the column `subject` of the long table has it.
            number: Its place in the volume.

        Raises:
            KeyError: If no such slice, network or corruption was scored.
            SpinforgeError: If its label maps are missing or damaged.
        """
        return self._shown_of(condition)(volume, number)

    def _open(self, tested: str | None) -> StudySlices:
        return study_slices(trial_study(self._study, Condition(""), tested), "test")

    def _shown(self, condition: Condition) -> ShownSlices:
        key = condition.transform, condition.severity
        tested = None if condition.transform == CLEAN else self._groups[key]
        trial = trial_study(self._study, condition, tested)
        network = self._networks[condition.model]
        labels = read_predictions(scores_folder(trial, network) / "predictions.npz")
        return ShownSlices(self._slices_of(tested), {condition.model: labels})


def _images(study: Study) -> _Images:
    cases = ShownTrials(study)
    shown = cases.shown
    return _Images(cases, cases.clean.class_names, shown.seen, shown.axes, _hashes(study))


def _images_if_any(study: Study, table_file: Path) -> _Images:
    """Those of the data set; if it is gone, the names of the tissues are those of the table."""
    try:
        return _images(study)
    except (SpinforgeError, OSError) as error:
        reason = str(error)

    def gone(condition: Condition, volume: str, number: int) -> NoReturn:
        raise SpinforgeError(f"the images are gone, only their scores are left: {reason}")

    found = pd.read_parquet(table_file, columns=["class"])["class"].unique()
    return _Images(gone, ("background", *(n for n in found if n != ALL)), "", "", {})


def _in_words(network: NetworkConfig) -> str:
    settings = network.model_dump(exclude={"name"})
    return ", ".join(f"{key} {value}" for key, value in settings.items())


def _hashes(study: Study) -> dict[str, str]:
    store, split = checked_store(study), split_of(study.data)
    sets = [severity.chosen for severity in study_severities(study)]
    tested = list(split.test or split.everyone)
    return {
        "clean set, content sha256": store.digest(list(split.everyone)),
        "corruption sets of the tested subjects, content sha256": sets_digest(store, sets, tested),
    }


def _provenance(study: Study) -> dict[str, str]:
    return {
        "configuration of the data, sha256": study.data.config_hash,
        "seeds": ", ".join(map(str, seeds_of(study))),
        **machine_and_versions(),
    }


def _runs(study: Study, tracker: Tracker) -> dict[tuple[str, int], str]:
    """MLflow's run of each network and seed, as far as it knows one."""
    runs = {}
    for seed in seeds_of(study):
        trained = trial_study(study, Condition("", seed=seed), None)
        for network in study.networks:
            if address := tracker.address_of(network_folder(trained, network)):
                runs[network.name, seed] = address
    return runs


def _files(folder: RunFolder) -> dict[str, str]:
    paths: dict[str, Path] = {
        "all scores, one row a network, corruption, case, class and metric (Parquet)": (
            folder.robustness / "robustness.parquet"
        ),
        "the same as CSV": folder.robustness / "robustness.csv",
        "resolved study file": folder.study_file,
    }
    return {name: str(path.relative_to(folder.path)) for name, path in paths.items()}
