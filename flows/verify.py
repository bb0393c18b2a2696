"""The verify flow: every digest of a set computed again, one Prefect task a subject."""

import os
from pathlib import Path
from typing import Annotated

from prefect import flow, task
from prefect.futures import PrefectFuture, as_completed
from prefect.task_runners import ThreadPoolTaskRunner
from pydantic import WithJsonSchema

from spinforge.datasets.storage.verify import Problem, take_inventory, verify_subject
from spinforge.flows.flow_options import FLOW_OPTIONS
from spinforge.flows.limits import VERIFY_S
from spinforge.flows.orchestration import RETRIES
from spinforge.flows.progress import progress_bar

SetPath = Annotated[Path | str, WithJsonSchema({"type": "string", "minLength": 1})]
"""Folder or URL of a set, one line to type in Prefect's page."""


@flow(name="verify", timeout_seconds=VERIFY_S, **FLOW_OPTIONS)
def verify(path: SetPath) -> list[Problem]:
    """Find what was damaged, edited, lost or added since a set was written.

    Args:
        path: Folder or URL of the set, such as runs/quickstart/dataset.zarr.

    Returns:
        What is wrong, sorted by place.

    Raises:
        SpinforgeError: If there is no set, or one of another version.
    """
    inventory = take_inventory(path)
    problems = list(inventory.problems)
    one_subject = task(name="verify-subject", task_run_name="{name}", **RETRIES)(verify_subject)
    runner: ThreadPoolTaskRunner[list[Problem]] = ThreadPoolTaskRunner(
        max_workers=os.cpu_count() or 1
    )
    with runner, progress_bar() as progress:
        bar = progress.add_task("verifying subjects", total=len(inventory.subjects))
        futures: list[PrefectFuture[list[Problem]]] = [
            runner.submit(one_subject, {"path": path, "name": name}) for name in inventory.subjects
        ]
        for future in as_completed(futures):
            problems += future.result()
            progress.advance(bar)
    return sorted(problems, key=lambda problem: problem.where)
