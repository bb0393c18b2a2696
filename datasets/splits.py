"""Which subjects train, validate and test: always by subject, never by slice."""

from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from spinforge.simulation.config import Config
from spinforge.simulation.errors import SpinforgeError


def _refuse_bare_name(value: Any) -> Any:
    if isinstance(value, str):
        raise ValueError(f"write a number, or a list of names such as [{value}]")
    return value


Group = Annotated[int | tuple[str, ...], BeforeValidator(_refuse_bare_name)]


class Subjects(Config):
    """Subjects of each group, as a number or as a list of names.

    Numbers take subjects in sorted order: training from the start, test from the end,
    validation just before the test subjects. A set that nobody trains on need not be split: then
    validation and test are both empty.
    """

    train: Group = Field(4, description="number or names of the training subjects")
    validation: Group = Field(1, description="number or names; picks the best checkpoint")
    test: Group = Field(1, description="number or names; touched by the evaluation only")

    @model_validator(mode="after")
    def _at_least_one_each(self) -> "Subjects":
        for name, group in self:
            is_empty = group in (0, ())
            if (isinstance(group, int) and group < 0) or (
                is_empty and (name == "train" or self.is_split)
            ):
                raise ValueError(f"{name}: need at least one subject, got {group!r}")
        return self

    @property
    def is_split(self) -> bool:
        """Whether anybody validates or tests."""
        return bool(self.validation or self.test)

    @property
    def named(self) -> list[str]:
        """Subjects that are given by name."""
        groups = (self.train, self.validation, self.test)
        return [name for group in groups if not isinstance(group, int) for name in group]

    @property
    def total(self) -> int:
        """Number of subjects in all three groups."""
        groups = (self.train, self.validation, self.test)
        return sum(group if isinstance(group, int) else len(group) for group in groups)


class Split(Config):
    """Names of the subjects of each group."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]

    @property
    def everyone(self) -> list[str]:
        """All subjects, sorted."""
        return sorted({*self.train, *self.validation, *self.test})


AT_OTHER_AGES = "train and test (by age)"
"""Role of infants, who train a network at some ages and test it at others."""


def roles(groups: Iterable[tuple[str, tuple[str, ...]]]) -> dict[str, str]:
    """Subject -> what it is for: its group, or `AT_OTHER_AGES` if it both trains and tests.

    Args:
        groups: Name and subjects of each, such as a `Split`.
    """
    found: dict[str, str] = {}
    for name, members in groups:
        for subject in members:
            # Only infants are split by age; everybody else is in one group (`split_subjects`).
            found[subject] = name if subject not in found else AT_OTHER_AGES
    return found


def split_subjects(wanted: Subjects, available: list[str]) -> Split:
    """Choose the subjects of each group.

    Args:
        wanted: Numbers or names.
        available: Every subject there is.

    Raises:
        SpinforgeError: If there are too few, a name is unknown, or a subject is in two groups.
    """
    named = {n: g for n, g in wanted if not isinstance(g, int)}
    for group, names in named.items():
        if unknown := sorted(set(names) - set(available)):
            raise SpinforgeError(
                f"data.subjects.{group}: {', '.join(unknown)} not found; there are "
                f"{', '.join(available) or 'none'}."
            )
    taken = [name for names in named.values() for name in names]
    if twice := sorted({name for name in taken if taken.count(name) > 1}):
        raise SpinforgeError(
            f"data.subjects: {', '.join(twice)} would be in more than one group; a subject that "
            f"trains a network must not test it."
        )
    free = [name for name in sorted(available) if name not in taken]
    counts = {n: g if isinstance(g, int) else 0 for n, g in wanted}
    if sum(counts.values()) > len(free):
        raise SpinforgeError(
            f"data.subjects asks for {wanted.total} subjects, but there are only "
            f"{len(available)}: {', '.join(available) or 'none'}."
        )
    test_start = len(free) - counts["test"]
    validation_start = test_start - counts["validation"]
    by_number = {
        "train": free[: counts["train"]],
        "validation": free[validation_start:test_start],
        "test": free[test_start:],
    }
    return Split.model_validate({n: tuple(named.get(n) or by_number[n]) for n in by_number})
