"""Trained networks that no study of a folder asks for any more."""

from pathlib import Path

from spinforge.flows.config import Study, load_study
from spinforge.flows.progress import say
from spinforge.flows.robustness_trials import trainings
from spinforge.flows.slices import network_folder
from spinforge.simulation.errors import SpinforgeError


def unused_networks(folder: Path) -> list[Path]:
    """Folders of networks, by their hash, that the folder's study.yaml does not lead to.

    Where it cannot be told, as a set is missing or incomplete, none is unused.

    Args:
        folder: Of a run.
    """
    there = [path for path in sorted((folder / "networks").glob("*")) if path.is_dir()]
    if not there:
        return []
    try:
        study = load_study(folder / "study.yaml", [f"out={folder.parent}"])
        wanted = _wanted(study)
    except SpinforgeError as error:
        first = str(error).splitlines()[0]
        say(f"kept      {folder / 'networks'}: what is in use cannot be told ({first})")
        return []
    return [path for path in there if path.name not in wanted]


def _wanted(study: Study) -> set[str]:
    """Names of the folders of every training of a study, and of its robustness study."""
    studies = [study]
    if study.robustness.seeds or study.corruptions.sets or study.corruptions.preset:
        studies += trainings(study)
    return {network_folder(one, network).name for one in studies for network in study.networks}
