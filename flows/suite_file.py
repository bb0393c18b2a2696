"""A file that lists studies."""

from collections.abc import Sequence
from pathlib import Path

from pydantic import Field, ValidationError

from spinforge.flows.config import Study, load_study
from spinforge.flows.config_errors import explain
from spinforge.flows.preflight import check_study
from spinforge.flows.study_file import FULL, read_yaml
from spinforge.simulation.config import Config
from spinforge.simulation.errors import SpinforgeError


class Suite(Config):
    """A file that names studies instead of being one."""

    studies: tuple[str, ...] = Field(
        min_length=1, description="study files, relative to the folder of this one"
    )
    budget: str = Field(FULL, description="budget of each of them")
    beats_majority: bool = Field(
        False,
        description="fail if a network's pooled Dice or accuracy is not above that of a prediction "
        "of the most frequent class alone",
    )


def is_suite(path: Path) -> bool:
    """Whether a file lists studies.

    Raises:
        SpinforgeError: If it cannot be read.
    """
    return "studies" in read_yaml(path)


def load_suite(path: Path, overrides: Sequence[str] = ()) -> tuple[Suite, list[Study]]:
    """Read a suite and all its studies.

    Args:
        path: YAML file.
        overrides: For every study; those of the command line come after the suite's budget.

    Raises:
        SpinforgeError: If the suite or one of its studies is not valid, or two share a name.
    """
    try:
        suite = Suite.model_validate(read_yaml(path))
    except ValidationError as error:
        raise SpinforgeError(
            "\n".join([f"{path} is not a valid list of studies:", *explain(error, Suite)])
        ) from None
    changes = [f"budget={suite.budget}", *overrides]
    studies = [_entry(path, file, changes) for file in suite.studies]
    names = [study.name for study in studies]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise SpinforgeError(
            f"{path}: several of its studies are named {', '.join(twice)}, and would write into "
            f"one folder; give each its own `name`"
        )
    return suite, studies


def _entry(path: Path, file: str, changes: Sequence[str]) -> Study:
    """One study of the list at `path`."""
    try:
        return load_study(path.parent / file, changes)
    except SpinforgeError as error:
        raise SpinforgeError(f"{path}, studies, {file}: {error}") from None


def check_suite(studies: Sequence[Study], *, overwrite: bool = False) -> None:
    """Find what would stop one of the studies, before the first one starts.

    Raises:
        SpinforgeError: With the first problem; names the study.
    """
    for study in studies:
        try:
            check_study(study, overwrite=overwrite)
        except SpinforgeError as error:
            raise SpinforgeError(f"study {study.name}: {error}") from None
