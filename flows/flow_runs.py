"""Which of Prefect's flow runs this is, for whoever looks at what it made; none without Prefect."""

import os
import sys
from dataclasses import dataclass

WITHOUT_SERVICES = "SPINFORGE_WITHOUT_SERVICES"
"""Environment variable; set, neither Prefect nor MLflow is used."""


@dataclass(frozen=True)
class OwnFlowRun:
    """The flow runs we are in.

    Attributes:
        id: Of the innermost.
        name: Likewise.
        root_id: Of the one that was started and ends with us, with all that runs within it.
    """

    id: str
    name: str
    root_id: str


def uses_prefect() -> bool:
    """Whether this process works with Prefect: training and evaluation also run without it."""
    return "prefect" in sys.modules and not os.environ.get(WITHOUT_SERVICES)


def own_flow_run() -> OwnFlowRun | None:
    """The flow runs we are in; None outside of any."""
    if not uses_prefect():
        return None
    from prefect.runtime import flow_run

    if flow_run.id is None:
        return None
    try:
        root = str(flow_run.root_flow_run_id)
    except Exception:  # noqa: BLE001  Prefect's server is asked; without it the inner one must do
        root = str(flow_run.id)
    return OwnFlowRun(str(flow_run.id), str(flow_run.name), root)


def page_of(flow_run_id: str) -> str | None:
    """Address of a run's page; None where the server, that of a single command, shows none."""
    from prefect.settings import PREFECT_SERVER_UI_ENABLED, PREFECT_UI_URL

    address = PREFECT_UI_URL.value() if PREFECT_SERVER_UI_ENABLED.value() else None
    return f"{address.rstrip('/')}/runs/flow-run/{flow_run_id}" if address else None


def flow_run_tags() -> dict[str, str]:
    """Id and page of the flow run that was started, with all that runs within it; empty outside."""
    own = own_flow_run()
    if own is None:
        return {}
    tags = {"prefect.flow_run_id": own.root_id}
    if page := page_of(own.root_id):
        tags["prefect.flow_run_url"] = page
    return tags


def log_to_flow_run(text: str) -> None:
    """Write a line into the log that Prefect's page shows of the task or flow; nothing outside."""
    if "prefect" not in sys.modules:
        return
    from prefect.exceptions import MissingContextError
    from prefect.logging import get_run_logger

    try:
        get_run_logger().info(text)
    except MissingContextError:
        return
