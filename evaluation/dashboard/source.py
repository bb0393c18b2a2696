"""What the dashboard shows, and whoever gives it: plain data, gathered by the caller."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

import pandas as pd

from spinforge.evaluation.robustness.content import RobustnessContent


@dataclass(frozen=True)
class TrackedRun:
    """One run as it was recorded while a network was trained.

    Attributes:
        run_id: Its id.
        name: Its name, of a network or of the study.
        parent: Id of the run of the study; empty for that run itself.
        status: Such as FINISHED.
        started: When, as text.
        parameters: Name -> value.
        metrics: Name -> last value.
    """

    run_id: str
    name: str
    parent: str = ""
    status: str = ""
    started: str = ""
    parameters: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class TrackedRuns:
    """All runs of a study.

    Attributes:
        place: Where they are recorded.
        runs: The study's first.
        message: Why there are none, and what to do; else empty.
    """

    place: str
    runs: tuple[TrackedRun, ...] = ()
    message: str = ""


@runtime_checkable
class StudySource(Protocol):
    """Robustness studies by name.

    Every method may raise SpinforgeError, whose text the page shows.
    """

    @property
    def place(self) -> str:
        """Where the studies lie, in words."""
        ...

    def names(self) -> Sequence[str]:
        """Studies with a long table."""
        ...

    def table(self, name: str) -> Path:
        """The study's long table (Parquet); its time and size tell whether all is read anew."""
        ...

    def content(self, name: str) -> RobustnessContent:
        """The study; its `table` is not read here and may be empty."""
        ...

    def report(self, name: str) -> Path | None:
        """The study's HTML report, if it was written."""
        ...

    def runs(self, name: str) -> TrackedRuns:
        """The study's runs; what keeps them from being read is their message, not an error."""
        ...

    def curve(self, name: str, run_id: str, metric: str) -> pd.DataFrame:
        """All values of a run's metric: columns step, value."""
        ...
