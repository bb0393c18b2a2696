"""Learning curves and box plots as SVG that can stand inside the page.

Text, axes and medians are drawn in the colour of the surrounding text, so that they follow the
page into dark mode. Text stays text: it can be searched, and scales on a phone.
"""

import io
import math
import re
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
import pandas as pd
from jaxtyping import Float64
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.cbook import boxplot_stats
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator, ScalarFormatter

from spinforge.evaluation.report.colours import dash_style, network_colour
from spinforge.evaluation.report.content import NetworkReport
from spinforge.evaluation.score import VOLUME

CURVE_INCHES, BOX_INCHES = 4.4, 3.4
"""Widths; the page shows them a little larger, in two and in three columns."""

INK = "#010203"
"""Stands for the colour of the text; replaced by `currentColor` in the SVG."""

STYLE: dict[Any, Any] = {
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": INK,
    "grid.alpha": 0.18,
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "font.size": 9,
    "text.parse_math": False,  # a "$" in a name is a "$"
    "svg.fonttype": "none",
    "svg.hashsalt": "spinforge",  # the same page from the same content
}

LONGEST_NAME = 28
DISTANCE_TICKS_MM = (0, 1, 3, 10, 30, 100)

BoxMetric = Literal["dice", "hd95_mm"]
Values = Float64[np.ndarray, " slice"]


def learning_curves(networks: Sequence[NetworkReport]) -> list[Markup]:
    """Loss and validation Dice against epoch, all networks in each."""
    return [_loss_curves(networks), _dice_curves(networks)]


def _loss_curves(networks: Sequence[NetworkReport]) -> Markup:
    with mpl.rc_context(STYLE):
        figure, axes = _figure(CURVE_INCHES, 2.9, "Loss")
        for position, network in enumerate(networks):
            _curve(axes, network.history, "train_loss", position, alpha=0.45, width=1.0)
            _curve(axes, network.history, "validation_loss", position)
        axes.set_xlabel("epoch")
        axes.grid(axis="y")
        return _svg(figure, "loss", "Training loss (thin) and validation loss by epoch")


def _dice_curves(networks: Sequence[NetworkReport]) -> Markup:
    with mpl.rc_context(STYLE):
        figure, axes = _figure(CURVE_INCHES, 2.9, "Validation Dice, pooled")
        for position, network in enumerate(networks):
            history = network.history
            _curve(axes, history, "validation_dice_pooled", position)
            kept = network.kept_epoch, network.kept_dice
            axes.plot(*kept, "o", color=network_colour(position))
        axes.set_xlabel("epoch")
        axes.grid(axis="y")
        return _svg(figure, "dice", "Pooled validation Dice by epoch; a dot marks the epoch kept")


def _curve(
    axes: Axes,
    history: pd.DataFrame,
    column: str,
    position: int,
    *,
    alpha: float = 1.0,
    width: float = 1.7,
) -> None:
    """Draw one column against the epoch; epochs without a value are skipped."""
    known = history[history[column].notna()]
    axes.plot(
        known["epoch"],
        known[column],
        color=network_colour(position),
        dashes=dash_style(position),
        marker="." if len(known) < 4 else "",
        alpha=alpha,
        linewidth=width,
    )


def metric_boxes(
    scores: pd.DataFrame, networks: Sequence[str], tissues: Sequence[str], metric: BoxMetric
) -> list[Markup]:
    """Box plot of one per-slice metric for each tissue: one box per network, one scale for all.

    Boxes, medians and whiskers are those of all finite values. What does not fit on the scale is
    not drawn but counted beside the network's name: infinite distances, and Dice values so low
    that they would squeeze all boxes to lines.

    Args:
        scores: Rows of `score_slices`.
        networks: Names, from top to bottom.
        tissues: One figure each.
        metric: Which metric.
    """
    rows = scores[(scores["slice"] != VOLUME) & (scores["metric"] == metric)]
    groups = rows.dropna(subset=["value"]).groupby(["tissue", "network"])["value"]
    values = {key: group.to_numpy(dtype=np.float64) for key, group in groups}
    limits = _dice_limits(values.values()) if metric == "dice" else _distance_limits(rows["value"])
    return [
        _boxes(
            {name: values.get((tissue, name), np.empty(0)) for name in networks},
            tissue,
            metric,
            limits,
        )
        for tissue in tissues
    ]


