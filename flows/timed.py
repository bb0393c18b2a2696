"""Work in a worker process against the clock; imports little, for every worker loads it."""

import threading
from collections.abc import Callable
from typing import Any

from distributed import Worker, get_worker

from spinforge.flows.worker_facts import Facts, require_same

OVERDUE = "spinforge-overdue"
"""Topic under which a worker says that what it does takes too long."""


def works_for(run: str, dask_worker: Worker) -> bool:
    """Whether a worker process does something of a run at this moment (for `Client.run`)."""
    return any(run in str(key) for key in dask_worker.active_threads.values())


def timed(
    wanted: Facts | None, key: Any, seconds: float, function: Callable[..., None], *given: Any
) -> None:
    """Call a function; say so if it takes longer than it may.

    A thread cannot be ended from within, so whoever waits ends this process.

    Args:
        wanted: What this worker must have in common with whoever asks, if it may differ.
        key: Name of the work, for the message.
        seconds: How long it may take.
        function: What to do.
        given: Its arguments.

    Raises:
        SpinforgeError: If this worker would make other bytes.
    """
    if wanted is not None:
        require_same(wanted)
    worker = get_worker()
    note = {"key": key, "worker": worker.address}
    clock = threading.Timer(seconds, worker.log_event, (OVERDUE, note))
    clock.daemon = True
    clock.start()
    try:
        function(*given)
    finally:
        clock.cancel()
