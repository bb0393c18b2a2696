"""What a packed study came to on another machine, brought into the run's folder and MLflow."""

from pathlib import Path

import torch

from spinforge.datasets.products.making import split_of
from spinforge.datasets.storage.files import replacing
from spinforge.evaluation.score import read_scores
from spinforge.flows.config import Study
from spinforge.flows.evaluate import evaluate
from spinforge.flows.offline.archive import unpacked
from spinforge.flows.offline.form import RESULTS, RESULTS_NOTE, ResultsNote, read_note
from spinforge.flows.run_folder import RunFolder
from spinforge.flows.slices import checked_store, network_folder, scores_folder
from spinforge.flows.tracking import Tracker
from spinforge.flows.train import train
from spinforge.models.networks import NetworkConfig
from spinforge.models.weights import load_network
from spinforge.simulation.errors import SpinforgeError


def collect(study: Study, place: Path) -> ResultsNote:
    """Copy networks, histories and scores to where they would lie; `record` then logs them.

    May be repeated: what is there already is left.

    Args:
        study: The study that was packed.
        place: `results.tar` of the pack, or the folder it lies in.

    Returns:
        What the results say of themselves.

    Raises:
        SpinforgeError: If the results are damaged, or of another study, set, recipe or code; if a
            network was trained here with other weights. Nothing is copied then.
    """
    archive = place / RESULTS if place.is_dir() else place
    with unpacked(archive) as folder:
        note = read_note(folder, RESULTS_NOTE, ResultsNote, archive)
        _require_same_set(study, note, archive)
        networks = _networks_of(study, note, archive)
        copies = [pair for network in networks for pair in _copies(study, network, folder, note)]
        for network in networks:
            _check_network(folder, study, network)
        with RunFolder.of(study).opened(study):
            for source, target in copies:
                with replacing(target) as temporary:
                    temporary.write_bytes(source.read_bytes())
    return note


def _require_same_set(study: Study, note: ResultsNote, archive: Path) -> None:
    """Refuse results from other data.

    Raises:
        SpinforgeError: With both digests.
    """
    ours = checked_store(study).digest(split_of(study.data).everyone)
    if ours != note.dataset_digest:
        raise SpinforgeError(
            f"{archive} was made from another data set than study {study.name} has.\n"
            f"  its digest: {note.dataset_digest}\n  this study: {ours}"
        )


def _networks_of(study: Study, note: ResultsNote, archive: Path) -> list[NetworkConfig]:
    """The study's networks that the results hold.

    Raises:
        SpinforgeError: If they hold one that the study would train or score otherwise.
    """
    ours = {
        n.name: (network_folder(study, n).name, scores_folder(study, n).name)
        for n in study.networks
    }
    for name, folders in note.networks.items():
        if ours.get(name) != folders:
            there = ", ".join(ours.get(name, ())) or "no network of this name"
            raise SpinforgeError(
                f"{archive} holds network {name} as {', '.join(folders)}, but study {study.name} "
                f"has {there}: network, recipe, seed or code differ. Name the study that was packed"
            )
    return [network for network in study.networks if network.name in note.networks]


def _copies(
    study: Study, network: NetworkConfig, folder: Path, note: ResultsNote
) -> list[tuple[Path, Path]]:
    """From where to where each file goes that the note names, those that say that all is done last.

    Raises:
        SpinforgeError: If the network was trained here, too, with another outcome.
    """
    pairs = []
    for kind, target in (
        ("networks", network_folder(study, network)),
        ("evaluation", scores_folder(study, network)),
    ):
        source = f"{kind}/{target.name}/"
        names = [name.removeprefix(source) for name in note.files if name.startswith(source)]
        names.sort(key=lambda name: name in ("network.pt", "cases.parquet"))
        for name in names:
            path, final = folder / source / name, target / name
            if path.name == "mlflow.json":
                continue  # of another MLflow
            if not final.is_file():
                pairs.append((path, final))
            elif name == "network.pt" and not _same_weights(path, final):
                raise SpinforgeError(
                    f"network {network.name} was trained here, too, with other weights. To take "
                    f"those of the results, delete {target} and "
                    f"{scores_folder(study, network)}, and run again"
                )
    return pairs


def _same_weights(one: Path, other: Path) -> bool:
    """Whether two files hold the same network, bit for bit; the bytes around it may differ."""
    first, second = (load_network(path).network.state_dict() for path in (one, other))
    return first.keys() == second.keys() and all(torch.equal(first[n], second[n]) for n in first)


def _check_network(folder: Path, study: Study, network: NetworkConfig) -> None:
    """Read what will be read later, as long as nothing is copied.

    Raises:
        SpinforgeError: If the network or its scores cannot be read.
    """
    load_network(folder / "networks" / network_folder(study, network).name / "network.pt")
    read_scores(folder / "evaluation" / scores_folder(study, network).name / "cases.parquet")


def record(study: Study, note: ResultsNote) -> dict[str, float]:
    """Log collected networks to MLflow: parameters, curves, models, scores, and the machine.

    May be repeated: what MLflow has is not logged again.

    Args:
        study: The study.
        note: Of the results, which `collect` has put in their places.

    Returns:
        Network name -> mean Dice over the tissues and slices of the test subjects.
    """
    tracker = Tracker(study)
    dice: dict[str, float] = {}
    for network in study.networks:
        if network.name in note.networks:
            # The flows find everything done, so that they only log it.
            train(study, only=network.name)
            dice |= evaluate(study, only=network.name)
            with tracker.network_run(network_folder(study, network), network.name) as run:
                tracker.set_tags(run, note.machine)
    return dice
