"""Do two networks, or a network's scores at two severities, differ? Paired tests over subjects.

Every subject counts once, by the mean of its cases; `mean_intervals` averages over cases, so the
two differ where subjects have different numbers of them. Seeds are averaged within a subject: what
is shown holds for the networks that were trained.
"""

import itertools
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from jaxtyping import Float64

from spinforge.evaluation.bootstrap import bootstrap_intervals
from spinforge.evaluation.intervals import FEWEST_CLUSTERS, require_finite, require_names
from spinforge.evaluation.signed_rank import (
    best_corrected_p,
    fewest_pairs,
    holm,
    signed_rank_test,
)

Verdict = Literal["first larger", "second larger", "not shown", "equal", "too few"]
"""Which is larger (of a distance the worse one); no difference was shown; all pairs are equal; so
few unequal pairs that none could have been shown."""

COLUMNS = [
    "first", "second", "pairs", "unequal", "mean_difference", "low", "high", "rank_biserial", "p",
    "p_holm", "verdict", "claim",
]  # fmt: skip

Paired = Float64[np.ndarray, "_ 2"]
"""Values of both in each cluster; lists of these differ in length."""


def compare_pairs(
    scores: pd.DataFrame,
    *,
    between: str = "network",
    by: Sequence[str] = (),
    baseline: object = None,
    cluster: str = "subject",
    alpha: float = 0.05,
    seed: int = 0,
) -> pd.DataFrame:
    """Compare what the column `between` tells apart, in every group; all make one family of tests.

    Ask for what you want to know only: each further comparison makes all the others harder to show.

    Args:
        scores: With columns `between`, `by`, `cluster` and value; several values of a subject, such
            as slices and seeds, are averaged first. Whole volumes and slices must not be mixed.
        between: Column of what is compared, such as network, or severity of one network.
        by: Columns of groups within which it is compared, such as transform, severity, class,
            metric.
        baseline: Value of `between` with which all others are compared, as `first`; by default
            every pair is, in the order of the names.
        cluster: Column of what is independent of each other.
        alpha: Probability of claiming any difference of the family where there is none; intervals
            of single differences have the level 1 - alpha.
        seed: Seed of the resamples of the intervals.

    Returns:
        One row a group and pair that both have values in: the columns `by`; first, second: what is
        compared; pairs: clusters with a value of both; unequal: those whose values differ;
        mean_difference: first less second, with low and high of its studentised bootstrap interval,
        not corrected for the number of comparisons (NaN with fewer than `FEWEST_CLUSTERS` pairs);
        rank_biserial: effect size, -1 to 1; p: of the signed-rank test; p_holm: the same, corrected
        for all rows; verdict: what may be claimed; claim: the same as a sentence.

    Raises:
        ValueError: If a value is infinite, a name is missing, or the baseline is in no row.
    """
    require_finite(scores)
    require_names(scores, [*by, between, cluster])
    if baseline is not None and not (scores[between] == baseline).any():
        raise ValueError(f"no row has {between} {baseline!r}, which shall be the baseline")
    keys = [*by, cluster, between]
    means = scores.groupby(keys, observed=True)["value"].mean().unstack(between)
    groups = [((), means)] if not by else list(means.groupby(level=list(by), observed=True))
    found = [
        (key, pair, group[list(pair)].dropna().to_numpy(np.float64))
        for key, group in groups
        for pair in _pairs(list(group.columns[group.notna().any()]), baseline)
    ]
    if not found:
        return pd.DataFrame(columns=[*by, *COLUMNS])
    named = pd.DataFrame(
        [(*(key if isinstance(key, tuple) else (key,)), *pair) for key, pair, _ in found],
        columns=[*by, "first", "second"],
    )
    return named.join(_tests([values for _, _, values in found], named, between, alpha, seed))


def _pairs(names: list[object], baseline: object) -> list[tuple[object, object]]:
    if baseline is not None:
        others = [name for name in names if name != baseline]
        return [(baseline, name) for name in others] if baseline in names else []
    return list(itertools.combinations(names, 2))


def _tests(
    paired: list[Paired], names: pd.DataFrame, between: str, alpha: float, seed: int
) -> pd.DataFrame:
    """What `compare_pairs` says of each comparison, beside what is compared."""
    results = [signed_rank_test(values[:, 0], values[:, 1]) for values in paired]
    low, mean, high = _differences(paired, alpha, seed)
    p = [result.p for result in results]
    unequal = [result.unequal for result in results]
    table = pd.DataFrame(
        {
            "pairs": [len(values) for values in paired],
            "unequal": unequal,
            "mean_difference": mean,
            "low": low,
            "high": high,
            "rank_biserial": [result.rank_biserial for result in results],
            "p": p,
            "p_holm": holm(p),
        }
    )
    best = best_corrected_p(p, unequal)
    rows = list(names.join(table).itertuples(index=False))
    verdicts = [_verdict(row, least, alpha) for row, least in zip(rows, best, strict=True)]
    claims = [
        _claim(row, verdict, between=between, family=len(rows), alpha=alpha)
        for row, verdict in zip(rows, verdicts, strict=True)
    ]
    return table.assign(verdict=verdicts, claim=claims)


def _differences(
    paired: list[Paired], alpha: float, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lower end, mean and upper end of each mean difference."""
    most = max(1, *(len(values) for values in paired)) if paired else 1
    sums, counts = np.zeros((2, len(paired), most, 1))
    for row, values in enumerate(paired):
        sums[row, : len(values), 0] = values[:, 0] - values[:, 1]
        counts[row, : len(values)] = 1
    found = bootstrap_intervals(sums, counts, seed=seed, level=1 - alpha)
    enough = counts.sum((1, 2)) >= FEWEST_CLUSTERS
    low, high = (np.where(enough, end, np.nan) for end in (found.low, found.high))
    return low, found.mean, high


def _verdict(row: Any, best: float, alpha: float) -> Verdict:
    if row.p_holm <= alpha:
        return "first larger" if row.rank_biserial > 0 else "second larger"
    if row.pairs and not row.unequal:
        return "equal"
    return "too few" if best > alpha else "not shown"


def _claim(row: Any, verdict: Verdict, *, between: str, family: int, alpha: float) -> str:
    """The verdict in plain words, with the figures it rests on."""
    # A severity is a number, which alone says nothing.
    first, second = (
        name if isinstance(name, str) else f"{between} {name}" for name in (row.first, row.second)
    )
    if verdict == "equal":
        return f"{first} and {second} have the same values in all {row.pairs} pairs."
    if verdict == "too few":
        what = "the only one" if family == 1 else f"one of {family}"
        return (
            f"No claim: {row.unequal} unequal pairs cannot show a difference between {first} and "
            f"{second} at {alpha:g}, whatever they are, as this comparison is {what}; with "
            f"{fewest_pairs(family, alpha)} unequal pairs it could."
        )
    if verdict == "not shown":
        return (
            f"No difference between {first} and {second} is shown by {row.pairs} pairs (corrected "
            f"p = {row.p_holm:.2g}); this does not show that they are equal."
        )
    larger, smaller = (first, second) if verdict == "first larger" else (second, first)
    ends = f" [{row.low:.3g}, {row.high:.3g}]" if np.isfinite(row.low) else ""
    return (
        f"{larger} has larger values than {smaller} in {row.pairs} pairs (corrected p = "
        f"{row.p_holm:.2g}; rank-biserial {row.rank_biserial:.2f}); {first} less {second} is "
        f"{row.mean_difference:.3g}{ends} in the mean."
    )
