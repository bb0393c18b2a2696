"""Everything a robustness report says in figures: means, scores, tests and ranks, as tables."""

from dataclasses import dataclass

import pandas as pd

from spinforge.evaluation.comparison import compare_pairs
from spinforge.evaluation.empty_masks import MaskCase, mask_cases
from spinforge.evaluation.intervals import FEWEST_CLUSTERS, mean_intervals
from spinforge.evaluation.rank_stability import RankStability, rank_stability
from spinforge.evaluation.robustness.content import RobustnessContent
from spinforge.evaluation.robustness.corruption_error import NO_ERROR, mean_errors
from spinforge.evaluation.robustness.degradation import (
    ALL_TRANSFORMS,
    degradation_scores,
    mean_if_all,
)
from spinforge.evaluation.robustness.long_table import CLEAN
from spinforge.evaluation.robustness.regressions import severity_steps
from spinforge.evaluation.robustness.report.cases import StudyCases, study_cases
from spinforge.evaluation.robustness.report.units import baseline_increases, mask_chance
from spinforge.evaluation.robustness.report.worst import worst_cases
from spinforge.evaluation.score import ALL
from spinforge.simulation.errors import SpinforgeError

SCORES = ("clean", "overall", "degradation", "ce", "relative_ce")
"""In the column score: means of clean images, ROOD-MRI's two, corruption errors in percent."""

_SCORED = ["protocol", "model", "metric", "transform"]

_SUBJECT_GROUPS = ["model", "task", "protocol", "class", "metric", "subject", "seed"]


@dataclass(frozen=True)
class RobustnessResults:
    """The figures of one study; all tables are plain, one row an entry.

    Attributes:
        cases: What they were made from.
        cluster: Of the intervals: "subject", or subject and seed.
        levels: protocol, model, metric, class, transform, severity (clean: "clean", 0) and the
            columns of `mean_intervals`, with infinite: values left out because they are infinite.
        subject_scores: Overall, degradation and clean of every subject and seed; class "all".
        scores: protocol, model, metric, transform (or "all transforms"), score (of `SCORES`) and
            the columns of `mean_intervals`.
        increases: `baseline_increases`: which relative corruption errors there are.
        comparisons: `compare_pairs` of the networks' degradation of Dice over all transforms.
        ranks: The same by protocol: would another draw have ranked the networks differently?
        steps: `severity_steps` of Dice.
        empty_masks: protocol, model, severity, class, transforms joined, and how often a tissue
            was in both maps, missed, a false positive or in neither; empty without sizes.
        worst: `worst_cases`.
        notes: What could not be said, in sentences.
    """

    cases: StudyCases
    cluster: str | tuple[str, str]
    levels: pd.DataFrame
    subject_scores: pd.DataFrame
    scores: pd.DataFrame
    increases: pd.DataFrame
    comparisons: pd.DataFrame
    ranks: dict[str, RankStability]
    steps: pd.DataFrame
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
    cluster = ("subject", "seed") if cases.seeds >= FEWEST_CLUSTERS else "subject"
    dice = _plain(cases.rows[(cases.rows["metric"] == "dice") & (cases.rows["class"] == ALL)])
    together = cases.rows[cases.rows["class"] == ALL]
    subjects = _subject_scores(_plain(together))
    increases = baseline_increases(subjects, content.baseline, cluster)
    scores, notes = _scores(mask_chance(subjects, increases), content.baseline, cluster)
    of_dice = _overall(subjects[subjects["metric"] == "dice"], "degradation")
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
        empty_masks=_empty_masks(cases.sizes),
        worst=worst_cases(dice) if cases.unit == "slice" else worst_cases(dice.iloc[:0]),
        notes=notes,
    )


def _plain(rows: pd.DataFrame) -> pd.DataFrame:
    """Names as text: joins of categories with others are slow or wrong."""
    names = [name for name in rows if isinstance(rows[name].dtype, pd.CategoricalDtype)]
    return rows.astype(dict.fromkeys(names, "str"))


def _ordered(rows: pd.DataFrame, cases: StudyCases) -> pd.DataFrame:
    """Pairs of networks are to stand in the order of the content."""
    return rows.assign(model=pd.Categorical(rows["model"], categories=cases.present("model")))


