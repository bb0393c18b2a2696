"""Everything a robustness report says in figures: means, scores, tests and ranks, as tables."""

from dataclasses import dataclass

import pandas as pd

from spinforge.evaluation.comparison import compare_pairs
from spinforge.evaluation.empty_masks import MaskCase, mask_cases
from spinforge.evaluation.intervals import mean_intervals
from spinforge.evaluation.rank_stability import RankStability, rank_stability
from spinforge.evaluation.robustness.content import RobustnessContent
from spinforge.evaluation.robustness.long_table import CLEAN
from spinforge.evaluation.robustness.regressions import severity_steps
from spinforge.evaluation.robustness.report.cases import StudyCases, study_cases
from spinforge.evaluation.robustness.report.worst import worst_cases
from spinforge.evaluation.robustness.setbacks import severity_setbacks
from spinforge.evaluation.robustness.subject_scores import (
    Cluster,
    baseline_increases,
    interval_clusters,
    over_transforms,
    plain_names,
    score_intervals,
    subject_scores,
)
from spinforge.evaluation.score import ALL
from spinforge.simulation.errors import SpinforgeError


@dataclass(frozen=True)
class RobustnessResults:
    """The figures of one study; all tables are plain, one row an entry.

    Attributes:
        cases: What they were made from.
        cluster: Of the intervals: "subject", or subject and seed.
        levels: protocol, model, metric, class, transform, severity (clean: "clean", 0) and the
            columns of `mean_intervals`, with infinite: values left out because they are infinite.
        subject_scores: Overall, degradation and clean of every subject and seed; class "all".
        scores: protocol, model, metric, transform (or "all transforms"), score (of
            `subject_scores.SCORES`) and the columns of `mean_intervals`.
        increases: `baseline_increases`: which relative corruption errors there are.
        comparisons: `compare_pairs` of the networks' degradation of Dice over all transforms.
        ranks: The same by protocol: would another draw have ranked the networks differently?
        steps: `severity_steps` of Dice.
        setbacks: `severity_setbacks` of Dice.
        empty_masks: protocol, model, severity, class, transforms joined, and how often a tissue
            was in both maps, missed, a false positive or in neither; empty without sizes.
        worst: `worst_cases`.
        notes: What could not be said, in sentences.
    """

    cases: StudyCases
    cluster: Cluster
    levels: pd.DataFrame
    subject_scores: pd.DataFrame
    scores: pd.DataFrame
    increases: pd.DataFrame
    comparisons: pd.DataFrame
    ranks: dict[str, RankStability]
    steps: pd.DataFrame
    setbacks: pd.DataFrame
    empty_masks: pd.DataFrame
    worst: pd.DataFrame
    notes: tuple[str, ...]


def robustness_results(content: RobustnessContent) -> RobustnessResults:
    """Compute everything once.

    Raises:
        SpinforgeError: As `study_cases`, or if the baseline is no network of the study or clean
            rows lack.
    """
    if content.baseline not in content.networks:
        raise SpinforgeError(
            f"the baseline {content.baseline!r} is not among the networks "
            f"{', '.join(content.networks)}: choose one of them"
        )
    cases = study_cases(content)
    cluster = interval_clusters(cases.rows)
    dice = plain_names(cases.rows[(cases.rows["metric"] == "dice") & (cases.rows["class"] == ALL)])
    together = cases.rows[cases.rows["class"] == ALL]
    subjects = subject_scores(plain_names(together))
    increases = baseline_increases(subjects, content.baseline, cluster)
    scores, notes = score_intervals(subjects, content.baseline, cluster)
    of_dice = over_transforms(subjects[subjects["metric"] == "dice"], "degradation")
    return RobustnessResults(
        cases=cases,
        cluster=cluster,
        levels=_levels(cases, cluster),
        subject_scores=subjects,
        scores=scores,
        increases=increases,
        comparisons=compare_pairs(_ordered(of_dice, cases), between="model", by=["protocol"]),
        ranks={str(name): _ranks(rows) for name, rows in of_dice.groupby("protocol")},
        steps=severity_steps(dice),
        setbacks=severity_setbacks(dice),
        empty_masks=_empty_masks(cases.sizes),
        worst=worst_cases(dice) if cases.unit == "slice" else worst_cases(dice.iloc[:0]),
        notes=notes,
    )


def _ordered(rows: pd.DataFrame, cases: StudyCases) -> pd.DataFrame:
    """Pairs of networks are to stand in the order of the content."""
    return rows.assign(model=pd.Categorical(rows["model"], categories=cases.present("model")))


def _levels(cases: StudyCases, cluster: Cluster) -> pd.DataFrame:
    keys = ["protocol", "model", "metric", "class", "transform", "severity"]
    groups = cases.rows.groupby(["metric", "class"], observed=True)
    # One metric of one class at a time: the resamples of all would not fit into memory.
    means = pd.concat([mean_intervals(rows, keys, cluster=cluster) for _, rows in groups])
    infinite = cases.rows.groupby(keys, observed=True)["infinite"].sum().reset_index()
    return plain_names(means.merge(infinite, on=keys, how="left").reset_index(drop=True))


def _ranks(degradation: pd.DataFrame) -> RankStability:
    several = degradation["seed"].nunique() > 1
    return rank_stability(
        degradation,
        network="model",
        seed_column="seed" if several else None,
        larger_is_better=False,
    )


def _empty_masks(sizes: pd.DataFrame) -> pd.DataFrame:
    """How often each tissue was missed or invented, by severity; clean is 0."""
    columns = ["protocol", "model", "severity", "class", *(case.value for case in MaskCase)]
    if sizes["metric"].nunique() < 2:
        return pd.DataFrame(columns=columns)
    keys = ["protocol", "model", "transform", "severity", "seed", "subject", "slice", "class"]
    true, found = (
        sizes[sizes["metric"] == name].set_index(keys)["value"]
        for name in ("true_pixels", "predicted_pixels")
    )
    found = found.reindex(true.index)
    cases = mask_cases(true.to_numpy(), found.to_numpy())
    index = true.index.to_frame(index=False).assign(case=cases)
    counted = index.groupby(["protocol", "model", "severity", "class", "case"], observed=True)
    table = counted.size().unstack("case", fill_value=0)
    table = table.reindex(columns=[case.value for case in MaskCase], fill_value=0).reset_index()
    return plain_names(table)[columns]


def level_means(
    results: RobustnessResults, protocol: str, metric: str, tissue: str
) -> pd.DataFrame:
    """Means of the severities of one view, with the clean ones as severity 0 of every transform.

    NaN where more cases are infinite than finite: a mean of the few that are left says nothing.
    """
    levels = results.levels
    view = levels[
        (levels["protocol"] == protocol)
        & (levels["metric"] == metric)
        & (levels["class"] == tissue)
    ]
    figures = ["mean", "low", "high"]
    view = view.assign(**view[figures].mask(view["infinite"] > view["cases"]))
    clean = view[view["transform"] == CLEAN]
    copies = [clean.assign(transform=name) for name in results.cases.present("transform")[1:]]
    return pd.concat([*copies, view[view["transform"] != CLEAN]], ignore_index=True)
