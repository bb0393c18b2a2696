"""Would another draw of subjects, or another training, have ranked the networks differently?

Source:
    Wiesenfarth et al., Scientific Reports 11:2369 (2021): ranks of bootstrap samples, and Kendall's
    tau between them and the ranking of all subjects.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float64
from scipy import stats

from spinforge.evaluation.bootstrap import resampled_weights
from spinforge.evaluation.intervals import FEWEST_CLUSTERS, require_finite, require_names

Means = Float64[np.ndarray, "resample network"]


@dataclass(frozen=True)
class RankStability:
    """Ranks of networks in the resamples; all NaN with fewer than `FEWEST_CLUSTERS` subjects.

    Attributes:
        shares: Rows network, columns rank from 1: share of the resamples; equal means share their
            ranks. Empty without a subject that every network has.
        mean_rank: Of each network in the resamples; equal means share the mean of their ranks.
        kendall_tau: Mean of Kendall's tau-b between a resample's ranking and that of all subjects:
            1 if no resample ranks differently.
        kendall_tau_low: Its 5th percentile.
        subjects: Subjects that every network has.
        seeds: Seeds of each network; with 1, other trainings are not accounted for.
    """

    shares: pd.DataFrame
    mean_rank: pd.Series
    kendall_tau: float
    kendall_tau_low: float
    subjects: int
    seeds: pd.Series


def rank_stability(
    scores: pd.DataFrame,
    *,
    network: str = "network",
    cluster: str = "subject",
    seed_column: str | None = None,
    larger_is_better: bool = True,
    seed: int = 0,
) -> RankStability:
    """Rank the networks in every resample of subjects and, if asked for, of their seeds.

    All networks share the subjects of a resample; seeds are drawn for each network apart, since
    equal seeds of two networks have nothing in common.

    Args:
        scores: One metric of one tissue, with columns `network`, `cluster`, value; several values
            of a subject are averaged first. Only subjects with a value of every network (and seed)
            count.
        network: Column of what is ranked.
        cluster: Column of what is independent of each other.
        seed_column: Column of the training's seed.
        larger_is_better: False for distances.
        seed: Seed of the resamples.

    Raises:
        ValueError: If a value is infinite or a name is missing.
    """
    require_finite(scores)
    columns = [network] if seed_column is None else [network, seed_column]
    require_names(scores, [*columns, cluster])
    cells = scores.groupby([*columns, cluster], observed=True)["value"].mean().unstack(cluster)
    complete = cells.dropna(axis=1)
    names = complete.index.get_level_values(network)
    seeds = names.to_series().groupby(names).size().rename("seeds")
    if complete.shape[1] == 0:
        return _no_ranks(seeds.iloc[:0], 0, seeds)
    values = [complete[names == name].to_numpy(np.float64) for name in seeds.index]
    subjects = complete.shape[1]
    if subjects < FEWEST_CLUSTERS:
        return _no_ranks(seeds, subjects, seeds)
    observed = np.array([[value.mean() for value in values]])
    resampled = _resampled(values, seed)
    worse = -1.0 if larger_is_better else 1.0
    taus = _kendall_tau(resampled, observed[0])
    return RankStability(
        shares=_shares_table(_rank_shares(worse * resampled), seeds.index),
        mean_rank=pd.Series(stats.rankdata(worse * resampled, axis=1).mean(0), seeds.index),
        kendall_tau=float(taus.mean()),
        kendall_tau_low=float(np.quantile(taus, 0.05)),
        subjects=subjects,
        seeds=seeds,
    )


def _resampled(values: list[Float64[np.ndarray, "seed subject"]], seed: int) -> Means:
    """Mean of each network in each resample of subjects (shared) and seeds (its own)."""
    drawn = resampled_weights(values[0].shape[1], seed=seed).astype(np.float64)
    means = []
    for number, value in enumerate(values):
        n_seeds, subjects = value.shape
        seeds = resampled_weights(n_seeds, seed=seed, way=f"seed of network {number}")
        means.append(((drawn @ value.T) * seeds).sum(1) / (n_seeds * subjects))
    # Equal networks are to have equal means, however the sums were rounded.
    return np.round(np.stack(means, axis=1), 12)


def _kendall_tau(means: Means, reference: Float64[np.ndarray, " network"]) -> np.ndarray:
    """Tau-b of every row with the reference; 1 for a single network, 0 if all are equal in one."""
    first, second = np.triu_indices(len(reference), 1)
    if not len(first):
        return np.ones(len(means))
    signs = np.sign(means[:, first] - means[:, second])
    true = np.sign(np.round(reference[first] - reference[second], 12))
    pairs = np.sqrt(np.abs(signs).sum(1) * np.abs(true).sum())
    return np.divide(signs @ true, pairs, out=np.zeros(len(means)), where=pairs > 0)


def _rank_shares(values: Means) -> np.ndarray:
    """Share of the rows in which each column has each rank, the smallest being first."""
    n = values.shape[1]
    lowest = stats.rankdata(values, method="min", axis=1).astype(int)
    highest = stats.rankdata(values, method="max", axis=1).astype(int)
    ranks = np.arange(1, n + 1)
    taken = (lowest[..., None] <= ranks) & (ranks <= highest[..., None])
    return np.asarray((taken / (highest - lowest + 1)[..., None]).mean(0))


def _shares_table(shares: np.ndarray, networks: pd.Index) -> pd.DataFrame:
    columns = pd.RangeIndex(1, shares.shape[1] + 1, name="rank")
    return pd.DataFrame(shares, index=networks, columns=columns)


def _no_ranks(ranked: pd.Series, subjects: int, seeds: pd.Series) -> RankStability:
    n = len(ranked)
    return RankStability(
        shares=_shares_table(np.full((n, n), np.nan), ranked.index),
        mean_rank=pd.Series(np.nan, ranked.index, dtype=float),
        kendall_tau=np.nan,
        kendall_tau_low=np.nan,
        subjects=subjects,
        seeds=seeds,
    )
