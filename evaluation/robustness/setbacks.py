"""Where a network loses ground to the others and makes it up: faults that a steep curve hides.

A fault at one severity is a regression (`regressions.py`) only if the score rises afterwards. Where
the next severity hurts all networks more than the fault did, it does not; but the others, which
have no fault, show it: the difference to their mean falls and rises. A **setback** is a regression
of that difference. Curves that cross, or meet at 0, make setbacks too: it says where to look, not
that something is wrong.
"""

import pandas as pd

from spinforge.evaluation.robustness.regressions import COLUMNS, severity_steps

_CELL = ["protocol", "transform", "severity", "subject"]


def severity_setbacks(table: pd.DataFrame) -> pd.DataFrame:
    """Test every step of the difference to the other networks.

    Args:
        table: As for `severity_steps`, with the scores of all networks.

    Returns:
        As `severity_steps`, of each network's score less the mean of the others'; regression says
        where a setback is, dip how far it lies below both neighbours. No rows of a single network.

    Raises:
        ValueError: As `severity_steps`.
    """
    if table["model"].nunique() < 2:
        return pd.DataFrame(columns=COLUMNS)
    return severity_steps(beside_others(table))


def beside_others(table: pd.DataFrame) -> pd.DataFrame:
    """Each subject's mean score of a network, less the mean of the other networks' there.

    NaN where any network has none: the others shall be the same at all severities.
    """
    of = ["metric", "class", *_CELL, "model"]
    means = table.groupby(of, observed=True)["value"].mean().reset_index()
    cell = means.groupby(_CELL, observed=True)["value"]
    count, everyone = cell.transform("count"), means["model"].nunique()
    others = (cell.transform("sum") - means["value"]) / (everyone - 1)
    return means.assign(value=(means["value"] - others).where(count == everyone))
