"""The command line: `spinforge --help`.

Heavy libraries are imported inside the commands, so that help and bad input answer at once.
"""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperGroup

from spinforge.flows import environment
from spinforge.flows.local_server import prefect_server
from spinforge.simulation.errors import SpinforgeError

environment.prepare()


class _Commands(TyperGroup):
    """The commands; bad input ends with one message and exit code 2, Ctrl-C with 130."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except SpinforgeError as error:
            typer.secho(f"error: {error}", fg=typer.colors.RED, err=True)
            raise typer.Exit(2) from None
        except KeyboardInterrupt:
            typer.echo(
                "\nstopped. What was finished is kept, nothing else; run the same command again "
                "to go on.",
                err=True,
            )
            raise typer.Exit(130) from None


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="From a digital brain to a trusted segmentation.\n\n"
    "Everything is said in one study file. Start with\n\n"
    "    spinforge study studies/quickstart.yaml\n\n"
    "and open runs/quickstart/report.html. Any value of the file can be changed on the command "
    "line: `--set data.noise.percent=20 --set training.epochs=5`. What is finished is never done "
    "twice; what was interrupted goes on where it was.",
)

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
    typer.Option("--overwrite", help="Replace a dataset that was made with another configuration."),
]
OnlyNetwork = Annotated[
    str | None, typer.Option("--network", metavar="NAME", help="Only this network of the study.")
]


@app.command()
def study(
    file: StudyFile,
    overrides: Overrides = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Run a whole study: generate, train, evaluate, report.

    Example: `spinforge study studies/brainweb.yaml --set data.path=brainweb20`
    """
    resolved = _checked_study(file, overrides, overwrite)
    from spinforge.flows.study import study as study_flow

    with prefect_server():
        result = study_flow(resolved, overwrite=overwrite)
    _answer(result, as_json)


@app.command()
def generate(
    file: StudyFile,
    overrides: Overrides = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Simulate the k-space of every subject that is not in the dataset yet."""
    resolved = _checked_study(file, overrides, overwrite)
    from spinforge.flows.generate import generate as generate_flow
    from spinforge.flows.run_folder import RunFolder

    with prefect_server():
        digest = generate_flow(resolved, overwrite=overwrite)
    dataset = str(RunFolder.of(resolved).store.path)
    _answer({"dataset": dataset, "dataset_digest": digest}, as_json)


@app.command()
def train(
    file: StudyFile,
    overrides: Overrides = None,
    network: OnlyNetwork = None,
    as_json: AsJson = False,
) -> None:
    """Train the study's networks on its dataset; goes on where it was stopped."""
    resolved = _checked_study(file, overrides)
    from spinforge.flows.train import train as train_flow

    with prefect_server():
        folders = train_flow(resolved, only=network)
    _answer({"networks": folders}, as_json)


@app.command()
def evaluate(
    file: StudyFile,
    overrides: Overrides = None,
    network: OnlyNetwork = None,
    as_json: AsJson = False,
) -> None:
    """Score the trained networks on the held-out subjects; writes tables (CSV, Parquet)."""
    resolved = _checked_study(file, overrides)
    from spinforge.flows.evaluate import evaluate as evaluate_flow
    from spinforge.flows.run_folder import RunFolder

    with prefect_server():
        dice = evaluate_flow(resolved, only=network)
    _answer({"dice": dice, "scores": str(RunFolder.of(resolved).evaluation)}, as_json)


@app.command()
def report(file: StudyFile, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Write the HTML report of an evaluated study again."""
    from spinforge.flows.config import load_study
    from spinforge.flows.preflight import check_writable
    from spinforge.flows.run_folder import RunFolder

    resolved = load_study(file, overrides or [])
    check_writable(RunFolder.of(resolved).path)  # the rest is for commands that compute
    from spinforge.flows.report import report as report_flow

    with prefect_server():
        page = report_flow(resolved)
    _answer({"report": page}, as_json)


@app.command()
def download(
    collection: Annotated[Literal["brainweb20"], typer.Argument(help="What to download.")],
    to: Annotated[Path, typer.Option("--to", help="Folder for the files.")] = Path(
        "data/brainweb20"
    ),
    subject: Annotated[
        list[str] | None,
        typer.Option("--subject", help="Such as subject04; all twenty by default. Repeatable."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Fetch BrainWeb's twenty anatomical models (about 3 MB each) from BrainWeb itself.

    Please cite BrainWeb when you use them, and do not redistribute them.
    """
    from spinforge.datasets.brainweb import SUBJECTS
    from spinforge.datasets.download import download_model
    from spinforge.flows.progress import progress_bar

    wanted = subject or list(SUBJECTS)
    paths = []
    with progress_bar() as progress:
        bar = progress.add_task("downloading", total=len(wanted))
        for name in wanted:
            paths.append(str(download_model(name, to)))
            progress.advance(bar)
    _answer({"files": paths}, as_json)


@app.command()
def info(
    path: Annotated[
        Path | None,
        typer.Argument(metavar="[PATH]", help="A study file or a dataset; nothing: this machine."),
    ] = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Describe a study file (what it would do), a dataset (what it holds), or this machine."""
    from spinforge.flows import describe

    if path is None:
        _answer(describe.machine(), as_json)
    elif path.is_dir():
        _answer(describe.dataset(path), as_json)
    else:
        from spinforge.flows.config import load_study

        _answer(describe.study(load_study(path, overrides or [])), as_json)


def _checked_study(file: Path, overrides: list[str] | None, overwrite: bool = False) -> Any:
    """Read the study and find what would stop it, before anything heavy starts."""
    from spinforge.flows.config import load_study
    from spinforge.flows.preflight import check_study

    resolved = load_study(file, overrides or [])
    check_study(resolved, overwrite=overwrite)
    return resolved


def _answer(content: dict[str, Any], as_json: bool) -> None:
    """Print the result of a command: JSON for a script, aligned lines for a person."""
    if as_json:
        typer.echo(json.dumps(content, indent=2))
        return
    for line in _lines(content):
        typer.echo(line)


def _lines(content: dict[str, Any], indent: str = "") -> list[str]:
    lines = []
    for key, value in content.items():
        if isinstance(value, dict):
            lines += [f"{indent}{key}:", *_lines(value, indent + "  ")]
        else:
            shown = f"{value:.4f}" if isinstance(value, float) else value
            shown = ", ".join(map(str, shown)) if isinstance(shown, list) else shown
            lines.append(f"{indent}{key + ':':<16} {shown}")
    return lines


def main() -> None:
    """Entry point of the `spinforge` command."""
    app()
