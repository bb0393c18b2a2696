"""Dask for the heavy work of a flow: processes of this machine, or a scheduler that is there."""

import itertools
import logging
import os
import shutil
import signal
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spinforge.datasets.storage.files import is_abandoned, own_suffix, readable_errors
from spinforge.flows.config import Study
from spinforge.flows.progress import say
from spinforge.flows.worker_count import machine_size, worker_count
from spinforge.flows.worker_facts import Facts
from spinforge.simulation.errors import SpinforgeError, TemporaryError

if TYPE_CHECKING:  # late: importing it takes a second
    from distributed import Client, Future, LocalCluster

_PREFIX = ".spinforge-dask-"
_RESTART_S = 15  # for worker processes elsewhere to end and come back
_MEMORY_SHARE = 0.9  # of the machine's, for all processes together
_QUIET = {
    # A worker that died twice with the same work is not tried again at once, but by Prefect later.
    "distributed.scheduler.allowed-failures": 1,
    # One that ends while it starts is not started again; without any, work would wait for ever.
    "distributed.scheduler.no-workers-timeout": "90s",
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    "distributed.admin.large-graph-warning-threshold": "1 GiB",
    "distributed.comm.timeouts.connect": "10s",
    # Dask would set these in our own environment too, for good: training would have one thread, and
    # other last bits. They are given to the processes alone, by `_OF_WORKERS`.
    "distributed.nanny.pre-spawn-environ": dict.fromkeys(
        ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MALLOC_TRIM_THRESHOLD_")
    ),
}
_OF_WORKERS = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_TRIM_THRESHOLD_": "65536",  # memory goes back to the system
    # Waiting threads of a library that spin take the core of another process.
    "OMP_WAIT_POLICY": "PASSIVE",
}


