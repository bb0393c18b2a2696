"""The commands about networks: list them all or one's settings; write trained ones as files."""

import re
from pathlib import Path
from typing import Annotated, Literal

import typer

from spinforge.flows.answer import print_answer
from spinforge.flows.options import AsJson, OnlyNetwork, Overrides, StudyFile
from spinforge.simulation.errors import SpinforgeError

_LARGEST_EXPORT = 4096
"""Height and width [pixel]; more takes all memory before it is clear that it will not do."""


def models(
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="One network, or kind of network: its settings."),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(metavar="HxW", help="Count for images of this size, such as 256x256."),
    ] = None,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the list as tables for a page.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List every network: parameters, cost, smallest image, how a study names it.

    With a name, show all that may be set of that network.

    Example: `spinforge models crdn-vgg16-lstm`
    """
    from rich.console import Console

    from spinforge.flows import network_list, network_settings

    if markdown and (as_json or name):
        raise SpinforgeError("--markdown is for the whole list, and not together with --json.")
    wanted = None if size is None else _size(size)
    # Nobody resizes a pipe or a file: wide enough that little is folded.
    console = Console(width=None if Console().is_terminal else 120, highlight=False)
    if name is not None:
        (row,) = network_list.count_networks(wanted, [network_settings.find_network(name)])
        if as_json:
            print_answer(network_settings.as_data(row), as_json)
        else:
            console.print(network_settings.as_table(row, wanted))
        return
    rows = network_list.count_networks(wanted)
    if as_json:
        print_answer(network_list.as_data(rows, wanted), as_json)
    elif markdown:
        typer.echo(network_list.as_markdown(rows, wanted))
    else:
        console.print(network_list.as_tables(rows, wanted, width=console.width))


def export_network(
    file: StudyFile,
    form: Annotated[
        Literal["onnx", "program"],
        typer.Option("--as", help="ONNX, or a program of PyTorch's torch.export."),
    ],
    to: Annotated[Path, typer.Option("--to", help="Folder for NAME.onnx or NAME.pt2.")],
    overrides: Overrides = None,
    network: OnlyNetwork = None,
    size: Annotated[
        str | None,
        typer.Option(metavar="HxW", help="Of the images; by default as in training."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write a study's trained networks, with their preprocessing, for other programs.

    Each file is compared with its network before it gets its name. ONNX needs `spinforge[onnx]` and
    is for networks of images.

    Example: `spinforge export-network studies/quickstart.yaml --as onnx --to exported`
    """
    from spinforge.flows.config import load_study
    from spinforge.flows.preflight import check_writable

    wanted = None if size is None else _size(size)
    if wanted is not None and max(wanted) > _LARGEST_EXPORT:
        raise SpinforgeError(
            f"--size {size}: a network is traced at this size, and {_LARGEST_EXPORT} pixels a side "
            f"are the most"
        )
    resolved = load_study(file, overrides or [])
    check_writable(to, "--to")
    from spinforge.flows.network_export import export_networks

    written = export_networks(resolved, form, to, only=network, size=wanted)
    files = {
        str(path): {"largest_difference": agreement.difference, "other_labels": agreement.different}
        for path, agreement in written
    }
    print_answer({"files": files}, as_json)


def _size(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", text)
    if found is None:
        raise SpinforgeError(
            f"--size {text}: write height and width in pixels as HxW, e.g. 256x256"
        )
    return int(found[1]), int(found[2])
