"""A data card as one HTML page that needs nothing else, and as Markdown without pictures."""

from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from spinforge.datasets.card.content import Card, CardTable, PictureRow
from spinforge.evaluation.card.pictures import UNLABELLED, picture_uri
from spinforge.evaluation.report.colours import class_colours

FOLDER = Path(__file__).parent
_REPORT_STYLE = FOLDER.parent / "report" / "page.css"

EXAMPLE_GREYS, CORRUPTION_GREYS = 32, 16

PICTURE_BYTES = 1_500_000
"""All pictures of a page together; beyond that, corruptions show fewer levels."""

_FEWEST_LEVELS = 2


@dataclass(frozen=True)
class ShownPicture:
    """A picture as the page has it: PNG as a data URI, text under it and for those who cannot."""

    uri: str
    title: str
    alt: str


@dataclass(frozen=True)
class ShownRow:
    """A row of pictures of one size [pixels of the page]."""

    heading: str
    detail: str
    size: tuple[int, int]
    pictures: list[ShownPicture]


def card_html(card: Card) -> str:
    """The page; below 2 MB, as pictures are limited to `PICTURE_BYTES`."""
    examples = [_shown(row, card, EXAMPLE_GREYS) for row in card.examples]
    spent = sum(_bytes(row) for row in examples)
    corruptions = [_shown(row, card, CORRUPTION_GREYS) for row in card.corruptions]
    levels = max((len(row.pictures) for row in corruptions), default=0)
    while spent + sum(map(_bytes, corruptions)) > PICTURE_BYTES and levels > _FEWEST_LEVELS:
        levels -= 1
        corruptions = [_thinned(row, levels) for row in corruptions]
    while spent + sum(map(_bytes, corruptions)) > PICTURE_BYTES and (corruptions or examples):
        (corruptions or examples).pop()
        spent = sum(map(_bytes, examples))
    hidden = len(card.corruptions) - len(corruptions)
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("card.html").render(
        card=card,
        style=Markup(_REPORT_STYLE.read_text(encoding="utf-8")),
        more_style=Markup((FOLDER / "card.css").read_text(encoding="utf-8")),
        examples=examples,
        corruptions=corruptions,
        hidden=hidden,
        legend=class_colours(card.classes) | _unlabelled(card),
    )


def _unlabelled(card: Card) -> dict[str, str]:
    listed = any(row[0] == "unlabelled" for table in card.tables for row in table.rows)
    return {"unlabelled": UNLABELLED} if listed else {}


def _shown(row: PictureRow, card: Card, grey_levels: int) -> ShownRow:
    height, width = row.pictures[0].values.shape[:2]
    along_y, along_x = row.pixel_mm
    return ShownRow(
        heading=row.heading,
        detail=row.detail,
        size=(
            round(width * along_x / min(row.pixel_mm)),
            round(height * along_y / min(row.pixel_mm)),
        ),
        pictures=[
            ShownPicture(
                picture_uri(picture, card.classes, grey_levels),
                picture.title,
                f"{row.heading}: {picture.title}",
            )
            for picture in row.pictures
        ],
    )


def _bytes(row: ShownRow) -> int:
    return sum(len(picture.uri) for picture in row.pictures)


def _thinned(row: ShownRow, count: int) -> ShownRow:
    """The first, the last and evenly many between them."""
    if len(row.pictures) <= count:
        return row
    last = len(row.pictures) - 1
    chosen = sorted({round(index * last / (count - 1)) for index in range(count)})
    return ShownRow(row.heading, row.detail, row.size, [row.pictures[i] for i in chosen])


# -------------------------------------------------------------------- Markdown


def card_markdown(card: Card) -> str:
    """The same words and numbers as Markdown."""
    parts = [f"# {_cell(card.title)}", card.summary]
    for section, entries in card.facts.items():
        parts.append(f"## {section}")
        parts.append("\n".join(f"- {name}: {_cell(value)}" for name, value in entries.items()))
    for table in card.tables:
        parts += [f"## {table.caption}", _markdown_table(table)]
    if card.corruptions:
        parts.append("## Drawn parameters of the shown corruptions, by level")
        parts.append("\n".join(f"- {r.heading}: {_cell(r.detail)}" for r in card.corruptions))
    parts.append("## Settings")
    rows = [[name, value] for name, value in card.settings.items()]
    parts.append(_markdown_table(CardTable("", ["Setting", "value"], rows)))
    return "\n\n".join(parts) + "\n"


def _markdown_table(table: CardTable) -> str:
    lines = [table.columns, ["---"] * len(table.columns), *table.rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