class Cluster:
    """Workers that compute, each one thing at a time.

    Args:
        client: Of their scheduler.
        limit_s: How long one piece of work may take [s].
        wanted: What workers must have in common with us, where they may differ.
        stop: Ends what was started for this cluster at once; without, what workers elsewhere do
            for us is ended.
    """

    def __init__(
        self,
        client: "Client",
        *,
        limit_s: float,
        wanted: Facts | None = None,
        stop: Callable[[], None] | None = None,
    ) -> None:
        from spinforge.flows.timed import OVERDUE

        self.client = client
        self._limit_s = limit_s
        self._wanted = wanted
        self._stop = stop
        self._run = uuid.uuid4().hex
        self._numbers = itertools.count()
        self._waiting: dict[Any, Future[Any]] = {}
        self._overdue: dict[Any, str] = {}
        self._stopped = threading.Event()
        self._lock = threading.Lock()  # nothing may be submitted behind a stop
        client.subscribe_topic(OVERDUE, self._end_overdue)

    @property
    def workers(self) -> int:
        """How many compute at the moment."""
        return len(self.client.nthreads())

    def submit(self, function: Callable[..., None], *given: Any) -> "Future[Any]":
        """Have a worker call a function; `wait` for it.

        Args:
            function: Of a module that the workers can import, such as `units.simulate`.
            given: Its arguments, small: they pass through the scheduler.
        """
        from spinforge.flows.timed import timed

        # A tuple: Dask takes all of the same name for one group, which waits at the scheduler.
        key = (f"{function.__name__}-{self._run}", next(self._numbers))
        with self._lock:
            if self._stopped.is_set():
                raise SpinforgeError(f"{function.__name__}: stopped")
            try:
                future = self.client.submit(
                    timed, self._wanted, key, self._limit_s, function, *given, key=key, pure=False
                )
            except Exception as error:
                raise self._explained(error, function.__name__) from error
            self._waiting[key] = future
        return future

    def wait(self, future: "Future[Any]", what: str) -> Any:
        """Wait for what was submitted.

        Args:
            future: From `submit`.
            what: Is being done, for messages, such as "subject head-003".

        Raises:
            TemporaryError: If the workers that tried it were ended from outside.
            SpinforgeError: If it took too long, or the scheduler is gone.
            Exception: Whatever the function raised.
        """
        from distributed.client import FutureCancelledError
        from distributed.scheduler import KilledWorker, NoWorkerError

        try:
            return future.result()
        except (FutureCancelledError, KilledWorker, NoWorkerError) as error:
            if future.key in self._overdue:
                self._end(future, self._overdue[future.key])
                raise SpinforgeError(
                    f"{what} took longer than {self._limit_s / 60:.3g} minutes "
                    f"(dask.subject_minutes) and was ended. What was complete is kept. If it only "
                    f"needs more time: --set dask.subject_minutes={self._limit_s / 30:.3g}"
                ) from error
            raise self._explained(error, what) from error
        finally:
            self._waiting.pop(future.key, None)

    def compute(self, arrays: Sequence[Any], what: str) -> Any:
        """Compute lazy Dask arrays, each a small result of large ones.

        Args:
            arrays: What to compute; the workers read what they need.
            what: Is being done, for messages.

        Raises:
            SpinforgeError: As `wait`; also what reading raises.
        """
        from distributed.client import FutureCancelledError
        from distributed.scheduler import KilledWorker, NoWorkerError

        with self._lock:
            if self._stopped.is_set():
                raise SpinforgeError(f"{what}: stopped")
            futures: list[Future[Any]] = self.client.compute(list(arrays))
            self._waiting |= {future.key: future for future in futures}
        until = time.monotonic() + self._limit_s * len(arrays)
        try:
            return [future.result(timeout=max(0, until - time.monotonic())) for future in futures]
        except TimeoutError as error:
            raise SpinforgeError(
                f"{what} took longer than {len(arrays)} times {self._limit_s / 60:.3g} minutes "
                f"(dask.subject_minutes) and was given up. If it only needs more time: "
                f"--set dask.subject_minutes={self._limit_s / 30:.3g}"
            ) from error
        except (FutureCancelledError, KilledWorker, NoWorkerError) as error:
            raise self._explained(error, what) from error
        finally:
            for future in futures:
                self._waiting.pop(future.key, None)

    def stop(self) -> None:
        """End the work in hand at once; whoever waits for it is told."""
        with self._lock:
            self._stopped.set()
            futures = list(self._waiting.values())
        for future in futures:
            _wake(future, "stopped")
        if self._stop is not None:
            self._stop()
        elif futures and self.client.status == "running":
            self._end_elsewhere(futures)

    def _end_elsewhere(self, futures: "list[Future[Any]]") -> None:
        """Have no worker write into the set any more, before others may."""
        from spinforge.flows.timed import works_for

        try:
            self.client.cancel(futures, force=True)
            # Again: what waited at a worker may have begun before it heard.
            for _ in range(3):
                answers = self.client.run(works_for, self._run, on_error="return")
                busy = [worker for worker, answer in answers.items() if answer is True]
                if not busy:
                    return
                self.client.restart_workers(busy, timeout=_RESTART_S, raise_for_error=False)
        except (OSError, ValueError) as error:  # the scheduler is gone, or a worker has no nanny
            busy = [str(error)]
        say(
            f"warning   workers elsewhere could not be ended ({', '.join(busy)}); before the next "
            f"run, see that they do nothing any more"
        )

    def _explained(self, error: Exception, what: str) -> Exception:
        from distributed.scheduler import KilledWorker, NoWorkerError

        if isinstance(error, NoWorkerError):
            return SpinforgeError(
                f"{what}: no worker process is left, each was ended from outside while it started, "
                f"perhaps for lack of memory. What was complete is kept: free some memory, or use "
                f"fewer with --set workers=..., and run again."
            )
        if isinstance(error, KilledWorker):
            return TemporaryError(
                f"{what}: a worker process was ended from outside, perhaps for lack of memory, "
                f"each time it was tried. Use fewer with --set workers=..., or give each more "
                f"memory, and run again."
            )
        if self._stopped.is_set():
            return SpinforgeError(f"{what}: stopped")
        address = self.client.scheduler.address if self.client.scheduler else "its address"
        if self.client.status != "running":
            return SpinforgeError(
                f"the Dask scheduler at {address} is gone. What was complete is kept; start it "
                f"again, or leave dask.address out, and run the same command again."
            )
        return error

    def _end_overdue(self, event: tuple[float, dict[str, Any]]) -> None:
        """Runs in the client's own thread: mark, and let the one who waits do the rest."""
        note = event[1]
        key = tuple(note["key"])
        if (future := self._waiting.get(key)) is not None:
            self._overdue[key] = note["worker"]
            _wake(future, "overdue")

    def _end(self, future: "Future[Any]", worker: str) -> None:
        """Forget a piece of work and end the process that does it; its nanny starts another."""
        try:
            self.client.cancel([future], force=True)
            self.client.restart_workers([worker], timeout=3, raise_for_error=False)
        except KeyError:  # it has just ended by itself
            return
        except (OSError, ValueError) as error:  # the scheduler is gone, or it has no nanny
            say(f"warning   the worker {worker} could not be ended: {error}")


