"""The study as a parameter of a flow: in Prefect's page a file and changes, in Python a `Study`.

The schema of a whole study is a form of hundreds of fields and unions. What a deployment says is
what the command line says, so there is one place for a study: its file.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationError, WithJsonSchema

from spinforge.flows.config import Study, load_study
from spinforge.flows.config_errors import explain
from spinforge.simulation.config import Config
from spinforge.simulation.errors import SpinforgeError


class ChosenStudy(Config):
    """A study file, and changes to it as on the command line."""

    file: Path = Field(
        Path("studies/quickstart.yaml"),
        title="Study file",
        description="A path from the folder in which the worker runs the flow.",
    )
    set: tuple[str, ...] = Field(
        (),
        title="Changes",
        description="As after --set on the command line: budget=smoke, training.epochs=5, "
        "data.noise.percent=20.",
    )


def _resolved(value: Any) -> Any:
    """Read the file of a `ChosenStudy`; a `Study`, or what says all of one, stays what it is.

    Raises:
        SpinforgeError: As `load_study`, or for anything beside `file` and `set`.
    """
    if not isinstance(value, Mapping) or not {"file", "set"} & value.keys():
        return value
    try:
        chosen = ChosenStudy.model_validate(value)
    except ValidationError as error:
        lines = "\n".join(explain(error, ChosenStudy))
        raise SpinforgeError(f"the parameter `study` is not valid:\n{lines}") from None
    return load_study(chosen.file, chosen.set)


StudyParameter = Annotated[
    Study, BeforeValidator(_resolved), WithJsonSchema(ChosenStudy.model_json_schema())
]
"""A `Study` inside a flow; {file: ..., set: [...]} in a deployment and in Prefect's page."""
