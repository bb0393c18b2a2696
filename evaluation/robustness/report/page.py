"""The robustness report: one HTML file that needs nothing else to be read.

The page holds every plot of every metric and tissue; a style sheet, and no script, shows those that
the reader chose. In print they are those of the mean of tissues.
"""

from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pandas as pd
from markupsafe import Markup

from spinforge.datasets.storage.files import replacing
from spinforge.evaluation.report import colours
from spinforge.evaluation.report.environment import FOLDER as SHARED
from spinforge.evaluation.report.environment import environment, relative_links
from spinforge.evaluation.robustness.content import RobustnessContent
from spinforge.evaluation.robustness.report import page_tables, plots, svg
from spinforge.evaluation.robustness.report.artifacts import (
    severity_axes,
    strongest_severities,
    values_of,
)
from spinforge.evaluation.robustness.report.cases import METRICS
from spinforge.evaluation.robustness.report.results import (
    RobustnessResults,
    level_means,
    robustness_results,
)
from spinforge.evaluation.robustness.report.units import reasons
from spinforge.evaluation.robustness.report.verdict import verdict
from spinforge.evaluation.robustness.report.worst_pictures import fitting_cases
from spinforge.evaluation.score import ALL

FOLDER = Path(__file__).parent

LARGEST = 1_950_000
"""Bytes of a page, below 2 MB."""

LEAST_FOR_PICTURES = 300_000
"""Bytes that plots leave to pictures, or else some plots are left out."""


class View(NamedTuple):
    """Plots of one tissue, the number of a radio button; `kind` is the metric, or "boxes"."""

    kind: str
    tissue: int
    plots: list[Markup]


def write_robustness_report(
    content: RobustnessContent, path: Path, results: RobustnessResults | None = None
) -> None:
    """Write the page, completely or not at all.

    Args:
        content: Everything on the page.
        path: The HTML file to create or replace.
        results: Of `robustness_results`, if they were computed before.

    Raises:
        SpinforgeError: As `robustness_results`.
        ValueError: If a linked file is not given by a relative path, or labels lack in a case that
            is shown.
    """
    links = relative_links(content.files)
    page = _page(content, results or robustness_results(content), links)
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8", newline="\n")


def _page(content: RobustnessContent, results: RobustnessResults, links: dict[str, str]) -> str:
    """Render, leaving out the plots of single tissues, then pictures, if they would not fit."""
    template = environment(FOLDER).get_template("robustness.html")
    context = _context(content, results) | {"links": links}
    curves, boxes = _curve_views(results, content), _box_views(results, content)
    for left_out, shown in (
        ("", {"curves": curves, "boxes": boxes}),
        ("boxes of single tissues", {"curves": curves, "boxes": _means_only(boxes)}),
        ("plots of single tissues", {"curves": _means_only(curves), "boxes": _means_only(boxes)}),
        ("plots by severity", {"curves": _means_only(curves), "boxes": []}),
    ):
        context |= shown | {"left_out_plots": left_out, "cases": [], "left_out_cases": 0}
        space = LARGEST - len(template.render(context).encode())
        if space >= LEAST_FOR_PICTURES:
            break
    # Of the space, headings and captions take some too.
    cases, lacking = fitting_cases(content, results.worst, space - 40_000)
    by_network = [
        (name, [case for case in cases if case.network == name])
        for name in results.cases.present("model")
    ]
    return template.render(context | {"cases": by_network, "left_out_cases": lacking})


def _means_only(views: list[View]) -> list[View]:
    return [view for view in views if view.tissue == 0]


