"""The data card beside a set: written by generate, or on its own."""

from pathlib import Path

from spinforge.datasets.card.card import describe_set
from spinforge.datasets.splits import Split
from spinforge.datasets.storage.files import replacing
from spinforge.datasets.storage.store import DatasetStore
from spinforge.evaluation.card.page import card_html, card_markdown


def write_card(store: DatasetStore, page: Path, split: Split | None = None) -> list[Path]:
    """Write the data card of a set as an HTML page and, beside it, as Markdown.

    Args:
        store: Any group of the set.
        page: The HTML file to create or replace; the Markdown file ends in .md instead. If it ends
            in .md, only that is written.
        split: Who trains, validates and tests, where it is known.

    Returns:
        The files that were written.

    Raises:
        SpinforgeError: If there is no set, no complete subject, or one is damaged.
    """
    card = describe_set(store, split, title=_title(store))
    contents = {page.with_suffix(".md"): card_markdown(card)}
    if page.suffix != ".md":
        contents = {page: card_html(card)} | contents
    for path, text in contents.items():
        with replacing(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return list(contents)


def _title(store: DatasetStore) -> str:
    """The run's name and the set's: "quickstart/dataset.zarr"."""
    parts = str(store.path).rstrip("/").split("/")
    return "/".join(parts[-2:])
