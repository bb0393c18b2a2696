"""What Prefect's page shows of a run besides its states: tables, and links to the pages."""

from collections.abc import Collection
from pathlib import Path

from prefect.artifacts import create_link_artifact, create_table_artifact

from spinforge.datasets.storage.store import DatasetStore

LONGEST_TABLE = 200
"""Rows of a table that the page shows; the files have all of them."""


def artifact_key(kind: str, study: str) -> str:
    """Name under which the page keeps the history of one kind of result of a study."""
    return f"{kind}-{study}".replace("_", "-")


def show_subjects(
    study: str, store: DatasetStore, everyone: list[str], made: Collection[str]
) -> None:
    """A table of the subjects of a set: whether this run made them, and their digests."""
    shown = everyone[:LONGEST_TABLE]
    rows = []
    for subject in shown:
        attributes = store.subject_attributes(subject) or {}
        digest = str(attributes.get("content_sha256", ""))[:12]
        how = "made" if subject in made else "cached"
        rows.append({"subject": subject, "this run": how, "content": digest})
    first = f"First {len(shown)} of them." if len(shown) < len(everyone) else ""
    create_table_artifact(
        rows,
        key=artifact_key("subjects", study),
        description=f"{len(everyone) - len(made)} of {len(everyone)} subjects of {store.path} were "
        f"there, complete. {first}".strip(),
    )


def show_page(study: str, page: str, kind: str = "report") -> None:
    """A link to a page that lies in the run's folder, which opens on that machine."""
    create_link_artifact(
        Path(page).resolve().as_uri(),
        link_text=page,
        key=artifact_key(kind, study),
        description="Copy the address into a new tab: browsers do not follow links from a server's "
        "page to a file.",
    )
