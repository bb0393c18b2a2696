"""Do two networks differ? Paired tests over subjects that do not claim too much.

Every subject counts once, by the mean of its cases; `mean_intervals` averages over cases, so the
two differ where subjects have different numbers of them.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from jaxtyping import Float64
from numpy.typing import NDArray
from scipy import stats

from spinforge.evaluation.intervals import require_finite, resampled_weights

Verdict = Literal["first larger", "second larger", "not shown", "too few"]
"""Which is larger (of a distance the worse one); no difference was shown; so few unequal pairs that
none could have been."""

PerCluster = Float64[np.ndarray, " cluster"]


@dataclass(frozen=True)
class Comparison:
    """Two networks on the same subjects.

    Attributes:
        first: Name of one.
        second: Name of the other.
        pairs: Subjects with a value of both.
        mean_difference: First less second.
        rank_biserial: Share of the ranks in favour of the first less that of the second, -1 to 1.
        p: Of Wilcoxon's signed-rank test, two-sided; 1 if all differences are 0.
        p_holm: The same, corrected for all comparisons of the family.
        verdict: What may be claimed.
    """

    first: str
    second: str
    pairs: int
    mean_difference: float
    rank_biserial: float
    p: float
    p_holm: float
    verdict: Verdict


def compare_networks(
    scores: pd.DataFrame, *, cluster: str = "subject", alpha: float = 0.05
) -> list[Comparison]:
    """Compare every pair of networks; they all make one family of tests.

    Args:
        scores: One metric of one tissue, with columns network, `cluster` and value; several
            values of a subject, such as slices, are averaged first.
        cluster: Column of what is independent of each other.
        alpha: Probability of claiming any difference of the family where there is none.

    Returns:
        One comparison a pair, in the order of the names.

    Raises:
        ValueError: If a value is infinite.
    """
    require_finite(scores)
    means = scores.groupby(["network", cluster], observed=True)["value"].mean().unstack("network")
    pairs = list(itertools.combinations(sorted(means.columns), 2))
    both = [means[list(pair)].dropna().to_numpy(np.float64) for pair in pairs]
    tests = [signed_rank_test(values[:, 0], values[:, 1]) for values in both]
    corrected = holm([p for p, _ in tests])
    return [
        Comparison(
            first=pair[0],
            second=pair[1],
            pairs=len(values),
            mean_difference=float((values[:, 0] - values[:, 1]).mean()) if len(values) else np.nan,
            rank_biserial=effect,
            p=p,
            p_holm=p_holm,
            verdict=_verdict(values, len(pairs), p_holm, effect, alpha),
        )
        for pair, values, (p, effect), p_holm in zip(pairs, both, tests, corrected, strict=True)
    ]


def _verdict(
    values: Float64[np.ndarray, "cluster 2"],
    family: int,
    p_holm: float,
    effect: float,
    alpha: float,
) -> Verdict:
    # Equal pairs say nothing; if all are, there is no difference to be shown.
    unequal = int((values[:, 0] != values[:, 1]).sum())
    if smallest_p(unequal or len(values)) * family > alpha:
        return "too few"
    if p_holm > alpha:
        return "not shown"
    return "first larger" if effect > 0 else "second larger"


def smallest_p(pairs: int) -> float:
    """Smallest p value a two-sided signed-rank test of so many pairs can have: 2 / 2^n."""
    return min(1.0, 2.0 ** (1 - pairs))


def signed_rank_test(first: PerCluster, second: PerCluster) -> tuple[float, float]:
    """Wilcoxon's signed-rank test of paired values, with its effect size.

    Args:
        first: One value a subject.
        second: The other, in the same order.

    Returns:
        Two-sided p value (exact for few pairs without ties) and the rank-biserial correlation;
        1 and 0 if all differences are 0.

    Source:
        Wilcoxon, Biometrics Bulletin 1(6):80 (1945); Kerby, Comprehensive Psychology 3:1 (2014).
    """
    differences = (first - second)[first != second]
    if not len(differences):
        return 1.0, 0.0
    ranks = stats.rankdata(np.abs(differences))
    effect = float((ranks * np.sign(differences)).sum() / ranks.sum())
    return float(stats.wilcoxon(differences).pvalue), effect


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p values for their number, step by step from the smallest.

    Source:
        Holm, Scandinavian Journal of Statistics 6(2):65 (1979).
    """
    order = np.argsort(p_values, kind="stable")
    factors = len(p_values) - np.arange(len(p_values))
    steps = np.minimum(1.0, np.maximum.accumulate(np.asarray(p_values)[order] * factors))
    corrected = np.empty(len(p_values))
    corrected[order] = steps
    return corrected.tolist()


def rank_stability(
    scores: pd.DataFrame, *, cluster: str = "subject", larger_is_better: bool = True, seed: int = 0
) -> pd.DataFrame:
    """How often each network takes each rank when other subjects are drawn.

    Args:
        scores: As for `compare_networks`; only subjects with a value of every network count.
        cluster: Column of what is independent of each other.
        larger_is_better: False for distances.
        seed: Seed of the resamples.

    Returns:
        Rows network, columns rank from 1: share of the resamples; equal means share their ranks.
        Empty without a subject that every network has.

    Raises:
        ValueError: If a value is infinite.
    """
    require_finite(scores)
    means = scores.groupby(["network", cluster], observed=True)["value"].mean().unstack(cluster)
    complete = means.dropna(axis=1)
    networks = complete.index
    columns = pd.RangeIndex(1, len(networks) + 1, name="rank")
    if complete.shape[1] == 0:
        return pd.DataFrame(columns=columns)
    weights = resampled_weights(complete.shape[1], seed=seed)
    resampled = weights @ complete.to_numpy(np.float64).T
    shares = _rank_shares(-resampled if larger_is_better else resampled)
    return pd.DataFrame(shares, index=networks, columns=columns)


def _rank_shares(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of the rows in which each column has each rank, the smallest being first."""
    n = values.shape[1]
    lowest = stats.rankdata(values, method="min", axis=1).astype(int)
    highest = stats.rankdata(values, method="max", axis=1).astype(int)
    ranks = np.arange(1, n + 1)
    taken = (lowest[..., None] <= ranks) & (ranks <= highest[..., None])
    return np.asarray((taken / (highest - lowest + 1)[..., None]).mean(0))