def _dice_limits(groups: Iterable[Values]) -> tuple[float, float]:
    """From four box lengths below the lowest box, or the lowest value if that is higher, to 1."""
    lows = [0.95]
    for values in groups:
        q25, q75 = np.percentile(values, [25, 75])
        lows.append(max(float(values.min()), float(q25 - 4 * (q75 - q25))))
    return math.floor(20 * max(min(lows), 0.0)) / 20, 1.0


def _distance_limits(values: pd.Series) -> tuple[float, float]:
    """From 0 to beyond the largest finite distance [mm]."""
    finite = values[np.isfinite(values)]
    return 0.0, 1.15 * max(3.0, float(finite.max()) if len(finite) else 0.0)


def _boxes(
    values: dict[str, Values], tissue: str, metric: BoxMetric, limits: tuple[float, float]
) -> Markup:
    """One tissue, one horizontal box per network with the name above it."""
    label = "Dice" if metric == "dice" else "HD95 [mm]"
    with mpl.rc_context(STYLE):
        figure, axes = _figure(BOX_INCHES, 0.75 + 0.42 * len(values), tissue)
        if metric == "dice":
            margin = 0.02 * (limits[1] - limits[0])
            axes.set_xlim(limits[0] - margin, limits[1] + margin)
        else:
            _distance_axis(axes, limits[1])
        for position, (name, value) in enumerate(values.items()):
            _box(axes, value[np.isfinite(value)], position, limits[0])
            left_out = _left_out(value, limits[0])
            axes.text(
                0.01,
                position - 0.3,
                f"{_shortened(name)}{left_out}",
                transform=axes.get_yaxis_transform(),
                va="center",
            )
        axes.set_ylim(len(values) - 0.4, -0.6)
        axes.set_yticks([])
        axes.grid(axis="x")
        axes.set_xlabel(label)
        summary = f"{label} per slice of {tissue}, one box for each of: {', '.join(values)}"
        return _svg(figure, f"{metric}-{tissue}", summary)


def _left_out(values: Values, lowest: float) -> str:
    """Count the values that are not on the scale, for the label."""
    infinite, below = int(np.isinf(values).sum()), int((values < lowest).sum())
    return (f" (+{infinite} infinite)" if infinite else "") + (
        f" (+{below} below {lowest:.2f})" if below else ""
    )


def _box(axes: Axes, values: Values, position: int, lowest: float) -> None:
    """Draw the box of all values, which are finite, and the outliers from `lowest` on."""
    if not len(values):
        return
    (statistics,) = boxplot_stats(values)
    outliers = statistics["fliers"]
    statistics["fliers"] = outliers[outliers >= lowest]
    colour = network_colour(position)
    line = {"color": colour, "linewidth": 1.2}
    axes.bxp(
        [statistics],
        positions=[position + 0.12],
        orientation="horizontal",
        widths=0.4,
        patch_artist=True,
        boxprops={"facecolor": mpl.colors.to_rgba(colour, 0.3), "edgecolor": colour},
        whiskerprops=line,
        capprops=line,
        medianprops={"color": INK, "linewidth": 1.8},
        flierprops={"marker": ".", "markersize": 3, "markeredgecolor": colour},
        manage_ticks=False,
    )


def _distance_axis(axes: Axes, largest_mm: float) -> None:
    """Linear up to 1 mm, logarithmic beyond: most values are small, a few are huge."""
    axes.set_xscale("symlog", linthresh=1, linscale=0.6)
    axes.set_xlim(-0.05, largest_mm)
    axes.set_xticks([tick for tick in DISTANCE_TICKS_MM if tick <= largest_mm])
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_locator(NullLocator())


def _figure(width_inches: float, height_inches: float, title: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width_inches, height_inches), layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title)
    return figure, axes


def _shortened(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"


def _svg(figure: Figure, name: str, summary: str) -> Markup:
    """Render as an SVG element: scalable, described by `summary`, with ids of its own."""
    file = io.StringIO()
    metadata = dict.fromkeys(["Creator", "Date", "Format", "Type"])
    figure.savefig(file, format="svg", metadata=metadata)
    svg = file.getvalue()
    svg = svg[svg.index("<svg") :].replace(INK, "currentColor")
    svg = re.sub(r' (id="|xlink:href="#)', rf" \1{name}-", svg).replace("url(#", f"url(#{name}-")
    view_box = svg[svg.index('viewBox="') :].split('"')[1]
    opening = f'<svg role="img" aria-label="{escape(summary)}" viewBox="{view_box}">'
    # The opening tag ends at the first ">"; matplotlib escapes its texts, the summary is escaped.
    return Markup(opening + svg[svg.index(">") + 1 :])
