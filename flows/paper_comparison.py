"""Published numbers beside ours: for a terminal, a page in Markdown, a spreadsheet or a program."""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from spinforge.evaluation.published.comparison import (
    ComparedCell,
    ComparedRow,
    ComparedTable,
    Ours,
)
from spinforge.evaluation.published.matching import CLEAN
from spinforge.evaluation.published.tables import Column, Grade, datasets, decimals
from spinforge.evaluation.robustness.long_table import RETRAINED

EXPLANATION = (
    "Below each published row ours (on the paper's data), simulated (the paper's anatomy, scanned "
    "here) or stand-in (other data), and that minus published. The 95 % interval is over subjects, "
    "of these very networks, where there are five or more. [1] and so on: which run, on what data, "
    "and what is not as in the paper."
)

_LABELS: dict[Grade, str] = {
    "the paper's data": "ours",
    "simulated here": "simulated",
    "stand-in": "stand-in",
}
"""What a line of ours is called, so that a stand-in is never taken for the paper's data."""

_NARROW = 100
"""Columns of a terminal below which the status of each row is left to the line under the table."""


@dataclass(frozen=True)
class Line:
    """A line of a table: its first words, a text for each column, the status of its row."""

    name: str
    values: tuple[str, ...]
    status: str = ""


@dataclass(frozen=True)
class Page:
    """One table, in words.

    Attributes:
        lines: In the order of the paper, ours under each published row.
        sources: What [1], [2], ... are.
        remarks: Notes of the table and of its numbers, and how to run what was not.
    """

    title: str
    headings: tuple[str, ...]
    lines: tuple[Line, ...]
    sources: tuple[str, ...]
    remarks: tuple[str, ...]


def as_records(tables: Sequence[ComparedTable]) -> list[dict[str, Any]]:
    """One record for each published number and figure of ours; for a number without one, one."""
    return [
        record
        for table in tables
        for row in table.rows
        for cell in row.cells
        if cell.cell.printed is not None
        for record in _records(table, cell)
    ]


def as_csv(tables: Sequence[ComparedTable]) -> str:
    """The records as a table; lists joined by semicolons."""
    records = as_records(tables)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(records[0]), lineterminator="\n")
    writer.writeheader()
    for record in records:
        writer.writerow(
            {k: "; ".join(map(str, v)) if isinstance(v, list) else v for k, v in record.items()}
        )
    return text.getvalue()


def as_data(tables: Sequence[ComparedTable], left_out: Sequence[str]) -> dict[str, Any]:
    """Everything, for JSON."""
    summaries = {table.table.id: table.summary for table in tables}
    return {"summary": summaries, "left_out": list(left_out), "numbers": as_records(tables)}


def as_markdown(tables: Sequence[ComparedTable], left_out: Sequence[str]) -> str:
    """One section a table."""
    parts = [EXPLANATION]
    for table in tables:
        page = _page(table)
        heads = ["", *(" ".join(name.split()) for name in page.headings), "run"]
        rows = [heads, ["---", *["---:"] * len(page.headings), "---"]]
        rows += [[line.name.strip(), *line.values, line.status] for line in page.lines]
        parts += [f"### {page.title}", "\n".join(f"| {' | '.join(row)} |" for row in rows)]
        parts += [table.summary]
        # An escaped bracket: `[1]` alone may be read as a link.
        parts += ["\n".join(f"- {text}" for text in (*page.sources, *page.remarks))]
    parts += [_left_out(left_out)] if left_out else []
    return "\n\n".join(part for part in parts if part) + "\n"


