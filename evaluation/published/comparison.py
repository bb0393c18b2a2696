"""Published numbers with ours beside them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np

from spinforge.datasets.products.volumes import VolumeProduct
from spinforge.evaluation.published.figures import Figure, figure
from spinforge.evaluation.published.matching import CLEAN, GRADES, Match, Scored, match
from spinforge.evaluation.published.tables import Cell, Condition, Grade, PublishedTable, Row
from spinforge.evaluation.robustness.long_table import RETRAINED, TRAINED_CLEAN
from spinforge.models.catalogue import CATALOGUE, FCSLSTM_CLAIMS
from spinforge.models.networks import count_parameters, weightless_network
from spinforge.simulation.config import content_hash

Status = Literal["run", "not run", "others' method", "not comparable", "no number"]


_WORDS: dict[Grade, str] = {
    "the paper's data": "the paper's data",
    "simulated here": "the paper's anatomy, simulated here",
    "stand-in": "stand-ins",
}


@dataclass(frozen=True)
class Ours:
    """A figure of ours.

    Attributes:
        figure: In the unit of the column.
        entry: The network's name in the catalogue.
        match: How it is the paper's; None for what is counted.
        protocol: On what it was trained, where images were corrupted.
        scored: The trained networks, one a seed; none for what is counted. Of a loss, those at
            its start.
    """

    figure: Figure
    entry: str
    match: Match | None = None
    scored: tuple[Scored, ...] = ()
    protocol: str = TRAINED_CLEAN


@dataclass(frozen=True)
class ComparedCell:
    """A published number and all of ours, the paper-like first."""

    cell: Cell
    ours: tuple[Ours, ...]

    @property
    def status(self) -> Status:
        """Whether there is one of ours, and if not, why."""
        if self.cell.printed is None:
            return "no number"
        if self.cell.row.others:
            return "others' method"
        if self.cell.column.not_ours:
            return "not comparable"
        return "run" if self.ours else "not run"

    def difference(self, ours: Ours) -> float:
        """Ours minus published; NaN if the paper has no number."""
        published = self.cell.published
        return np.nan if published is None else ours.figure.value - published


@dataclass(frozen=True)
class ComparedRow:
    """A row of a table."""

    row: Row
    cells: tuple[ComparedCell, ...]

    @property
    def status(self) -> Literal["run", "partly", "not run", "others' method", "counted"]:
        """Of its numbers that need a run; those that are only counted need none."""
        if self.row.others:
            return "others' method"
        needed = [
            cell.status
            for cell in self.cells
            if cell.cell.column.data is not None and cell.status in ("run", "not run")
        ]
        if not needed:
            return "counted"
        if "not run" not in needed:
            return "run"
        return "partly" if "run" in needed else "not run"

    @property
    def grade(self) -> Grade | None:
        """Of the data that are nearest to the paper's; None if it was not run."""
        grades = [one.match.source.grade for c in self.cells for one in c.ours if one.match]
        return min(grades, key=GRADES.index, default=None)


@dataclass(frozen=True)
class ComparedTable:
    """A table of a paper with ours in it."""

    table: PublishedTable
    rows: tuple[ComparedRow, ...]

    @property
    def summary(self) -> str:
        """How many rows were run, and which were not."""
        status = {row.row.name: row.status for row in self.rows}
        if set(status.values()) == {"counted"}:
            return "Counted; needs no run."
        needed = [name for name, said in status.items() if said != "others' method"]
        done = [name for name in needed if status[name] == "run"]
        parts = [f"{len(done)} of {len(needed)} rows run"]
        grades = [row.grade for row in self.rows if row.row.name in done]
        parts += [f"on {_WORDS[g]}: {grades.count(g)}" for g in GRADES if g in grades]
        for said in ("partly", "not run"):
            names = [name for name in needed if status[name] == said]
            if names:
                which = "all" if len(names) == len(needed) else ", ".join(names)
                parts.append(f"{said}: {which}")
        if others := len(status) - len(needed):
            parts.append(f"{others} more are others' methods, not ours")
        return "; ".join(parts) + "."


