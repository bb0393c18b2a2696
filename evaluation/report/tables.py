"""The numbers of the page as tables of text."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from spinforge.evaluation.empty_masks import MaskCase
from spinforge.evaluation.metric_direction import larger_is_better
from spinforge.evaluation.report.content import NetworkReport
from spinforge.evaluation.score import ALL, tissues_of

ABSENT = "–"  # noqa: RUF001 - an en dash is what a reader expects


@dataclass(frozen=True)
class Cell:
    """Text of one cell, its spread, and whether it is the best of its column."""

    text: str
    best: bool = False
    spread: str = ""


@dataclass(frozen=True)
class Table:
    """A table with a row of headings, and optionally a row of groups above them.

    Attributes:
        caption: What the table shows.
        groups: (heading, number of columns) of each group, the first column left out.
        columns: Heading of each column, the first included.
        rows: Heading and cells of each row.
    """

    caption: str
    groups: list[tuple[str, int]]
    columns: list[str]
    rows: list[tuple[str, list[Cell]]]


@dataclass(frozen=True)
class Column:
    """Which entry of the summary stands in a column, and how."""

    heading: str
    level: str
    tissue: str
    metric: str
    statistic: str = "mean"
    digits: int = 3
    with_sd: bool = False


class Summary:
    """Look-up in the table made by `summarise`.

    Attributes:
        tissues: Tissues that were scored, in their order.
    """

    def __init__(self, summary: pd.DataFrame) -> None:
        self._rows = {
            (row["network"], row["level"], row["tissue"], row["metric"]): row
            for row in summary.to_dict("records")
        }
        self.tissues = tissues_of(summary)

    def value(self, network: str, column: Column, statistic: str) -> float:
        """One statistic; NaN if the network has no such rows."""
        row = self._rows.get((network, column.level, column.tissue, column.metric))
        return float(row[statistic]) if row else math.nan

    def average_dice(self, network: str) -> float:
        """Mean over the tissues of their mean Dice per slice, as `average_dice`."""
        columns = [Column(tissue, "slice", tissue, "dice") for tissue in self.tissues]
        means = [self.value(network, column, "mean") for column in columns]
        defined = [mean for mean in means if not math.isnan(mean)]
        return sum(defined) / len(defined) if defined else math.nan


def dice_table(summary: Summary, networks: Sequence[str], n_volumes: int) -> Table:
    """Headline: mean per-slice Dice of each tissue and network."""
    columns = [Column(tissue, "slice", tissue, "dice", with_sd=True) for tissue in summary.tissues]
    caption = "Dice per slice: mean ± standard deviation over slices; best in bold."
    table = _metric_table(caption, [], columns, summary, networks)
    averages = {name: summary.average_dice(name) for name in networks}
    best = max((a for a in averages.values() if not math.isnan(a)), default=math.nan)
    slices = Column("slices", "slice", ALL, "dice")
    rows = [
        (
            name,
            [
                *cells,
                Cell(number(averages[name], 3), best=len(networks) > 1 and averages[name] == best),
                Cell(_whole(summary.value(name, slices, "n"))),
                Cell(str(n_volumes)),
            ],
        )
        for name, cells in table.rows
    ]
    headings = [*table.columns, "mean of tissues", "slices", "volumes"]
    return Table(caption, [], headings, rows)


def other_metrics_table(summary: Summary, networks: Sequence[str]) -> Table:
    """Jaccard, pixel accuracy, median HD95 and the Dice of whole volumes."""
    columns = [
        *[Column(tissue, "slice", tissue, "jaccard") for tissue in summary.tissues],
        Column("all classes", "slice", ALL, "pixel_accuracy"),
        *[Column(tissue, "slice", tissue, "hd95_mm", "median", 2) for tissue in summary.tissues],
        *[Column(tissue, "volume", tissue, "dice") for tissue in summary.tissues],
    ]
    groups = [
        ("Jaccard, mean", len(summary.tissues)),
        ("Pixel accuracy, mean", 1),
        ("HD95 [mm], median", len(summary.tissues)),
        ("Dice of the volume, mean", len(summary.tissues)),
    ]
    caption = "Other measures, per slice except in the last group; best in bold."
    return _metric_table(caption, groups, columns, summary, networks)


def kinds_of_error_table(summary: Summary, networks: Sequence[str]) -> Table:
    """What was labelled too much and too little, and how far the outlines are apart."""
    metrics = {
        "Precision, mean": ("precision", "mean", 3),
        "Recall, mean": ("recall", "mean", 3),
        "ASSD [mm], median": ("assd_mm", "median", 2),
        "Surface Dice at 1 mm, mean": ("surface_dice_1mm", "mean", 3),
    }
    columns = [
        Column(tissue, "slice", tissue, metric, statistic, digits)
        for metric, statistic, digits in metrics.values()
        for tissue in summary.tissues
    ]
    groups = [(heading, len(summary.tissues)) for heading in metrics]
    caption = "Kinds of error and outlines, per slice; best in bold."
    return _metric_table(caption, groups, columns, summary, networks)


def confidence_and_image_table(summary: Summary, networks: Sequence[str]) -> Table | None:
    """Calibration and reconstructions, as far as any network has them; None if none has."""
    columns = [
        Column("ECE, slices", "slice", ALL, "ece", digits=4),
        Column("ECE, volumes", "volume", ALL, "ece", digits=4),
        Column("PSNR [dB]", "slice", ALL, "psnr_db", digits=2),
        Column("SSIM", "slice", ALL, "ssim"),
        Column("NRMSE", "slice", ALL, "nrmse"),
    ]
    known = [c for c in columns if any(summary.value(name, c, "n") > 0 for name in networks)]
    if not known:
        return None
    caption = "Calibration, and images where networks reconstruct them, means; best in bold."
    return _metric_table(caption, [], known, summary, networks)


def counts_table(counts: pd.DataFrame, tissues: Sequence[str], networks: Sequence[str]) -> Table:
    """How many slices each tissue's statistics rest on, and in how many it is in one map or none.

    Args:
        counts: Of `count_mask_cases`.
        tissues: In their order.
        networks: One row each.
    """
    slices = counts[counts["level"] == "slice"].set_index(["network", "tissue"])
    cases = [case.value for case in MaskCase]
    rows = [
        (
            name,
            [Cell(str(slices.loc[(name, tissue), case])) for tissue in tissues for case in cases],
        )
        for name in networks
    ]
    return Table(
        caption=(
            "Number of slices with the tissue in both label maps, in the ground truth only "
            "(missed), in the prediction only (false positive), and in neither."
        ),
        groups=[(tissue, len(cases)) for tissue in tissues],
        columns=["Network", *cases * len(tissues)],
        rows=rows,
    )


def network_table(networks: Sequence[NetworkReport]) -> Table:
    """Size and training of each network."""
    rows = [(network.name, _network_cells(network)) for network in networks]
    return Table(
        caption="The networks and their training.",
        groups=[],
        columns=[
            "Network",
            "Description",
            "Parameters",
            "Epochs",
            "Epoch kept",
            "Its pooled Dice",
            "Training time",
        ],
        rows=rows,
    )


def _network_cells(network: NetworkReport) -> list[Cell]:
    history = network.history
    return [
        Cell(network.description),
        Cell(f"{network.parameters:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")),
        Cell(str(len(history))),
        Cell(str(network.kept_epoch)),
        Cell(number(network.kept_dice, 3)),
        Cell(_duration(float(history["seconds"].sum()))),
    ]


def _metric_table(
    caption: str,
    groups: list[tuple[str, int]],
    columns: list[Column],
    summary: Summary,
    networks: Sequence[str],
) -> Table:
    """One row per network; the best value of each column is marked."""
    cells = [_column_cells(column, summary, networks) for column in columns]
    rows = [(name, [column[row] for column in cells]) for row, name in enumerate(networks)]
    return Table(caption, groups, ["Network", *[column.heading for column in columns]], rows)


def _column_cells(column: Column, summary: Summary, networks: Sequence[str]) -> list[Cell]:
    values = [summary.value(name, column, column.statistic) for name in networks]
    known = [value for value in values if not math.isnan(value)]
    best = (max if larger_is_better(column.metric) else min)(known, default=math.nan)
    return [
        Cell(
            text=number(value, column.digits),
            best=len(networks) > 1 and value == best,
            spread=_spread(name, column, summary),
        )
        for value, name in zip(values, networks, strict=True)
    ]


def _spread(network: str, column: Column, summary: Summary) -> str:
    sd = summary.value(network, column, "sd")
    return f"± {number(sd, column.digits)}" if column.with_sd and not math.isnan(sd) else ""


def number(value: float, digits: int) -> str:
    """Write with a fixed number of decimals; a dash if there is no value."""
    return ABSENT if math.isnan(value) else f"{value:.{digits}f}"


def _whole(value: float) -> str:
    return number(value, 0)


def _duration(seconds: float) -> str:
    """Hours, minutes and seconds, the two largest that matter."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {seconds:02d} s" if minutes else f"{seconds} s"
