"""The figures of the page as tables of text."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from spinforge.evaluation.report.tables import Cell, Table
from spinforge.evaluation.report.tables import number as written
from spinforge.evaluation.robustness.content import RobustnessContent
from spinforge.evaluation.robustness.degradation import ALL_TRANSFORMS
from spinforge.evaluation.robustness.long_table import CLEAN
from spinforge.evaluation.robustness.regressions import TOO_FEW
from spinforge.evaluation.robustness.report.cases import METRICS
from spinforge.evaluation.robustness.report.results import RobustnessResults, level_means
from spinforge.evaluation.score import ALL

HEADINGS = {
    "clean": "Clean",
    "overall": "Overall",
    "degradation": "Degradation",
    "ce": "mCE [%]",
    "relative_ce": "Relative mCE [%]",
}

REGRESSED = "▼"
"""Before the mean of a severity that is part of a regression."""

TOO_FEW_WORDS = "too few unequal pairs"
"""Subjects whose values are equal are no evidence, however many there are."""


def corruptions_table(content: RobustnessContent, results: RobustnessResults) -> Table:
    """What each corruption is, and how strong at each level."""
    rows = []
    for name in results.cases.present("transform")[1:]:
        levels = _levels_of(results, name)
        words = "; ".join(
            content.strengths.get((name, level), f"level {level}") for level in levels
        )
        rows.append((name, [Cell(content.transforms.get(name, "")), Cell(words)]))
    return Table("The corruptions.", [], ["Corruption", "What it does", "Severities"], rows)


def _levels_of(results: RobustnessResults, name: str) -> list[int]:
    levels = results.levels
    return sorted(set(levels.loc[levels["transform"] == name, "severity"]))


def score_tables(results: RobustnessResults, baseline: str) -> list[Table]:
    """Clean, overall and degradation score, mCE and relative mCE of every network."""
    tables = []
    for protocol, metric in _views(results):
        found = _by(results.scores, protocol, metric, ["model", "score"], ALL_TRANSFORMS)
        subjects = len(results.cases.subjects)
        rows = [
            (
                name,
                [
                    _cell(found.get((name, score)), _digits(metric, score), subjects)
                    for score in HEADINGS
                ],
            )
            for name in results.cases.present("model")
        ]
        caption = (
            f"{METRICS[metric]}, mean of tissues, over all corruptions{_of(results, protocol)}; "
            f"95 % intervals in brackets. Corruption errors relative to {baseline}."
        )
        tables.append(Table(caption, [], ["Network", *HEADINGS.values()], rows))
    return tables


def corruption_tables(results: RobustnessResults, baseline: str) -> list[Table]:
    """Degradation and corruption errors by corruption: a row each, a column a network."""
    networks = results.cases.present("model")
    words = {
        "degradation": "Degradation score",
        "ce": f"Corruption error [%], relative to {baseline}",
        "relative_ce": f"Relative corruption error [%], relative to {baseline}",
    }
    tables, subjects = [], len(results.cases.subjects)
    for protocol, metric in _views(results):
        for score, heading in words.items():
            found = _by(results.scores, protocol, metric, ["model", "transform"], score=score)
            if not found:
                continue
            rows = [
                (
                    "all corruptions" if name == ALL_TRANSFORMS else name,
                    [
                        _cell(found.get((n, name)), _digits(metric, score), subjects)
                        for n in networks
                    ],
                )
                for name in [*results.cases.present("transform")[1:], ALL_TRANSFORMS]
            ]
            caption = f"{heading}, by corruption: {METRICS[metric]}{_of(results, protocol)}."
            tables.append(Table(caption, [], ["Corruption", *networks], rows))
    return tables


def level_tables(
    results: RobustnessResults, strengths: Mapping[tuple[str, int], str]
) -> list[Table]:
    """Mean Dice at every severity, a table a corruption; regressions are marked."""
    marked = results.steps[results.steps["regression"]]
    regressed = set(
        marked[["protocol", "model", "transform", "severity"]].itertuples(index=False, name=None)
    )
    tables = []
    for protocol in results.cases.present("protocol"):
        means = level_means(results, protocol, "dice", ALL)
        found = {
            (row["model"], row["transform"], row["severity"]): row
            for row in means.to_dict("records")
        }
        for name in results.cases.present("transform")[1:]:
            levels = [0, *_levels_of(results, name)]
            rows = []
            for network in results.cases.present("model"):
                cells = [_cell(found.get((network, name, level)), 3) for level in levels]
                marks = [(protocol, network, name, level) in regressed for level in levels]
                rows.append(
                    (
                        network,
                        [
                            Cell(f"{REGRESSED} {cell.text}", True, cell.spread) if mark else cell
                            for cell, mark in zip(cells, marks, strict=True)
                        ],
                    )
                )
            heads = [
                CLEAN,
                *(strengths.get((name, level), f"level {level}") for level in levels[1:]),
            ]
            caption = f"{name}{_of(results, protocol)}: Dice, mean of tissues, by severity."
            tables.append(Table(caption, [], ["Network", *heads], rows))
    return tables


def comparison_table(results: RobustnessResults, protocol: str) -> Table:
    """Every network against every other: what the test over subjects shows of degradation."""
    pairs = results.comparisons[results.comparisons["protocol"] == protocol]
    cells = {}
    for row in pairs.to_dict("records"):
        first, second = str(row["first"]), str(row["second"])
        cells[first, second] = _verdict_cell(row, "first larger", 1)
        cells[second, first] = _verdict_cell(row, "second larger", -1)
    names, family = results.cases.present("model"), len(results.comparisons)
    rows = [(name, [cells.get((name, other), Cell("")) for other in names]) for name in names]
    caption = (
        "Does the network of the row degrade more or less than that of the column? Degradation "
        f"score of Dice over all corruptions{_of(results, protocol)}; signed-rank tests over "
        f"subjects, Holm over {family} {'pair' if family == 1 else 'pairs'}. After it: mean "
        "difference, rank-biserial correlation r, corrected p."
    )
    return Table(caption, [], ["Network", *names], rows)


def _verdict_cell(row: Any, worse: str, sign: int) -> Cell:
    words = {
        "not shown": "not shown",
        "too few": TOO_FEW_WORDS,
        "equal": "equal",
        worse: "more",
    }
    text = words.get(row["verdict"], "less")
    if not row["pairs"]:
        return Cell("no pair")
    spread = (
        f"{sign * row['mean_difference']:+.3f}, r {sign * row['rank_biserial']:+.2f}, "
        f"p {row['p_holm']:.2g}"
    )
    if row["verdict"] == "too few":
        spread += f", {row['unequal']} of {row['pairs']} unequal"
    return Cell(text, best=text in ("more", "less"), spread=spread)


def rank_table(results: RobustnessResults, protocol: str) -> Table:
    """How often each network has each rank in the resamples."""
    ranks = results.ranks[protocol]
    names = [name for name in results.cases.present("model") if name in ranks.shares.index]
    rows = [
        (
            name,
            [
                Cell(written(float(ranks.mean_rank.get(name, math.nan)), 2)),
                *(Cell(_percent(share)) for share in list(ranks.shares.loc[name])),
            ],
        )
        for name in names
    ]
    drawn = "subjects and seeds" if int(ranks.seeds.max()) > 1 else "subjects"
    if math.isfinite(ranks.kendall_tau):
        tau = (
            f"Kendall's tau with the ranking shown: {ranks.kendall_tau:.2f} in the mean, "
            f"{ranks.kendall_tau_low:.2f} at its 5th percentile."
        )
    else:
        tau = f"{ranks.subjects} subjects are too few to say."
    caption = (
        f"Ranks by degradation of Dice if other {drawn} had been drawn{_of(results, protocol)}: "
        f"share of the bootstrap resamples. {tau}"
    )
    heads = [f"rank {rank}" for rank in ranks.shares.columns]
    return Table(caption, [], ["Network", "Mean rank", *heads], rows)


def _percent(share: float) -> str:
    return written(100 * share, 0) + (" %" if math.isfinite(share) else "")


STEPS_SHOWN, DIPS_SHOWN = 20, 10


def step_table(results: RobustnessResults, strengths: Mapping[tuple[str, int], str]) -> Table:
    """Regressions, with all their severities, then the largest falls with severity."""
    regressions = results.steps[results.steps["regression"]]
    falls = results.steps[~results.steps["regression"] & (results.steps["drop"] > 0)]
    falls = falls.sort_values("drop", ascending=False, kind="stable")
    falls = falls.head(max(0, STEPS_SHOWN - len(regressions)))
    steps = pd.concat([regressions, falls])
    several = len(results.cases.present("protocol")) > 1
    rows = []
    for row in steps.to_dict("records"):
        where = strengths.get((row["transform"], row["severity"]), f"level {row['severity']}")
        shown = f"{REGRESSED} regression" if row["regression"] else _step_words(row["step"])
        cells = [
            *([Cell(row["protocol"])] if several else []),
            Cell(row["transform"]),
            Cell(where),
            Cell(written(row["before"], 3)),
            Cell(written(row["here"], 3)),
            Cell(written(row["after"], 3)),
            _cell({**row, "mean": row["drop"]}, 3),
            Cell(written(row["rank_biserial"], 2)),
            Cell(f"{row['p_holm']:.2g}" if math.isfinite(row["p_holm"]) else "–"),  # noqa: RUF001
            Cell(shown, best=bool(row["regression"])),
        ]
        rows.append((row["model"], cells))
    caption = (
        f"Steps from one severity to the next: regressions first, each from its fall to the last "
        f"severity before its rise, then the largest falls of Dice; {len(steps)} of "
        f"{len(results.steps)}. Signed-rank tests over subjects, Holm over all steps."
    )
    heads = ["Corruption", "Severity", "Milder", "Here", "Stronger", "Drop", "r", "p", "Shown"]
    return Table(caption, [], ["Network", *(["Protocol"] if several else []), *heads], rows)


def setback_table(results: RobustnessResults, strengths: Mapping[tuple[str, int], str]) -> Table:
    """Setbacks, then the largest dips of the difference to the other networks."""
    setbacks = results.setbacks[results.setbacks["dip"] > 0]
    order = ["regression", "dip"]
    shown = setbacks.sort_values(order, ascending=False, kind="stable").head(DIPS_SHOWN)
    several = len(results.cases.present("protocol")) > 1
    rows = []
    for row in shown.to_dict("records"):
        cells = [
            *([Cell(row["protocol"])] if several else []),
            Cell(row["transform"]),
            Cell(strengths.get((row["transform"], row["severity"]), f"level {row['severity']}")),
            *(Cell(f"{row[name]:+.3f}") for name in ("before", "here", "after")),
            Cell(written(row["dip"], 3)),
            Cell(f"{REGRESSED} setback" if row["regression"] else _step_words(row["step"])),
        ]
        rows.append((row["model"], cells))
    caption = (
        "Dice of a network less the mean of the others': where it is lower than at the milder and "
        "at the stronger level, setbacks that are shown first."
    )
    heads = ["Corruption", "Severity", "Milder", "Here", "Stronger", "Dip", "Shown"]
    return Table(caption, [], ["Network", *(["Protocol"] if several else []), *heads], rows)


def _step_words(step: str) -> str:
    return TOO_FEW_WORDS if step == TOO_FEW else step


def empty_mask_tables(results: RobustnessResults) -> list[Table]:
    """Missed and invented tissues by severity, all corruptions of a severity together."""
    counts = results.empty_masks
    tables = []
    for protocol in results.cases.present("protocol"):
        rows_of = counts[counts["protocol"] == protocol]
        if rows_of.empty:
            continue
        levels = sorted(set(rows_of["severity"]))
        found = {(r["model"], r["class"], r["severity"]): r for r in rows_of.to_dict("records")}
        tissues = [name for name in results.cases.present("class") if name != ALL]
        rows = [
            (f"{network}, {tissue}", [_counts(found.get((network, tissue, n))) for n in levels])
            for network in results.cases.present("model")
            for tissue in tissues
        ]
        caption = (
            f"Tissues missed / invented, of so many {results.cases.unit}s, by severity, all "
            f"corruptions together{_of(results, protocol)}. Both have Dice 0 and an infinite "
            f"distance, which no mean of HD95 counts."
        )
        heads = ["clean" if level == 0 else f"level {level}" for level in levels]
        tables.append(Table(caption, [], ["Network, tissue", *heads], rows))
    return tables


def _counts(row: Any) -> Cell:
    if row is None:
        return Cell("–")  # noqa: RUF001
    missed, invented = int(row["missed"]), int(row["false positive"])
    total = missed + invented + int(row["both"]) + int(row["neither"])
    return Cell(f"{missed} / {invented}", best=missed + invented > 0, spread=f"of {total}")


def _views(results: RobustnessResults) -> list[tuple[str, str]]:
    return [
        (protocol, metric)
        for metric in results.cases.present("metric")
        for protocol in results.cases.present("protocol")
    ]


def _by(
    scores: pd.DataFrame,
    protocol: str,
    metric: str,
    keys: Sequence[str],
    transform: str | None = None,
    score: str | None = None,
) -> dict[tuple[str, ...], Any]:
    rows = scores[(scores["protocol"] == protocol) & (scores["metric"] == metric)]
    if transform is not None:
        rows = rows[rows["transform"] == transform]
    if score is not None:
        rows = rows[rows["score"] == score]
    return {tuple(row[key] for key in keys): row for row in rows.to_dict("records")}


def _of(results: RobustnessResults, protocol: str) -> str:
    return f" ({protocol})" if len(results.cases.present("protocol")) > 1 else ""


def _digits(metric: str, score: str) -> int:
    if score in ("ce", "relative_ce"):
        return 1
    return 3 if metric == "dice" else 2


def _cell(row: Any, digits: int, subjects: int = 0) -> Cell:
    """A mean and its interval; and of how many subjects, if not of all."""
    if row is None or not math.isfinite(row["mean"]):
        return Cell("–")  # noqa: RUF001
    known = math.isfinite(row["low"])
    spread = f"[{row['low']:.{digits}f}, {row['high']:.{digits}f}]" if known else ""
    if row.get("clusters", subjects) < subjects:
        spread = f"{spread} ({row['clusters']} of {subjects} subjects)".strip()
    return Cell(_signless(row["mean"], digits), spread=spread)


def _signless(value: float, digits: int) -> str:
    """No minus before what is rounded to 0."""
    text = f"{value:.{digits}f}"
    return text[1:] if float(text) == 0 and text.startswith("-") else text
