"""Commands about data sets: fetch BrainWeb, verify, export, describe."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from spinforge.flows.answer import print_answer
from spinforge.flows.local_server import prefect_server
from spinforge.flows.options import AsJson, Overrides


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
    from spinforge.datasets.brainweb.collections import image_settings
    from spinforge.flows.download import chosen_volumes
    from spinforge.flows.download import download as download_flow

    image = image_settings(modality, model, thickness, noise, inu)
    subjects = tuple(subject or ())
    chosen_volumes(collection, subjects, fuzzy=fuzzy, image=image)  # says what there is not
    with prefect_server():
        paths = download_flow(collection, to, subjects, fuzzy, image)
    print_answer({"files": paths}, as_json)


def verify(
    path: Annotated[
        str, typer.Argument(metavar="PATH", help="A dataset: its folder, or a URL such as s3://...")
    ],
    as_json: AsJson = False,
) -> None:
    """Compute every digest of a dataset again; exit code 1 if anything is not as it was written.

    Example: `spinforge verify runs/quickstart/dataset.zarr`
    """
    from spinforge.datasets.storage.locations import METADATA
    from spinforge.datasets.storage.store import MANIFEST, DatasetStore
    from spinforge.flows.verify import verify as verify_flow

    store = DatasetStore(path)
    if not any(store.location.read(name) for name in (METADATA, MANIFEST)):
        store.attributes()  # says what there is instead of a set
    place = store.path
    with prefect_server():
        problems = [str(problem) for problem in verify_flow(place)]
    if as_json or not problems:
        print_answer({"dataset": str(place), "problems": problems if as_json else "none"}, as_json)
    else:
        typer.echo("\n".join(problems))
    raise typer.Exit(1 if problems else 0)


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
