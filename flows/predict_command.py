"""The command that segments scans with trained networks."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from spinforge.flows.answer import print_answer
from spinforge.flows.options import AsJson


def predict(
    scans: Annotated[
        list[str],
        typer.Argument(
            metavar="SCAN...",
            help="NIfTI files of one scan, one a contrast (`t1=FILE` where the name does not say "
            "it); or one ISMRMRD or fastMRI file (.h5); or a set's folder or URL.",
        ),
    ],
    network: Annotated[
        list[Path],
        typer.Option(
            "--network", metavar="FILE", help="A network.pt; several answer together. Repeatable."
        ),
    ],
    to: Annotated[Path, typer.Option("--to", help="Folder for the label maps.")],
    subject: Annotated[
        list[str] | None,
        typer.Option("--subject", help="Of a set: such as head-003; all by default. Repeatable."),
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(metavar="GROUP", help="Of a set: corrupted images, such as corrupt/noise/3."),
    ] = None,
    brain: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Of NIfTI files: mask of the brain (1 inside), for networks "
            "that learned from brains without skull.",
        ),
    ] = None,
    view: Annotated[
        Literal["axial", "coronal", "sagittal"] | None,
        typer.Option(help="Slices to cut of images; by default those that fit training best."),
    ] = None,
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="Write the probability of each class too.")
    ] = False,
    uncertainty: Annotated[
        bool,
        typer.Option(
            "--uncertainty", help="Write entropy and mutual information of the networks too."
        ),
    ] = False,
    device: Annotated[
        Literal["auto", "cpu", "gpu"], typer.Option(help="Where to compute.")
    ] = "auto",
    batch_size: Annotated[
        int, typer.Option("--batch-size", min=1, max=1024, help="Slices at a time.")
    ] = 8,
    as_json: AsJson = False,
) -> None:
    """Segment a scan with trained networks; the label map lies in the scan's own space.

    Writes NAME_dseg.nii.gz and, last, NAME_dseg.json with the names and volumes of the classes and
    notes on whatever is unlike training. A scan in any orientation will do. docs/predict.md has
    more.

    Example: `spinforge predict sub-01_T1w.nii.gz --network network.pt --to labels`
    """
    from spinforge.flows.predict import Prediction
    from spinforge.flows.predict import predict as segment

    wanted = Prediction(
        scans=tuple(scans),
        networks=tuple(network),
        to=to,
        subjects=tuple(subject or ()),
        group=group,
        brain=brain,
        view=view,
        probabilities=probabilities,
        uncertainty=uncertainty,
        device=device,
        batch_size=batch_size,
    )
    print_answer(segment(wanted), as_json)
