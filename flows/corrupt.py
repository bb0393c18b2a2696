"""The corrupt flow: a clean set in, corruption sets beside it, one Prefect task a subject."""

from collections.abc import Callable
from concurrent.futures import Executor
from itertools import groupby

from prefect import flow

from spinforge.datasets.corruption.checks import check_sets, chosen_sets, expected_bytes
from spinforge.datasets.corruption.sets import make_sets, sets_digest
from spinforge.datasets.corruption.settings import CorruptedSet
from spinforge.datasets.products.catalogue import maker_of
from spinforge.datasets.products.making import is_done, split_of
from spinforge.flows.card import write_card
from spinforge.flows.config import Study
from spinforge.flows.limits import GENERATE_S
from spinforge.flows.notify import HOOKS
from spinforge.flows.preflight import check_disks, check_folders
from spinforge.flows.progress import say
from spinforge.flows.run_folder import RunFolder
from spinforge.flows.study_parameter import StudyParameter
from spinforge.flows.subject_tasks import for_each_subject
from spinforge.simulation.errors import SpinforgeError


def check_corruptions(study: Study, *, overwrite: bool = False) -> None:
    """Check the clean set, the chains, what is there already and disk space; writes nothing.

    Args:
        study: What is about to be corrupted.
        overwrite: Sets that were made from something else will be replaced.

    Raises:
        SpinforgeError: With the first problem found and what to do about it.
    """
    folder = RunFolder.of(study)
    check_folders(folder)
    store = folder.store
    sets, subjects = _plan(study)
    store.attributes()  # there is a set
    store.require(study.data.recipe())
    for subject in subjects:
        if not is_done(study.data, store, subject):
            raise SpinforgeError(
                f"{store.path} has no complete subject {subject!r} yet, so it cannot be corrupted. "
                f"Run first: spinforge generate STUDY.yaml"
            )
    if any(chosen.needs_phantom for chosen in sets):
        maker_of(study.data).check()
    check_sets(study.data, store, study.corruptions, overwrite=overwrite)
    needed = [expected_bytes(study.data, store, subject, sets) for subject in subjects]
    check_disks(folder, sum(needed))


@flow(name="corrupt", timeout_seconds=GENERATE_S, **HOOKS)
def corrupt(study: StudyParameter, overwrite: bool = False) -> dict[str, object]:
    """Make every corruption set of a study that is not there yet, from its clean set.

    Args:
        study: What to make; its clean set must be complete.
        overwrite: Replace sets that were made from other settings or clean images.

    Returns:
        Where they are, how many, and SHA-256 over the content of all.
    """
    check_corruptions(study, overwrite=overwrite)
    folder = RunFolder.of(study)
    store = folder.store
    sets, subjects = _plan(study)
    with folder.opened(study), store.writing():
        for chosen in sets:
            store.within(chosen.group).require_groups()
            store.within(chosen.group).remove_leftovers()
        _make(study, subjects, sets, overwrite)
        store.write_manifest()
        write_card(store, folder.card, split_of(study.data))
    digest = sets_digest(store, sets, subjects)
    count = f"{len(sets)} corruption sets of {len(subjects)} subjects"
    say(f"dataset   {store.path} ({count}, content {digest[:12]})")
    return {
        "dataset": str(store.path),
        "corrupted_sets": len(sets),
        "subjects": subjects,
        "corruption_digest": digest,
    }


def _plan(study: Study) -> tuple[list[CorruptedSet], list[str]]:
    """The sets and the subjects."""
    sets = chosen_sets(study.data, study.corruptions)
    return sets, study.corruptions.chosen_subjects(split_of(study.data))


def _make(study: Study, subjects: list[str], sets: list[CorruptedSet], overwrite: bool) -> None:
    """One task a subject, one process at a time for each chain at all its strengths."""
    store = RunFolder.of(study).store
    chains = [list(strengths) for _, strengths in groupby(sets, key=lambda chosen: chosen.name)]

    def corrupt_one(subject: str, pool: Executor, advance: Callable[[int], None]) -> None:
        jobs = {
            pool.submit(make_sets, study.data, store, subject, strengths, overwrite=overwrite): len(
                strengths
            )
            for strengths in chains
        }
        # In their order, not `as_completed`: that never hears of a job that a pool cancels at its
        # end, so Ctrl-C or a failure elsewhere would wait for ever.
        for job, steps in jobs.items():
            job.result()
            advance(steps)

    for_each_subject(
        subjects,
        corrupt_one,
        name="corrupt-subject",
        title="corrupting subjects",
        workers=study.workers,
        jobs_each=len(chains),
        steps_each=len(sets),
    )
