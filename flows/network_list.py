"""The networks of the catalogue as rows: for a terminal, a page in Markdown, or a program."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import yaml
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from spinforge.models.catalogue import (
    CATALOGUE,
    FCSLSTM_CLAIMS,
    PAPERS,
    REFERENCES,
    CatalogueEntry,
    Family,
)
from spinforge.models.counting import NetworkCosts, agrees, network_costs

EXPLANATION = (
    "GMAC: billions of multiply-accumulates of one slice, or of one sequence, in convolutions, "
    "transposed convolutions and matrix products; Fourier transforms, normalisation, activations, "
    "pooling and resizing are not counted. Min: least height and width of an image, in "
    "pixels."
)


@dataclass(frozen=True)
class NetworkRow:
    """One network, and what was counted of it."""

    entry: CatalogueEntry
    costs: NetworkCosts

    @property
    def gmac(self) -> str:
        """Billions of multiply-accumulates."""
        count = self.costs.multiply_accumulates
        return "too small" if count is None else f"{count / 1e9:.2f}"

    @property
    def takes(self) -> str:
        """Such as "sequence of 5"."""
        return f"sequence of {self.entry.times}" if self.entry.times else self.entry.takes

    @property
    def agreement(self) -> str | None:
        """How the count agrees with the published one: "rounded", "truncated", or "no"."""
        if self.entry.published is None:
            return None
        if self.agrees():
            return "rounded"
        return "truncated" if self.agrees(truncated=True) else "no"

    def agrees(self, *, truncated: bool = False) -> bool:
        """Whether the paper prints this number of parameters."""
        published = self.entry.published
        return published is not None and agrees(
            published, self.costs.parameters, truncated=truncated
        )

    def as_data(self) -> dict[str, Any]:
        """Everything that is known, for JSON."""
        entry = self.entry
        return {
            "name": entry.name,
            "family": entry.family,
            "kind": entry.config.kind,
            "config": entry.config.model_dump(mode="json"),
            "study": in_a_study(entry, named=True),
            "takes": entry.takes,
            "in_channels": entry.in_channels,
            "n_classes": entry.n_classes,
            "size": list(entry.size),
            "times": entry.times,
            "parameters": self.costs.parameters,
            "published": entry.published,
            "agreement": self.agreement,
            "multiply_accumulates": self.costs.multiply_accumulates,
            "minimum_size": self.costs.minimum_size,
        }


def in_a_study(entry: CatalogueEntry, *, named: bool = False) -> str:
    """The network as a study's list says it, such as "{kind: crdn, cell: lstm}".

    Args:
        entry: Which network.
        named: With its name, if that is not the default one.
    """
    # Unset, too: some defaults depend on other settings.
    content = entry.config.model_dump(mode="json", exclude_unset=True, exclude_defaults=True)
    if not named:
        content.pop("name", None)
    text = yaml.safe_dump(content, default_flow_style=True, sort_keys=False, width=1000)
    return str(text).strip()


def count_networks(
    size: tuple[int, int] | None = None, entries: Sequence[CatalogueEntry] = CATALOGUE
) -> list[NetworkRow]:
    """Count networks, at another size than the papers' if given; seconds for all."""
    return [NetworkRow(entry, network_costs(entry, size=size)) for entry in entries]


def as_data(rows: Sequence[NetworkRow], size: tuple[int, int] | None) -> dict[str, Any]:
    """Everything that is known, for JSON."""
    return {
        "papers": dict(PAPERS),
        "agreement": {family: summary(family, found) for family, found in _by_family(rows)},
        "counted_at": size,  # null: each at its paper's size
        "networks": [row.as_data() for row in rows],
        # Not counted here, as that imports MONAI; `spinforge models NAME --json` does.
        "references": [in_a_study(entry, named=True) for entry in REFERENCES],
    }


def as_markdown(rows: Sequence[NetworkRow], size: tuple[int, int] | None) -> str:
    """One table a family, as in docs/networks.md."""
    parts = [EXPLANATION]
    for family, found in _by_family(rows):
        cells = [_cells(row, found) for row in found]
        lines = [list(cells[0]), ["---"] * len(cells[0])]
        lines += [[*list(row.values())[:-1], f"`{list(row.values())[-1]}`"] for row in cells]
        parts += [f"### {family}", f"{PAPERS[family]}. {counted_at(found[0].entry, size)}"]
        parts += ["\n".join(f"| {' | '.join(line)} |" for line in lines), summary(family, found)]
    return "\n\n".join([*parts, _references_in_words("`")])


