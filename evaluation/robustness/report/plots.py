"""Severity curves and boxes, each one small plot."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from spinforge.evaluation.robustness.long_table import CLEAN
from spinforge.evaluation.robustness.report import svg
from spinforge.evaluation.robustness.report.cases import METRICS
from spinforge.evaluation.robustness.report.severity_words import SeverityAxis

CURVE_HEIGHT, BOX_ROW = 190, 8


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
    by_curve = dict(list(means.groupby(["transform", "protocol", "model"])))
    plots = []
    for name, axis in axes.items():
        across = _across(axis)
        lines, words = [], []
        for position, network in enumerate(networks):
            for number, protocol in enumerate(protocols):
                rows = by_curve.get((name, protocol, network))
                if rows is None or rows["mean"].isna().all():
                    continue
                rows = rows.sort_values("severity")
                lines.append(_curve(rows, across, scale, position, number, network))
                words.append(_in_words(rows, network, protocol if len(protocols) > 1 else ""))
        summary = f"{METRICS[metric]}, {tissue}, against {name}: {'; '.join(words)}"
        parts = [svg.value_ticks(scale), _severity_ticks(axis, across, CURVE_HEIGHT), *lines]
        plots.append(svg.figure(CURVE_HEIGHT, summary, name, parts))
    return plots


def _curve_limits(means: pd.DataFrame, metric: str) -> tuple[float, float]:
    """All means, and their intervals unless they reach farther than the means do together."""
    spread = means["mean"].max() - means["mean"].min()
    low = means["low"].clip(lower=means["mean"].min() - spread)
    high = means["high"].clip(upper=means["mean"].max() + spread)
    return svg.limits([*means["mean"], *low, *high], metric=metric)


def _across(axis: SeverityAxis) -> dict[int, float]:
    """Where each severity is; clean first."""
    steps = len(axis.severities)
    inner = (svg.WIDTH - svg.RIGHT - svg.LEFT - 20) / max(steps, 1)
    places = enumerate([0, *axis.severities])
    return {severity: svg.LEFT + 10 + k * inner for k, severity in places}


def _severity_ticks(axis: SeverityAxis, across: Mapping[int, float], height: float) -> str:
    y = height - svg.BOTTOM + 14
    words = [svg.text(across[0], y, "clean", "m")]
    words += [
        svg.text(across[severity], y, tick, "m")
        for severity, tick in zip(axis.severities, axis.ticks, strict=True)
    ]
    middle = (across[0] + svg.WIDTH - svg.RIGHT) / 2
    return "".join(words) + svg.text(middle, height - 6, axis.title, "m q")


def _curve(
    rows: pd.DataFrame,
    across: Mapping[int, float],
    scale: svg.Scale,
    position: int,
    protocol: int,
    name: str,
) -> str:
    known = rows[rows["mean"].notna()]
    x = [across[int(severity)] for severity in known["severity"]]
    line = [(at, scale(mean)) for at, mean in zip(x, known["mean"], strict=True)]
    banded = known[known["low"].notna()]
    ends = [across[int(severity)] for severity in banded["severity"]]
    band = [(at, scale(end)) for at, end in zip(ends, banded["high"], strict=True)]
    back = [(at, scale(end)) for at, end in zip(ends, banded["low"], strict=True)][::-1]
    area = f'<path class="b" d="{svg.path(band + back)}z"/>' if band else ""
    return (
        f'<g class="n{position} p{protocol}">{svg.text_title(name)}{area}'
        f'<path class="l" d="{svg.path(line)}"/></g>'
    )


def _in_words(rows: pd.DataFrame, network: str, protocol: str) -> str:
    known = rows[rows["mean"].notna()]
    first, last = known["mean"].iloc[0], known["mean"].iloc[-1]
    who = f"{network}, {protocol}" if protocol else network
    return f"{who} {first:.3g} to {last:.3g}"


def boxes_by_severity(
    values: Mapping[tuple[str, int, str], np.ndarray],
    networks: Sequence[str],
    axes: Mapping[str, SeverityAxis],
    *,
    metric: str,
    tissue: str,
) -> list[str]:
    """A plot a transform: at every severity, a box a network of all its cases.

    Args:
        values: (transform, severity, network) -> finite values; clean is ("clean", 0, network).
        networks: In the order of their colours.
        axes: Transform -> its severities.
        metric: Which metric these are of.
        tissue: Which tissue, in words.
    """
    found = {key: svg.box_of(value) for key, value in values.items()}
    scale = svg.Scale(*_box_limits(found.values(), metric), CURVE_HEIGHT - svg.BOTTOM, svg.TOP)
    plots = []
    for name, axis in axes.items():
        across = _across(axis)
        slot = (svg.WIDTH - svg.RIGHT - svg.LEFT - 20) / (len(axis.severities) + 1)
        middles = {
            severity: svg.LEFT + 10 + slot * (k + 0.5)
            for k, severity in enumerate([0, *axis.severities])
        }
        across = middles
        width = min(0.8 * slot / len(networks), 14)
        parts = [svg.value_ticks(scale), _severity_ticks(axis, across, CURVE_HEIGHT)]
        for position, network in enumerate(networks):
            off = (position - (len(networks) - 1) / 2) * width
            placed = [
                (middle + off, box)
                for severity, middle in middles.items()
                if (box := found.get((name if severity else CLEAN, severity, network)))
            ]
            if placed:
                drawn = svg.boxes(placed, scale, 0.8 * width, upright=True)
                parts.append(f'<g class="n{position}">{svg.text_title(network)}{drawn}</g>')
        summary = f"{METRICS[metric]}, {tissue}, at every severity of {name}: boxes of {', '.join(networks)}"
        plots.append(svg.figure(CURVE_HEIGHT, summary, name, parts))
    return plots


def boxes_at_strongest(
    values: Mapping[tuple[str, int, str], np.ndarray],
    networks: Sequence[str],
    strongest: Mapping[str, tuple[int, str]],
    *,
    metric: str,
    tissue: str,
) -> str:
    """One plot of a tissue: clean and each transform at its strongest, a box a network.

    Args:
        values: As for `boxes_by_severity`.
        networks: In the order of their colours.
        strongest: Transform -> its largest severity, and that in words.
        metric: Which metric these are of.
        tissue: Which tissue, in words.
    """
    rows = [(CLEAN, 0, "clean"), *((name, *what) for name, what in strongest.items())]
    found = {
        (name, network): svg.box_of(values.get((name, severity, network), np.empty(0)))
        for name, severity, _ in rows
        for network in networks
    }
    group = 20 + BOX_ROW * len(networks)
    bottom = svg.TOP + group * len(rows)
    low, high = _box_limits(found.values(), metric)
    scale = svg.Scale(low, high, 8, svg.WIDTH - svg.RIGHT, logarithmic=metric != "dice")
    parts = [svg.ticks_below(scale, svg.TOP - 4, bottom)]
    placed: dict[str, list[tuple[float, svg.Box]]] = {network: [] for network in networks}
    for number, (name, _, words) in enumerate(rows):
        top = svg.TOP + group * number
        label = words if name == CLEAN else f"{name}, {words}"
        parts.append(svg.text(8, top + 9, svg.shortened(label, 46)))
        for position, network in enumerate(networks):
            if box := found[name, network]:
                placed[network].append((top + 17 + BOX_ROW * position, box))
    for position, network in enumerate(networks):
        if placed[network]:
            drawn = svg.boxes(placed[network], scale, BOX_ROW - 2, upright=False)
            parts.append(f'<g class="n{position}">{svg.text_title(network)}{drawn}</g>')
    parts.append(svg.text(svg.WIDTH / 2, bottom + 30, METRICS[metric], "m q"))
    summary = (
        f"{METRICS[metric]} of {tissue}: boxes of {', '.join(networks)} for clean images and for "
        f"{', '.join(strongest)} at the strongest level"
    )
    return svg.figure(bottom + 36, summary, tissue, parts)


def _box_limits(boxes: object, metric: str) -> tuple[float, float]:
    """From the lowest whisker or outlier, but of Dice no farther than four boxes below a box."""
    ends: list[float] = []
    for box in boxes:  # type: ignore[attr-defined]
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
        (str(name), int(severity), str(model)): values.to_numpy(np.float64)
        for (name, severity, model), values in groups
        if math.isfinite(severity)
    }
