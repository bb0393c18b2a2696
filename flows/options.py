"""Arguments that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

StudyFile = Annotated[
    Path, typer.Argument(metavar="FILE.yaml", help="Study file; see studies/ for examples.")
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change one value of the study, e.g. `--set out=/tmp/runs`. May be repeated.",
    ),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print the answer as JSON on standard output.")
]
Overwrite = Annotated[
    bool,
    typer.Option(
        "--overwrite",
        help="Replace what was made with another configuration; a dataset that is replaced loses "
        "its corruption sets (corrupt/).",
    ),
]
OnlyNetwork = Annotated[
    str | None, typer.Option("--network", metavar="NAME", help="Only this network of the study.")
]
