"""What came out of a study, in the sentences of its report."""

from dataclasses import dataclass, replace

import pandas as pd

from spinforge.evaluation.robustness.content import RobustnessContent
from spinforge.evaluation.robustness.report.results import robustness_results
from spinforge.evaluation.robustness.report.verdict import verdict
from spinforge.evaluation.score import ALL
from spinforge.simulation.errors import SpinforgeError

METRIC = "dice"
"""What the verdict is of."""

REGRESSION = ["protocol", "model", "transform", "severity"]


@dataclass(frozen=True)
class Findings:
    """Of the whole study, whatever the filters.

    Attributes:
        verdict: Name of each protocol, empty if there is one only, and its sentences.
        regressions: Where a network fails and recovers at a stronger level; columns `REGRESSION`.
        message: Why nothing can be said; else empty.
    """

    verdict: list[tuple[str, list[str]]]
    regressions: pd.DataFrame
    message: str = ""


def findings(rows: pd.DataFrame, content: RobustnessContent) -> Findings:
    """The report's verdict, from the rows that it needs.

    Args:
        rows: Of Dice in slices, or volumes if there are no slices; all classes.
        content: Of the study; its table is not read.
    """
    mean = rows[rows["class"] == ALL]
    try:
        results = robustness_results(replace(content, table=rows if mean.empty else mean))
    except SpinforgeError as error:
        return Findings([], pd.DataFrame(columns=REGRESSION), str(error))
    steps = results.steps
    regressions = steps.loc[steps["regression"].astype(bool), REGRESSION]
    return Findings(verdict(results, content.strengths), regressions.reset_index(drop=True))
