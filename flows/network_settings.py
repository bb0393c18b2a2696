"""What may be set of one network, from the fields of its configuration."""

import difflib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from spinforge.flows.network_list import NetworkRow, counted_at, in_a_study
from spinforge.models.catalogue import CATALOGUE, PAPERS, REFERENCES, CatalogueEntry
from spinforge.simulation.config import Config
from spinforge.simulation.errors import SpinforgeError


@dataclass(frozen=True)
class Setting:
    """One key of a configuration.

    Attributes:
        key: Dotted, such as "reconstruction.block".
        value: What it is in this configuration.
        allowed: Such as "rnn, lstm, gru" or "8 to 256, multiples of 8".
        description: What it does.
    """

    key: str
    value: Any
    allowed: str
    description: str


def find_network(name: str) -> CatalogueEntry:
    """The network of this name, or of this kind the one with its defaults.

    Where a field has no default it is the one of which a study has to say the least.

    Raises:
        SpinforgeError: If there is none.
    """
    known = (*CATALOGUE, *REFERENCES)
    wanted = name.lower()
    found = [entry for entry in known if entry.name == wanted]
    found = found or [entry for entry in known if entry.config.kind == wanted]
    if found:
        return min(found, key=lambda entry: len(in_a_study(entry)))
    names = [name for entry in known for name in (entry.name, entry.config.kind)]
    near = difflib.get_close_matches(wanted, names, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise SpinforgeError(f"no network is named {name!r}.{hint} List them with: spinforge models")


def settings(config: Config) -> list[Setting]:
    """Every key that may be set, in the order of the configuration; not what says its kind."""
    schema = type(config).model_json_schema()
    return list(_settings(config, schema["properties"], schema.get("$defs", {}), ""))


def as_data(row: NetworkRow) -> dict[str, Any]:
    """All about one network, for JSON."""
    described = [asdict(setting) for setting in settings(row.entry.config)]
    return row.as_data() | {"paper": PAPERS[row.entry.family], "settings": described}


def as_table(row: NetworkRow, size: tuple[int, int] | None) -> RenderableType:
    """All about one network, for a terminal."""
    entry = row.entry
    published = f"; the paper: {entry.published}" if entry.published else ""
    facts = [
        f"{entry.family}: {PAPERS[entry.family]}",
        f"{row.costs.parameters:,} parameters{published}; GMAC: {row.gmac}; "
        f"images of {row.costs.minimum_size} x {row.costs.minimum_size} pixels or more",
        counted_at(entry, size),
    ]
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("setting", "here", "allowed", "what it does"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "setting")
    for setting in settings(entry.config):
        shown = str(setting.value).lower() if isinstance(setting.value, bool) else setting.value
        table.add_row(*map(Text, (setting.key, str(shown), setting.allowed, setting.description)))
    return Group(Text(entry.name, "bold"), *map(Text, facts), Text(), *_usage(entry), Text(), table)


def _usage(entry: CatalogueEntry) -> list[Text]:
    return [Text("networks:"), Text(f"  - {in_a_study(entry, named=True)}")]


def _settings(
    config: Config, properties: dict[str, Any], definitions: dict[str, Any], prefix: str
) -> Iterator[Setting]:
    for name, field in properties.items():
        value = getattr(config, name)
        if isinstance(value, Config):
            inner = definitions[type(value).__name__]["properties"]
            yield from _settings(value, inner, definitions, f"{prefix}{name}.")
        elif name != "kind":
            yield Setting(prefix + name, value, _allowed(field), field["description"])


def _allowed(field: dict[str, Any]) -> str:
    """In words, from a field's JSON schema."""
    if "enum" in field:
        return ", ".join(map(str, field["enum"]))
    if field["type"] == "array":
        fewest, most = field["minItems"], field["maxItems"]
        count = str(most) if fewest == most else f"{fewest} to {most}"
        return f"{count} numbers, each {_allowed(field['items'])}"
    if field["type"] == "boolean":
        return "true, false"
    if field["type"] == "string":
        return "a-z, 0-9, hyphen"
    above = field.get("exclusiveMinimum")
    low = f"above {above:g}" if above is not None else f"{field['minimum']:g}"
    step = f", multiples of {field['multipleOf']:g}" if "multipleOf" in field else ""
    return f"{low} to {field['maximum']:g}{step}"
