"""How long the dashboard's views take on a large study: python benchmarks/dashboard.py.

8 networks, 15 corruptions of 5 levels, 171 slices of 19 subjects and the volumes, 4 classes, 15
metrics; the values are made up.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from spinforge.evaluation.dashboard import scores
from spinforge.evaluation.dashboard.choices import Choice, chosen_rows
from spinforge.evaluation.dashboard.parquet_rows import read_rows, table_facts
from spinforge.evaluation.robustness.long_table import COLUMNS, TRAINED_CLEAN

NETWORKS = tuple(f"network-{number}" for number in range(8))
TRANSFORMS = tuple(f"corruption-{number:02d}" for number in range(15))
METRICS = ("dice", *(f"metric-{number}" for number in range(14)))


def write_table(path: Path) -> None:
    """One row group a network, as a sorted table has them."""
    rng = np.random.default_rng(0)
    cases = pd.MultiIndex.from_product(
        [
            [f"subject{number:02d}" for number in range(19)],
            range(-1, 9),
            ["CSF", "GM", "WM", "all"],
            METRICS,
        ],
        names=["subject", "slice", "class", "metric"],
    ).to_frame(index=False)
    conditions = [("clean", 0), *((name, level) for name in TRANSFORMS for level in range(1, 6))]
    writer = None
    for place, model in enumerate(NETWORKS):
        parts = [
            cases.assign(
                model=model,
                task="made up",
                protocol=TRAINED_CLEAN,
                seed=0,
                transform=transform,
                severity=level,
                value=0.95 - 0.02 * level * (1 + place / 8) + 0.03 * rng.normal(size=len(cases)),
            )
            for transform, level in conditions
        ]
        rows = pa.Table.from_pandas(pd.concat(parts)[COLUMNS], preserve_index=False)
        writer = writer or pq.ParquetWriter(path, rows.schema)
        writer.write_table(rows)
    assert writer is not None
    writer.close()


def timed(what: str, function: Callable[[], Any]) -> Any:
    start = time.perf_counter()
    found = function()
    print(f"{what:46s} {time.perf_counter() - start:5.2f} s")
    return found


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "robustness.parquet"
        write_table(path)
        facts = timed("open a study: what can be chosen", lambda: table_facts(path))
        print(f"{facts.rows} rows, {path.stat().st_size / 1e6:.0f} MB")
        rows = timed("first view of a metric: its rows", lambda: read_rows(path, "slice", "dice"))
        choice = Choice(NETWORKS, TRANSFORMS, "all", "dice", "slice", TRAINED_CLEAN, (0,))
        view = timed("any filter: rows in memory", lambda: chosen_rows(rows, choice))
        timed("curves with intervals", lambda: scores.curve_points(view, choice))
        timed(
            "scores with intervals, mCE",
            lambda: scores.network_scores(view, choice, NETWORKS[0]),
        )
        timed("heat map", lambda: scores.degradation_by_transform(view, choice))
        timed("comparison of all pairs", lambda: scores.comparisons(view, choice))


if __name__ == "__main__":
    main()