def as_tables(
    tables: Sequence[ComparedTable], left_out: Sequence[str], *, width: int
) -> RenderableType:
    """Tables for a terminal of 80 columns or more."""
    parts: list[RenderableType] = [Text(EXPLANATION, "dim"), Text()]
    for table in tables:
        page = _page(table)
        shown = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim")
        shown.add_column("", no_wrap=True)
        for heading in page.headings:
            shown.add_column(heading, justify="right", no_wrap=True)
        if width >= _NARROW:
            shown.add_column("run", no_wrap=True)
        for line in page.lines:
            cells = (line.name, *line.values, line.status)[: len(shown.columns)]
            shown.add_row(*map(Text, cells), style="" if line.name.startswith(" ") else "bold")
        notes = [Text(text, "dim") for text in (*page.sources, *page.remarks)]
        parts += [Text(page.title, "bold"), shown, Text(table.summary), *notes, Text()]
    parts += [Text(_left_out(left_out), "yellow")] if left_out else []
    totals = [Text(f"{_name(table)}: {table.summary}") for table in tables]
    return Group(*parts, *totals)


def _page(table: ComparedTable) -> Page:
    sources: dict[str, int] = {}
    lines = [line for row in table.rows for line in _lines(row, sources)]
    published = table.table
    remarks = [f"Source: {published.source}.", *published.notes]
    for row in table.rows:
        notes = row.row.notes.items()
        remarks += [f"{row.row.name}, {column}: {note}." for column, note in notes]
    remarks += [
        f"{column.name}: not compared, {column.not_ours}."
        for column in published.columns
        if column.not_ours
    ]
    return Page(
        title=f"{_name(table)}: {published.title}",
        headings=tuple(column.name.replace(" ", "\n", 1) for column in published.columns),
        lines=tuple(lines),
        sources=tuple(f"[{number}] {text}" for text, number in sources.items()),
        remarks=(*remarks, *_commands(table)),
    )


def _name(table: ComparedTable) -> str:
    return f"{table.table.paper}, {table.table.number}"


def _lines(row: ComparedRow, sources: dict[str, int]) -> list[Line]:
    """The published line, and those of every source of ours; new sources are numbered."""
    status = {
        "others' method": f"{row.row.others}: not ours",
        "counted": "",
        "run": row.grade or "",
        "partly": f"partly, {row.grade}",
    }
    printed = tuple(cell.cell.printed or "" for cell in row.cells)
    lines = [Line(row.row.name, printed, status.get(row.status, row.status))]
    for label, by_cell in _by_source(row, sources).items():
        ours = [by_cell.get(number) for number in range(len(row.cells))]
        pairs = list(zip(row.cells, ours, strict=True))
        lines.append(Line(f"  {label}", tuple(_text(c, _end(o, "value")) for c, o in pairs)))
        differences = tuple(_text(c, c.difference(o), sign="+") if o else "" for c, o in pairs)
        lines.append(Line("  difference", differences))
        for name, end in (("  95 % from", "low"), ("  95 % to", "high")):
            ends = tuple(_text(c, _end(o, end)) for c, o in pairs)
            lines += [Line(name, ends)] if any(ends) else []
    return lines


def _end(ours: Ours | None, name: str) -> float | None:
    """A number of a figure, where there is one."""
    return None if ours is None else float(getattr(ours.figure, name))


def _by_source(row: ComparedRow, sources: dict[str, int]) -> dict[str, dict[int, Ours]]:
    """Label -> column -> ours of that source."""
    found: dict[str, dict[int, Ours]] = {}
    for number, cell in enumerate(row.cells):
        for ours in cell.ours:
            if not ours.scored:
                several = len(cell.ours) > 1
                label = f"counted {ours.entry.rsplit('-', 1)[1]}" if several else "counted"
            else:
                grade = ours.match.source.grade if ours.match else "stand-in"
                label = (
                    f"{_LABELS[grade]} [{sources.setdefault(_described(ours), len(sources) + 1)}]"
                )
            found.setdefault(label, {})[number] = ours
    return found


def _described(ours: Ours) -> str:
    """Runs, data, seeds, subjects and what is not as in the paper."""
    assert ours.match is not None
    folders = [
        one.run if _at_each_level(ours) else f"{one.run}/{one.folder}" for one in ours.scored
    ]
    networks = ", ".join(dict.fromkeys(folders))
    source = ours.match.source
    changes = "; ".join(ours.match.changes) or "nothing known"
    seeds = f"{len(ours.scored)} seed{'s' * (len(ours.scored) > 1)}"
    subjects = f"{ours.figure.subjects} test subject{'s' * (ours.figure.subjects != 1)}"
    protocol = f"; {ours.protocol}" * (ours.scored[0].condition != CLEAN)
    return (
        f"{networks} ({ours.match.entry}). {source.grade}: {source.text}; {seeds}, {subjects}"
        f"{protocol}. "
        f"Not as in the paper: {changes}."
    )


