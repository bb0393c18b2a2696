"""What processes cost and bring: 2 workers against 1, one subject, one task; and a cost model.

`python benchmarks/scaling.py` prints, in one run on one machine:

1. seconds of `generate` with 1 and with 2 workers, alternating, and their ratio;
2. per subject: processor seconds, bytes and files, memory at its peak;
3. what Dask and Prefect add to a subject;
4. what the model predicts for N subjects and what the run took;
5. the model for 10 000 subjects.

On a machine that does other work the ratio says little: each line prints what share of the cores
others took meanwhile. With --require the run fails below that ratio, whatever others took.
"""

import argparse
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when NumPy and PyTorch load

os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")

import psutil
from prefect import flow

from spinforge.datasets.products.catalogue import maker_of
from spinforge.datasets.products.making import make_subject, split_of
from spinforge.datasets.splits import Subjects
from spinforge.datasets.storage.store import DatasetStore
from spinforge.flows import units
from spinforge.flows.cluster import Cluster, started_cluster
from spinforge.flows.config import Study, load_study
from spinforge.flows.local_server import prefect_server
from spinforge.flows.subject_tasks import for_each_subject, for_workers
from spinforge.simulation.config import Config

GIB = 2**30
EMPTY_TASKS = 200
BEGUN_SHARE = 0.5  # of a unit that was lost: it was half done on average


@dataclass(frozen=True)
class Measured:
    """One subject.

    Attributes:
        seconds: Processor time in a process that has made one before [s].
        first_seconds: Of imports and tables that each process makes once [s].
        size: On disk [bytes].
        files: How many.
        peak: Memory of the process at most [bytes].
    """

    seconds: float
    first_seconds: float
    size: int
    files: int
    peak: int


class Model(Config):
    """Wall time of a set: work over workers, or what one scheduler can hand out."""

    subject_s: float
    start_s: float
    overhead_s: float

    def seconds(self, subjects: int, workers: int, *, failures: float = 0.0) -> float:
        """Wall time.

        Args:
            subjects: How many.
            workers: One process a core each.
            failures: Of workers, per hour of each; one costs half its subject and a new start.
        """
        repeated = failures / 3600 * (BEGUN_SHARE * self.subject_s + self.start_s)
        computing = subjects * self.subject_s * (1 + repeated) / min(workers, subjects)
        return self.start_s + max(computing, subjects * self.overhead_s)


def one_subject(study: Study, folder: Path) -> Measured:
    """Make three subjects in this process, the first of them cold."""
    maker = maker_of(study.data)
    store = DatasetStore(folder / "one.zarr", maker.group)
    store.create(study.data.recipe())
    names, times = split_of(study.data).everyone[:3], []
    for name in names:
        before = time.process_time()
        make_subject(study.data, name, store)
        times.append(time.process_time() - before)
    files = store.location.files(f"{store.group}/{names[-1]}")
    warm = statistics.mean(times[1:])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return Measured(warm, max(0.0, times[0] - warm), sum(files.values()), len(files), peak)


@flow(name="scaling", validate_parameters=False)
def made(study: Study, subjects: list[str], cluster: Cluster, folder: Path) -> None:
    """What `generate` does with each subject, into a new store."""
    store = DatasetStore(folder, maker_of(study.data).group)
    store.create(study.data.recipe())
    product, _ = for_workers(study)

    def simulate(subject: str, advance: Callable[[int], None]) -> None:
        piece = cluster.submit(units.simulate, product, subject, folder, store.group)
        cluster.wait(piece, subject)

    for_each_subject(subjects, simulate, cluster=cluster, name="one", title="making")


@flow(name="empty", validate_parameters=False)
def empty(cluster: Cluster, count: int) -> None:
    """Tasks that compute nothing."""

    def nothing(subject: str, advance: Callable[[int], None]) -> None:
        cluster.wait(cluster.submit(bool), subject)

    names = [str(number) for number in range(count)]
    for_each_subject(names, nothing, cluster=cluster, name="empty", title="nothing")


