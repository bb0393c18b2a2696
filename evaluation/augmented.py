"""A figure of what a network learns from: the same slices in several epochs, labels outlined."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Integer
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spinforge.evaluation.report.colours import TISSUE_COLOURS

_INCHES = 1.9

Panel = tuple[str, Float[np.ndarray, "height width"], Integer[np.ndarray, "height width"]]
"""Title, image and labels; below 0 where there is none."""


def augmentation_figure(title: str, rows: Sequence[Sequence[Panel]]) -> Figure:
    """A slice a row; each image on the grey scale of the first in its row.

    Args:
        title: Of the whole.
        rows: As many panels in each, drawn with the first axis downwards.
    """
    height, width = rows[0][0][1].shape
    columns = len(rows[0])
    size = (_INCHES * columns, (_INCHES * height / width + 0.3) * len(rows) + 0.5)
    figure = Figure(figsize=size, layout="constrained")
    figure.suptitle(title, fontsize=11)
    axes = figure.subplots(len(rows), columns, squeeze=False)
    for panels, places in zip(rows, axes, strict=True):
        top = float(np.quantile(panels[0][1], 0.999)) or 1.0
        for panel, axis in zip(panels, places, strict=True):
            _draw(axis, *panel, top=top)
    return figure


def _draw(axis: Axes, title: str, image: np.ndarray, labels: np.ndarray, *, top: float) -> None:
    axis.set_axis_off()
    axis.set_title(title, fontsize=8)
    axis.imshow(image, cmap="gray", vmin=0, vmax=top, interpolation="nearest")
    unknown = np.ma.masked_where(labels >= 0, np.ones_like(labels, dtype=float))
    axis.imshow(unknown, cmap="cool", vmin=0, vmax=1, alpha=0.25, interpolation="nearest")
    colours = list(TISSUE_COLOURS.values())
    for label in np.unique(labels[labels > 0]):
        # Something outlined must have an outside, or there is no line to draw. Of a contour the
        # extent is that of pixel centres.
        inside = np.pad(labels == label, 1).astype(float)
        extent = (-1, labels.shape[1], -1, labels.shape[0])
        colour = colours[(int(label) - 1) % len(colours)]
        axis.contour(inside, [0.5], colors=[colour], linewidths=0.6, extent=extent)