def compare(tables: Sequence[PublishedTable], scored: Sequence[Scored]) -> list[ComparedTable]:
    """Put ours beside every number of some tables.

    Args:
        tables: Published.
        scored: Everything that was trained and scored, of any data; equal ones with several seeds
            become one figure.
    """
    groups = _by_everything_but_seed(scored)
    return [
        ComparedTable(
            table,
            tuple(
                ComparedRow(row, tuple(ComparedCell(c, _ours(c, groups)) for c in table.cells(row)))
                for row in table.rows
            ),
        )
        for table in tables
    ]


Group = dict[tuple[str, Condition], list[Scored]]
"""(Protocol, condition) -> the seeds of one network."""

_PROTOCOLS = (RETRAINED, TRAINED_CLEAN)
"""The one that CRDN's numbers speak for comes first."""


def _by_everything_but_seed(scored: Sequence[Scored]) -> list[Group]:
    """Networks that differ in their seed only."""
    groups: dict[str, Group] = {}
    for one in scored:
        key = content_hash(
            {
                "network": one.network.model_dump(mode="json", exclude={"name"}),
                "data": one.data.model_dump(mode="json", exclude={"path"})
                | {"real": getattr(one.data, "path", None) is not None},
                "training": one.training.model_dump(mode="json"),
            }
        )
        seeds = groups.setdefault(key, {}).setdefault((one.protocol, one.condition), [])
        if one.seed not in [other.seed for other in seeds]:
            seeds.append(one)
    return list(groups.values())


def _ours(cell: Cell, groups: Sequence[Group]) -> tuple[Ours, ...]:
    if cell.printed is None or cell.column.not_ours:
        return ()
    if cell.column.counted is not None:
        return tuple(_counted(cell, name) for name in cell.networks)
    found = []
    # On clean images both protocols are the same network.
    is_clean = cell.column.condition == CLEAN and cell.column.until is None
    for group in groups:
        for protocol in (TRAINED_CLEAN,) if is_clean else _PROTOCOLS:
            seeds = _at(group, protocol, cell.column.condition)
            matched = match(cell, seeds[0]) if seeds else None
            if matched is None:
                continue
            value = _scored_figure(cell, group, protocol)
            if not np.isnan(value.value):
                found.append(Ours(value, matched.entry, matched, tuple(seeds), protocol))
    return tuple(sorted(found, key=lambda one: one.match.order if one.match else (0, 0, 0)))


def _at(group: Group, protocol: str, condition: Condition) -> list[Scored]:
    return group.get((TRAINED_CLEAN if condition == CLEAN else protocol, condition), [])


def _scored_figure(cell: Cell, group: Group, protocol: str) -> Figure:
    """Of the column's condition; where it is a loss, without an interval."""
    column = cell.column
    at = _figure(cell, _at(group, protocol, column.condition))
    if column.until is not None:
        until = _figure(cell, _at(group, protocol, column.until))
        at = Figure(at.value - until.value, np.nan, np.nan, at.subjects)
    value, low, high = (column.factor * number for number in at[:3])
    return Figure(value, low, high, at.subjects)


def _figure(cell: Cell, seeds: Sequence[Scored]) -> Figure:
    aggregation = cell.column.aggregation
    if not seeds or aggregation is None:
        return Figure(np.nan, np.nan, np.nan, 0)
    data = seeds[0].data
    return figure(
        [one.scores for one in seeds],
        aggregation,
        cell.metric,
        cell.column.tissue,
        slices_are_objects=isinstance(data, VolumeProduct) and data.slices_are == "photographs",
    )


def _counted(cell: Cell, name: str) -> Ours:
    parameters = float(_parameters(name))
    if cell.column.counted in FCSLSTM_CLAIMS:
        millions, _ = FCSLSTM_CLAIMS[cell.column.counted]
        parameters = millions * 1e6 / parameters
    return Ours(Figure(parameters, np.nan, np.nan, 0), name)


@cache
def _parameters(name: str) -> int:
    """Of a network of the catalogue, for its paper's images."""
    entry = next(entry for entry in CATALOGUE if entry.name == name)
    network = weightless_network(
        entry.config, in_channels=entry.in_channels, n_classes=entry.n_classes
    )
    return count_parameters(network)
