"""The command line: `spinforge --help`.

Heavy libraries are imported inside the commands, so that help and bad input answer at once.
"""

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from spinforge.flows import environment
from spinforge.flows.answer import print_answer
from spinforge.flows.compare_paper_command import compare_paper
from spinforge.flows.dashboard_command import dashboard
from spinforge.flows.data_commands import card, download, export, verify
from spinforge.flows.doctor.command import doctor
from spinforge.flows.local_server import prefect_server
from spinforge.flows.models_command import export_network, models
from spinforge.flows.offline.commands import collect, pack
from spinforge.flows.options import AsJson, OnlyNetwork, Overrides, Overwrite, StudyFile
from spinforge.flows.predict_command import predict
from spinforge.flows.prune_command import prune
from spinforge.flows.robustness_command import robustness
from spinforge.flows.serve_command import serve
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
        except PermissionError as error:
            typer.secho(
                f"error: no permission for {error.filename}. Change its rights or choose another "
                f"folder.",
                fg=typer.colors.RED,
                err=True,
            )
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


@app.command()
def study(
    file: StudyFile,
    overrides: Overrides = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Run a whole study: generate, train, evaluate, report; or every study of a list.

    Example: `spinforge study studies/brainweb.yaml --set data.path=data/brainweb20`

    A study file may have smaller budgets: `--set budget=smoke` takes minutes. A file with a list
    of `studies`, such as studies/smoke-all.yaml, runs them one after the other.
    """
    from spinforge.flows.suite_file import check_suite, is_suite, load_suite

    if is_suite(file):
        suite, studies = load_suite(file, overrides or [])
        check_suite(studies, overwrite=overwrite)
        from spinforge.flows.suite import suite as suite_flow

        with prefect_server():
            result = suite_flow(suite, studies, overwrite=overwrite)
        print_answer(result, as_json)
        return
    resolved = _checked_study(file, overrides, overwrite)
    from spinforge.flows.study import study as study_flow

    with prefect_server():
        result = study_flow(resolved, overwrite=overwrite)
    print_answer(result, as_json)


@app.command()
def generate(
    file: StudyFile,
    overrides: Overrides = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Make every subject of the study's product that is not in its dataset yet."""
    resolved = _checked_study(file, overrides, overwrite, trains=False)
    from spinforge.flows.generate import generate as generate_flow
    from spinforge.flows.run_folder import RunFolder

    with prefect_server():
        digest = generate_flow(resolved, overwrite=overwrite)
    dataset = str(RunFolder.of(resolved).store.path)
    print_answer({"dataset": dataset, "dataset_digest": digest}, as_json)


@app.command()
def corrupt(
    file: StudyFile,
    overrides: Overrides = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Make the study's corruption sets from its dataset, each beside it in the same store."""
    from spinforge.flows.config import load_study
    from spinforge.flows.corrupt import check_corruptions
    from spinforge.flows.corrupt import corrupt as corrupt_flow

    resolved = load_study(file, overrides or [])
    check_corruptions(resolved, overwrite=overwrite)
    with prefect_server():
        result = corrupt_flow(resolved, overwrite=overwrite)
    print_answer(result, as_json)


@app.command()
def train(
    file: StudyFile,
    overrides: Overrides = None,
    network: OnlyNetwork = None,
    as_json: AsJson = False,
) -> None:
    """Train the study's networks on its dataset; goes on where it was stopped."""
    resolved = _checked_study(file, overrides, only=network)
    from spinforge.flows.slices import checked_store
    from spinforge.flows.train import train as train_flow

    checked_store(resolved)
    with prefect_server():
        folders = train_flow(resolved, only=network)
    print_answer({"networks": folders}, as_json)


@app.command()
def evaluate(
    file: StudyFile,
    overrides: Overrides = None,
    network: OnlyNetwork = None,
    as_json: AsJson = False,
) -> None:
    """Score the trained networks on the held-out subjects; writes tables (CSV, Parquet)."""
    from spinforge.flows.config import load_study
    from spinforge.flows.preflight import check_evaluation

    resolved = load_study(file, overrides or [])
    check_evaluation(resolved, network)
    from spinforge.flows.evaluate import evaluate as evaluate_flow
    from spinforge.flows.run_folder import RunFolder

    with prefect_server():
        dice = evaluate_flow(resolved, only=network)
    print_answer({"dice": dice, "scores": str(RunFolder.of(resolved).evaluation)}, as_json)


@app.command()
def report(file: StudyFile, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Write the HTML report of an evaluated study again."""
    from spinforge.flows.config import load_study
    from spinforge.flows.preflight import check_writable
    from spinforge.flows.run_folder import RunFolder

    resolved = load_study(file, overrides or [])
    check_writable(RunFolder.of(resolved).path)  # the rest is for commands that compute
    from spinforge.flows.evaluate import study_scores
    from spinforge.flows.report import report as report_flow

    study_scores(resolved)
    with prefect_server():
        page = report_flow(resolved)
    print_answer({"report": page}, as_json)


@app.command()
def info(
    path: Annotated[
        str | None,
        typer.Argument(
            metavar="[PATH]",
            help="A study file, or a dataset's folder or URL; nothing: this machine.",
        ),
    ] = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Describe a study file (what it would do), a dataset (what it holds), or this machine."""
    from spinforge.flows import describe

    if path is None:
        print_answer(describe.machine(), as_json)
    elif "://" in path or Path(path).is_dir():
        print_answer(describe.dataset(path), as_json)
    else:
        from spinforge.flows.config import load_study

        print_answer(describe.study(load_study(Path(path), overrides or [])), as_json)


@app.command()
def inspect(
    file: StudyFile,
    overrides: Overrides = None,
    subject: Annotated[
        str | None, typer.Option("--subject", help="Whose pictures; the first one by default.")
    ] = None,
    training: Annotated[
        bool,
        typer.Option(
            "--training", help="Instead: slices of the study's set in several training epochs."
        ),
    ] = False,
    to: Annotated[Path, typer.Option("--to", help="Folder for the pictures.")] = Path("inspect"),
    as_json: AsJson = False,
) -> None:
    """Draw one subject of a study: tissues, k-space, mask, fields, coils and contrasts.

    With --training: what its networks learn from, augmented and freshly drawn as they will be.
    """
    from spinforge.datasets.products.catalogue import maker_of
    from spinforge.flows.config import load_study
    from spinforge.flows.inspect_study import inspect_study
    from spinforge.flows.inspect_training import inspect_training
    from spinforge.flows.preflight import check_writable

    resolved = load_study(file, overrides or [])
    check_writable(to, "--to")
    if training:
        if subject is not None:
            raise SpinforgeError("--subject does not go with --training, which shows the first one")
        print_answer({"pictures": [str(p) for p in inspect_training(resolved, to)]}, as_json)
        return
    maker_of(resolved.data).check()
    print_answer({"pictures": [str(p) for p in inspect_study(resolved, subject, to)]}, as_json)


def _checked_study(
    file: Path,
    overrides: list[str] | None,
    overwrite: bool = False,
    *,
    trains: bool = True,
    only: str | None = None,
) -> Any:
    """Read the study and find what would stop it, before anything heavy starts."""
    from spinforge.flows.config import load_study
    from spinforge.flows.preflight import check_study

    resolved = load_study(file, overrides or [])
    check_study(resolved, overwrite=overwrite, trains=trains, only=only)
    return resolved


for _command in (
    robustness,
    dashboard,
    predict,
    models,
    download,
    verify,
    export,
    card,
    pack,
    collect,
    prune,
    serve,
    doctor,
):
    app.command()(_command)
app.command("export-network")(export_network)
app.command("compare-paper")(compare_paper)


def main() -> None:
    """Entry point of the `spinforge` command."""
    app()
