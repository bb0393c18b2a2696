"""The planted study as the dashboard takes it: a folder with its long table, no network."""

import sys
from pathlib import Path

import pandas as pd
from planted_robustness import NETWORKS, planted_content, planted_table

from spinforge.evaluation.dashboard.source import TrackedRun, TrackedRuns
from spinforge.evaluation.robustness.content import RobustnessContent
from spinforge.evaluation.robustness.long_table import RETRAINED, write_long_table
from spinforge.simulation.errors import SpinforgeError

METRICS = ["dice", "hd95_mm", "jaccard", "true_pixels"]
"""Of the last it is not known which way is better."""


def write_planted(folder: Path) -> Path:
    """Write some metrics of the planted study, as if retrained too, a little worse; the path."""
    table = planted_table()
    table = table[table["metric"].isin(METRICS)]
    worse = table.assign(protocol=RETRAINED, value=0.99 * table["value"])
    write_long_table(pd.concat([table, worse]), folder)
    return folder / "robustness.parquet"


def _no_pictures(condition, subject, number):
    raise FileNotFoundError(2, "No such file", "predictions.npz")


class PlantedSource:
    """Studies by name, each with a table somewhere; all have the planted content.

    Args:
        tables: Of the studies.
        lost_pictures: No slice can be loaded.
        lost_curves: No learning curve can be read.
        runs_message: Why there are no runs.
        recorded: Metrics that the runs have curves of.
    """

    def __init__(
        self,
        tables,
        *,
        lost_pictures=False,
        lost_curves=False,
        runs_message="",
        recorded=("train_loss", "validation_dice_pooled"),
    ):
        self.place = "the planted folder"
        self._tables: dict[str, Path] = tables
        self._lost_pictures, self._lost_curves = lost_pictures, lost_curves
        self._runs_message = runs_message
        self._recorded = dict.fromkeys(recorded, 0.9)

    def names(self) -> list[str]:
        return list(self._tables)

    def table(self, name: str) -> Path:
        return self._tables[name]

    def content(self, name: str) -> RobustnessContent:
        changes = {"load_case": _no_pictures} if self._lost_pictures else {}
        # No rows, as the dashboard does not read them here.
        return planted_content(table=pd.DataFrame(), name=name, **changes)

    def report(self, name: str) -> Path | None:
        return None

    def runs(self, name: str) -> TrackedRuns:
        if self._runs_message:
            return TrackedRuns("http://127.0.0.1:1", message=self._runs_message)
        return planted_runs(self._recorded)

    def curve(self, name: str, run_id: str, metric: str) -> pd.DataFrame:
        if self._lost_curves:
            raise SpinforgeError(f"run {run_id} is not there any more")
        if metric not in self._recorded:
            return pd.DataFrame({"step": [0], "value": [0.9]})
        return pd.DataFrame({"step": [0, 1, 2], "value": [0.5, 0.7, 0.9]})


def planted_runs(last: dict[str, float]) -> TrackedRuns:
    """One of the study and one of each network and seed, not in the order of the networks.

    Args:
        last: Last values of metrics that have several.
    """
    study = TrackedRun("s0", "planted", "", "FINISHED", "2026-01-01 12:00", {"seed": "0"})
    networks = [
        TrackedRun(
            run_id=f"{name}{seed}",
            name=name,
            parent="s0",
            status="FINISHED",
            started="2026-01-01 12:00",
            parameters={"network.kind": name, "seed": str(seed)},
            metrics={"best_validation_dice_pooled": 0.9, **last},
        )
        for name in reversed(NETWORKS)
        for seed in (0, 1)
    ]
    return TrackedRuns("sqlite:///planted.db", (study, *networks))


def show_planted(*tables: str, no_study: bool = False, **options) -> None:
    """The page of tables given by path; for AppTest and for the server."""
    from spinforge.evaluation.dashboard.page import show_page

    named = {f"planted{number or ''}": Path(path) for number, path in enumerate(tables)}
    show_page(PlantedSource({} if no_study else named, **options))


if __name__ == "__main__":
    show_planted(*sys.argv[1:])
