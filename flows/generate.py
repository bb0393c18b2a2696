"""The generate flow: phantoms in, a zarr set out, one Prefect task a subject."""

from concurrent.futures.process import BrokenProcessPool

from prefect import flow, task
from prefect.futures import PrefectFuture, as_completed
from prefect.task_runners import ThreadPoolTaskRunner

from spinforge.datasets.brainweb.download import download_missing
from spinforge.datasets.products.catalogue import maker_of
from spinforge.datasets.products.kspace_settings import KSpaceProduct
from spinforge.datasets.products.making import check_slices, is_done, make_subject, split_of
from spinforge.flows.card import write_card
from spinforge.flows.config import Study
from spinforge.flows.preflight import check_study
from spinforge.flows.progress import progress_bar, say
from spinforge.flows.run_folder import RunFolder
from spinforge.flows.workers import worker_processes
from spinforge.simulation.errors import SpinforgeError


@flow(name="generate")
def generate(study: Study, overwrite: bool = False) -> str:
    """Simulate every subject of a study that is not in its set yet.

    Args:
        study: What to simulate.
        overwrite: Delete a set made with another configuration first.

    Returns:
        Digest of the set: SHA-256 over the content of its subjects.
    """
    check_study(study, overwrite=overwrite)
    folder = RunFolder.of(study)
    store = folder.store
    everyone = split_of(study.data).everyone
    with folder.opened(study), store.writing():
        _download(study, everyone)
        if overwrite and not _is_wanted(study, everyone):
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
    say(f"dataset   {store.path} ({len(everyone)} subjects, content {digest[:12]})")
    say(f"data card {folder.card}")
    return digest


def _download(study: Study, everyone: list[str]) -> None:
    """Fetch the files a study wants fetched, and check what came."""
    product = study.data
    if isinstance(product, KSpaceProduct) and product.download and product.path is not None:
        download_missing(product.path, everyone)
        maker_of(product).check()


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
    """One task a subject; the tasks wait for as many processes as the study has workers."""
    store = RunFolder.of(study).store
    count = min(study.workers, len(subjects))
    task_threads: ThreadPoolTaskRunner[str] = ThreadPoolTaskRunner(max_workers=count)
    # The processes end before the task threads that wait for them, or Ctrl-C would have to wait
    # for the subjects in work.
    with (
        task_threads as runner,
        worker_processes(count) as pool,
        progress_bar() as progress,
    ):

        def simulate(subject: str) -> str:
            return pool.submit(make_subject, study.data, subject, store).result()

        one_subject = task(name="simulate-subject", task_run_name="{subject}")(simulate)
        futures: list[PrefectFuture[str]] = [
            runner.submit(one_subject, {"subject": subject}) for subject in subjects
        ]
        bar = progress.add_task("simulating subjects", total=len(subjects))
        for future in as_completed(futures):
            try:
                future.result()
            except BrokenProcessPool as error:
                raise SpinforgeError(
                    f"a worker process was ended from outside, perhaps for lack of memory. Use "
                    f"fewer with --set workers={max(1, count - 1)} and run again."
                ) from error
            progress.advance(bar)
