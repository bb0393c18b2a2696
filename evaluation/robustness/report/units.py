"""Why relative corruption errors are not there, in sentences."""

from typing import Any

import pandas as pd

from spinforge.evaluation.robustness.report.cases import METRICS
from spinforge.evaluation.robustness.subject_scores import least_increase


def reasons(increases: pd.DataFrame, baseline: str) -> list[str]:
    """A sentence a metric and protocol that lacks some.

    Args:
        increases: Of `baseline_increases`.
        baseline: Its name.
    """
    several = increases["protocol"].nunique() > 1
    chance = increases[~increases["told"] & increases["mean"].notna()]
    sentences = []
    keys = [chance["protocol"], chance["metric"], chance["low"].notna()]
    for key, rows in chance.groupby(keys, sort=False):
        protocol, metric, known = str(key[0]), str(key[1]), bool(key[2])
        where = ", ".join(
            f"{row['transform']} ({_growth(row, known)})" for row in rows.to_dict("records")
        )
        why = (
            "does not grow by more than chance"
            if known
            else f"grows by less than {least_increase(metric):g}, and subjects are too few to "
            f"tell that from chance"
        )
        sentences.append(
            f"No relative corruption errors of {METRICS[metric]}"
            f"{f' ({protocol})' if several else ''} under {where}, nor over all corruptions: the "
            f"error of {baseline} {why} (in brackets, its mean growth)."
        )
    return sentences


def _growth(row: Any, known: bool) -> str:
    mean = f"{row['mean']:.3f}".replace("-0.000", "0.000")
    return f"{mean} [{row['low']:.3f}, {row['high']:.3f}]" if known else mean
