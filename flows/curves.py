"""The points of learning curves that MLflow does not have yet."""

import math
import time
from collections.abc import Iterable

import pandas as pd
from mlflow.entities import Metric

from spinforge.models.training.columns import HISTORY_COLUMNS

METRICS_PER_BATCH = 1000
"""As many as MLflow takes at once."""


def named_curves(
    history: pd.DataFrame, steps_per_epoch: int, prefix: str = ""
) -> dict[str, pd.Series]:
    """What Lightning logs of a stage: value against step, both counted as it counts.

    Args:
        history: Rows of `history.csv`.
        steps_per_epoch: Steps of the optimiser.
        prefix: What stands before the names, as in `train_network`.
    """
    steps = (history["epoch"] * steps_per_epoch - 1).astype(int)
    columns = {prefix + name: history[name] for name in HISTORY_COLUMNS[1:-1]}
    if not prefix:
        columns["epoch"] = history["epoch"] - 1
    return {name: values.set_axis(steps) for name, values in columns.items()}


def missing_points(name: str, curve: pd.Series, logged: Iterable[Metric]) -> list[Metric]:
    """Those of a curve whose step is not logged; what is not a number has no point.

    Args:
        name: Of the metric.
        curve: Value against step.
        logged: Its points so far.
    """
    known = {point.step for point in logged}
    now = int(time.time() * 1000)
    return [
        Metric(name, float(value), now, step)
        for step, value in zip(curve.index.tolist(), curve.tolist(), strict=True)
        if step not in known and not math.isnan(value)
    ]