def timed(call: Callable[[], None]) -> tuple[float, float]:
    """Wall seconds, and the share of all cores that other programs took meanwhile."""
    ours, everyone, before = _own_cpu(), psutil.cpu_times(), time.monotonic()
    call()
    wall = time.monotonic() - before
    after = psutil.cpu_times()
    busy = (after.user + after.system + after.nice) - (
        everyone.user + everyone.system + everyone.nice
    )
    others = max(0.0, busy - (_own_cpu() - ours))
    return wall, others / (wall * (os.cpu_count() or 1))


def _own_cpu() -> float:
    """Processor seconds of this process and all below it that live."""
    total = 0.0
    for process in (psutil.Process(), *psutil.Process().children(recursive=True)):
        try:
            spent = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += spent.user + spent.system
    return total


def scaling(study: Study, subjects: list[str], rounds: int, folder: Path) -> dict[int, list[float]]:
    """Wall seconds with 1 and 2 workers, alternating, both warm."""
    seconds: dict[int, list[float]] = {1: [], 2: []}
    with (
        started_cluster(study.model_copy(update={"workers": 1}), pieces=2) as one,
        started_cluster(study.model_copy(update={"workers": 2}), pieces=2) as two,
    ):
        for number, cluster in ((1, one), (2, two)):  # imports, and tables made once
            made(study, subjects[: 2 * number], cluster, folder / f"warm-{number}.zarr")
        for turn in range(rounds):
            for number, cluster in ((1, one), (2, two)):
                place = folder / f"{number}-{turn}.zarr"
                wall, others = timed(lambda c=cluster, p=place: made(study, subjects, c, p))
                seconds[number].append(wall)
                print(f"  {number} worker(s): {wall:.1f} s; others took {others:.0%} of the cores")
    return seconds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", type=Path, default=Path("studies/quickstart.yaml"))
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--subjects", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument(
        "--require", type=float, default=0.0, help="least ratio, for an idle machine"
    )
    options = parser.parse_args()
    groups = Subjects(train=options.subjects - 2, validation=1, test=1)
    study = load_study(options.study, options.set)
    study = study.model_copy(update={"data": study.data.model_copy(update={"subjects": groups})})
    subjects = split_of(study.data).everyone
    with tempfile.TemporaryDirectory() as name, prefect_server():
        folder = Path(name)
        one = one_subject(study, folder)
        print(
            f"one subject of {options.study.stem}: {one.seconds:.2f} CPU s "
            f"(+ {one.first_seconds:.1f} s in the first of a process), {one.size / 2**20:.1f} MiB "
            f"in {one.files} files, {one.peak / 2**20:.0f} MiB of memory at most, "
            f"{3600 / one.seconds:.0f} subjects an hour and core"
        )
        begun = time.monotonic()
        with started_cluster(study.model_copy(update={"workers": 1}), pieces=1) as cluster:
            empty(cluster, 1)
            start = time.monotonic() - begun
            wall, _ = timed(lambda: empty(cluster, EMPTY_TASKS))
        overhead = wall / EMPTY_TASKS
        print(
            f"start of a cluster: {start:.1f} s; Prefect and Dask: {1e3 * overhead:.1f} ms a task"
        )
        seconds = scaling(study, subjects, options.rounds, folder)
    best = {workers: min(found) for workers, found in seconds.items()}
    ratio = best[1] / best[2]
    print(
        f"{len(subjects)} subjects: {best[1]:.1f} s by 1 worker, {best[2]:.1f} s by 2: {ratio:.2f}x"
    )
    model = Model(subject_s=one.seconds, start_s=0.0, overhead_s=overhead)
    for workers, found in best.items():
        predicted = model.seconds(len(subjects), workers)
        print(f"model, {workers} worker(s): {predicted:.1f} s, measured {found:.1f} s")
    model = model.model_copy(update={"start_s": start + one.first_seconds})
    print(f"10 000 subjects: {1e4 * one.size / GIB:.0f} GiB in {1e4 * one.files:.0f} files")
    for workers in (1, 16, 64, 256, 1000):
        hours = [model.seconds(10_000, workers, failures=rate) / 3600 for rate in (0.0, 0.01, 0.1)]
        cells = ", ".join(f"{value:.2f} h" for value in hours)
        print(f"  {workers:4d} workers: {cells} at 0, 0.01, 0.1 failures a worker and hour")
    return 0 if ratio >= options.require else 1


if __name__ == "__main__":
    sys.exit(main())
