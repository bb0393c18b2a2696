"""Charts of the dashboard: Vega-Lite through Altair, drawn in the browser.

Networks keep their colour, dash and marker whatever is filtered; texts and axes follow the page
into dark mode.
"""

import base64
import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from spinforge.evaluation.dashboard.choices import metric_name
from spinforge.evaluation.report.colours import BLUE, GREY, ORANGE, dash_style, network_colour

MARKERS = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross")

_NO_MENU = {"embedOptions": {"actions": False}}
_LINE_WIDTH = 2
_LONGEST_NAME, _MOST_UPRIGHT = 14, 4
_SHARES = {
    "dice", "jaccard", "pixel_accuracy", "mean_pixel_accuracy", "precision", "recall",
    "surface_dice_1mm", "ssim",
}  # fmt: skip
_NEAR_ONE = 0.9


def curve_limits(points: pd.DataFrame, metric: str) -> tuple[float, float]:
    """One scale for the curves of all corruptions; bands are cut at 0, of shares at 1."""
    values = points[["mean", "low", "high"]].to_numpy(np.float64)
    if not np.isfinite(values).any():
        return 0.0, 1.0
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    margin = max(0.05 * (high - low), 0.005)
    least = 0.0 if points["mean"].min() >= 0 else low - margin  # volumes may be too small
    if metric in _SHARES:  # none is above 1, whatever the end of its interval
        return max(least, low - margin), 1.0 if high > _NEAR_ONE else high + margin
    return max(least, low - margin), high + margin


def severity_curves(
    points: pd.DataFrame, networks: Sequence[str], metric: str, limits: tuple[float, float]
) -> alt.LayerChart:
    """Mean against severity of one corruption, one line a network, 95 % bands where there are.

    Args:
        points: Of `curve_points`, of one corruption, with the column regression: what is marked.
        networks: All of the study, in order; those without points are not drawn.
        metric: Its name.
        limits: Of the vertical axis.
    """
    levels = sorted({int(level) for level in points["severity"]})
    base = alt.Chart(points).encode(
        x=alt.X(
            "severity:Q",
            title="severity",
            scale=alt.Scale(domain=[levels[0] - 0.15, levels[-1] + 0.15], nice=False),
            axis=alt.Axis(
                values=levels,
                grid=False,
                labelExpr="datum.value == 0 ? 'clean' : format(datum.value, 'd')",
            ),
        ),
        color=alt.Color("model:N", scale=_colours(networks), legend=None),
    )
    scale = alt.Scale(domain=list(limits), zero=False, nice=False, clamp=True)
    band = base.mark_area(opacity=0.16).encode(
        y=alt.Y("low:Q", scale=scale, title=metric_name(metric)), y2="high:Q"
    )
    lines = base.mark_line(strokeWidth=_LINE_WIDTH).encode(
        y=alt.Y("mean:Q", scale=scale, axis=alt.Axis(format=".3~f", tickCount=5)),
        strokeDash=alt.StrokeDash("model:N", scale=_dashes(networks), legend=None),
    )
    dots = base.mark_point(filled=True, size=55, opacity=1).encode(
        y=alt.Y("mean:Q", scale=scale),
        shape=alt.Shape("model:N", scale=_shapes(networks), legend=None),
        tooltip=[
            alt.Tooltip("model:N", title="network"),
            alt.Tooltip("severity:Q", title="severity"),
            alt.Tooltip("mean:Q", title="mean", format=".4f"),
            alt.Tooltip("low:Q", title="95 % from", format=".4f"),
            alt.Tooltip("high:Q", title="to", format=".4f"),
            alt.Tooltip("clusters:Q", title="subjects"),
            alt.Tooltip("cases:Q", title="cases"),
            alt.Tooltip("undefined:Q", title="without a value"),
        ],
    )
    regressions = (
        base.transform_filter("datum.regression")
        .mark_text(text="▼", fontSize=14, dy=14)
        .encode(y=alt.Y("mean:Q", scale=scale))
    )
    layers = [band, lines, dots, regressions]
    return alt.LayerChart(layer=layers).properties(height=220, usermeta=_NO_MENU)


