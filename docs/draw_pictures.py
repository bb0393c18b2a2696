"""Draw the picture of README from a finished quickstart run.

make demo && make pictures
"""

import sys
from pathlib import Path

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from spinforge.evaluation.report.colours import TISSUE_COLOURS
from spinforge.flows.config import load_study
from spinforge.flows.evaluate import read_predictions
from spinforge.flows.slices import scores_folder, study_slices

SLICE = 31
COLOURS = ListedColormap(["black", *TISSUE_COLOURS.values()])


def main(run: Path, out: Path) -> None:
    """One slice of the first test subject, from raw data to label map."""
    study = load_study(run / "study.yaml")
    slices = study_slices(study, "test")
    row = slices.index.index((slices.subjects[0], SLICE))
    mask = slices.line_mask(row)
    kspace = slices.kspace[row][0].abs().log().numpy()
    shown = dict(zip(("vmin", "vmax"), np.percentile(kspace, (2, 99.9)), strict=True))
    panels = [
        ("simulated k-space", kspace, {"cmap": "magma", **shown}),
        ("lines acquired", np.repeat(mask[:, None].numpy(), kspace.shape[1], 1), {"cmap": "gray"}),
        (
            "zero-filled image",
            slices[row]["image"].square().sum(0).sqrt().numpy(),
            {"cmap": "gray"},
        ),
        ("ground truth", slices.target[row].numpy(), {"cmap": COLOURS, "vmax": 3}),
        *[
            (
                f"{n.name}",
                read_predictions(scores_folder(study, n) / "predictions.npz")[row],
                {"cmap": COLOURS, "vmax": 3},
            )
            for n in study.networks
        ],
    ]
    figure = Figure(figsize=(2.0 * len(panels), 2.7), layout="constrained")
    for axis, (title, values, options) in zip(figure.subplots(1, len(panels)), panels, strict=True):
        axis.imshow(values.T, origin="lower", interpolation="nearest", **options)
        axis.set_title(title, fontsize=11)
        axis.set_axis_off()
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=90)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
