"""Which packages the machine of a packed study needs, and in which versions."""

import importlib.metadata
import re
from collections.abc import Collection, Iterable, Iterator

from packaging.markers import default_environment
from packaging.requirements import InvalidRequirement, Requirement

from spinforge.simulation.errors import SpinforgeError

NOT_NEEDED = frozenset(
    {
        "prefect",
        "uvicorn",
        "fastapi",
        "sqlalchemy",
        "mlflow",
        "psutil",
        "dask",
        "distributed",
        "cryptography",
        "typer",
        "pooch",
        "sigpy",
        "jinja2",
        "matplotlib",
    }
)
"""Of Spinforge's own requirements those of services, workers, commands, downloads, reports and
iterative reconstruction; training and evaluation import none of them."""


def requirements(
    python: str, *, extras: Iterable[str] = (), there: Collection[str] = ()
) -> list[str]:
    """Everything that training and evaluation import, directly or not, as lines for pip.

    Args:
        python: Version of the machine's Python, such as "3.12".
        extras: Further packages that the study's networks need, such as "monai".
        there: Normal names of packages that the machine has, whose own requirements it has too.

    Returns:
        Sorted lines `name==version` with the versions installed here, so that results can be the
        same; a bare requirement for what only the other Python needs.
    """
    environment: dict[str, str] = {**default_environment(), "python_version": python, "extra": ""}  # type: ignore[dict-item]
    environment["python_full_version"] = f"{python}.0"
    waiting = [r for r in _required("spinforge") if normal_name(r.name) not in NOT_NEEDED]
    waiting += [Requirement(name) for name in extras]
    lines: dict[str, str] = {}
    while waiting:
        wanted = waiting.pop()
        name = normal_name(wanted.name)
        if name in lines or name in there or not _applies(wanted, environment):
            continue
        version = _version(name)
        # Builds such as +cpu are of this machine's index; the other one has builds of its own.
        lines[name] = f"{name}=={version.partition('+')[0]}" if version else str(wanted)
        asked = [{**environment, "extra": extra} for extra in (*wanted.extras, "")]
        waiting += [r for r in _required(name) if any(_applies(r, e) for e in asked)]
    return sorted(lines.values())


def names_in(text: str, source: str) -> frozenset[str]:
    """Normal names in the answer of `pip freeze` or `pip list --format=freeze`.

    Args:
        text: The answer.
        source: Of it, for the message.

    Raises:
        SpinforgeError: If a line is no requirement.
    """
    found = set()
    for number, line in enumerate(text.splitlines(), start=1):
        bare = line.partition("#")[0].strip()
        if not bare or bare.startswith("-"):
            continue
        try:
            found.add(normal_name(Requirement(bare).name))
        except InvalidRequirement:
            raise SpinforgeError(
                f"{source}, line {number}: {bare!r} is no line of `pip list --format=freeze`"
            ) from None
    return frozenset(found)


def normal_name(name: str) -> str:
    """A package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _required(name: str) -> Iterator[Requirement]:
    """What an installed package requires; nothing if it is not installed."""
    try:
        lines = importlib.metadata.requires(name) or []
    except importlib.metadata.PackageNotFoundError:
        return
    yield from map(Requirement, lines)


def _applies(wanted: Requirement, environment: dict[str, str]) -> bool:
    return wanted.marker is None or wanted.marker.evaluate(environment)


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
