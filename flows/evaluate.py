"""The evaluate flow: predict the test slices, score them, keep tables and label maps."""

from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spinforge.datasets.reading.cases import Case, scored_target
from spinforge.datasets.reading.loading import ZeroFilledSlices
from spinforge.datasets.storage.files import replacing
from spinforge.evaluation.aggregations import aggregate_all
from spinforge.evaluation.pooled import Pooled, pooled_confusion, read_pooled, write_pooled
from spinforge.evaluation.reconstructions import score_reconstructions
from spinforge.evaluation.score import (
    average_dice,
    read_scores,
    score_slices,
    summarise,
    write_scores,
)
from spinforge.flows.champion import crown_champion
from spinforge.flows.config import Study
from spinforge.flows.flow_options import FLOW_OPTIONS
from spinforge.flows.limits import EVALUATE_S, gpu_tag
from spinforge.flows.orchestration import RETRIES, Tracker, flow, found_complete, task
from spinforge.flows.progress import progress_bar, say
from spinforge.flows.run_folder import RunFolder
from spinforge.flows.slices import (
    network_folder,
    require_trained,
    scores_folder,
    select_networks,
    study_slices,
)
from spinforge.flows.study_parameter import StudyParameter
from spinforge.models.inference import SlicePredictions, predict_slices
from spinforge.models.networks import NetworkConfig
from spinforge.models.training.possible import available_device
from spinforge.models.training.product_slices import StudySlices, showing
from spinforge.models.weights import load_network
from spinforge.simulation.errors import SpinforgeError


@flow(name="evaluate", timeout_seconds=EVALUATE_S, **FLOW_OPTIONS)
def evaluate(study: StudyParameter, only: str | None = None) -> dict[str, float]:
    """Score every trained network of a study on its test subjects, unless that is done.

    Args:
        study: Networks and data.
        only: Name of the one network to score; all of them by default.

    Returns:
        Network name -> mean Dice over the tissues and slices of the test subjects.
    """
    networks = {network.name: network for network in select_networks(study, only)}
    require_trained(study, networks.values())
    folder = RunFolder.of(study)
    tracker, slices = Tracker(study), study_slices(study, "test")
    with folder.opened(study), progress_bar() as progress:

        def score_one(name: str) -> object:
            network = networks[name]
            target, trained = scores_folder(study, network), network_folder(study, network)
            scores = stored_scores(study, network)
            if scores is not None and tracker.is_logged(trained, target.name):
                return found_complete(None, target.name)
            if scores is None:
                scores = predict_and_score(study, network, slices)
            _log_scores(study, network, scores, slices.digest, tracker)
            return None

        one_network = task(
            name="score-network", task_run_name="{name}", tags=gpu_tag(study), **RETRIES
        )(score_one)
        for name in progress.track(networks, description="evaluating networks"):
            one_network(name)
        scores = study_scores(study)
        write_scores(scores, folder.evaluation)
        with replacing(folder.evaluation / "aggregated.csv") as temporary:
            aggregate_all(scores).to_csv(temporary, index=False, na_rep="NaN")
        crown_champion(study)
    say(f"scores    {folder.evaluation / 'cases.csv'}")
    dice = average_dice(scores)
    return {name: dice[name] for name in networks}


def study_scores(study: Study) -> pd.DataFrame:
    """Scores of every network of the study that was scored as it is now.

    Raises:
        SpinforgeError: If there is none.
    """
    folders = [scores_folder(study, network) for network in study.networks]
    tables = [read_scores(f / "cases.parquet") for f in folders if (f / "cases.parquet").is_file()]
    if not tables:
        raise SpinforgeError(
            f"no network of study {study.name} has been scored. Run: spinforge evaluate"
        )
    return pd.concat(tables, ignore_index=True)


def pooled_scores(study: Study) -> dict[str, Pooled]:
    """Of every network of the study, the scores of all test pixels together.

    Raises:
        SpinforgeError: If one has not been scored.
    """
    return {network.name: read_pooled(scores_folder(study, network)) for network in study.networks}


def read_predictions(path: Path) -> NDArray[np.uint8]:
    """Label maps of one network, (slice, ky, kx).

    Raises:
        SpinforgeError: If they are missing or damaged.
    """
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            return np.asarray(archive["labels"], dtype=np.uint8)
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise SpinforgeError(
            f"{path} cannot be read ({error}). Delete its folder and run: spinforge evaluate"
        ) from error


