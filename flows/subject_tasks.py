"""Work on every subject of a set: one Prefect task each, the computing by Dask's workers."""

from collections.abc import Callable
from pathlib import Path

from prefect import task
from prefect.futures import PrefectFuture, as_completed
from prefect.task_runners import ThreadPoolTaskRunner

from spinforge.datasets.products.catalogue import Product
from spinforge.flows.cluster import Cluster
from spinforge.flows.config import Study
from spinforge.flows.progress import progress_bar
from spinforge.flows.retries import RETRIES
from spinforge.flows.run_folder import RunFolder

Work = Callable[[str, Callable[[int], None]], None]
"""Gets a subject, and what to call with the number of finished steps."""

_MOST_THREADS = 1000


def for_each_subject(
    subjects: list[str],
    work: Work,
    *,
    cluster: Cluster,
    name: str,
    title: str,
    jobs_each: int = 1,
    steps: int | None = None,
) -> None:
    """Run one task a subject, each a thread that waits for the cluster.

    Args:
        subjects: All to be done.
        work: What is done with each, in a thread.
        cluster: Where `work` computes; it is stopped if anything fails.
        name: Of the task.
        title: Of the progress bar.
        jobs_each: How many workers one subject can use.
        steps: Of the progress bar; by default one a subject.
    """
    # Twice as many as compute, so that no worker waits for Prefect.
    threads = min(len(subjects), _MOST_THREADS, 1 + 2 * -(-cluster.workers // jobs_each))
    task_threads: ThreadPoolTaskRunner[None] = ThreadPoolTaskRunner(max_workers=threads)
    with task_threads as runner, progress_bar() as progress:
        bar = progress.add_task(title, total=len(subjects) if steps is None else steps)

        def do(subject: str) -> None:
            work(subject, lambda finished: progress.advance(bar, finished))

        one_subject = task(name=name, task_run_name="{subject}", **RETRIES)(do)
        try:
            futures: list[PrefectFuture[None]] = [
                runner.submit(one_subject, {"subject": subject}) for subject in subjects
            ]
            for future in as_completed(futures):
                future.result()
        except BaseException:
            # Before the threads that wait for it, or Ctrl-C would have to wait for the work in
            # hand.
            cluster.stop()
            raise


def for_workers(study: Study) -> tuple[Product, Path | str]:
    """The product and the place of its set, by names that hold in every folder and machine."""
    product, place = study.data, RunFolder.of(study).store.path
    path = getattr(product, "path", None)
    if path is not None:
        product = product.model_copy(update={"path": path.absolute()})
    return product, place.absolute() if isinstance(place, Path) else place
