"""The evaluate flow: predict the held-out slices, score them, keep tables and label maps."""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from prefect import flow, task

from spinforge.datasets.files import replacing
from spinforge.datasets.loading import ZeroFilledSlices
from spinforge.datasets.products.kspace import split_of
from spinforge.evaluation.score import average_dice, score_slices, summarise, write_scores
from spinforge.flows.config import Study
from spinforge.flows.progress import progress_bar, say
from spinforge.flows.run_folder import RunFolder
from spinforge.flows.tracking import Tracker
from spinforge.flows.train import network_folder, select_networks, training_slices
from spinforge.models.inference import predict_labels
from spinforge.models.weights import load_network
from spinforge.simulation.errors import SpinforgeError


@flow(name="evaluate")
def evaluate(study: Study, only: str | None = None) -> dict[str, float]:
    """Score every trained network of a study on its test subjects.

    Args:
        study: Networks and data.
        only: Name of the one network to score; all of them by default.

    Returns:
        Network name -> mean Dice over the tissues and slices of the test subjects.
    """
    networks = select_networks(study, only)
    training, validation = training_slices(study)
    folders = {n.name: network_folder(study, n, training, validation) for n in networks}
    for name, folder in folders.items():
        if not (folder / "network.pt").is_file():
            raise SpinforgeError(f"network {name} is not trained. Run: spinforge train")
    slices = scored_slices(study)
    tracker = Tracker(study)
    tables = []

    def score_one(name: str) -> None:
        tables.append(_score_network(study, name, folders[name], slices, tracker))

    with progress_bar() as progress:
        for name in progress.track(folders, description="evaluating networks"):
            task(name="score-network", task_run_name="{name}")(score_one)(name)
    scores = pd.concat(tables, ignore_index=True)
    target = RunFolder.of(study).evaluation
    write_scores(scores, target)
    say(f"scores    {target / 'cases.csv'}")
    return average_dice(scores)


def scored_slices(study: Study) -> ZeroFilledSlices:
    """Slices of the test subjects, with their fixed masks."""
    subjects = split_of(study.data).test
    path = RunFolder.of(study).store.path
    return ZeroFilledSlices(path, subjects, sampling=study.data.sampling, masks="fixed")


def read_predictions(path: Path) -> NDArray[np.uint8]:
    """Label maps of one network, (slice, ky, kx).

    Raises:
        SpinforgeError: If they are missing or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            return np.asarray(archive["labels"], dtype=np.uint8)
    except (OSError, ValueError, KeyError) as error:
        raise SpinforgeError(f"{path} cannot be read ({error}). Run: spinforge evaluate") from error


def _score_network(
    study: Study, name: str, folder: Path, slices: ZeroFilledSlices, tracker: Tracker
) -> pd.DataFrame:
    """Predict, keep and score one network."""
    network = load_network(folder / "network.pt").network
    predicted = predict_labels(network, slices, batch_size=study.evaluation.batch_size)
    _write_predictions(RunFolder.of(study).predictions(name), predicted)
    tables = []
    for subject in slices.subjects:
        rows = [row for row, (owner, _) in enumerate(slices.index) if owner == subject]
        tables.append(
            score_slices(
                predicted[rows],
                slices.target[rows].numpy(),
                spacing_mm=slices.pixel_mm,
                subject=subject,
                network=name,
                slices=[slices.index[row][1] for row in rows],
            )
        )
    scores = pd.concat(tables, ignore_index=True)
    with tracker.network_run(folder, name) as run:
        tracker.log_dataset(run, study.data.phantom, slices.digest, "test")
        tracker.log_metrics(run, _headline_metrics(scores))
    return scores


def _headline_metrics(scores: pd.DataFrame) -> dict[str, float]:
    """Mean of each tissue's metrics over the slices, named such as test/dice/GM."""
    summary = summarise(scores)
    per_slice = summary[(summary["level"] == "slice") & np.isfinite(summary["mean"])]
    names = "test/" + per_slice["metric"] + "/" + per_slice["tissue"]
    return dict(zip(names.tolist(), per_slice["mean"].tolist(), strict=True))


def _write_predictions(path: Path, labels: NDArray[np.uint8]) -> None:
    with replacing(path) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, labels=labels)