def heat_map(scores: pd.DataFrame, networks: Sequence[str], metric: str) -> alt.LayerChart:
    """Degradation of every network (column) under every corruption (row), the figure in each cell.

    Lighter is better; it is the number, not the colour, that has to be read.
    """
    transforms = list(dict.fromkeys(scores["transform"]))
    largest = max(float(scores["degradation"].max()), 1e-9)
    base = alt.Chart(scores).encode(
        x=_nominal("model", networks), y=_nominal("transform", transforms)
    )
    cells = base.mark_rect(stroke=GREY, strokeWidth=0.5).encode(
        color=alt.Color(
            "degradation:Q",
            scale=alt.Scale(
                domain=[0, largest], range=["#FFFFFF", BLUE], interpolate="rgb", clamp=True
            ),
            legend=None,
        ),
        tooltip=[
            alt.Tooltip("model:N", title="network"),
            alt.Tooltip("transform:N", title="corruption"),
            alt.Tooltip(
                "degradation:Q", title=f"degradation ({metric_name(metric)})", format=".4f"
            ),
            alt.Tooltip("overall:Q", title="overall", format=".4f"),
            alt.Tooltip("clean:Q", title="clean", format=".4f"),
            alt.Tooltip("cases:Q"),
        ],
    )
    texts = base.mark_text(fontSize=13).encode(
        text=alt.Text("degradation:Q", format=_digits(largest)),
        # White on the darkest quarter only: on middle blue black is read better.
        color=alt.condition(
            f"datum.degradation > {0.75 * largest}", alt.value("#FFFFFF"), alt.value("#000000")
        ),
    )
    return _grid(alt.LayerChart(layer=[cells, texts]), len(transforms))


def comparison_chart(matrix: pd.DataFrame, networks: Sequence[str]) -> alt.LayerChart:
    """Row less column in degradation; a mark says what may be claimed of the row."""
    marks = {"row degrades less": "▲ ", "row degrades more": "▼ "}
    largest = max(float(matrix["difference"].abs().max()), 1e-9)
    shown = matrix.assign(
        text=[
            marks.get(verdict, "") + _signed(difference, _digits(largest))
            for verdict, difference in zip(matrix["verdict"], matrix["difference"], strict=True)
        ]
    )
    base = alt.Chart(shown).encode(x=_nominal("column", networks), y=_nominal("row", networks))
    cells = base.mark_rect(stroke=GREY, strokeWidth=0.5).encode(
        color=alt.Color(
            "verdict:N",
            scale=alt.Scale(
                domain=["row degrades less", "row degrades more", "not shown", "equal", "too few"],
                range=[BLUE, ORANGE, "#E8E8E8", "#E8E8E8", "#E8E8E8"],
            ),
            legend=None,
        ),
        tooltip=[
            alt.Tooltip("row:N"),
            alt.Tooltip("column:N"),
            alt.Tooltip("difference:Q", format=".4f"),
            alt.Tooltip("p_holm:Q", title="p (Holm)", format=".3g"),
            alt.Tooltip("verdict:N"),
        ],
    )
    texts = base.mark_text(fontSize=13).encode(
        text="text:N",
        color=alt.condition(
            "datum.verdict == 'row degrades less'", alt.value("#FFFFFF"), alt.value("#000000")
        ),
    )
    return _grid(alt.LayerChart(layer=[cells, texts]), len(set(matrix["row"])))


def learning_curve(points: pd.DataFrame, networks: Sequence[str], metric: str) -> alt.Chart:
    """A tracked metric against the step, one line a run; columns run, network, step, value."""
    return (
        alt.Chart(points)
        .mark_line(point=alt.OverlayMarkDef(size=25), strokeWidth=_LINE_WIDTH)
        .encode(
            x=alt.X("step:Q", axis=alt.Axis(grid=False, tickMinStep=1)),
            y=alt.Y("value:Q", title=metric, scale=alt.Scale(zero=False)),
            detail="run:N",
            color=alt.Color("network:N", scale=_colours(networks), legend=None),
            strokeDash=alt.StrokeDash("network:N", scale=_dashes(networks), legend=None),
            tooltip=["network:N", "run:N", "step:Q", alt.Tooltip("value:Q", format=".4g")],
        )
        .properties(height=280, usermeta=_NO_MENU)
    )


