"""Which slices a study's networks see, and the hashes that name what came of them."""

from collections.abc import Iterable
from pathlib import Path

from spinforge.datasets.products.making import is_done, split_of
from spinforge.datasets.storage.store import DatasetStore
from spinforge.evaluation.score import METRICS_VERSION
from spinforge.flows.config import Study
from spinforge.flows.run_folder import RunFolder
from spinforge.models.networks import NetworkConfig
from spinforge.models.training.product_slices import (
    Group,
    StudySlices,
    group_fingerprint,
    open_group,
    subjects_of,
)
from spinforge.models.training.recipes import MACHINE_FIELDS, TRAINING
from spinforge.simulation.config import content_hash
from spinforge.simulation.errors import SpinforgeError


def checked_store(study: Study) -> DatasetStore:
    """The study's data set, made with the study's configuration and complete.

    Raises:
        SpinforgeError: If it is missing, incomplete, or made with another configuration.
    """
    store = RunFolder.of(study).store
    store.attributes()
    store.require(study.data.recipe())
    everyone = split_of(study.data).everyone
    if missing := [s for s in everyone if not is_done(study.data, store, s)]:
        raise SpinforgeError(f"{store.path} lacks {', '.join(missing)}. Run: spinforge generate")
    return store


def study_slices(study: Study, group: Group) -> StudySlices:
    """The slices of one group of the study's set, which is checked to be complete."""
    return open_group(
        study.data,
        checked_store(study).path,
        group,
        seed=study.seed,
        fresh_noise=study.training.fresh == "noise",
        variant=variant_of(study, group),
    )


def variant_of(study: Study, group: Group) -> str | None:
    """Group of the store that holds the images of one group of slices; None for the clean set."""
    chosen = study.test_on if group == "test" else study.train_on
    return f"corrupt/{chosen}" if chosen else None


def require_variants(study: Study, groups: Iterable[Group]) -> None:
    """Refuse corruption sets that are not there, or lack a subject.

    Raises:
        SpinforgeError: For the first one.
    """
    store = checked_store(study)
    for group in groups:
        if (variant := variant_of(study, group)) is None:
            continue
        there = set(store.within(variant).complete_subjects())
        if missing := sorted(set(subjects_of(study.data, store, group)) - there):
            setting = "test_on" if group == "test" else "train_on"
            raise SpinforgeError(
                f"{setting}: {store.path} has no {variant} of {', '.join(missing)}. Say it under "
                f"`corruptions` (with `subjects: all` to train on it) and run: spinforge corrupt"
            )


def select_networks(study: Study, only: str | None) -> tuple[NetworkConfig, ...]:
    """The study's networks, or the one with this name.

    Raises:
        SpinforgeError: If there is none with this name.
    """
    chosen = tuple(n for n in study.networks if only in (None, n.name))
    if not chosen:
        names = ", ".join(network.name for network in study.networks)
        raise SpinforgeError(f"no network is named {only!r}; the study has {names}.")
    return chosen


def network_folder(study: Study, network: NetworkConfig) -> Path:
    """Folder of exactly this network, code, recipe, seed and data, on whatever devices."""
    fingerprint = content_hash(
        {
            "network": network.model_dump(mode="json", exclude={"name"}),
            "version": TRAINING,
            "training": study.training.model_dump(mode="json", exclude=MACHINE_FIELDS),
            "seed": study.seed,
            "train": _fingerprint(study, "train"),
            "validation": _fingerprint(study, "validation"),
        }
    )
    return RunFolder.of(study).networks / f"{network.name}-{fingerprint[:8]}"


def is_trained(study: Study, network: NetworkConfig) -> bool:
    """Whether nothing of the network's training is left to do."""
    folder = network_folder(study, network)
    return all((folder / name).is_file() for name in ("network.pt", "training.json"))


def require_trained(study: Study, networks: Iterable[NetworkConfig]) -> None:
    """Refuse networks that have no weights yet.

    Raises:
        SpinforgeError: With the first one.
    """
    for network in networks:
        if not (network_folder(study, network) / "network.pt").is_file():
            raise SpinforgeError(f"network {network.name} is not trained. Run: spinforge train")


def scores_folder(study: Study, network: NetworkConfig) -> Path:
    """Folder of what exactly this trained network scored on exactly these test slices."""
    trained = network_folder(study, network).name
    fingerprint = content_hash(
        {"network": trained, "version": METRICS_VERSION, "test": _fingerprint(study, "test")}
    )
    folder, name = RunFolder.of(study), f"{network.name}-{fingerprint[:8]}"
    if study.test_on is None:
        return folder.evaluation / name
    return folder.robustness / study.test_on.replace("/", "-") / name


def _fingerprint(study: Study, group: Group) -> str:
    return group_fingerprint(
        study.data,
        checked_store(study),
        group,
        seed=study.seed,
        variant=variant_of(study, group),
    )
