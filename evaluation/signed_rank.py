"""Wilcoxon's signed-rank test, its effect size, Holm's correction, and what they can never show.

The p value is exact, ties or not: the distribution of the rank sum when every sign is a coin toss,
by convolution. Pairs that are equal are left out, as Wilcoxon did (not ranked, as Pratt does):
then only unequal pairs are evidence, and the smallest p value depends on their number alone.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int64
from scipy import stats

EXACT_UP_TO = 200
"""Unequal pairs; with more, the normal approximation of SciPy is indistinguishable."""

_ROUNDING = 1e-12
"""Differences, relative to the largest value, that come from the rounding of sums."""

PerCluster = Float64[np.ndarray, " cluster"]


class SignedRank(NamedTuple):
    """Result of a test.

    Attributes:
        p: Two-sided; 1 if all pairs are equal.
        rank_biserial: Share of the ranks in favour of the first less that of the second, -1 to 1;
            0 if all pairs are equal.
        unequal: Pairs that are not equal.
    """

    p: float
    rank_biserial: float
    unequal: int


def signed_rank_test(first: PerCluster, second: PerCluster) -> SignedRank:
    """Wilcoxon's signed-rank test of paired values, with its effect size.

    Args:
        first: One value a subject, finite.
        second: The other, in the same order.

    Source:
        Wilcoxon, Biometrics Bulletin 1(6):80 (1945); Pratt, JASA 54:655 (1959), on zeros; Kerby,
        Comprehensive Psychology 3:1 (2014), on the matched-pairs rank-biserial correlation.
    """
    largest = float(np.abs([first, second]).max(initial=0.0))
    differences = _rounded(first - second, _ROUNDING * largest)
    differences = differences[differences != 0]
    if not len(differences):
        return SignedRank(1.0, 0.0, 0)
    ranks = stats.rankdata(np.abs(differences))
    effect = float((ranks * np.sign(differences)).sum() / ranks.sum())
    if len(differences) > EXACT_UP_TO:
        p = float(stats.wilcoxon(differences).pvalue)
    else:
        # Ranks of ties are halves.
        p = _exact_p(np.rint(2 * ranks).astype(np.int64), differences > 0)
    return SignedRank(p, effect, len(differences))


def _rounded(differences: PerCluster, unit: float) -> PerCluster:
    """Differences that are ties but for rounding become ties, and those that are 0 become 0."""
    return np.round(differences / unit) * unit if unit > 0 else differences


def _exact_p(doubled_ranks: Int64[np.ndarray, " pair"], positive: np.ndarray) -> float:
    total = int(doubled_ranks.sum())
    probability = np.zeros(total + 1)
    probability[0] = 1.0
    for rank in doubled_ranks:
        shifted = np.zeros_like(probability)
        shifted[rank:] = probability[:-rank]
        probability = (probability + shifted) / 2
    favourable = int(doubled_ranks[positive].sum())
    return float(min(1.0, 2 * probability[: min(favourable, total - favourable) + 1].sum()))


def smallest_p(pairs: int) -> float:
    """Smallest p value a two-sided signed-rank test of so many unequal pairs can have: 2 / 2^n."""
    return min(1.0, 2.0 ** (1 - pairs))


def fewest_pairs(comparisons: int = 1, alpha: float = 0.05) -> int:
    """Unequal pairs from which on the most extreme outcome survives Holm's first step.

    The smallest n with 2 / 2^n times the number of comparisons at most alpha: 6 for one comparison
    at 5 %, 9 for ten, 12 for a hundred.
    """
    pairs = max(1, 1 + math.ceil(math.log2(comparisons / alpha)))
    return pairs if smallest_p(pairs) * comparisons <= alpha else pairs + 1


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


def best_corrected_p(p_values: Sequence[float], unequal: Sequence[int]) -> list[float]:
    """What Holm's correction would make of each p value, were it the smallest its pairs allow.

    The other p values stay: those below it come first, so that it is multiplied by fewer.

    Args:
        p_values: Of the family.
        unequal: Unequal pairs of each comparison.
    """
    p = np.sort(np.asarray(p_values, dtype=np.float64))
    least = np.array([smallest_p(pairs) for pairs in unequal])
    before = np.searchsorted(p, least)
    steps = np.maximum.accumulate(p * (len(p) - np.arange(len(p))))
    earlier = np.where(before > 0, steps[before - 1], 0.0) if len(p) else least
    return np.minimum(1.0, np.maximum(earlier, least * (len(p) - before))).tolist()