def _levels(cases: StudyCases, cluster: str | tuple[str, str]) -> pd.DataFrame:
    keys = ["protocol", "model", "metric", "class", "transform", "severity"]
    groups = cases.rows.groupby(["metric", "class"], observed=True)
    # One metric of one class at a time: the resamples of all would not fit into memory.
    means = pd.concat([mean_intervals(rows, keys, cluster=cluster) for _, rows in groups])
    infinite = cases.rows.groupby(keys, observed=True)["infinite"].sum().reset_index()
    return _plain(means.merge(infinite, on=keys, how="left").reset_index(drop=True))


def _subject_scores(rows: pd.DataFrame) -> pd.DataFrame:
    """Scores of every subject and seed; alpha 1 gives the plain means of corruption errors."""
    found = []
    for protocol, group in rows.groupby("protocol"):
        rood = degradation_scores(group, by=_SUBJECT_GROUPS)
        rood[["error", "increase"]] = mean_errors(group, _SUBJECT_GROUPS)[["error", "increase"]]
        found.append(rood.assign(protocol=protocol))
    kept = [*_SUBJECT_GROUPS, "transform", "clean", "overall", "degradation", "error", "increase"]
    return pd.concat(found, ignore_index=True)[kept]


def _overall(subjects: pd.DataFrame, score: str) -> pd.DataFrame:
    """Mean of a score over the transforms, of every subject and seed; NaN where one lacks."""
    mean = mean_if_all(subjects, _SUBJECT_GROUPS, [score])
    return mean.rename(columns={score: "value"}).reset_index()


def _scores(
    subjects: pd.DataFrame, baseline: str, cluster: str | tuple[str, str]
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Every score of every transform and of all together, with intervals."""
    parts = []
    for score in ("clean", "overall", "degradation"):
        each = subjects.rename(columns={score: "value"})[[*_SUBJECT_GROUPS, "transform", "value"]]
        together = _overall(subjects, score).assign(transform=ALL_TRANSFORMS)
        parts.append(pd.concat([each, together]).assign(score=score))
    notes = []
    for protocol, group in subjects.groupby("protocol"):
        if not (group["model"] == baseline).any():
            notes.append(
                f"No corruption errors of the protocol “{protocol}”: the baseline {baseline} was "
                f"not scored in it."
            )
            continue
        for score, figure in (("ce", "error"), ("relative_ce", "increase")):
            parts.append(_ratios(group, figure, baseline).assign(score=score))
    table = pd.concat(parts, ignore_index=True)
    return mean_intervals(table, [*_SCORED, "score"], cluster=cluster), tuple(notes)


def _ratios(subjects: pd.DataFrame, figure: str, baseline: str) -> pd.DataFrame:
    """The ratio to the baseline in percent, linearised: one value a subject and seed.

    Their mean is the ratio of the means, y / x; each is r + (y_i - r x_i) / x, what it adds to the
    ratio to first order.
    """
    of_baseline = subjects[subjects["model"] == baseline]
    unit = of_baseline.groupby(["metric", "transform", "subject"])[figure].mean().rename("unit")
    beside = subjects.join(unit, on=["metric", "transform", "subject"])
    beside = beside[["model", "protocol", "metric", "transform", "subject", "seed", figure, "unit"]]
    beside[[figure, "unit"]] = beside[[figure, "unit"]].mask(
        beside[[figure, "unit"]].isna().any(axis=1)
    )
    means = beside.groupby(["model", "metric", "transform"])[[figure, "unit"]].transform("mean")
    x = means["unit"].where(means["unit"] > NO_ERROR)
    r = means[figure] / x
    beside["value"] = 100 * (r + (beside[figure] - r * beside["unit"]) / x)
    keys = ["model", "protocol", "metric", "subject", "seed"]
    each = beside[[*keys, "transform", "value"]]
    together = mean_if_all(each, keys, ["value"]).reset_index()
    return pd.concat([each, together.assign(transform=ALL_TRANSFORMS)], ignore_index=True)


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
    return _plain(table)[columns]


def level_means(
    results: RobustnessResults, protocol: str, metric: str, tissue: str
) -> pd.DataFrame:
    """Means of the severities of one view, with the clean ones as severity 0 of every transform."""
    levels = results.levels
    view = levels[
        (levels["protocol"] == protocol)
        & (levels["metric"] == metric)
        & (levels["class"] == tissue)
    ]
    clean = view[view["transform"] == CLEAN]
    copies = [clean.assign(transform=name) for name in results.cases.present("transform")[1:]]
    return pd.concat([*copies, view[view["transform"] != CLEAN]], ignore_index=True)
