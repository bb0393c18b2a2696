"""The corrupt flow: a clean set in, corruption sets beside it, one Prefect task a subject."""

from collections.abc import Callable
from itertools import groupby

from prefect import flow

from spinforge.datasets.corruption.checks import check_sets, chosen_sets, expected_bytes
from spinforge.datasets.corruption.sets import may_stay, sets_digest
from spinforge.datasets.corruption.settings import CorruptedSet
from spinforge.datasets.products.catalogue import maker_of
from spinforge.datasets.products.making import is_done, split_of
from spinforge.flows import units
from spinforge.flows.card import write_card
from spinforge.flows.cluster import Cluster, started_cluster
from spinforge.flows.config import Study
from spinforge.flows.corruption_table import rows_that_hold, write_table
from spinforge.flows.flow_options import FLOW_OPTIONS
from spinforge.flows.limits import GENERATE_S
from spinforge.flows.preflight import check_disks, check_folders
from spinforge.flows.progress import say
from spinforge.flows.run_folder import RunFolder
from spinforge.flows.study_parameter import StudyParameter
from spinforge.flows.subject_tasks import for_each_subject, for_workers
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


@flow(name="corrupt", timeout_seconds=GENERATE_S, **FLOW_OPTIONS)
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
        waiting = _waiting(study, subjects, sets, overwrite)
        rows = None if waiting else rows_that_hold(study, sets, subjects)
        if rows is None or len({(row["set"], row["strength"]) for row in rows}) < len(sets):
            pieces = sum(map(len, waiting.values())) or len(subjects)
            with started_cluster(study, pieces=pieces) as cluster:
                if waiting:
                    _make(study, waiting, overwrite, cluster)
                if rows is None:
                    rows = rows_that_hold(study, sets, subjects)
                write_table(study, sets, subjects, rows, cluster)
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


def _waiting(
    study: Study, subjects: list[str], sets: list[CorruptedSet], overwrite: bool
) -> dict[str, list[list[CorruptedSet]]]:
    """Subjects with the chains, each at all its strengths, that they still need."""
    store = RunFolder.of(study).store
    chains = [list(strengths) for _, strengths in groupby(sets, key=lambda chosen: chosen.name)]
    waiting = {
        subject: [
            strengths
            for strengths in chains
            if not all(may_stay(store, subject, chosen, overwrite) for chosen in strengths)
        ]
        for subject in subjects
    }
    return {subject: missing for subject, missing in waiting.items() if missing}


def _make(
    study: Study,
    waiting: dict[str, list[list[CorruptedSet]]],
    overwrite: bool,
    cluster: Cluster,
) -> None:
    """One task a subject, in which each chain is a piece of work of its own."""
    store = RunFolder.of(study).store
    product, place = for_workers(study)

    def corrupt_one(subject: str, advance: Callable[[int], None]) -> None:
        jobs = [
            cluster.submit(
                units.corrupt, product, subject, place, store.group, strengths, overwrite
            )
            for strengths in waiting[subject]
        ]
        for job, strengths in zip(jobs, waiting[subject], strict=True):
            cluster.wait(job, f"subject {subject}, corruption {strengths[0].name}")
            advance(len(strengths))

    for_each_subject(
        list(waiting),
        corrupt_one,
        cluster=cluster,
        name="corrupt-subject",
        title="corrupting subjects",
        jobs_each=max(map(len, waiting.values())),
        steps=sum(len(strengths) for chains in waiting.values() for strengths in chains),
    )
    for chosen in {
        chosen.group for chains in waiting.values() for each in chains for chosen in each
    }:
        store.within(chosen).remove_leftovers()
