"""The result in plain sentences, which claim no more than the tests show."""

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from spinforge.evaluation.robustness.degradation import ALL_TRANSFORMS
from spinforge.evaluation.robustness.regressions import TOO_FEW
from spinforge.evaluation.robustness.report.results import RobustnessResults, level_means
from spinforge.evaluation.score import ALL
from spinforge.evaluation.signed_rank import fewest_pairs

Strengths = Mapping[tuple[str, int], str]


def verdict(results: RobustnessResults, strengths: Strengths) -> list[tuple[str, list[str]]]:
    """Sentences a protocol: which network degrades least, what hurts most, what is shown.

    Args:
        results: Of the study.
        strengths: (transform, severity) -> its strength in words.

    Returns:
        Name of the protocol, empty if there is one only, and the sentences.
    """
    protocols = results.cases.present("protocol")
    paragraphs = []
    for protocol in protocols:
        sentences = [
            _least(results, protocol),
            _hurts_most(results, protocol, strengths),
            _difference(results, protocol),
            regression_sentence(results, protocol, strengths),
        ]
        name = protocol if len(protocols) > 1 else ""
        paragraphs.append((name, [sentence for sentence in sentences if sentence]))
    return paragraphs


def ranking(results: RobustnessResults, protocol: str) -> pd.DataFrame:
    """Degradation of Dice over all transforms, the least degrading network first; NaN left out."""
    scores = results.scores
    rows = scores[
        (scores["protocol"] == protocol)
        & (scores["metric"] == "dice")
        & (scores["score"] == "degradation")
        & (scores["transform"] == ALL_TRANSFORMS)
        & scores["mean"].notna()
    ]
    return rows.sort_values(["mean", "model"], ignore_index=True)


def _least(results: RobustnessResults, protocol: str) -> str:
    ranked = ranking(results, protocol)
    if ranked.empty:
        return "No network has a Dice at every severity: nothing can be said of its degradation."
    best, worst = ranked.iloc[0], ranked.iloc[-1]
    score = f"its degradation score of Dice is {_with_interval(best)}"
    if len(ranked) == 1:
        return f"The only network to judge is {best['model']}: {score}."
    return (
        f"{best['model']} degrades least: {score}; {worst['model']} degrades most, with "
        f"{_with_interval(worst)}."
    )


def _with_interval(row: Any) -> str:
    ends = f" [{row['low']:.3f}, {row['high']:.3f}]" if math.isfinite(row["low"]) else ""
    return f"{row['mean']:.3f}{ends}".replace("-0.000", "0.000")


def _hurts_most(results: RobustnessResults, protocol: str, strengths: Strengths) -> str:
    scores = results.scores
    rows = scores[
        (scores["protocol"] == protocol)
        & (scores["metric"] == "dice")
        & (scores["score"] == "degradation")
        & (scores["transform"] != ALL_TRANSFORMS)
    ]
    means = rows.groupby("transform", sort=False)["mean"].mean().dropna()
    if means.empty:
        return ""
    name = str(means.idxmax())
    if means[name] <= 0:
        return "No corruption lowers Dice in the mean of the networks."
    levels = level_means(results, protocol, "dice", ALL)
    by_level = levels[levels["transform"] == name].groupby("severity")["mean"].mean()
    strongest = int(by_level.index.max())
    words = strengths.get((name, strongest), f"level {strongest}")
    return (
        f"{name} hurts most: in the mean of the networks, Dice falls from {by_level[0]:.3f} clean "
        f"to {by_level[strongest]:.3f} at its strongest ({words})."
    )


def _difference(results: RobustnessResults, protocol: str) -> str:
    """Whether the difference between the two that degrade least is shown."""
    ranked = ranking(results, protocol)
    if len(ranked) < 2:
        return ""
    first, second = ranked["model"].iloc[:2]
    pairs = results.comparisons
    row = pairs[
        (pairs["protocol"] == protocol)
        & pairs["first"].isin([first, second])
        & pairs["second"].isin([first, second])
    ].iloc[0]
    n, figures = int(row["pairs"]), f"corrected p = {row['p_holm']:.2g}"
    if row["verdict"] == "too few":
        needed = fewest_pairs(len(pairs), 0.05)
        return (
            f"That {first} really degrades less than the next, {second}, cannot be shown: with {n} "
            f"{_subjects(n)} nothing can, whatever the scores; for {_comparisons(len(pairs))} it "
            f"takes {needed}."
        )
    if row["verdict"] == "equal":
        return f"{first} and {second} degrade alike in all {n} subjects."
    if row["verdict"] == "not shown":
        return (
            f"That {first} degrades less than the next, {second}, is not shown by {n} subjects "
            f"({figures}), nor that they are alike."
        )
    larger = row["first"] if row["verdict"] == "first larger" else row["second"]
    if larger == second:
        effect = f"rank-biserial {abs(row['rank_biserial']):.2f}"
        return (
            f"The difference to the next, {second}, is shown by {n} subjects ({figures}, {effect})."
        )
    return (
        f"The mean of {first} is the lowest, but most of the {n} subjects say that {second} "
        f"degrades less ({figures})."
    )


def _subjects(count: int) -> str:
    return "subject" if count == 1 else "subjects"


def _comparisons(count: int) -> str:
    return "one comparison" if count == 1 else f"{count} comparisons"


def regression_sentence(results: RobustnessResults, protocol: str, strengths: Strengths) -> str:
    """Name the regressions; without the subjects to show any, where to look."""
    steps = results.steps[results.steps["protocol"] == protocol]
    found = steps[steps["regression"]]
    if len(found):
        words = "; ".join(_regression(row, strengths) for row in found.to_dict("records"))
        return f"Regression: {words}."
    if steps.empty or (steps["step"] != TOO_FEW).any():
        return "No network fails at one severity and recovers at a stronger one, as far as shown."
    subjects = int(steps["pairs"].max())
    needed = fewest_pairs(len(results.steps), 0.05)
    text = (
        f"Nothing can be shown about regressions: that takes {needed} subjects for "
        f"{len(results.steps)} steps of severity, and there {'is' if subjects == 1 else 'are'} "
        f"{subjects}"
    )
    dips = steps[steps["dip"] > 0]
    if dips.empty:
        return f"{text}."
    row = dips.sort_values("dip", ascending=False, kind="stable").iloc[0]
    return (
        f"{text}; the largest dip, which may be chance, is that of {_regression(row, strengths)}."
    )


def _regression(row: Any, strengths: Strengths) -> str:
    where = strengths.get((row["transform"], row["severity"]), f"level {row['severity']}")
    return (
        f"{row['model']} under {row['transform']} at {where} (Dice {row['here']:.3f}, but "
        f"{row['before']:.3f} at the milder and {row['after']:.3f} at the stronger one beside it)"
    )