def _at_each_level(ours: Ours) -> bool:
    """Whether there is another network at each level: one source for all of them."""
    return ours.protocol == RETRAINED


def _text(cell: ComparedCell, value: float | None, *, sign: str = "") -> str:
    """With the decimals of the paper; of counts two more, of whole numbers one."""
    printed = cell.cell.printed
    if value is None or printed is None or math.isnan(value):
        return ""
    digits = decimals(printed)
    for suffix in ("M", "e6"):
        if printed.endswith(suffix):
            return f"{value / 1e6:{sign}.{digits + 2}f}{suffix}"
    return f"{value:{sign}.{max(digits, 1)}f}"


def _commands(table: ComparedTable) -> list[str]:
    """How to run what was not, once for each data set."""
    lines = []
    for name in dict.fromkeys(c.cell.column.data for r in table.rows for c in r.cells):
        cells = [c for r in table.rows for c in r.cells if c.cell.column.data == name]
        missing = [c.cell.column for c in cells if c.status == "not run"]
        if name is None or not missing:
            continue
        data = datasets()[name]
        if any(not _is_corrupted(column) for column in missing):
            real = f"; with the paper's data, or the nearest to it, add: {data.real}" * bool(
                data.real
            )
            lines.append(f"To run {data.title}: {data.command}{real}")
        if any(_is_corrupted(column) for column in missing):
            lines.append(f"To run {data.title}, corrupted: {data.corrupted}")
    return lines


def _is_corrupted(column: Column) -> bool:
    return column.until is not None or bool(column.noise_percent or column.inu_percent)


def _left_out(left_out: Sequence[str]) -> str:
    return "Left out:\n" + "\n".join(f"- {text}" for text in left_out)


def _records(table: ComparedTable, cell: ComparedCell) -> list[dict[str, Any]]:
    column, published = cell.cell.column, table.table
    said = {
        "paper": published.paper,
        "table": published.short,
        "row": cell.cell.row.name,
        "column": column.name,
        "metric": cell.cell.metric,
        "tissue": column.tissue,
        "aggregation": column.aggregation,
        "unit": column.unit,
        "data": column.data,
        "noise_percent": column.noise_percent,
        "inu_percent": column.inu_percent,
        "printed": cell.cell.printed,
        "published": cell.cell.published,
        "note": cell.cell.note or column.not_ours,
        "status": cell.status,
    }
    if not cell.ours:
        return [said | _of_ours(cell, None) | {"command": _command(cell)}]
    return [said | _of_ours(cell, ours) | {"command": None} for ours in cell.ours]


def _command(cell: ComparedCell) -> str | None:
    """What would run it."""
    column = cell.cell.column
    if cell.status != "not run" or column.data is None:
        return None
    data = datasets()[column.data]
    return data.corrupted if _is_corrupted(column) else data.command


def _of_ours(cell: ComparedCell, ours: Ours | None) -> dict[str, Any]:
    """A record's part that is ours; the same keys without any."""
    matched = ours.match if ours else None
    figure = ours.figure if ours else None
    return {
        "ours": figure and figure.value,
        "difference": ours and cell.difference(ours),
        "low": figure and _or_none(figure.low),
        "high": figure and _or_none(figure.high),
        "subjects": figure and figure.subjects,
        "seeds": [one.seed for one in ours.scored] if ours else [],
        "network": ours and ours.entry,
        "source": matched and matched.source.grade,
        "images": matched and matched.source.text,
        "protocol": ours.protocol if ours and matched else None,
        "changes": list(matched.changes) if matched else [],
        "folders": [f"{one.run}/{one.folder}" for one in ours.scored] if ours else [],
    }


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value
