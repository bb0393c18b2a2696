"""What all pages share: how templates are rendered and files are linked."""

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote, urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined

FOLDER = Path(__file__).parent
"""Holds `macros.html` and `page.css`, which all pages use."""


def environment(folder: Path = FOLDER) -> Environment:
    """Templates of a folder, and the shared ones; every text is escaped unless it is `Markup`."""
    return Environment(
        loader=FileSystemLoader([folder, FOLDER]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def relative_links(files: Mapping[str, str]) -> dict[str, str]:
    """Name -> link to a file beside the page.

    Raises:
        ValueError: If a path is not relative.
    """
    for target in files.values():
        parts = urlsplit(target)
        if parts.scheme or parts.netloc or target.startswith("/"):
            raise ValueError(f"need paths relative to the report, got {target!r}")
    return {name: quote(target) for name, target in files.items()}
