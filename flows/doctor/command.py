"""`spinforge doctor`: what is wrong with an installation and its runs, and what to do."""

import json
import textwrap
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from spinforge.flows.doctor import installation
from spinforge.flows.doctor.examine import Check, examine
from spinforge.flows.doctor.finding import Finding, Place, study_content
from spinforge.flows.options import AsJson
from spinforge.simulation.errors import SpinforgeError

_COLOURS = {"warning": typer.colors.YELLOW, "problem": typer.colors.RED}
_WIDTH = 100


def doctor(
    path: Annotated[
        Path | None,
        typer.Argument(
            metavar="[RUNS|STUDY.yaml]",
            help="Folder of all runs, or a study file; the folder `runs` by default.",
        ),
    ] = None,
    deep: Annotated[
        bool, typer.Option("--deep", help="Compute every digest of the data sets again too.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check the installation, machine, servers and runs; says what to do; changes nothing.

    Of a study file also what would stop it. Exit code 1 if there is a problem.
    """
    findings = examine(place_of(path, deep=deep), _checks())
    counts = Counter(finding.status for finding in findings)
    if as_json:
        content = {"findings": [asdict(f) for f in findings], "problems": counts["problem"]}
        typer.echo(json.dumps(content, indent=2))
    else:
        _print(findings)
        typer.echo(
            f"{counts['problem']} problems, {counts['warning']} warnings, {counts['note']} notes, "
            f"{counts['ok']} ok"
        )
    raise typer.Exit(1 if counts["problem"] else 0)


def place_of(path: Path | None, *, deep: bool = False) -> Place:
    """What a path on the command line means.

    Raises:
        SpinforgeError: If it is not there.
    """
    if path is None:
        return Place(Path("runs"), deep=deep)
    if path.is_file():
        out = study_content(path).get("out", "runs")
        return Place(Path(str(out)).expanduser(), path, deep)
    if not path.is_dir():
        raise SpinforgeError(f"{path} is neither a folder of runs nor a study file")
    if (path / "study.yaml").is_file():  # the folder of one run
        return Place(path.parent, path / "study.yaml", deep)
    return Place(path, deep=deep)


def _checks() -> tuple[Check, ...]:
    """All checks, or those of the installation where the others cannot even be imported."""
    try:
        from spinforge.flows.doctor.checks import CHECKS
    except ImportError:
        return installation.CHECKS
    return CHECKS


def _print(findings: Sequence[Finding]) -> None:
    first = max(len(finding.check) for finding in findings) + 2
    indent = " " * (first + 9)
    for finding in findings:
        lines = textwrap.wrap(finding.what, _WIDTH - len(indent), break_long_words=False)
        status = typer.style(f"{finding.status:<9}", fg=_COLOURS.get(finding.status))
        typer.echo(f"{finding.check:<{first}}{status}{lines[0]}")
        for line in lines[1:]:
            typer.echo(indent + line)
        if finding.remedy:
            typer.echo(f"{indent}-> {finding.remedy}")
