"""Prefect and MLflow where they are installed, and what stands in for them where they are not.

A packed study (`offline/`) runs on machines that hold only what computes. There flows and tasks are
plain calls, and what MLflow would be told stays in the run's folder until `spinforge collect`. Its
`run.py` asks for that by `WITHOUT_SERVICES`, whatever is installed there.
"""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from spinforge.flows.flow_runs import WITHOUT_SERVICES


def _require_wanted(package: str) -> None:
    """Take a package for not installed where it is not wanted."""
    if os.environ.get(WITHOUT_SERVICES):
        raise ModuleNotFoundError(f"{package} is not wanted here", name=package)


def _require_absent(error: ModuleNotFoundError, package: str) -> None:
    """Let a package stand in for one that is not installed, never for one that is broken."""
    if (error.name or "").partition(".")[0] != package:
        raise error


if TYPE_CHECKING:
    from prefect import State, flow, task
    from prefect.states import Completed

    from spinforge.flows.retries import RETRIES
    from spinforge.flows.tracking import Tracker
else:
    try:
        _require_wanted("prefect")
        from prefect import State, flow, task
        from prefect.states import Completed

        from spinforge.flows.retries import RETRIES
    except ModuleNotFoundError as error:
        _require_absent(error, "prefect")

        def flow(**_: Any) -> Callable[[Any], Any]:
            """Leave a flow as the function it is."""
            return lambda function: function

        task, State, Completed, RETRIES = flow, (), None, {}

    try:
        _require_wanted("mlflow")
        from spinforge.flows.tracking import Tracker
    except ModuleNotFoundError as error:
        _require_absent(error, "mlflow")
        from spinforge.flows.untracked import Untracked as Tracker

__all__ = ["RETRIES", "Tracker", "flow", "found_complete", "task", "value_of"]


def found_complete(value: Any, name: str) -> Any:
    """What a task returns whose work had been done before: Prefect's page then says "Cached".

    The cache is our own store, where results lie under a hash of all that shaped them and are
    checked when they are read. Prefect's own would be a second copy of them, found by a hash of a
    task's arguments, which knows neither the content of files nor the versions of our code.

    Args:
        value: What the task would have returned.
        name: Of the result, with its hash.
    """
    return Completed(name="Cached", message=name, data=value) if Completed is not None else value


def value_of(returned: Any) -> Any:
    """What the call of a task returned, also if it returned `found_complete`."""
    return returned.result() if isinstance(returned, State) else returned
