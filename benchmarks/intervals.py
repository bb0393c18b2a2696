"""How often the intervals of `evaluation/intervals.py` hold the truth, and what 960 of them cost.

    python benchmarks/intervals.py [STUDIES]

Coverage: of simulated studies (2000 of each design) the share whose nominal 95 % interval holds the
true mean, beside that of the plain percentile bootstrap and of Student's t on the subjects' means.
Cost: CPU time on one thread, of 20 subjects, beside a loop over groups that draws for each group
anew. Fails if 960 groups take more than a second, or if a design leaves 92-97 % that shall not.
"""

import os
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")

from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy import special, stats
from timing import best_seconds

from spinforge.evaluation.bootstrap import RESAMPLES, bootstrap_intervals, resampled_weights
from spinforge.evaluation.intervals import mean_intervals

GROUPS, SUBJECTS, SEEDS, SLICES = 960, 20, 5, 10
LOOPED = 40
BATCH = 200
"""Studies that share their resamples."""

Studies = tuple[np.ndarray, float]
"""Values (study, subject, seed), and their true mean."""


def as_dice(logit: np.ndarray, variance: float) -> Studies:
    """Dice whose logit is normal about 2.2, and its mean by Gauss and Hermite's rule."""
    nodes, weights = special.roots_hermitenorm(80)
    mean = weights @ special.expit(2.2 + np.sqrt(variance) * nodes) / weights.sum()
    return special.expit(2.2 + logit), float(mean)


def one_way(kind: str, subjects: int) -> Callable[[np.random.Generator, int], Studies]:
    def draw(rng: np.random.Generator, studies: int) -> Studies:
        shape = (studies, subjects, 1)
        if kind == "beta":
            return rng.beta(8, 1, shape), 8 / 9
        subject, slices = rng.normal(size=shape), rng.normal(size=(*shape[:2], SLICES))
        if kind == "lognormal":
            values = np.exp(0.6 * subject + 0.5 * slices)
            return values.mean(2, keepdims=True), float(np.exp((0.6**2 + 0.5**2) / 2))
        if kind == "Dice":
            dice, mean = as_dice(0.8 * subject + 0.8 * slices, 2 * 0.8**2)
            return dice.mean(2, keepdims=True), mean
        return (subject + slices).mean(2, keepdims=True), 0.0

    return draw


def two_ways(
    kind: str, subjects: int, seeds: int, sd: tuple[float, float, float]
) -> Callable[[np.random.Generator, int], Studies]:
    """`sd`: of subjects, of seeds, and of what neither explains."""

    def draw(rng: np.random.Generator, studies: int) -> Studies:
        shapes = [(studies, subjects, 1), (studies, 1, seeds), (studies, subjects, seeds)]
        values = sum(s * rng.normal(size=shape) for s, shape in zip(sd, shapes, strict=True))
        if kind == "Dice":
            return as_dice(values, sum(s**2 for s in sd))
        return values, 0.0

    return draw


DESIGNS = {
    **{
        f"{kind}, {n} subjects": (one_way(kind, n), kind in ("normal", "Dice"))
        for kind in ("normal", "Dice", "beta", "lognormal")
        for n in (5, 10, 20)
    },
    **{
        f"{kind}, {n} x {m}, sd {sd}": (two_ways(kind, n, m, sd), kind == "normal" and any(sd[:2]))
        for kind in ("normal", "Dice")
        for n, m in ((5, 5), (10, 5), (20, 5))
        for sd in ((1.0, 0.3, 0.3), (0.3, 1.0, 0.3), (0.0, 0.0, 1.0))
    },
}
"""Draw of studies, and whether 92 to 97 % are promised."""


