"""What Prefect tries again: only what may pass by itself, later each time."""

from typing import Any

from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import Task, exponential_backoff

from spinforge.simulation.errors import TemporaryError


def _is_temporary(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    try:
        state.result()
    except TemporaryError:
        return True
    except BaseException:  # noqa: BLE001  a full disk or bad input stays; the task raises it itself
        return False
    return False


RETRIES: dict[str, Any] = {
    "retries": 3,
    "retry_delay_seconds": exponential_backoff(backoff_factor=5),  # 5, 10, 20 s
    "retry_jitter_factor": 0.5,  # many subjects must not all come back at once
    "retry_condition_fn": _is_temporary,
}
"""Options of a task that reads or writes over a network, or computes in processes."""
