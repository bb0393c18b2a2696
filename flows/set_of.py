"""The set a command is about: named by its study, its folder or its URL."""

from pathlib import Path

from spinforge.datasets.products.making import split_of
from spinforge.datasets.splits import Split
from spinforge.datasets.storage.store import DatasetStore
from spinforge.flows.config import load_study
from spinforge.flows.run_folder import RunFolder
from spinforge.simulation.errors import SpinforgeError


def set_of(place: str, overrides: list[str]) -> tuple[DatasetStore, Split | None]:
    """Find a set and, where it is known, who trains and tests on it.

    Args:
        place: A study file, the folder of a set, or its URL.
        overrides: Changes of the study, if it is one.

    Raises:
        SpinforgeError: If there is no such set or study.
    """
    if place.endswith((".yaml", ".yml")):
        study = load_study(Path(place), overrides)
        return RunFolder.of(study).store, split_of(study.data)
    if overrides:
        raise SpinforgeError(f"--set changes a study, but {place} is none")
    store = DatasetStore(place)
    attributes = store.attributes()
    store = store.within(str(attributes["kind"]))
    beside = Path(place).parent / "study.yaml"
    if "://" in place or not beside.is_file():
        return store, None
    try:
        study = load_study(beside)
        same = study.data.config_hash == attributes["config_hash"]
        return store, split_of(study.data) if same else None
    except SpinforgeError:
        # The study may name files that are gone by now; the set does not need them.
        return store, None
