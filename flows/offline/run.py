"""What `run.py` of a pack does: check, train, evaluate, and gather the results."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from spinforge.datasets.products.making import split_of
from spinforge.flows.config import Study, load_study
from spinforge.flows.evaluate import evaluate
from spinforge.flows.machine import machine_facts
from spinforge.flows.offline.archive import Files, write_files
from spinforge.flows.offline.form import (
    PACK_NOTE,
    RESULTS,
    RESULTS_NOTE,
    PackNote,
    ResultsNote,
    read_note,
    sha256_of,
)
from spinforge.flows.progress import say
from spinforge.flows.slices import checked_store, network_folder, scores_folder, select_networks
from spinforge.flows.train import train
from spinforge.models.training.possible import device_of
from spinforge.simulation.errors import SpinforgeError

_OF_A_TRAINING = ("network.pt", "training.json", "*history.csv")
_OF_SCORES = ("[!.]*",)


def main(folder: Path, arguments: Sequence[str] | None = None) -> int:
    """Run a pack from its own folder.

    Args:
        folder: Of the pack.
        arguments: Of the command line; those of this process by default.

    Returns:
        The exit code: 2 after an error that is explained, 130 after Ctrl-C.
    """
    parser = argparse.ArgumentParser(prog="run.py", description="Train and evaluate this study.")
    parser.add_argument("--network", metavar="NAME", help="only this network")
    parser.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="what may be another here, such as training.device=gpu or training.devices=4",
    )
    chosen = parser.parse_args(arguments)
    os.chdir(folder)
    try:
        run_pack(Path(), only=chosen.network, overrides=chosen.set)
    except SpinforgeError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 2
    except KeyboardInterrupt:
        say("stopped. What was finished is kept; run the same command again to go on.")
        return 130
    return 0


def run_pack(folder: Path, *, only: str | None, overrides: Sequence[str] = ()) -> None:
    """Train and evaluate what is not done yet; write the results after each network.

    Args:
        folder: Of the pack, relative to the working folder.
        only: Name of the one network; all of them by default.
        overrides: Changes that leave the results what they are, such as "training.device=gpu".

    Raises:
        SpinforgeError: If the pack is damaged, the set is missing or another one, or whatever stops
            a training.
    """
    note = read_note(folder, PACK_NOTE, PackNote, folder.resolve())
    study = load_study(folder / "study.yaml", overrides)
    device_of(study.training)
    chosen = select_networks(study, only)
    _require_the_set(study, note)
    for network in chosen:
        train(study, only=network.name)
        evaluate(study, only=network.name)
        say(f"results   {write_results(study, note.dataset_digest, folder)}")


def _require_the_set(study: Study, note: PackNote) -> None:
    """Refuse a set with other content, which would give other networks.

    Raises:
        SpinforgeError: If it is missing, or its digest or what is named after it is another.
    """
    store = checked_store(study)
    found = store.digest(split_of(study.data).everyone)
    if found != note.dataset_digest:
        raise SpinforgeError(
            f"{store.path} is not the set of this pack.\n"
            f"  its digest: {found}\n  the pack's:  {note.dataset_digest}"
        )
    folders = {n.name: network_folder(study, n).name for n in study.networks}
    if folders != note.networks:
        raise SpinforgeError(
            "this is another training than was packed. Leave out --set but for the device, such "
            "as training.device and training.devices; to change more, pack the study anew"
        )


def write_results(study: Study, dataset_digest: str, folder: Path) -> Path:
    """Gather every network that is trained and scored in one archive.

    Args:
        study: Whose run's folder is read.
        dataset_digest: Of its set.
        folder: Where to write it.
    """
    done: dict[str, tuple[str, str]] = {}
    paths: dict[str, Path] = {}
    for network in study.networks:
        trained, scored = network_folder(study, network), scores_folder(study, network)
        if not ((trained / "network.pt").is_file() and (scored / "cases.parquet").is_file()):
            continue
        done[network.name] = (trained.name, scored.name)
        for kind, place, patterns in (
            ("networks", trained, _OF_A_TRAINING),
            ("evaluation", scored, _OF_SCORES),
        ):
            found = [p for pattern in patterns for p in place.rglob(pattern) if p.is_file()]
            paths |= {f"{kind}/{place.name}/{p.relative_to(place).as_posix()}": p for p in found}
    digests: dict[str, str] = {}

    def files() -> Files:
        for name, path in sorted(paths.items()):
            content = path.read_bytes()
            digests[name] = sha256_of(content)
            yield name, content
        results = ResultsNote(
            study=study.name,
            dataset_digest=dataset_digest,
            files=digests,
            networks=done,
            machine=machine_facts(device_of(study.training)),
        )
        yield RESULTS_NOTE, (results.model_dump_json(indent=1) + "\n").encode()

    write_files(folder / RESULTS, files())
    return folder / RESULTS
