"""The generate flow: phantoms in, a zarr set out, one Prefect task a subject."""

from collections.abc import Callable

from prefect import flow

from spinforge.datasets.brainweb.download import download_missing
from spinforge.datasets.products.catalogue import maker_of
from spinforge.datasets.products.kspace_settings import KSpaceProduct
from spinforge.datasets.products.making import check_slices, is_done, split_of
from spinforge.datasets.storage.store import DatasetStore
from spinforge.flows import units
from spinforge.flows.artifacts import show_subjects
from spinforge.flows.card import write_card
from spinforge.flows.cluster import started_cluster
from spinforge.flows.config import Study
from spinforge.flows.flow_options import FLOW_OPTIONS
from spinforge.flows.limits import GENERATE_S
from spinforge.flows.preflight import check_study
from spinforge.flows.progress import say
from spinforge.flows.run_folder import RunFolder
from spinforge.flows.study_parameter import StudyParameter
from spinforge.flows.subject_tasks import for_each_subject, for_workers
from spinforge.simulation.errors import SpinforgeError


@flow(name="generate", timeout_seconds=GENERATE_S, **FLOW_OPTIONS)
def generate(study: StudyParameter, overwrite: bool = False) -> str:
    """Simulate every subject of a study that is not in its set yet.

    Args:
        study: What to simulate.
        overwrite: Delete a set made with another configuration first, and its corruption sets
            with it; replace the slice table of another study.

    Returns:
        Digest of the set: SHA-256 over the content of its subjects.
    """
    check_study(study, overwrite=overwrite, trains=False)
    folder = RunFolder.of(study)
    store = folder.store
    everyone = split_of(study.data).everyone
    with folder.opened(study), store.writing():
        _download(study, everyone)
        if overwrite and not _is_wanted(study, everyone):
            _say_what_goes(store)
            store.delete()
        store.create(study.data.recipe())
        if not overwrite:
            check_slices(study.data, store)  # another study may have finished since
        store.remove_leftovers()
        missing = [subject for subject in everyone if not is_done(study.data, store, subject)]
        if missing:
            _simulate(study, missing)
        maker_of(study.data).finish(store)
        store.write_manifest()
        write_card(store, folder.card, split_of(study.data))
    digest = store.digest(everyone)
    show_subjects(study.name, store, everyone, missing)
    cached = f"{len(everyone) - len(missing)} of {len(everyone)} subjects cached"
    say(f"dataset   {store.path} ({cached}, content {digest[:12]})")
    say(f"data card {folder.card}")
    return digest


def _download(study: Study, everyone: list[str]) -> None:
    """Fetch the files a study wants fetched, and check what came."""
    product = study.data
    if isinstance(product, KSpaceProduct) and product.download and product.path is not None:
        download_missing(product.path, everyone)
        maker_of(product).check()


def _say_what_goes(store: DatasetStore) -> None:
    names = ", ".join(sorted(store.location.folders("corrupt")))
    say(f"deleting  {store.path}" + (f" with its corruption sets {names}" if names else ""))


def _is_wanted(study: Study, everyone: list[str]) -> bool:
    """Whether the set that is there, if any, was made as the study asks."""
    store = RunFolder.of(study).store
    try:
        store.require(study.data.recipe())
        for subject in everyone:
            is_done(study.data, store, subject)
    except SpinforgeError:
        return False
    return True


def _simulate(study: Study, subjects: list[str]) -> None:
    """One task a subject; what killed workers left is removed."""
    store = RunFolder.of(study).store
    product, place = for_workers(study)
    with started_cluster(study, pieces=len(subjects)) as cluster:

        def simulate(subject: str, advance: Callable[[int], None]) -> None:
            made = cluster.submit(units.simulate, product, subject, place, store.group)
            cluster.wait(made, f"subject {subject}")
            advance(1)

        for_each_subject(
            subjects,
            simulate,
            cluster=cluster,
            name="simulate-subject",
            title="simulating subjects",
        )
    store.remove_leftovers()