def _context(content: RobustnessContent, results: RobustnessResults) -> dict[str, Any]:
    """Everything the template refers to but plots and pictures."""
    protocols = results.cases.present("protocol")
    networks = results.cases.present("model")
    tissues = results.cases.present("class")
    metrics = results.cases.present("metric")
    return {
        "content": content,
        "results": results,
        "style": Markup(
            "\n".join(
                [
                    (SHARED / "page.css").read_text(encoding="utf-8"),
                    (FOLDER / "robustness.css").read_text(encoding="utf-8"),
                    svg.network_style(len(networks)),
                    _view_style(metrics, len(tissues), len(networks)),
                ]
            )
        ),
        "markers": Markup(svg.marker_definitions(len(networks))),
        "networks": networks,
        "protocols": protocols,
        "metrics": {metric: METRICS[metric] for metric in metrics},
        "tissues": [_tissue_words(name) for name in tissues],
        "verdict": verdict(results, content.strengths),
        "corruptions": page_tables.corruptions_table(content, results),
        "strongest_boxes": _strongest_boxes(results, content),
        "score_tables": page_tables.score_tables(results, content.baseline),
        "no_unit": reasons(results.increases, content.baseline),
        "corruption_tables": page_tables.corruption_tables(results, content.baseline),
        "level_tables": page_tables.level_tables(results, content.strengths),
        "comparison_tables": [page_tables.comparison_table(results, name) for name in protocols],
        "rank_tables": [page_tables.rank_table(results, name) for name in protocols],
        "step_table": page_tables.step_table(results, content.strengths),
        "setback_table": page_tables.setback_table(results, content.strengths),
        "empty_mask_tables": page_tables.empty_mask_tables(results),
        "tissue_colours": colours.class_colours(content.classes),
        "error_colours": colours.ERROR_COLOURS,
        "runs": [
            (f"{model}, seed {seed}", run, urlsplit(run).scheme in ("http", "https"))
            for (model, seed), run in content.runs.items()
        ],
        "infinite": _infinite(results),
    }


def _infinite(results: RobustnessResults) -> int:
    """Slices or volumes with an infinite distance of any tissue, of all conditions together."""
    rows = results.cases.rows
    return int(rows.loc[rows["class"] == ALL, "infinite"].sum())


def _tissue_words(name: str) -> str:
    return "mean of tissues" if name == ALL else name


def _view_style(metrics: list[str], tissues: int, networks: int) -> str:
    """Show the plots whose radio buttons are chosen, and the networks whose boxes are ticked."""
    rules = [
        f"body:has(#metric-{metric}:checked):has(#tissue-{tissue}:checked) "
        f".view.{metric}-{tissue}{{display:grid}}"
        for metric in metrics
        for tissue in range(tissues)
    ]
    rules += [
        f"body:has(#tissue-{tissue}:checked) .view.boxes-{tissue}{{display:grid}}"
        for tissue in range(tissues)
    ]
    rules += [
        f"body:has(#net-{n}:not(:checked)) .plot .n{n}{{display:none}}" for n in range(networks)
    ]
    hidden = "body:has(#metric-dice) .view{display:none}"
    return "@media screen{" + "\n".join([hidden, *rules]) + "}"


def _curve_views(results: RobustnessResults, content: RobustnessContent) -> list[View]:
    protocols = results.cases.present("protocol")
    views = []
    for metric in results.cases.present("metric"):
        for position, tissue in enumerate(results.cases.present("class")):
            means = pd.concat([level_means(results, name, metric, tissue) for name in protocols])
            drawn = plots.severity_curves(
                means,
                results.cases.present("model"),
                severity_axes(results, content),
                protocols,
                metric=metric,
                tissue=_tissue_words(tissue),
            )
            views.append(View(metric, position, [Markup(plot) for plot in drawn]))
    return views


def _box_views(results: RobustnessResults, content: RobustnessContent) -> list[View]:
    """Of Dice: by severity, every tissue."""
    views = []
    for position, tissue in enumerate(results.cases.present("class")):
        drawn = plots.boxes_by_severity(
            values_of(results, "dice", tissue),
            results.cases.present("model"),
            severity_axes(results, content),
            metric="dice",
            tissue=_tissue_words(tissue),
        )
        views.append(View("boxes", position, [Markup(plot) for plot in drawn]))
    return views


def _strongest_boxes(
    results: RobustnessResults, content: RobustnessContent
) -> dict[str, list[Markup]]:
    """Of every metric, a plot a tissue."""
    strongest = strongest_severities(severity_axes(results, content), content.strengths)
    tissues = [name for name in results.cases.present("class") if name != ALL] or [ALL]
    networks = results.cases.present("model")
    found = {}
    for metric in results.cases.present("metric"):
        values = {_tissue_words(name): values_of(results, metric, name) for name in tissues}
        drawn = plots.boxes_at_strongest(values, networks, strongest, metric=metric)
        found[METRICS[metric]] = [Markup(plot) for plot in drawn]
    return found
