"""The planted study as the dashboard takes it: a folder with its long table, no network."""

import sys
from pathlib import Path

import pandas as pd
from planted_robustness import NETWORKS, planted_content

from spinforge.evaluation.dashboard.source import TrackedRun, TrackedRuns
from spinforge.evaluation.robustness.content import RobustnessContent
from spinforge.evaluation.robustness.long_table import write_long_table
from spinforge.simulation.errors import SpinforgeError


def write_planted(folder: Path, **options) -> Path:
    """Write the table of the planted study; its path."""
    write_long_table(planted_content(**options).table, folder)
    return folder / "robustness.parquet"


class PlantedSource:
    """Studies by name, each with a table somewhere; all have the planted content."""

    def __init__(self, tables: dict[str, Path], runs: TrackedRuns | None = None, report=None):
        self.place = "the planted folder"
        self._tables, self._runs, self._report = tables, runs, report

    def names(self) -> list[str]:
        return list(self._tables)

    def table(self, name: str) -> Path:
        return self._tables[name]

    def content(self, name: str) -> RobustnessContent:
        # As the dashboard does not read it.
        return planted_content(table=pd.DataFrame(), name=name)

    def report(self, name: str) -> Path | None:
        return self._report

    def runs(self, name: str) -> TrackedRuns:
        return planted_runs() if self._runs is None else self._runs

    def curve(self, name: str, run_id: str, metric: str) -> pd.DataFrame:
        if "lost" in run_id:
            raise SpinforgeError(f"run {run_id} is not there any more")
        return pd.DataFrame({"step": [0, 1, 2], "value": [0.5, 0.7, 0.9]})


def planted_runs() -> TrackedRuns:
    """One of the study and one of each network and seed."""
    study = TrackedRun("s0", "planted", "", "FINISHED", "2026-01-01 12:00", {"seed": "0"})
    networks = [
        TrackedRun(
            run_id=f"{name}{seed}",
            name=name,
            parent="s0",
            status="FINISHED",
            started="2026-01-01 12:00",
            parameters={"network.kind": name, "seed": str(seed)},
            metrics={"validation_dice_pooled": 0.9, "train_loss": 0.1},
        )
        for name in NETWORKS
        for seed in (0, 1)
    ]
    return TrackedRuns("sqlite:///planted.db", (study, *networks))


def show_planted(*tables: str) -> None:
    """The page of tables given by path; for AppTest and for the server."""
    from spinforge.evaluation.dashboard.page import show_page

    named = {f"planted{number or ''}": Path(path) for number, path in enumerate(tables)}
    show_page(PlantedSource(named))


if __name__ == "__main__":
    show_planted(*sys.argv[1:])