def _wake(future: "Future[Any]", reason: str) -> None:
    """Have whoever waits for a piece of work find it cancelled, without asking the scheduler."""
    if future._state is not None:
        future._state.cancel(reason=reason)


@contextmanager
def started_cluster(study: Study, *, pieces: int) -> Iterator[Cluster]:
    """Give the workers of a study: those at `dask.address`, or processes that end with the block.

    Args:
        study: For its settings.
        pieces: How many pieces of work there are; no more processes are started.

    Raises:
        SpinforgeError: If there is no such scheduler, or its workers cannot do this study's work.
    """
    limit_s = study.dask.subject_minutes * 60
    if study.dask.address is not None:
        from spinforge.flows.external_scheduler import connected

        with connected(study) as (client, facts):
            yield from _stopped_if_it_fails(Cluster(client, limit_s=limit_s, wanted=facts))
        return
    count = min(worker_count(study), pieces)
    with _local_client(study, count) as (client, stop):
        yield from _stopped_if_it_fails(Cluster(client, limit_s=limit_s, stop=stop))


def _stopped_if_it_fails(cluster: Cluster) -> Iterator[Cluster]:
    try:
        yield cluster
    except BaseException:
        cluster.stop()
        raise


@contextmanager
def _local_client(study: Study, count: int) -> Iterator[tuple["Client", Callable[[], None]]]:
    """Processes of this machine on loopback, known to nobody else: they speak TLS."""
    import dask
    from distributed import Client, LocalCluster
    from distributed.security import Security

    memory = (study.dask.memory_gib or 0) * 2**30 or _MEMORY_SHARE * machine_size()[1] / count
    with ExitStack() as stack:
        stack.enter_context(quiet_dask())
        stack.enter_context(dask.config.set(_QUIET))
        stack.enter_context(_same_environment())
        folder = stack.enter_context(_spill_folder(study.dask.folder))
        with _ctrl_c_left_to_us():
            cluster = LocalCluster(
                n_workers=count,
                threads_per_worker=1,
                host="127.0.0.1",
                dashboard_address="127.0.0.1:0",
                scheduler_kwargs={"dashboard": False},
                security=Security.temporary(),
                memory_limit=int(memory),
                local_directory=str(folder),
                silence_logs=logging.CRITICAL,
                env=_OF_WORKERS,
            )
        stack.enter_context(cluster)
        client = stack.enter_context(Client(cluster, set_as_default=False))
        yield client, lambda: _kill(cluster)


@contextmanager
def _same_environment() -> Iterator[None]:
    """Take back what Dask sets in our own environment for its processes (PYTHONHASHSEED)."""
    before = os.environ.get("PYTHONHASHSEED")
    try:
        yield
    finally:
        os.environ.pop("PYTHONHASHSEED", None)
        if before is not None:
            os.environ["PYTHONHASHSEED"] = before


@contextmanager
def quiet_dask() -> Iterator[None]:
    """Have Dask log nothing in the block: what goes wrong is said in our words."""
    logger = logging.getLogger("distributed")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


@contextmanager
def _ctrl_c_left_to_us() -> Iterator[None]:
    """Processes that are started in the block, or by threads of it later, do not get SIGINT."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _kill(cluster: "LocalCluster") -> None:
    """End the processes at once; closing would wait for what they do."""
    for nanny in list(cluster.workers.values()):
        nanny.auto_restart = False
        if nanny.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(nanny.pid, signal.SIGKILL)


@contextmanager
def _spill_folder(base: Path | None) -> Iterator[Path]:
    """A folder of our own for what does not fit in memory; what killed runs left goes first."""
    base = base or Path(tempfile.gettempdir())
    with readable_errors(base):
        base.mkdir(parents=True, exist_ok=True)
        for old in base.glob(f"{_PREFIX}*"):
            if is_abandoned(old) and not old.name.endswith(own_suffix()):
                shutil.rmtree(old, ignore_errors=True)
        folder = tempfile.mkdtemp(prefix=_PREFIX, suffix=own_suffix(), dir=base)
    try:
        yield Path(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
