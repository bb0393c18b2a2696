"""The command line: `spinforge --help`.

Heavy libraries are imported inside the commands, so that help and bad input answer at once.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperGroup

from spinforge.flows import environment
from spinforge.flows.answer import print_answer
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

    Example: `spinforge study studies/brainweb.yaml --set data.path=data/brainweb20`
    """
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
    """Simulate the k-space of every subject that is not in the dataset yet."""
    resolved = _checked_study(file, overrides, overwrite)
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
    resolved = _checked_study(file, overrides)
    from spinforge.flows.train import train as train_flow

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
    resolved = _checked_study(file, overrides)
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
    from spinforge.flows.report import report as report_flow

    with prefect_server():
        page = report_flow(resolved)
    print_answer({"report": page}, as_json)


@app.command()
def download(
    collection: Annotated[
        Literal["brainweb20", "brainweb0", "msles1", "msles2", "msles3", "images"],
        typer.Argument(help="What to download."),
    ],
    to: Annotated[
        Path | None,
        typer.Option(
            "--to", help="Folder for the files; data/brainweb20 or data/brainweb0 by default."
        ),
    ] = None,
    subject: Annotated[
        list[str] | None,
        typer.Option(
            "--subject", help="brainweb20: such as subject04; all twenty by default. Repeatable."
        ),
    ] = None,
    fuzzy: Annotated[
        bool, typer.Option("--fuzzy", help="Models: every tissue's fuzzy volume too.")
    ] = False,
    modality: Annotated[str, typer.Option(help="Images: t1, t2 or pd.")] = "t1",
    model: Annotated[str, typer.Option(help="Images: normal or msles2.")] = "normal",
    thickness: Annotated[int, typer.Option(help="Images: 1, 3, 5, 7 or 9 mm.")] = 1,
    noise: Annotated[int, typer.Option(help="Images: 0, 1, 3, 5, 7 or 9 %.")] = 3,
    inu: Annotated[int, typer.Option(help="Images: 0, 20 or 40 %.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Fetch BrainWeb's models and images (0.5 to 4 MB each) from BrainWeb itself.

    `brainweb20` are the twenty normal heads; `brainweb0` is BrainWeb's older single head (subject
    0), none of the twenty, `msles1` to `msles3` the same with mild, moderate and severe MS lesions,
    `images` BrainWeb's own simulated MRI of it: these go to one folder, data/brainweb0. What is
    there already is checked, not fetched again. Please cite BrainWeb when you use them, and do not
    redistribute them.
    """
    from spinforge.datasets import brainweb_collections as collections
    from spinforge.datasets.brainweb import SUBJECTS
    from spinforge.datasets.download import download_volumes
    from spinforge.flows.progress import progress_bar

    if subject and collection != "brainweb20":
        raise SpinforgeError(f"--subject belongs to brainweb20, not to {collection}.")
    if fuzzy and collection == "images":
        raise SpinforgeError("--fuzzy belongs to the models, not to images.")
    if collection == "brainweb20":
        volumes = collections.brainweb20_volumes(subject or SUBJECTS, fuzzy=fuzzy)
    elif collection == "images":
        settings = collections.image_settings(modality, model, thickness, noise, inu)
        volumes = [collections.image_volume(settings)]
    else:
        volumes = collections.subject0_volumes(
            "normal" if collection == "brainweb0" else collection, fuzzy=fuzzy
        )
    paths = []
    with progress_bar() as progress:
        bar = progress.add_task("downloading", total=len(volumes))
        folder = to or Path("data") / ("brainweb20" if collection == "brainweb20" else "brainweb0")
        for path in download_volumes(volumes, folder):
            paths.append(str(path))
            progress.advance(bar)
    print_answer({"files": paths}, as_json)


@app.command()
def verify(
    path: Annotated[
        str, typer.Argument(metavar="PATH", help="A dataset: its folder, or a URL such as s3://...")
    ],
    as_json: AsJson = False,
) -> None:
    """Compute every digest of a dataset again; exit code 1 if anything is not as it was written.

    Example: `spinforge verify runs/quickstart/dataset.zarr`
    """
    from spinforge.datasets.store import DatasetStore
    from spinforge.flows.verify import verify as verify_flow

    place = DatasetStore(path).path
    with prefect_server():
        problems = [str(problem) for problem in verify_flow(place)]
    if as_json or not problems:
        print_answer({"dataset": str(place), "problems": problems if as_json else "none"}, as_json)
    else:
        typer.echo("\n".join(problems))
    raise typer.Exit(1 if problems else 0)


@app.command()
def export(
    form: Annotated[
        Literal["ismrmrd", "fastmri", "bids"], typer.Argument(metavar="FORMAT", help="The format.")
    ],
    place: Annotated[
        str, typer.Argument(metavar="SET", help="A study file, or a dataset's folder or URL.")
    ],
    to: Annotated[Path, typer.Option("--to", help="Folder for the files; new or empty for bids.")],
    overrides: Overrides = None,
    group: Annotated[
        str | None,
        typer.Option(metavar="GROUP", help="Corrupted images instead, such as corrupt/noise/3."),
    ] = None,
    mask: Annotated[
        Literal["all", "fixed"],
        typer.Option(help="Raw data: every line, or those of the stored masks only."),
    ] = "all",
    as_json: AsJson = False,
) -> None:
    """Write a dataset as ISMRMRD, as fastMRI's HDF5, or as NIfTI in BIDS.

    Raw data (`ismrmrd`, `fastmri`) exist for k-space sets only and need `spinforge[ismrmrd]`; the
    `bids` tree has k-space as images of its magnitude, and labels under derivatives/.

    Example: `spinforge export bids runs/quickstart/dataset.zarr --to quickstart-bids`
    """
    from spinforge.flows.export import export_set
    from spinforge.flows.preflight import check_writable
    from spinforge.flows.set_of import set_of

    check_writable(to, "--to")
    store, split = set_of(place, overrides or [])
    wanted = store.within(group) if group else store
    files = [str(p) for p in export_set(wanted, form, to, mask=mask, split=split)]
    print_answer({"files": files}, as_json)


@app.command()
def card(
    place: Annotated[
        str, typer.Argument(metavar="SET", help="A study file, or a dataset's folder or URL.")
    ],
    to: Annotated[
        Path, typer.Option("--to", help="Page to write, with a .md beside it; a .md for that only.")
    ] = Path("card.html"),
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Write the data card of a dataset: what it holds, how it was made, slices to look at."""
    from spinforge.flows.card import write_card
    from spinforge.flows.preflight import check_writable
    from spinforge.flows.set_of import set_of

    check_writable(to.absolute().parent, "--to")
    store, split = set_of(place, overrides or [])
    print_answer({"files": [str(path) for path in write_card(store, to, split)]}, as_json)


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
    to: Annotated[Path, typer.Option("--to", help="Folder for the pictures.")] = Path("inspect"),
    as_json: AsJson = False,
) -> None:
    """Draw one subject of a study: tissues, k-space, mask, fields, coils and contrasts."""
    from spinforge.datasets.products.catalogue import maker_of
    from spinforge.flows.config import load_study
    from spinforge.flows.inspect_study import inspect_study
    from spinforge.flows.preflight import check_writable

    resolved = load_study(file, overrides or [])
    check_writable(to, "--to")
    maker_of(resolved.data).check()
    print_answer({"pictures": [str(p) for p in inspect_study(resolved, subject, to)]}, as_json)


def _checked_study(file: Path, overrides: list[str] | None, overwrite: bool = False) -> Any:
    """Read the study and find what would stop it, before anything heavy starts."""
    from spinforge.flows.config import load_study
    from spinforge.flows.preflight import check_study

    resolved = load_study(file, overrides or [])
    check_study(resolved, overwrite=overwrite)
    return resolved


def main() -> None:
    """Entry point of the `spinforge` command."""
    app()
