"""One message when a run that nobody watches ends badly.

Where it goes is a notification block of Prefect's (Slack, mail, any webhook), named by the
environment variable SPINFORGE_NOTIFY, such as `custom-webhook/nights`. Addresses and tokens stay in
the block, on the server: they are neither in a file nor in a log.
"""

import os
from typing import TYPE_CHECKING, Any

from spinforge.flows.flow_runs import page_of
from spinforge.flows.progress import say

if TYPE_CHECKING:
    from prefect import Flow
    from prefect.client.schemas.objects import FlowRun, State

BLOCK = "SPINFORGE_NOTIFY"
"""Environment variable with the block's type and name."""

_LONGEST_REASON = 300


def notify_end(flow: "Flow[..., Any]", flow_run: "FlowRun", state: "State[Any]") -> None:
    """Say that a run ended, and as what; a flow within a flow leaves that to its parent.

    Args:
        flow: Of which it is a run.
        flow_run: The run.
        state: What it came to.
    """
    if flow_run.parent_task_run_id is not None:
        return
    from prefect.logging.loggers import flow_run_logger

    problem = send(f"Spinforge: {flow.name} ended as {state.name}", _body(flow_run, state.message))
    if problem:
        say(problem)
        flow_run_logger(flow_run, flow).warning(problem)


def send(subject: str, body: str) -> str | None:
    """Send one message, if a block is named.

    Args:
        subject: What happened.
        body: To which run, why, and where to look.

    Returns:
        Why it was not sent; that changes nothing else.
    """
    slug = os.environ.get(BLOCK)
    if not slug:
        return None
    from prefect.blocks.abstract import NotificationBlock
    from prefect.blocks.core import Block

    try:
        block = Block.load(slug, _sync=True)  # type: ignore[call-arg]
        if not isinstance(block, NotificationBlock):
            raise TypeError(f"{slug} is no notification block")
        with block.raise_on_failure():
            block.notify(body, subject)  # type: ignore[unused-coroutine]
    except Exception as error:  # noqa: BLE001  the run's own end is what counts
        # Not the error's own words: those of a request hold its address.
        status = getattr(getattr(error, "response", None), "status_code", "")
        return (
            f"warning: no message was sent by {BLOCK}={slug} "
            f"({f'{type(error).__name__} {status}'.strip()}). Check the block in Prefect's page, "
            f"under Blocks"
        )
    return None


def _body(run: "FlowRun", message: str | None) -> str:
    """Which run, why, and its page."""
    reason = ((message or "").strip().splitlines() or ["no reason given"])[0][:_LONGEST_REASON]
    page = page_of(str(run.id)) or f"flow run {run.id}"
    return f"{run.name}: {reason}\n{page}"