def percentile_covers(values: np.ndarray, truth: float, seed: int) -> np.ndarray:
    """The plain percentile interval, between the 100th values from both ends; both ways drawn."""
    first = resampled_weights(values.shape[1], seed=seed).astype(float)
    second = resampled_weights(values.shape[2], seed=seed, way="other").astype(float)
    cells = values.shape[1] * values.shape[2]
    drawn = (first[:, :, None] * second[:, None, :]).reshape(RESAMPLES, cells) / cells
    ordered = np.partition(values.reshape(-1, cells) @ drawn.T, [99, RESAMPLES - 100], axis=1)
    return (ordered[:, 99] <= truth) & (truth <= ordered[:, RESAMPLES - 100])


def student_covers(values: np.ndarray, truth: float) -> np.ndarray:
    """Student's t on the means of subjects: of the seeds that there are."""
    means = values.mean(2)
    n = means.shape[1]
    half = stats.t.ppf(0.975, n - 1) * means.std(1, ddof=1) / np.sqrt(n)
    return np.abs(means.mean(1) - truth) <= half


def coverage(studies: int) -> bool:
    error = np.sqrt(0.95 * 0.05 / studies)
    write(f"Coverage of {studies} studies; binomial standard error {100 * error:.2f} %\n")
    write(f"{'design':34s} studentised  percentile  Student's t of subjects\n")
    kept = True
    for number, (name, (draw, promised)) in enumerate(DESIGNS.items()):
        rng = np.random.default_rng(number)
        covered = np.zeros(3)
        for batch in range(studies // BATCH):
            values, truth = draw(rng, BATCH)
            found = bootstrap_intervals(values, np.ones_like(values), seed=batch)
            covered[0] += ((found.low <= truth) & (truth <= found.high)).sum()
            covered[1] += percentile_covers(values, truth, batch).sum()
            covered[2] += student_covers(values, truth).sum()
        shares = 100 * covered / (studies // BATCH * BATCH)
        kept &= not promised or 92 <= shares[0] <= 97
        write(f"{name:34s} {shares[0]:10.1f} {shares[1]:11.1f} {shares[2]:11.1f}\n")
    return kept


def loop_over_groups(values: np.ndarray) -> None:
    """The same interval, each group with its own draws, each resample gathered."""
    rng = np.random.default_rng(0)
    for group in values:
        drawn = group[rng.integers(0, len(group), (RESAMPLES, len(group)))]
        error = drawn.std(1, ddof=1) / np.sqrt(len(group))
        ratio = (drawn.mean(1) - group.mean()) / np.where(error > 0, error, np.inf)
        np.quantile(ratio, [0.025, 0.975])


def cost() -> bool:
    rng = np.random.default_rng(0)
    values = rng.random((GROUPS, SUBJECTS, 1))
    crossed = rng.random((GROUPS, SUBJECTS, SEEDS))
    names = pd.MultiIndex.from_product(
        [range(GROUPS), range(SUBJECTS), range(SLICES)], names=["group", "subject", "slice"]
    )
    table = pd.DataFrame({"value": rng.random(len(names))}, index=names).reset_index()
    table = table.astype({"group": "str", "subject": "str"})
    together = best_seconds(lambda: bootstrap_intervals(values, np.ones_like(values)))
    both = best_seconds(lambda: bootstrap_intervals(crossed, np.ones_like(crossed)))
    whole = best_seconds(lambda: mean_intervals(table, ["group"]))
    looped = best_seconds(lambda: loop_over_groups(values[:LOOPED, :, 0])) * GROUPS / LOOPED
    write(
        f"\n{GROUPS} groups of {SUBJECTS} subjects, {RESAMPLES} resamples, CPU time, least of "
        f"three:\n  {together:.2f} s; {looped / together:.0f} times less than the loop over groups "
        f"({looped:.1f} s, from {LOOPED} of them)\n"
        f"  {whole:.2f} s from a table of {len(table)} rows\n"
        f"  {both:.2f} s with {SEEDS} seeds drawn as well\n"
    )
    return max(together, whole, both) < 1.0


def write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


if __name__ == "__main__":
    cheap = cost()
    sys.exit(not (coverage(int(sys.argv[1]) if len(sys.argv) > 1 else 2000) and cheap))
