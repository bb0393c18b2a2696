"""The result in plain sentences, which claim no more than the tests show."""

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from spinforge.evaluation.robustness.degradation import ALL_TRANSFORMS
from spinforge.evaluation.robustness.regressions import EQUAL, TOO_FEW, regression_runs
from spinforge.evaluation.robustness.report.results import RobustnessResults, level_means
from spinforge.evaluation.score import ALL
from spinforge.evaluation.signed_rank import fewest_pairs

Strengths = Mapping[tuple[str, int], str]

LEAST_SAID = 5e-4
"""Of a degradation of Dice: less is 0.000."""


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
            _setbacks(results, protocol, strengths),
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
    if f"{best['mean']:.3f}" == f"{worst['mean']:.3f}":
        return f"No network degrades more than another: {score.removeprefix('its ')} for all."
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
    if means[name] < LEAST_SAID:
        return "No corruption lowers Dice, to three decimals, in the mean of the networks."
    levels = level_means(results, protocol, "dice", ALL)
    by_level = levels[levels["transform"] == name].groupby("severity")["mean"].mean()
    # The strongest level need not be the worst.
    corrupted = by_level.drop(0)
    worst, strongest = int(corrupted.index[int(corrupted.argmin())]), int(corrupted.index.max())
    where = f"{_level(strengths, name, worst)}{', its strongest' if worst == strongest else ''}"
    return (
        f"{name} hurts most: in the mean of the networks, Dice falls from {by_level[0]:.3f} clean "
        f"to {by_level[worst]:.3f} where it is worst ({where})."
    )


def _level(strengths: Strengths, transform: str, severity: int) -> str:
    return strengths.get((transform, severity), f"level {severity}")


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
            f"That {first} really degrades less than the next, {second}, cannot be shown: "
            f"they differ in {row['unequal']} of {_subjects(n)}, too few whatever the scores; for "
            f"{_comparisons(len(pairs))} it takes {needed} that differ."
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
    return "1 subject" if count == 1 else f"{count} subjects"


def _comparisons(count: int) -> str:
    return "one comparison" if count == 1 else f"{count} comparisons"


def regression_sentence(results: RobustnessResults, protocol: str, strengths: Strengths) -> str:
    """Name the regressions; without the subjects to show any, where to look."""
    steps = results.steps[results.steps["protocol"] == protocol]
    if steps.empty:
        return ""
    if runs := regression_runs(steps):
        return f"Regression: {'; '.join(_regression(run, strengths) for run in runs)}."
    too_few = int((steps["step"] == TOO_FEW).sum())
    if (~steps["step"].isin([TOO_FEW, EQUAL])).any():
        text = "No network fails at one severity and recovers at a stronger one, as far as shown"
        if not too_few:
            return f"{text}."
        return (
            f"{text}: at {too_few} of {len(steps)} steps of severity too few subjects differ to "
            f"show anything."
        )
    if not too_few:
        return "No network has another Dice at any severity, in any subject: no regression."
    return _nothing_to_show(steps, len(results.steps), strengths)


def _setbacks(results: RobustnessResults, protocol: str, strengths: Strengths) -> str:
    """Name where a network loses ground to the others and makes it up, if it is no regression."""
    keys = ["protocol", "model", "transform", "severity"]
    known = set(results.steps.loc[results.steps["regression"], keys].itertuples(index=False))
    found = results.setbacks[results.setbacks["regression"].astype(bool)]
    found = found[found["protocol"] == protocol]
    if found.empty:
        return ""
    words = [
        f"{run['model'].iloc[0]} under {run['transform'].iloc[0]} at "
        + ", ".join(_level(strengths, run["transform"].iloc[0], int(n)) for n in run["severity"])
        for run in regression_runs(found)
        if not known & set(run[keys].itertuples(index=False))
    ]
    if not words:
        return ""
    return (
        f"Ground lost to the other networks and made up at a stronger level: {'; '.join(words)}. A "
        f"fault that a steep curve hides looks so, and curves that cross do."
    )


def _nothing_to_show(steps: pd.DataFrame, family: int, strengths: Strengths) -> str:
    """How many subjects it takes, and the largest dip."""
    most = steps.sort_values(["unequal", "pairs"], kind="stable").iloc[-1]
    needed = fewest_pairs(family, 0.05)
    text = (
        f"Nothing can be shown about regressions: for {family} steps of severity it takes {needed} "
        f"subjects that differ at a step, and at none do more than {most['unequal']} of "
        f"{most['pairs']}"
    )
    dips = steps[steps["dip"] > 0]
    if dips.empty:
        return f"{text}."
    row = dips.sort_values("dip", ascending=False, kind="stable").iloc[0]
    return (
        f"{text}; the largest dip, which may be chance, is that of {row['model']} under "
        f"{row['transform']} at {_level(strengths, row['transform'], int(row['severity']))} (Dice "
        f"{row['here']:.3f}, but {row['before']:.3f} at the milder and {row['after']:.3f} at the "
        f"stronger one beside it)."
    )


def _regression(run: pd.DataFrame, strengths: Strengths) -> str:
    """One regression of one severity or of several."""
    first, last = run.iloc[0], run.iloc[-1]
    levels = [_level(strengths, first["transform"], int(level)) for level in run["severity"]]
    where = f"at {levels[0]}" if len(levels) == 1 else f"from {levels[0]} to {levels[-1]}"
    there = ", ".join(f"{mean:.3f}" for mean in run["here"])
    return (
        f"{first['model']} under {first['transform']} {where} (Dice {there}, but "
        f"{first['before']:.3f} before the fall and {last['after']:.3f} after the rise)"
    )
