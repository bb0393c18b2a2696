"""Severity curves and boxes, each one small plot."""

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from spinforge.evaluation.robustness.long_table import CLEAN
from spinforge.evaluation.robustness.report import svg
from spinforge.evaluation.robustness.report.cases import METRICS
from spinforge.evaluation.robustness.report.severity_words import SeverityAxis

CURVE_HEIGHT, BOX_ROW = 190, 8

Point = tuple[int, svg.Number, svg.Number, svg.Number]
"""Severity, mean, and the ends of its interval."""

Values = Mapping[tuple[str, int, str], np.ndarray]
"""(transform, severity, network) -> finite values; clean is ("clean", 0, network)."""


def severity_curves(
    means: pd.DataFrame,
    networks: Sequence[str],
    axes: Mapping[str, SeverityAxis],
    protocols: Sequence[str],
    *,
    metric: str,
    tissue: str,
) -> list[str]:
    """A plot a transform: a line a network and protocol, with its interval, on one scale.

    Args:
        means: Of `level_means`, all protocols.
        networks: In the order of their colours.
        axes: Transform -> its severities.
        protocols: The first is solid, the second dashed.
        metric: Which metric these are of.
        tissue: Which tissue, in words.
    """
    low, high = _curve_limits(means, metric)
    scale = svg.Scale(low, high, CURVE_HEIGHT - svg.BOTTOM, svg.TOP)
    points = _points(means)
    plots = []
    for name, axis in axes.items():
        across = _across(axis)
        lines, words = [], []
        for position, network in enumerate(networks):
            # Beside each other, lest equal networks hide each other.
            aside = (position - (len(networks) - 1) / 2) * min(4.0, 20 / len(networks))
            for number, protocol in enumerate(protocols):
                curve = points.get((name, protocol, network))
                if not curve:
                    continue
                placed = [(across[point[0]] + aside, *point[1:]) for point in curve]
                lines.append(_curve(placed, scale, position, number, network))
                who = f"{network}, {protocol}" if len(protocols) > 1 else network
                words.append(f"{who} {curve[0][1]:.3g} to {curve[-1][1]:.3g}")
        summary = f"{METRICS[metric]}, {tissue}, against {name}: {'; '.join(words)}"
        parts = [svg.value_ticks(scale), _severity_ticks(axis, across, CURVE_HEIGHT), *lines]
        plots.append(svg.figure(CURVE_HEIGHT, summary, name, parts))
    return plots


def _points(means: pd.DataFrame) -> dict[tuple[str, str, str], list[Point]]:
    """(transform, protocol, network) -> severity, mean and interval, from the mildest on."""
    found: dict[tuple[str, str, str], list[Point]] = {}
    known = means[means["mean"].notna()].sort_values("severity")
    columns = ["transform", "protocol", "model", "severity", "mean", "low", "high"]
    for *key, severity, mean, low, high in known[columns].itertuples(index=False, name=None):
        found.setdefault((key[0], key[1], key[2]), []).append((severity, mean, low, high))
    return found


def _curve_limits(means: pd.DataFrame, metric: str) -> tuple[svg.Number, svg.Number]:
    """All means, and their intervals unless they reach farther than the means do together."""
    spread = means["mean"].max() - means["mean"].min()
    low = means["low"].clip(lower=means["mean"].min() - spread)
    high = means["high"].clip(upper=means["mean"].max() + spread)
    return svg.limits([*means["mean"], *low, *high], metric=metric)


def _across(axis: SeverityAxis) -> dict[int, svg.Number]:
    """Where each severity is; clean first."""
    steps = len(axis.severities)
    inner = (svg.WIDTH - svg.RIGHT - svg.LEFT - 20) / max(steps, 1)
    places = enumerate([0, *axis.severities])
    return {severity: svg.LEFT + 10 + k * inner for k, severity in places}


def _severity_ticks(
    axis: SeverityAxis, across: Mapping[int, svg.Number], height: svg.Number
) -> str:
    y = height - svg.BOTTOM + 14
    words = [svg.text(across[0], y, "clean", "m")]
    words += [
        svg.text(across[severity], y, tick, "m")
        for severity, tick in zip(axis.severities, axis.ticks, strict=True)
    ]
    middle = (across[0] + svg.WIDTH - svg.RIGHT) / 2
    return "".join(words) + svg.text(middle, height - 6, axis.title, "m q")


def _curve(
    points: Sequence[tuple[svg.Number, svg.Number, svg.Number, svg.Number]],
    scale: svg.Scale,
    position: int,
    protocol: int,
    name: str,
) -> str:
    """Line and band through places, means and ends of intervals."""
    line = [(x, scale(mean)) for x, mean, _, _ in points]
    known = [point for point in points if math.isfinite(point[2])]
    band = [(x, scale(high)) for x, _, _, high in known]
    back = [(x, scale(low)) for x, _, low, _ in reversed(known)]
    area = f'<path class="b" d="{svg.path(band + back)}z"/>' if len(known) > 1 else ""
    return (
        f'<g class="n{position} p{protocol}">{svg.text_title(name)}{area}'
        f'<path class="l" d="{svg.path(line)}"/></g>'
    )


