"""The commands about machines without network: carry a study there, bring its results back."""

from pathlib import Path
from typing import Annotated

import typer

from spinforge.flows.answer import print_answer
from spinforge.flows.local_server import prefect_server
from spinforge.flows.options import AsJson, Overrides, StudyFile
from spinforge.simulation.errors import SpinforgeError


def pack(
    file: StudyFile,
    to: Annotated[Path, typer.Option("--to", help="A new folder, or a file ending in .tar.")],
    overrides: Overrides = None,
    without_data: Annotated[
        bool, typer.Option("--without-data", help="Leave the dataset out; only its digest goes.")
    ] = False,
    python: Annotated[str, typer.Option(help="Version of Python on that machine.")] = "3.12",
    there: Annotated[
        Path | None,
        typer.Option(
            "--there",
            metavar="FILE",
            help="What `pip list --format=freeze` says there: it need not be carried.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Pack a study for a machine without network: code, data, packages to bring, how to run it.

    There, `python run.py` trains and evaluates, without Prefect and MLflow; `spinforge collect`
    brings the results home.

    Example: `spinforge pack studies/quickstart.yaml --to pack.tar`
    """
    from spinforge.flows.config import load_study
    from spinforge.flows.offline.pack import pack as write_pack
    from spinforge.flows.offline.requirements import names_in

    resolved = load_study(file, overrides or [])
    if python.count(".") != 1 or not all(part.isdigit() for part in python.split(".")):
        raise SpinforgeError(f"--python {python}: write it as 3.12")
    installed = frozenset() if there is None else names_in(_text_of(there), f"--there {there}")
    note = write_pack(resolved, to, with_data=not without_data, python=python, there=installed)
    print_answer(
        {
            "pack": str(to),
            "dataset_digest": note.dataset_digest,
            "networks": list(note.networks),
            "files": len(note.files),
        },
        as_json,
    )


def collect(
    file: StudyFile,
    results: Annotated[
        Path,
        typer.Option("--from", metavar="RESULTS", help="results.tar of a pack, or its folder."),
    ],
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Bring the results of a packed study into its run's folder and MLflow.

    They are checked to be of this study and its dataset. `spinforge report` then shows them.

    Example: `spinforge collect studies/quickstart.yaml --from results.tar`
    """
    from spinforge.flows.config import load_study
    from spinforge.flows.preflight import check_folders
    from spinforge.flows.run_folder import RunFolder

    resolved = load_study(file, overrides or [])
    check_folders(RunFolder.of(resolved))
    from spinforge.flows.offline.collect import collect as bring_home
    from spinforge.flows.offline.collect import record

    note = bring_home(resolved, results)
    with prefect_server():
        dice = record(resolved, note)
    print_answer({"dice": dice, "scores": str(RunFolder.of(resolved).evaluation)}, as_json)


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SpinforgeError(f"--there {path} cannot be read: {error}") from error