def legend(networks: Mapping[str, str], order: Sequence[str], *, markers: bool = True) -> str:
    """A list of names, each beside its line, as HTML.

    Args:
        networks: Those shown -> what is said of them when pointed at.
        order: All of the study; the place decides colour, dash and marker.
        markers: Whether the lines have them.
    """
    items = [
        f'<span title="{escape(networks[name])}">{_swatch(place, markers)}{escape(name)}</span>'
        for place, name in enumerate(order)
        if name in networks
    ]
    return f'<div class="sf-legend">{"".join(items)}</div>'


def _swatch(place: int, markers: bool) -> str:
    colour = network_colour(place)
    dashes = " ".join(f"{_LINE_WIDTH * length:g}" for length in dash_style(place))
    line = (
        f'<line x1="0" x2="36" y1="8" y2="8" stroke="{colour}" stroke-width="{_LINE_WIDTH}" '
        f'stroke-dasharray="{dashes}"></line>'
    )
    marker = f'<path d="{_MARKER_PATHS[_marker(place)]}" fill="{colour}"></path>' if markers else ""
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 36 16" width="36" height="16">'
        f"{line}{marker}</svg>"
    )
    # A picture: Streamlit takes drawings out of HTML.
    source = base64.b64encode(svg.encode()).decode("ascii")
    return f'<img src="data:image/svg+xml;base64,{source}" width="36" height="16" alt="">'


_MARKER_PATHS = {
    "circle": "M13 8a5 5 0 1 0 10 0a5 5 0 1 0 -10 0z",
    "square": "M13.5 3.5h9v9h-9z",
    "triangle-up": "M12.5 13h11l-5.5 -10z",
    "diamond": "M18 2l5 6l-5 6l-5 -6z",
    "triangle-down": "M12.5 3h11l-5.5 10z",
    "cross": "M16 3h4v3h3v4h-3v3h-4v-3h-3v-4h3z",
}


def _marker(place: int) -> str:
    return MARKERS[place % len(MARKERS)]


def _colours(names: Sequence[str]) -> alt.Scale:
    return alt.Scale(domain=list(names), range=[network_colour(i) for i in range(len(names))])


def _dashes(names: Sequence[str]) -> alt.Scale:
    dashes = [[_LINE_WIDTH * length for length in dash_style(i)] for i in range(len(names))]
    return alt.Scale(domain=list(names), range=[dash or [1, 0] for dash in dashes])


def _shapes(names: Sequence[str]) -> alt.Scale:
    return alt.Scale(domain=list(names), range=[_marker(i) for i in range(len(names))])


def _nominal(column: str, order: Sequence[str]) -> Any:
    look: dict[str, Any] = {
        "labelLimit": 170, "labelFontSize": 13, "ticks": False, "domain": False,
        "labelOverlap": False,
    }  # fmt: skip
    if column not in ("model", "column"):
        return alt.Y(f"{column}:N", title=None, sort=list(order), axis=alt.Axis(**look))
    tilted = len(order) > _MOST_UPRIGHT or max(map(len, order), default=0) > _LONGEST_NAME
    axis = alt.Axis(labelAngle=-35 if tilted else 0, orient="top", **look)
    return alt.X(f"{column}:N", title=None, sort=list(order), axis=axis)


def _grid(chart: alt.LayerChart, rows: int) -> alt.LayerChart:
    return chart.properties(height=34 * rows + 60, usermeta=_NO_MENU)


def _digits(largest: float) -> str:
    """Three digits of the largest value."""
    return f".{min(5, max(0, 2 - math.floor(math.log10(largest))))}f"


def _signed(value: float, digits: str) -> str:
    return format(value, "+" + digits).replace("-", "\N{MINUS SIGN}")
