"""The report: one HTML file that needs nothing else to be read."""

from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup

from spinforge.datasets.storage.files import replacing
from spinforge.evaluation.empty_masks import count_mask_cases
from spinforge.evaluation.report import colours, pictures, plots, tables
from spinforge.evaluation.report.cases import RankedCase, ranked_cases
from spinforge.evaluation.report.content import ExampleSlice, ReportContent
from spinforge.evaluation.report.environment import FOLDER, environment, relative_links
from spinforge.evaluation.report.panels import Panel, Row, compared_panels
from spinforge.evaluation.score import ALL, VOLUME, summarise
from spinforge.models.training.columns import HISTORY_COLUMNS


def write_report(content: ReportContent, path: Path) -> None:
    """Write the page, completely or not at all.

    Args:
        content: Everything on the page.
        path: The HTML file to create or replace.

    Raises:
        ValueError: If networks and scores do not fit together, a history lacks a column, or a
            linked file is not given by a relative path.
    """
    _check(content)
    page = environment().get_template("page.html").render(_context(content))
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _check(content: ReportContent) -> None:
    """Refuse what would make a page that lies or breaks."""
    names = [network.name for network in content.networks]
    scored = list(content.scores["network"].unique())
    if len(set(names)) < len(names) or set(names) != set(scored):
        raise ValueError(f"need scores of exactly the networks {names}, got {scored}")
    for network in content.networks:
        missing = set(HISTORY_COLUMNS) - set(network.history.columns)
        if missing:
            raise ValueError(f"history of {network.name!r} lacks the columns {sorted(missing)}")
    relative_links(content.files)


def _context(content: ReportContent) -> dict[str, Any]:
    """Everything the template refers to."""
    names = [network.name for network in content.networks]
    test = content.scores[content.scores["slice"] != VOLUME]
    subjects = sorted(test["subject"].unique())
    summary = tables.Summary(summarise(content.scores))
    return {
        "content": content,
        "style": Markup((FOLDER / "page.css").read_text(encoding="utf-8")),
        "verdict": _verdict(summary, names, test),
        "subjects": subjects,
        "dice_table": tables.dice_table(summary, names, len(subjects)),
        "other_table": tables.other_metrics_table(summary, names),
        "error_table": tables.kinds_of_error_table(summary, names),
        "confidence_table": tables.confidence_and_image_table(summary, names),
        "network_table": tables.network_table(content.networks),
        "counts_table": tables.counts_table(
            count_mask_cases(content.scores), summary.tissues, names
        ),
        "examples": [_example_row(content, n) for n in range(len(content.examples))],
        "curves": plots.learning_curves(content.networks),
        "dice_boxes": plots.metric_boxes(content.scores, names, summary.tissues, "dice"),
        "distance_boxes": plots.metric_boxes(content.scores, names, summary.tissues, "hd95_mm"),
        "cases": [(name, _case_rows(content, position)) for position, name in enumerate(names)],
        "network_colours": [
            (
                name,
                colours.network_colour(position),
                " ".join(map(str, colours.dash_style(position))),
            )
            for position, name in enumerate(names)
        ],
        "tissue_colours": colours.class_colours(content.classes),
        "error_colours": colours.ERROR_COLOURS,
        "links": relative_links(content.files),
    }


def _verdict(summary: tables.Summary, names: list[str], test: pd.DataFrame) -> str:
    """Say the result in one sentence."""
    means = {name: summary.average_dice(name) for name in names}
    known = {name: mean for name, mean in means.items() if mean == mean}
    n_slices = len(test[["subject", "slice"]].drop_duplicates())
    where = f"{n_slices} slices of {test['subject'].nunique()} test volumes"
    if not known:
        return f"No tissue was there to compare in {where}."
    best = max(known, key=known.__getitem__)
    return f"Highest mean tissue Dice: {known[best]:.3f}, by {best}, over {where}."


def _example_row(content: ReportContent, number: int) -> Row:
    """What was acquired, what the networks see of it, and the ground truth of one slice."""
    example = content.examples[number]
    name = example.caption or f"Example {number + 1}"
    panels = [
        *_acquired(example, name),
        Panel(
            pictures.magnitude_picture(example.image),
            content.seen,
            f"{name}: {content.seen}",
        ),
        Panel(
            pictures.label_picture(example.target, colours.class_colours(content.classes).values()),
            "Ground truth",
            f"{name}: true class of every pixel",
        ),
    ]
    return Row(name, "", example.image.shape, panels)


def _acquired(example: ExampleSlice, name: str) -> list[Panel]:
    """Fully sampled image and sampling mask, where there are."""
    if example.reference is None or example.mask is None:
        return []
    kept, lines = int(example.mask.sum()), len(example.mask)
    return [
        Panel(
            pictures.magnitude_picture(example.reference),
            "Fully sampled",
            f"{name}: fully sampled magnitude image",
        ),
        Panel(
            pictures.mask_picture(example.mask, example.image.shape[1]),
            f"Sampling mask: {kept} of {lines} lines ({kept / lines:.0%})",
            f"{name}: acquired phase-encoding lines, {kept} of {lines}",
        ),
    ]


def _case_rows(content: ReportContent, position: int) -> list[Row]:
    """Best, median and worst slice of the network at this position."""
    network = content.networks[position].name
    return [
        _case_row(content, case, network, name=f"picture-{position}-{case.rank}")
        for case in ranked_cases(content.scores, network, content.load_case)
    ]


def _case_row(content: ReportContent, case: RankedCase, network: str, name: str) -> Row:
    """Image, ground truth, prediction and errors of one slice; `name` is its id."""
    images = content.load_case(case.subject, case.slice)
    where = f"{case.subject}, slice {case.slice}"
    dice = {tissue: tables.number(value, 3) for tissue, value in case.dice.items()}
    tissues = ", ".join(f"{tissue} {value}" for tissue, value in dice.items() if tissue != ALL)
    detail = f"mean Dice {dice[ALL]}: {tissues}"
    panels = compared_panels(
        images, network, where, seen=content.seen, classes=content.classes, name=name
    )
    return Row(f"{case.rank.capitalize()}: {where}", detail, images.image.shape, panels)