def boxes_by_severity(
    values: Values,
    networks: Sequence[str],
    axes: Mapping[str, SeverityAxis],
    *,
    metric: str,
    tissue: str,
) -> list[str]:
    """A plot a transform: at every severity, a box a network of all its cases.

    Args:
        values: Of `finite_values`.
        networks: In the order of their colours.
        axes: Transform -> its severities.
        metric: Which metric these are of.
        tissue: Which tissue, in words.
    """
    found = {key: svg.box_of(value) for key, value in values.items()}
    scale = svg.Scale(*_box_limits(found.values(), metric), CURVE_HEIGHT - svg.BOTTOM, svg.TOP)
    plots = []
    for name, axis in axes.items():
        slot = (svg.WIDTH - svg.RIGHT - svg.LEFT - 20) / (len(axis.severities) + 1)
        across = {
            severity: svg.LEFT + 10 + slot * (k + 0.5)
            for k, severity in enumerate([0, *axis.severities])
        }
        width = min(0.8 * slot / len(networks), 14)
        parts = [svg.value_ticks(scale), _severity_ticks(axis, across, CURVE_HEIGHT)]
        for position, network in enumerate(networks):
            off = (position - (len(networks) - 1) / 2) * width
            placed = [
                (middle + off, box)
                for severity, middle in across.items()
                if (box := found.get((name if severity else CLEAN, severity, network)))
            ]
            if placed:
                drawn = svg.boxes(placed, scale, 0.8 * width, upright=True)
                parts.append(f'<g class="n{position}">{svg.text_title(network)}{drawn}</g>')
        summary = (
            f"{METRICS[metric]}, {tissue}, at every severity of {name}: boxes of "
            f"{', '.join(networks)}"
        )
        plots.append(svg.figure(CURVE_HEIGHT, summary, name, parts))
    return plots


def boxes_at_strongest(
    tissues: Mapping[str, Values],
    networks: Sequence[str],
    strongest: Mapping[str, tuple[int, str]],
    *,
    metric: str,
) -> list[str]:
    """A plot a tissue, on one scale: clean and each transform at its strongest, a box a network.

    Args:
        tissues: Tissue -> of `finite_values`.
        networks: In the order of their colours.
        strongest: Transform -> its largest severity, and that in words.
        metric: Which metric these are of.
    """
    places = [(CLEAN, 0), *((name, level) for name, (level, _) in strongest.items())]
    rows = ["clean", *(f"{name}, {words}" for name, (_, words) in strongest.items())]
    found = {
        tissue: [
            [svg.box_of(values.get((*place, network), np.empty(0))) for network in networks]
            for place in places
        ]
        for tissue, values in tissues.items()
    }
    every = [box for by_row in found.values() for boxes in by_row for box in boxes]
    low, high = _box_limits(every, metric)
    scale = svg.Scale(low, high, 8, svg.WIDTH - svg.RIGHT, logarithmic=metric != "dice")
    return [
        _rows_of_boxes(by_row, rows, networks, scale, metric=metric, tissue=tissue)
        for tissue, by_row in found.items()
    ]


def _rows_of_boxes(
    found: Sequence[Sequence[svg.Box | None]],
    rows: Sequence[str],
    networks: Sequence[str],
    scale: svg.Scale,
    *,
    metric: str,
    tissue: str,
) -> str:
    """One tissue; a group of boxes, one a network, under the words of each row."""
    group = 20 + BOX_ROW * len(networks)
    bottom = svg.TOP + group * len(rows)
    parts = [svg.ticks_below(scale, svg.TOP - 4, bottom)]
    tops = [svg.TOP + group * number for number in range(len(rows))]
    parts += [
        svg.text(8, top + 9, svg.shortened(words, 46))
        for top, words in zip(tops, rows, strict=True)
    ]
    for position, network in enumerate(networks):
        placed = [
            (top + 17 + BOX_ROW * position, box)
            for top, boxes in zip(tops, found, strict=True)
            if (box := boxes[position])
        ]
        if placed:
            drawn = svg.boxes(placed, scale, BOX_ROW - 2, upright=False)
            parts.append(f'<g class="n{position}">{svg.text_title(network)}{drawn}</g>')
    parts.append(svg.text(svg.WIDTH / 2, bottom + 30, METRICS[metric], "m q"))
    summary = f"{METRICS[metric]} of {tissue}: boxes of {', '.join(networks)} for {'; '.join(rows)}"
    return svg.figure(bottom + 36, summary, tissue, parts)


def _box_limits(boxes: Iterable[svg.Box | None], metric: str) -> tuple[svg.Number, svg.Number]:
    """From the lowest whisker or outlier, but of Dice no farther than four boxes below a box."""
    ends: list[svg.Number] = []
    for box in boxes:
        if box is None:
            continue
        reach = 4 * (box.q75 - box.q25)
        values = [box.low, box.high, *box.outliers]
        ends += [v for v in values if metric != "dice" or v >= box.q25 - reach]
    low, high = svg.limits(ends, metric=metric)
    return low, high


def finite_values(rows: pd.DataFrame) -> dict[tuple[str, int, str], np.ndarray]:
    """The finite values of one metric and class by transform, severity and network."""
    known = rows[rows["value"].notna()]
    groups = known.groupby(["transform", "severity", "model"], observed=True)["value"]
    return {
        (str(key[0]), int(str(key[1])), str(key[2])): values.to_numpy(np.float64)
        for key, values in groups
    }
