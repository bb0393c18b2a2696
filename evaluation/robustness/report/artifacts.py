"""The report's tables and figures by name, for stores of artifacts such as MLflow and Prefect."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spinforge.evaluation.robustness.content import RobustnessContent
from spinforge.evaluation.robustness.degradation import ALL_TRANSFORMS
from spinforge.evaluation.robustness.report.cases import METRICS
from spinforge.evaluation.robustness.report.plots import Values, finite_values
from spinforge.evaluation.robustness.report.results import (
    RobustnessResults,
    level_means,
    robustness_results,
)
from spinforge.evaluation.robustness.report.severity_words import SeverityAxis, severity_axis
from spinforge.evaluation.robustness.report.svg import NETWORK_COLOURS
from spinforge.evaluation.score import ALL

_MARKERS = "os^Dv+x|_"
_STYLES = ("-", "--")
_STYLE: dict[Any, Any] = {
    "text.parse_math": False,  # a "$" in a name is a "$"
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "font.size": 9,
    "savefig.facecolor": "white",
}

COLUMNS = 4
"""Small plots beside each other."""


def robustness_tables(
    content: RobustnessContent, results: RobustnessResults | None = None
) -> dict[str, pd.DataFrame]:
    """Tables of figures, each one row an entry.

    Args:
        content: Of the study.
        results: Of `robustness_results`, if they were computed before.

    Returns:
        "scores", "levels", "comparisons", "steps" (with regressions), "setbacks",
        "empty_masks" and "worst_cases" as in `RobustnessResults`; "ranks": protocol, model,
        mean_rank, the share of resamples of every rank, and Kendall's tau of the protocol.
    """
    found = results or robustness_results(content)
    ranks = [
        ranked.shares.add_prefix("rank_")
        .assign(mean_rank=ranked.mean_rank, kendall_tau=ranked.kendall_tau, protocol=protocol)
        .rename_axis("model")
        .reset_index()
        for protocol, ranked in found.ranks.items()
    ]
    return {
        "scores": found.scores,
        "levels": found.levels,
        "comparisons": found.comparisons,
        "ranks": pd.concat(ranks, ignore_index=True).rename_axis(columns=None),
        "steps": found.steps,
        "setbacks": found.setbacks,
        "empty_masks": found.empty_masks,
        "worst_cases": found.worst,
    }


def robustness_figures(
    content: RobustnessContent, results: RobustnessResults | None = None
) -> dict[str, Figure]:
    """Figures to save in any format; they are not registered with pyplot, so nothing to close.

    Args:
        content: Of the study.
        results: Of `robustness_results`, if they were computed before.

    Returns:
        "curves_METRIC" of the mean of tissues and "curves_METRIC_TISSUE": severity curves, a small
        plot a corruption; "boxes_METRIC_TISSUE": clean and each corruption at its strongest;
        "degradation": the score of Dice of every network, with its interval. Names hold letters,
        digits, ".", "_" and "-" only.
    """
    found = results or robustness_results(content)
    axes = severity_axes(found, content)
    figures = {}
    with mpl.rc_context(_STYLE):
        for metric in found.cases.present("metric"):
            for tissue in found.cases.present("class"):
                name = metric if tissue == ALL else f"{metric}_{tissue}"
                figures[_safe(f"curves_{name}")] = _curves(found, axes, metric, tissue)
                if tissue != ALL:
                    figures[_safe(f"boxes_{name}")] = _boxes(found, content, metric, tissue)
        figures["degradation"] = _degradation(found)
    return figures


def severity_axes(
    results: RobustnessResults, content: RobustnessContent
) -> dict[str, SeverityAxis]:
    """The severities of every transform, in words."""
    levels = results.levels[["transform", "severity"]].drop_duplicates()
    return {
        name: severity_axis(
            name,
            [int(level) for level in sorted(levels.loc[levels["transform"] == name, "severity"])],
            content.strengths,
        )
        for name in results.cases.present("transform")[1:]
    }


def strongest_severities(
    axes: Mapping[str, SeverityAxis], strengths: Mapping[tuple[str, int], str]
) -> dict[str, tuple[int, str]]:
    """Transform -> its largest severity, and that in words."""
    return {
        name: (axis.severities[-1], strengths.get((name, axis.severities[-1]), "strongest"))
        for name, axis in axes.items()
    }


def values_of(results: RobustnessResults, metric: str, tissue: str) -> Values:
    """Finite values of the first protocol, for boxes."""
    rows = results.cases.rows
    first = results.cases.present("protocol")[0]
    return finite_values(
        rows[(rows["metric"] == metric) & (rows["class"] == tissue) & (rows["protocol"] == first)]
    )


def _safe(name: str) -> str:
    return re.sub(r"[^\w.-]+", "_", name, flags=re.ASCII)


def _colour(position: int) -> str:
    colour = NETWORK_COLOURS[position % len(NETWORK_COLOURS)]
    return "black" if colour == "currentColor" else colour


def _grid(plots: int, width: float, height: float) -> tuple[Figure, list[Axes]]:
    columns = min(plots, COLUMNS)
    rows = math.ceil(plots / columns)
    figure = Figure(figsize=(width * columns, height * rows + 0.5), layout="constrained")
    drawn = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
    for unused in drawn[plots:]:
        unused.set_axis_off()
    return figure, list(drawn[:plots])


def _curves(
    results: RobustnessResults, axes: Mapping[str, SeverityAxis], metric: str, tissue: str
) -> Figure:
    figure, places = _grid(len(axes), 3.0, 2.4)
    protocols = results.cases.present("protocol")
    means = {name: level_means(results, name, metric, tissue) for name in protocols}
    for place, (name, axis) in zip(places, axes.items(), strict=True):
        at = {severity: k for k, severity in enumerate([0, *axis.severities])}
        for position, network in enumerate(results.cases.present("model")):
            for number, (protocol, rows) in enumerate(means.items()):
                here = rows[(rows["transform"] == name) & (rows["model"] == network)]
                here = here.sort_values("severity")
                x = [at[severity] for severity in here["severity"]]
                label = network if len(protocols) == 1 else f"{network}, {protocol}"
                place.plot(
                    x,
                    here["mean"],
                    color=_colour(position),
                    linestyle=_STYLES[number],
                    marker=_MARKERS[position % len(_MARKERS)],
                    markersize=4,
                    label=label,
                )
                place.fill_between(
                    x, here["low"], here["high"], color=_colour(position), alpha=0.16, linewidth=0
                )
        place.set_title(name)
        place.set_xticks(range(len(at)), ["clean", *axis.ticks])
        place.set_xlabel(axis.title)
        place.grid(axis="y", alpha=0.3)
    if places:
        places[0].set_ylabel(f"{METRICS[metric]}, {'mean of tissues' if tissue == ALL else tissue}")
        handles, labels = places[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    return figure


def _boxes(
    results: RobustnessResults, content: RobustnessContent, metric: str, tissue: str
) -> Figure:
    strongest = strongest_severities(severity_axes(results, content), content.strengths)
    values = values_of(results, metric, tissue)
    places = [("clean", 0), *((name, level) for name, (level, _) in strongest.items())]
    words = ["clean", *(f"{name}, {strength}" for name, (_, strength) in strongest.items())]
    networks = results.cases.present("model")
    figure = Figure(
        figsize=(6, 1 + 0.16 * len(places) * (len(networks) + 1.5)), layout="constrained"
    )
    axes = figure.add_subplot()
    step = len(networks) + 1.5
    for position, network in enumerate(networks):
        found = [values.get((*place, network), np.empty(0)) for place in places]
        drawn = axes.boxplot(
            found,
            positions=[row * step + position for row in range(len(places))],
            orientation="horizontal",
            widths=0.75,
            patch_artist=True,
            manage_ticks=False,
            flierprops={"marker": ".", "markersize": 3, "markeredgecolor": _colour(position)},
            medianprops={"color": "black"},
            label=[network] + [""] * (len(places) - 1),
        )
        for box in drawn["boxes"]:
            box.set(
                facecolor=mpl.colors.to_rgba(_colour(position), 0.4), edgecolor=_colour(position)
            )
    middle = (len(networks) - 1) / 2
    axes.set_yticks([row * step + middle for row in range(len(places))], words)
    axes.invert_yaxis()
    axes.set_xlabel(METRICS[metric])
    axes.set_title(tissue)
    axes.grid(axis="x", alpha=0.3)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=4, frameon=False)
    return figure


def _degradation(results: RobustnessResults) -> Figure:
    scores = results.scores
    known = scores[
        (scores["metric"] == "dice")
        & (scores["score"] == "degradation")
        & (scores["transform"] == ALL_TRANSFORMS)
    ]
    rows = {(row["model"], row["protocol"]): row for row in known.to_dict("records")}
    networks, protocols = results.cases.present("model"), results.cases.present("protocol")
    figure = Figure(figsize=(6, 1.2 + 0.35 * len(networks)), layout="constrained")
    axes = figure.add_subplot()
    for position, network in enumerate(networks):
        _intervals(axes, rows, network, position, protocols)
    axes.set_yticks(range(len(networks)), networks)
    axes.invert_yaxis()
    axes.axvline(0, color="black", linewidth=0.6)
    axes.set_xlabel("degradation score of Dice, mean of tissues and corruptions")
    axes.grid(axis="x", alpha=0.3)
    return figure


def _intervals(
    axes: Axes, rows: Mapping[Any, Any], network: str, position: int, protocols: Sequence[str]
) -> None:
    for number, protocol in enumerate(protocols):
        row = rows.get((network, protocol))
        if row is None:
            continue
        at = position + 0.2 * number
        axes.plot(
            [row["low"], row["high"]], [at, at], color=_colour(position), linestyle=_STYLES[number]
        )
        axes.plot(row["mean"], at, _MARKERS[position % len(_MARKERS)], color=_colour(position))
