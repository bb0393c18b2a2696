"""What is said of a run that was killed: Prefect itself would call it "Running" for ever.

A process that is killed together with its worker, or by a power cut, tells nobody. But it can no
longer hold the lock of its folder: whoever gets the lock and finds the note of a run that did not
remove it knows that this run is over.
"""

import json
import os
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from spinforge.datasets.storage.files import replacing
from spinforge.flows.flow_runs import own_flow_run, uses_prefect
from spinforge.flows.notify import send
from spinforge.flows.progress import say

NOTE = ".run.json"
"""File in a run's folder, there as long as a run works in it."""


def note_run(folder: Path) -> None:
    """Note who works in `folder`, whose lock we hold; say what became of who did before.

    Args:
        folder: Of a run.
    """
    end_killed_run(folder)
    own = own_flow_run()
    note = {
        "flow_run_id": own.root_id if own else None,
        "flow_run": own.name if own else None,
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    with replacing(folder / NOTE) as temporary:
        temporary.write_text(json.dumps(note, indent=2) + "\n")


def forget_run(folder: Path) -> None:
    """Remove our note: this run ends by itself, and says as what."""
    (folder / NOTE).unlink(missing_ok=True)


def end_killed_run(folder: Path) -> bool:
    """Tell Prefect that the run noted in `folder`, whose lock we hold, was killed.

    Args:
        folder: Of a run.

    Returns:
        Whether there was a note; it is gone then.
    """
    note = read_note(folder)
    if note is None:
        return False
    who = f"process {note.get('pid')} on {note.get('host')}, since {note.get('since')}"
    say(f"killed    the run before this one in {folder} ({who}) never ended; going on from there")
    killed, own = note.get("flow_run_id"), own_flow_run()
    # "Retry" in Prefect's page starts a killed run again under its id: it is our own then.
    if killed and not (own and killed in (own.id, own.root_id)):
        _mark_crashed(str(killed), own.name if own else None)
    forget_run(folder)
    return True


def read_note(folder: Path) -> dict[str, Any] | None:
    """What is noted in `folder`; empty if it is damaged, None if nothing is."""
    try:
        note = json.loads((folder / NOTE).read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}


def _mark_crashed(flow_run_id: str, successor: str | None) -> None:
    """End a flow run, the flows and the tasks in it, if our server knows it as running."""
    if not uses_prefect():  # a packed study's machine
        return
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL

    if not PREFECT_API_URL.value():
        return
    message = f"Was killed. Run {successor} goes on from there." if successor else "Was killed."
    try:
        with get_client(sync_client=True) as client:
            ended = _end_flow_run(client, flow_run_id, message)
    except Exception as error:  # noqa: BLE001  what was is no reason not to go on
        say(f"warning: Prefect could not be told that run {flow_run_id} was killed: {error}")
        return
    if ended:
        problem = send("Spinforge: a run was killed", f"{ended}: {message}")
        if problem:
            say(problem)


def _end_flow_run(client: Any, flow_run_id: str, message: str) -> str | None:
    """Set a running flow run, and what runs within it, to Crashed; its name, if it was running.

    One that its worker has ended already may still hold flows and tasks that nobody ended.
    """
    from prefect.client.schemas.filters import (
        FlowRunFilter,
        FlowRunFilterId,
        FlowRunFilterParentFlowRunId,
        TaskRunFilter,
        TaskRunFilterState,
        TaskRunFilterStateType,
    )
    from prefect.client.schemas.objects import StateType
    from prefect.states import Crashed

    found = client.read_flow_runs(
        flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[flow_run_id]))
    )
    if not found or found[0].state is None:
        return None
    within = FlowRunFilter(parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=[flow_run_id]))
    for child in client.read_flow_runs(flow_run_filter=within):
        _end_flow_run(client, str(child.id), message)
    running = TaskRunFilter(
        state=TaskRunFilterState(type=TaskRunFilterStateType(any_=[StateType.RUNNING]))
    )
    this = FlowRunFilter(id=FlowRunFilterId(any_=[flow_run_id]))
    for task_run in client.read_task_runs(flow_run_filter=this, task_run_filter=running):
        client.set_task_run_state(task_run.id, Crashed(message=message), force=True)
    if found[0].state.is_final():
        return None
    client.set_flow_run_state(flow_run_id, Crashed(message=message), force=True)
    return str(found[0].name)