def stored_scores(study: Study, network: NetworkConfig) -> pd.DataFrame | None:
    """Scores of a network that was scored before; None if there are none, or damaged ones."""
    target = scores_folder(study, network)
    try:
        scores = read_scores(target / "cases.parquet")
        read_pooled(target)
        read_predictions(target / "predictions.npz")
    except SpinforgeError:  # not there or damaged: `evaluate` is what its message says to run
        if target.exists():
            say(f"scores    {target} is damaged or not complete: scoring again")
        return None
    return scores


def _log_scores(
    study: Study, network: NetworkConfig, scores: pd.DataFrame, digest: str, tracker: Tracker
) -> None:
    """Log the scores of one network, unless that was done."""
    target, folder = scores_folder(study, network), network_folder(study, network)
    if tracker.is_logged(folder, target.name):
        return
    pooled = read_pooled(target)
    with tracker.network_run(folder, network.name) as run:
        tracker.log_dataset(run, study.data.product, digest, "test")
        tracker.log_metrics(run, _headline_metrics(scores))
        tracker.log_metrics(
            run, {"test/pooled/dice": pooled.dice, "test/pooled/accuracy": pooled.accuracy}
        )
    tracker.mark_logged(folder, target.name)


class _ScoredVolume(NamedTuple):
    """Slices of one volume: labels found, how surely, and labels given and where there are any."""

    cases: list[Case]
    predicted: NDArray[np.uint8]
    confidence: NDArray[np.float32]
    target: NDArray[np.uint8]
    known: NDArray[np.bool_]


def predict_and_score(study: Study, network: NetworkConfig, slices: StudySlices) -> pd.DataFrame:
    """Scores of one trained network; writes label maps and, last, the table.

    Args:
        study: Which training of the network, and the images it is tested on.
        network: The network.
        slices: Those images, as `study_slices` opens them.
    """
    folder, target = network_folder(study, network), scores_folder(study, network)
    loaded = load_network(folder / "network.pt")
    predicted = predict_slices(
        loaded,
        showing(slices, network),
        batch_size=study.evaluation.batch_size,
        device=available_device(study.training),
    )
    with replacing(target / "predictions.npz") as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, labels=predicted.labels)
    volumes = _volumes(slices, predicted)
    tables = [_score(network.name, name, slices, volume) for name, volume in volumes.items()]
    if predicted.images is not None and isinstance(slices, ZeroFilledSlices):
        tables.append(score_reconstructions(predicted.images, slices, network=network.name))
    scores = pd.concat(tables, ignore_index=True)
    maps = ((volume.predicted, volume.target, volume.known) for volume in volumes.values())
    write_pooled(Pooled.of(pooled_confusion(maps, classes=len(slices.class_names))), target)
    write_scores(scores, target)
    return scores


def _volumes(slices: StudySlices, predicted: SlicePredictions) -> dict[str, _ScoredVolume]:
    """Every volume: a subject, or a subject in one view or at one age."""
    found: dict[str, list[tuple[Any, ...]]] = {}
    for position, pair in enumerate(zip(predicted.labels, predicted.confidence, strict=True)):
        item = slices[position]
        for case in slices.cases(position):
            maps = pair if case.frame is None else (part[case.frame] for part in pair)
            found.setdefault(case.volume, []).append((case, *maps, *scored_target(item, case)))
    volumes = {}
    for name, scored in found.items():
        cases, *stacks = zip(*scored, strict=True)
        volumes[name] = _ScoredVolume(list(cases), *map(np.stack, stacks))
    return volumes


def _score(network: str, name: str, slices: StudySlices, volume: _ScoredVolume) -> pd.DataFrame:
    return score_slices(
        volume.predicted,
        volume.target,
        scored=volume.known,
        spacing_mm=volume.cases[0].pixel_mm,
        slice_mm=volume.cases[0].slice_mm,
        subject=name,
        network=network,
        slices=[case.number for case in volume.cases],
        classes=slices.class_names,
        confidence=volume.confidence,
    )


def _headline_metrics(scores: pd.DataFrame) -> dict[str, float]:
    """Mean of each tissue's metrics over the slices, named such as test/slice_mean/dice/GM."""
    summary = summarise(scores)
    per_slice = summary[(summary["level"] == "slice") & np.isfinite(summary["mean"])]
    names = "test/slice_mean/" + per_slice["metric"] + "/" + per_slice["tissue"]
    return dict(zip(names.tolist(), per_slice["mean"].tolist(), strict=True))
