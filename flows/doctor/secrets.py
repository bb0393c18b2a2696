"""Checks that no password lies where others read it."""

import re
import stat
from collections.abc import Iterator
from pathlib import Path

from spinforge.datasets.storage.addresses import holds_secret
from spinforge.flows.doctor.finding import Finding, Place

_CHECK = "secrets"
_ADDRESS = re.compile(r"\w[\w+.-]*://[^\s'\"]+")
# A variable by its usual name; in a template, {{ prefect.blocks... }}, is where a secret belongs.
_VARIABLE = re.compile(
    r"\b[A-Z_]*(?:PASSWORD|SECRET|TOKEN|ACCESS_KEY|API_KEY)[A-Z_]*[\"']?\s*[:=]\s*[\"']?[^\s\"'{}$,]"
)
_ENVIRONMENT = "take it out, change that password, and give it in the environment"


def secrets_in_files(place: Place) -> Iterator[Finding]:
    """No study, note or deployment holds a password in an address or a variable."""
    notes = place.runs.glob("*/mlflow.json")
    deployments = [path for path in (Path("prefect.yaml"),) if path.is_file()]
    wrong = 0
    for path in (*place.study_files, *notes, *deployments):
        if (line := _line_with_secret(path)) is not None:
            wrong += 1
            others = ", and other users may read the file" if _is_read_by_others(path) else ""
            what = f"{path}, line {line}: holds a password or token{others}"
            yield Finding(_CHECK, "problem", what, _ENVIRONMENT)
    if not wrong:
        yield Finding(_CHECK, "ok", "no password in studies, notes and deployments")


def prefect_profile(_: Place) -> Iterator[Finding]:
    """Prefect's profiles hold keys only where nobody else reads them."""
    from prefect.settings import PREFECT_PROFILES_PATH

    path = Path(PREFECT_PROFILES_PATH.value())
    if not path.is_file():
        return
    holds = re.search(r"PREFECT\w*_(API_KEY|AUTH_STRING)\s*=", path.read_text(encoding="utf-8"))
    if holds and _is_read_by_others(path):
        what = f"{path} holds a key of Prefect, and other users may read it"
        yield Finding(_CHECK, "warning", what, f"chmod 600 {path}")


def _line_with_secret(path: Path) -> int | None:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return None
    for number, line in enumerate(lines, 1):
        if _VARIABLE.search(line) or any(map(holds_secret, _ADDRESS.findall(line))):
            return number
    return None


def _is_read_by_others(path: Path) -> bool:
    return bool(path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH))