def as_tables(
    rows: Sequence[NetworkRow], size: tuple[int, int] | None, *, width: int
) -> RenderableType:
    """One table a family, for a terminal; without the last column if that would be folded a lot."""
    parts: list[RenderableType] = []
    narrow = width < 100
    for family, found in _by_family(rows):
        cells = [_cells(row, found) for row in found]
        table = Table(box=None, pad_edge=False, header_style="dim")
        *before, last = cells[0]
        for heading in before:
            words = heading in ("network", "input")
            table.add_column(heading, justify="left" if words else "right", no_wrap=True)
        if not narrow:
            table.add_column(last, overflow="fold")
        for row in cells:
            table.add_row(*map(Text, list(row.values())[: len(table.columns)]))
        parts += [Text.assemble((family, "bold"), f"  {PAPERS[family]}")]
        parts += [Text(counted_at(found[0].entry, size), "dim"), table]
        parts += [Text(summary(family, found), "dim"), Text()]
    more = "Configuration and settings of one: spinforge models NAME"
    notes = (_references_in_words(""), EXPLANATION, more)
    return Group(*parts, *(Text(note, "dim") for note in notes))


def summary(family: Family, rows: Sequence[NetworkRow]) -> str:
    """How the counts agree with what the paper prints; equal numbers count once."""
    printed = [row for row in rows if row.entry.published]
    numbers = {row.entry.published for row in printed}
    if numbers:
        missed = {row.entry.published for row in printed if not row.agrees()}
        met = len(numbers - missed)
        sentence = f"Of {len(numbers)} numbers in the paper {met} are met by rounding"
        if missed and all(row.agrees(truncated=True) for row in printed):
            sentence += f", all {len(numbers)} by leaving out further decimals"
        return f"{sentence}."
    if family != "FCSLSTM":
        return "No published numbers of parameters are known to us."
    fcn = next(row.costs.parameters for row in rows if row.entry.name == "concise-fcn") / 1e6
    claims = [
        f"{times:g} times smaller than {name} ({size:g} million; that would be "
        f"{size / times:.2f} million, ours is {size / fcn:.1f} times smaller)"
        for name, (size, times) in FCSLSTM_CLAIMS.items()
    ]
    return (
        f"The paper prints no numbers of parameters. It calls the network "
        f"{' and '.join(claims)}. No single network is both."
    )


def counted_at(entry: CatalogueEntry, size: tuple[int, int] | None) -> str:
    """At what size a network is counted, and for how many channels and classes."""
    rows, columns = size or entry.size
    classes = f"{entry.n_classes} classes" if entry.n_classes > 1 else "one class, the foreground"
    channels = f"{entry.in_channels} channels" if entry.in_channels > 1 else "one channel"
    return f"Counted for {rows} x {columns} pixels, {channels}, {classes}."


def _references_in_words(quote: str) -> str:
    """What else studies take; `quote` stands around what is written in a study."""
    written = " and ".join(f"{quote}{in_a_study(entry)}{quote}" for entry in REFERENCES)
    return (
        "To compare with, studies also take two of MONAI's networks, with the extra `monai`: "
        f"{written}."
    )


def _by_family(rows: Sequence[NetworkRow]) -> Iterator[tuple[Family, list[NetworkRow]]]:
    for family in get_args(Family):
        found = [row for row in rows if row.entry.family == family]
        if found:
            yield family, found


def _cells(row: NetworkRow, family: Sequence[NetworkRow]) -> dict[str, str]:
    """A line of its family's table, by heading; columns that say nothing there are left out."""
    cells = {"network": row.entry.name}
    if any(other.takes != "image" for other in family):
        cells["input"] = row.takes
    cells["parameters"] = f"{row.costs.parameters:,}"
    if any(other.entry.published for other in family):
        exception = "" if row.agreement in (None, "rounded") else f" ({row.agreement})"
        cells["paper"] = f"{row.entry.published or ''}{exception}"
    cells["GMAC"] = row.gmac
    cells["min"] = str(row.costs.minimum_size)
    cells["configuration"] = in_a_study(row.entry)
    return cells
