"""What a check of `spinforge doctor` gets and what it answers."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Status = Literal["ok", "note", "warning", "problem"]


@dataclass(frozen=True)
class Finding:
    """One line of the table.

    Attributes:
        check: What was looked at.
        status: ok; note: worth knowing; warning: may fail one day; problem: fails or lies now.
        what: What was found.
        remedy: What to do about it.
    """

    check: str
    status: Status
    what: str
    remedy: str = ""


@dataclass(frozen=True)
class Place:
    """What is examined, beside the installation and the machine.

    Attributes:
        runs: Folder of all runs, or where it will be.
        study: The study file that was named, if one was.
        deep: Whether to compute every digest of the data sets.
    """

    runs: Path
    study: Path | None = None
    deep: bool = False

    @property
    def study_files(self) -> list[Path]:
        """The named study, or those that runs have noted."""
        return [self.study] if self.study else sorted(self.runs.glob("*/study.yaml"))


def study_content(path: Path) -> dict[str, Any]:
    """What a study file says, as plain data; empty where it cannot be read."""
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return content if isinstance(content, dict) else {}


def addresses(place: Place, *keys: str) -> dict[str, Path]:
    """Values that studies have for a key such as ("tracking", "uri"), and who says so.

    Those with a password are left out: nobody is to be asked by them (`secrets.py` names them).
    """
    from spinforge.datasets.storage.addresses import holds_secret

    found: dict[str, Path] = {}
    for path in place.study_files:
        value: Any = study_content(path)
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        if isinstance(value, str) and not holds_secret(value):
            found.setdefault(value, path)
    return found
