"""What would stop a robustness study is found here, before any work starts."""

from spinforge.datasets.corruption.checks import check_chains
from spinforge.flows.config import Study
from spinforge.flows.corrupt import check_corruptions
from spinforge.flows.preflight import check_study, missing_subjects
from spinforge.flows.robustness_trials import seeds_of, study_severities, with_corrupted_subjects
from spinforge.simulation.errors import SpinforgeError


def check_robustness(study: Study, *, overwrite: bool = False) -> None:
    """Check corruptions, networks, seeds, protocols, files and disk space; writes nothing.

    Args:
        study: What is about to run.
        overwrite: Sets made with another configuration will be replaced.

    Raises:
        SpinforgeError: With the first problem found and what to do about it.
    """
    study_severities(study)
    if study.train_on or study.test_on:
        raise SpinforgeError(
            "train_on, test_on: a robustness study chooses the corruption sets itself. Leave them "
            "out, and say robustness.protocols: [clean, retrained]"
        )
    if "retrained" in study.robustness.protocols and study.training.fresh != "masks":
        raise SpinforgeError(
            f"robustness.protocols: retrained learns from stored corrupted images, but "
            f"training.fresh is {study.training.fresh}. Say robustness.protocols: [clean], or "
            f"training.fresh: masks"
        )
    for seed in seeds_of(study):
        check_study(study.model_copy(update={"seed": seed}), overwrite=overwrite)
    corrupted = with_corrupted_subjects(study)
    check_chains(study.data, corrupted.corruptions)
    if not overwrite and not missing_subjects(study):
        check_corruptions(corrupted, overwrite=overwrite)
