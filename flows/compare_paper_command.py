"""The command that puts our results beside the published ones."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from spinforge.flows.answer import print_answer
from spinforge.flows.options import AsJson
from spinforge.simulation.errors import SpinforgeError

if TYPE_CHECKING:
    from spinforge.evaluation.published.tables import PublishedTable

_RUNS = Path("runs")


def compare_paper(
    paper: Annotated[
        Literal["crdn", "fcslstm", "seranet", "hlenet"] | None,
        typer.Option("--paper", help="Of this paper only."),
    ] = None,
    table: Annotated[
        str | None,
        typer.Option("--table", metavar="NAME", help="Such as `2`, `table-2` or `figure-7-noise`."),
    ] = None,
    runs: Annotated[
        Path | None,
        typer.Option(
            "--runs",
            metavar="DIR",
            help="Folder of runs, or of one; by default runs/, if it is there.",
        ),
    ] = None,
    csv: Annotated[
        Path | None,
        typer.Option("--csv", metavar="FILE", help="Also write every number to a table."),
    ] = None,
    markdown: Annotated[
        Path | None, typer.Option("--markdown", metavar="FILE", help="Also write a page.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print every published number of the four papers beside ours, and what was not run.

    Networks and data are told by their settings in each run's study.yaml, not by their names. On
    stand-ins, with fewer weights or a shorter training a result is shown too, with what is not as
    in the paper. Numbers of parameters need no run.

    Example: `spinforge compare-paper --paper seranet --table 1`
    """
    from rich.console import Console

    from spinforge.evaluation.published.comparison import compare
    from spinforge.flows import paper_comparison
    from spinforge.flows.published_runs import scored_networks

    wanted = _tables(paper, table)
    for path, option in ((csv, "--csv"), (markdown, "--markdown")):
        if path is not None:
            _check_file(path, option)
    # Without --runs there need be none.
    is_asked = runs is not None or any(_RUNS.glob("*/study.yaml"))
    found, left_out = scored_networks(runs or _RUNS) if is_asked else ([], [])
    compared = compare(wanted, found)
    if csv is not None:
        _write(csv, paper_comparison.as_csv(compared))
    if markdown is not None:
        _write(markdown, paper_comparison.as_markdown(compared, left_out))
    if as_json:
        print_answer(paper_comparison.as_data(compared, left_out), as_json)
        return
    # Nobody resizes a pipe or a file: wide enough that little is folded.
    console = Console(width=None if Console().is_terminal else 120, highlight=False)
    console.print(paper_comparison.as_tables(compared, left_out, width=console.width))


def _tables(paper: str | None, table: str | None) -> list["PublishedTable"]:
    """Those that were asked for.

    Raises:
        SpinforgeError: If there is none.
    """
    from spinforge.evaluation.published.tables import published_tables

    of_paper = [t for t in published_tables() if paper in (None, t.id.split("-", 1)[0])]
    if table is None:
        return of_paper
    name = table.lower()
    found = [t for t in of_paper if name in (t.short, t.short.removeprefix("table-"), t.id)]
    if not found:
        known = ", ".join(dict.fromkeys(t.short for t in of_paper))
        raise SpinforgeError(f"--table {table}: no such table; choose one of {known}")
    return found


def _check_file(path: Path, option: str) -> None:
    from spinforge.flows.preflight import check_writable

    if path.is_dir():
        raise SpinforgeError(f"{option} {path} is a folder; name a file")
    check_writable(path.parent, option)


def _write(path: Path, text: str) -> None:
    from spinforge.datasets.storage.files import replacing

    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
