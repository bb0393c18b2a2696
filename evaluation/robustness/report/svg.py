"""Small plots as SVG text: hundreds of them fit into one page, where matplotlib's would not.

Colours, dashes and markers are classes that the page's style defines (`n0`, `n1`: the networks;
`p1`: the second protocol), so that plots follow the page into dark mode and print.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from spinforge.evaluation.report import colours

WIDTH = 320
"""Of every plot [SVG units]; the page shows them about as many CSS pixels wide."""

Number = float | int

LEFT, RIGHT, TOP, BOTTOM = 38, 10, 26, 38

NETWORK_COLOURS = (*colours.NETWORK_COLOURS, "currentColor", "#8A8A8A")
"""Eight that stay apart; a marker tells those apart that share one."""

MARKERS = (
    "M-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0z",
    "M-2.7-2.7h5.4v5.4h-5.4z",
    "M0-3.6L3.4 2.6H-3.4z",
    "M0-3.8L3.8 0L0 3.8L-3.8 0z",
    "M0 3.6L3.4-2.6H-3.4z",
    "M-3.5-1h2.5v-2.5h2v2.5h2.5v2h-2.5v2.5h-2v-2.5h-2.5z",
    "M-3.4-2L-2-3.4L0-1.4L2-3.4L3.4-2L1.4 0L3.4 2L2 3.4L0 1.4L-2 3.4L-3.4 2L-1.4 0z",
    "M-1.2-3.6h2.4v7.2h-2.4z",
    "M-3.6-1.2h7.2v2.4h-7.2z",
)
"""Outlines around 0, one a network; nine, so that colour and marker repeat together after 72."""


@dataclass(frozen=True)
class Scale:
    """A straight axis.

    Attributes:
        low: Value at the start.
        high: Value at the end.
        start: Where that is [SVG units].
        end: Likewise.
        logarithmic: Linear up to 1, logarithmic beyond.
    """

    low: Number
    high: Number
    start: Number
    end: Number
    logarithmic: bool = False

    def __call__(self, value: Number) -> Number:
        """Where a value lies; what is beyond the ends lies at them."""
        low, high, at = (self._bent(v) for v in (self.low, self.high, value))
        share = (at - low) / (high - low)
        return self.start + (self.end - self.start) * min(max(share, 0.0), 1.0)

    def _bent(self, value: Number) -> Number:
        return 1 + math.log10(value) * 1.4 if self.logarithmic and value > 1 else value

    def ticks(self) -> list[Number]:
        """Four to seven round values."""
        if self.logarithmic:
            return [tick for tick in (0, 1, 3, 10, 30, 100, 300) if self.low <= tick <= self.high]
        raw = (self.high - self.low) / 4.5
        power = 10.0 ** math.floor(math.log10(raw))
        step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * 0.999)
        first = math.ceil(self.low / step - 1e-6)
        count = math.floor(self.high / step + 1e-6) - first + 1
        return [round((first + k) * step, 10) for k in range(count)]


def limits(values: Iterable[Number], *, metric: str) -> tuple[Number, Number]:
    """Ends of an axis: Dice from below the lowest to 1 at most, distances from 0."""
    known = [value for value in values if math.isfinite(value)]
    if metric != "dice":
        return 0.0, 1.08 * max([1.0, *known])
    lowest = min([0.95, *known])
    highest = max([lowest + 0.02, *known])
    margin = 0.06 * (highest - lowest)
    return max(0.0, lowest - margin), min(max(1.0, highest), highest + margin)


def number(value: Number) -> str:
    """A coordinate with one decimal, as short as it can be."""
    text = f"{value:.1f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def path(points: Sequence[tuple[Number, Number]]) -> str:
    """A line through points; nothing through none."""
    return "M" + "L".join(f"{number(x)} {number(y)}" for x, y in points) if points else ""


def text(x: Number, y: Number, words: str, kind: str = "") -> str:
    """Words, escaped; `kind` is their class."""
    named = f' class="{kind}"' if kind else ""
    return f'<text x="{number(x)}" y="{number(y)}"{named}>{escape(words)}</text>'


def text_title(words: str) -> str:
    """What a pointer that rests on a part is told."""
    return f"<title>{escape(words)}</title>"


def figure(height: Number, summary: str, title: str, parts: Iterable[str]) -> str:
    """The SVG element, described in words for those who do not see it."""
    return (
        f'<svg class="plot" role="img" aria-label="{escape(summary)}" '
        f'viewBox="0 0 {WIDTH} {number(height)}">'
        f"{text(0, 12, shortened(title, 44), 't')}{''.join(parts)}</svg>"
    )


def shortened(words: str, longest: int) -> str:
    """Cut what is too long for its place."""
    return words if len(words) <= longest else words[: longest - 1] + "…"


def value_ticks(scale: Scale) -> str:
    """Grid lines and figures of a vertical axis of values."""
    lines = "".join(f"M{LEFT} {number(scale(t))}H{WIDTH - RIGHT}" for t in scale.ticks())
    words = (text(LEFT - 4, scale(tick) + 4, f"{tick:g}", "e") for tick in scale.ticks())
    return f'<path class="g" d="{lines}"/>{"".join(words)}'


def ticks_below(scale: Scale, top: Number, bottom: Number) -> str:
    """Grid lines and figures of a horizontal axis of values."""
    lines = "".join(f"M{number(scale(t))} {number(top)}V{number(bottom)}" for t in scale.ticks())
    words = (text(scale(tick), bottom + 13, f"{tick:g}", "m") for tick in scale.ticks())
    return f'<path class="g" d="{lines}"/>{"".join(words)}'


@dataclass(frozen=True)
class Box:
    """Quartiles, whiskers to the farthest value within 1.5 box lengths, and what lies beyond."""

    low: Number
    q25: Number
    median: Number
    q75: Number
    high: Number
    outliers: tuple[Number, ...]
    n: int


OUTLIERS = 8
"""Drawn of each box at most: the farthest ones."""


def box_of(values: np.ndarray) -> Box | None:
    """The box of finite values; None without any."""
    if not len(values):
        return None
    q25, median, q75 = np.percentile(values, [25, 50, 75])
    reach = 1.5 * (q75 - q25)
    inside = values[(values >= q25 - reach) & (values <= q75 + reach)]
    beyond = values[(values < q25 - reach) | (values > q75 + reach)]
    farthest = beyond[np.argsort(-np.abs(beyond - median), kind="stable")[:OUTLIERS]]
    ends = min(inside.min(), q25), max(inside.max(), q75)
    return Box(ends[0], q25, median, q75, ends[1], tuple(np.sort(farthest)), len(values))


def boxes(
    placed: Sequence[tuple[Number, Box]], scale: Scale, width: Number, *, upright: bool
) -> str:
    """Several boxes of one colour: outlines, medians and outliers, a path each.

    Args:
        placed: Where the middle of each box is, across the axis of values.
        scale: Axis of values.
        width: Of a box, across it.
        upright: Whether values run upwards; else to the right.
    """

    def point(value: Number, across: Number) -> str:
        along = number(scale(value))
        return f"{number(across)} {along}" if upright else f"{along} {number(across)}"

    outline, medians, dots = [], [], []
    for middle, box in placed:
        a, b = middle - width / 2, middle + width / 2
        outline.append(
            f"M{point(box.q25, a)}L{point(box.q25, b)}L{point(box.q75, b)}L{point(box.q75, a)}z"
            f"M{point(box.low, middle)}L{point(box.q25, middle)}"
            f"M{point(box.q75, middle)}L{point(box.high, middle)}"
        )
        medians.append(f"M{point(box.median, a)}L{point(box.median, b)}")
        dots += [f"M{point(v, middle)}h0" for v in box.outliers if scale.low <= v <= scale.high]
    found = f'<path class="x" d="{"".join(outline)}"/><path class="d" d="{"".join(medians)}"/>'
    return found + (f'<path class="o" d="{"".join(dots)}"/>' if dots else "")


def network_style(networks: int) -> str:
    """Style sheet: colour and marker of every network, by its position."""
    rules = []
    for position in range(networks):
        colour = NETWORK_COLOURS[position % len(NETWORK_COLOURS)]
        rules.append(f".n{position}{{--c:{colour}}}.n{position} .l{{marker:url(#k{position})}}")
        light = f".n{position}{{--c:color-mix(in srgb,{colour} 70%,white)}}"
        rules.append(f"@media screen and (prefers-color-scheme:dark){{{light}}}")
    return "\n".join(rules)


def marker_definitions(networks: int) -> str:
    """The markers that `network_style` names."""
    shapes = "".join(
        f'<marker id="k{position}" class="n{position}" viewBox="-4 -4 8 8" markerWidth="8" '
        f'markerHeight="8" markerUnits="userSpaceOnUse">'
        f'<path d="{MARKERS[position % len(MARKERS)]}"/></marker>'
        for position in range(networks)
    )
    return (
        f'<svg class="shapes" width="0" height="0" aria-hidden="true"><defs>{shapes}</defs></svg>'
    )
