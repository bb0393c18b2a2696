"""The dashboard's studies: run folders with a robustness table."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from spinforge.evaluation.dashboard.source import TrackedRuns
from spinforge.evaluation.robustness.content import RobustnessContent
from spinforge.evaluation.robustness.long_table import COLUMNS
from spinforge.flows.config import Study, load_study
from spinforge.flows.dashboard_runs import metric_curve, tracked_runs
from spinforge.flows.robustness_content import robustness_content
from spinforge.simulation.errors import SpinforgeError

TABLE = Path("robustness") / "robustness.parquet"
REPORT = "robustness.html"

_NO_ROWS = pd.DataFrame(columns=COLUMNS)


class RunFolders:
    """Studies in the folders of a folder; see `StudySource`.

    Args:
        out: Folder that holds the folders of all runs.
    """

    def __init__(self, out: Path) -> None:
        self._out = out

    @property
    def place(self) -> str:
        """The folder."""
        return str(self._out)

    def names(self) -> Sequence[str]:
        """Folders with a table; the one written last is the first."""
        tables = self._out.glob(f"*/{TABLE.as_posix()}")
        newest = sorted(tables, key=lambda path: path.stat().st_mtime_ns, reverse=True)
        return [path.parents[1].name for path in newest]

    def table(self, name: str) -> Path:
        """The study's long table."""
        return self._out / name / TABLE

    def content(self, name: str) -> RobustnessContent:
        """The study as its report has it, without the long table; MLflow is not asked here.

        A data set that is gone is said when a picture is asked for.
        """
        study = self._study(name)
        return robustness_content(study, table=_NO_ROWS, tracked=False, images_needed=False)

    def report(self, name: str) -> Path | None:
        """The study's HTML report, if it was written."""
        path = self._out / name / REPORT
        return path if path.is_file() else None

    def runs(self, name: str) -> TrackedRuns:
        """The study's runs in MLflow."""
        try:
            return tracked_runs(self._study(name))
        except SpinforgeError as error:
            return TrackedRuns(place=f"{self._out / name}", message=str(error))

    def curve(self, name: str, run_id: str, metric: str) -> pd.DataFrame:
        """All values of a run's metric."""
        return metric_curve(self._study(name), run_id, metric)

    def _study(self, name: str) -> Study:
        """The resolved study, wherever its folder lies now."""
        study = load_study(self._out / name / "study.yaml")
        return study.model_copy(update={"out": self._out, "name": name})
