"""Which of Prefect's flow runs this is, for whoever looks at what it made; none without Prefect."""

import sys


def flow_run_tags() -> dict[str, str]:
    """Id and page of the flow run that was started, with all that runs within it; empty outside.

    The server of a single command has no page.
    """
    if "prefect" not in sys.modules:  # training and evaluation run without it
        return {}
    from prefect.runtime import flow_run
    from prefect.settings import PREFECT_SERVER_UI_ENABLED

    if flow_run.id is None:
        return {}
    try:
        started = str(flow_run.root_flow_run_id)
    except Exception:  # noqa: BLE001  Prefect's server is asked; without it the inner one must do
        started = str(flow_run.id)
    tags = {"prefect.flow_run_id": started}
    if PREFECT_SERVER_UI_ENABLED.value():
        tags["prefect.flow_run_url"] = str(flow_run.ui_url).replace(str(flow_run.id), started)
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
