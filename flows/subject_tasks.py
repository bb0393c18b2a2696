"""Work on every subject of a set: one Prefect task each, the computing in processes."""

from collections.abc import Callable
from concurrent.futures import Executor
from concurrent.futures.process import BrokenProcessPool

from prefect import task
from prefect.futures import PrefectFuture, as_completed
from prefect.task_runners import ThreadPoolTaskRunner

from spinforge.flows.progress import progress_bar
from spinforge.flows.workers import worker_processes
from spinforge.simulation.errors import SpinforgeError

Work = Callable[[str, Executor, Callable[[int], None]], None]
"""Gets a subject, processes to compute in, and what to call with the number of finished steps."""


def for_each_subject(
    subjects: list[str],
    work: Work,
    *,
    name: str,
    title: str,
    workers: int,
    jobs_each: int = 1,
    steps_each: int = 1,
) -> None:
    """Run one task a subject; the tasks wait for as many processes as there are workers.

    Args:
        subjects: All to be done.
        work: What is done with each, in a thread.
        name: Of the task.
        title: Of the progress bar.
        workers: Processes at most.
        jobs_each: How many of them one subject can use.
        steps_each: Steps of the progress bar a subject.

    Raises:
        SpinforgeError: If a process was ended from outside.
    """
    count = min(workers, len(subjects) * jobs_each)
    task_threads: ThreadPoolTaskRunner[None] = ThreadPoolTaskRunner(
        max_workers=min(workers, len(subjects))
    )
    # The processes end before the task threads that wait for them, or Ctrl-C would have to wait
    # for the work in hand.
    with (
        task_threads as runner,
        worker_processes(count) as pool,
        progress_bar() as progress,
    ):
        bar = progress.add_task(title, total=len(subjects) * steps_each)

        def do(subject: str) -> None:
            work(subject, pool, lambda steps: progress.advance(bar, steps))

        one_subject = task(name=name, task_run_name="{subject}")(do)
        futures: list[PrefectFuture[None]] = [
            runner.submit(one_subject, {"subject": subject}) for subject in subjects
        ]
        for future in as_completed(futures):
            try:
                future.result()
            except BrokenProcessPool as error:
                raise SpinforgeError(
                    f"a worker process was ended from outside, perhaps for lack of memory. "
                    f"{_advice(count)} and run again."
                ) from error


def _advice(count: int) -> str:
    return f"Use fewer with --set workers={count - 1}" if count > 1 else "Free some memory"
