"""Tissue labels of procedural heads beside BrainWeb's, to judge by eye.

BrainWeb's voxels may not be redistributed: the picture is for the one who draws it.
"""

from pathlib import Path

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from spinforge.datasets.phantoms import BrainWeb20
from spinforge.simulation.phantoms.head import generate_head
from spinforge.simulation.tissue import HEAD_TISSUES

_COUNT = 3
_COLOURS = (
    "black #4db8ff #8a8a8a white #ffd700 #c0392b #e8a07a #f5f0c8 #ff2020 #c8b400 #7b3fb0 #2e8b57"
).split()
# Voxels of 1 mm: beside the midline, through the thalami, through the lateral ventricles.
_CUTS = {"sagittal": (0, 96), "coronal": (1, 112), "axial": (2, 92)}


def draw_panels(path: Path, models: Path) -> None:
    """Draw three cuts of three of our heads, and of three subjects of BrainWeb's."""
    source = BrainWeb20(models)
    ours = [generate_head(f"head-{index:03d}", seed=0) for index in range(_COUNT)]
    theirs = [source.load(subject) for subject in source.subjects()[:_COUNT]]
    figure = Figure(figsize=(16, 9), layout="constrained")
    axes = figure.subplots(_COUNT, 2 * len(_CUTS))
    colours = ListedColormap(_COLOURS)
    for row, pair in enumerate(zip(ours, theirs, strict=True)):
        panels = [(phantom, *cut) for phantom in pair for cut in _CUTS.items()]
        for panel, (phantom, name, (axis, index)) in zip(axes[row], panels, strict=True):
            plane = np.take(phantom.labels.numpy(), index, axis=axis)
            panel.imshow(
                plane.T, origin="lower", cmap=colours, vmin=-0.5, vmax=11.5, interpolation="nearest"
            )
            panel.set_title(f"{phantom.subject}, {name}", fontsize=9)
            panel.set_axis_off()
    patches = [
        Patch(facecolor=colour, edgecolor="grey", label=tissue.name.lower().replace("_", " "))
        for tissue, colour in zip(HEAD_TISSUES, _COLOURS, strict=True)
    ]
    figure.legend(handles=patches, loc="outside lower center", ncols=6)
    figure.suptitle("procedural heads (left), BrainWeb (right; do not redistribute)")
    figure.savefig(path, dpi=110)
