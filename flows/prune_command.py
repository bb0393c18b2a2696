"""The command that removes what nobody needs any more."""

import re
from pathlib import Path
from typing import Annotated

import typer

from spinforge.flows.answer import print_answer
from spinforge.flows.local_server import prefect_server
from spinforge.flows.options import AsJson
from spinforge.simulation.errors import SpinforgeError


def prune(
    out: Annotated[
        Path, typer.Argument(metavar="[RUNS]", help="Folder that holds the folders of all runs.")
    ] = Path("runs"),
    older_than: Annotated[
        str, typer.Option(metavar="DAYS", help="Of records in Prefect and MLflow, such as 30d.")
    ] = "30d",
    yes: Annotated[
        bool, typer.Option("--yes", help="Delete it; otherwise only say what would go.")
    ] = False,
    weights: Annotated[
        bool,
        typer.Option(
            "--weights", help="With --yes, also networks that no study.yaml there asks for."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Remove what killed and old runs have left; data sets are never touched.

    Temporary files of killed processes, finished flow runs in Prefect, runs deleted in MLflow's
    page. Networks that no study in the folder asks for are listed.

    Example: `spinforge prune runs --older-than 30d --yes`
    """
    days = re.fullmatch(r"([1-9]\d{0,4})d", older_than)
    if days is None:
        raise SpinforgeError(f"--older-than {older_than}: write a number of days, such as 30d")
    if not out.is_dir():
        raise SpinforgeError(f"{out} is no folder. Name the folder that holds the runs")
    from spinforge.flows.prune import prune as prune_flow

    with prefect_server():
        found = prune_flow(out, int(days[1]), delete=yes, weights=weights)
    print_answer({"deleted": yes, **found}, as_json)
