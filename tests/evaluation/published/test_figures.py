"""Figures with their intervals, against the aggregations, other intervals and recomputation."""

import numpy as np
import pandas as pd
import pytest
from label_slices import disturbed, random_labels

from spinforge.evaluation.aggregations import aggregate
from spinforge.evaluation.intervals import mean_intervals
from spinforge.evaluation.published.figures import CaseScores, Figure
from spinforge.evaluation.published.figures import figure as figure_of_cases
from spinforge.evaluation.score import score_slices

SUBJECTS = 8
SLICES = 3


def figure(tables, *arguments, **options) -> Figure:
    return figure_of_cases([CaseScores(table) for table in tables], *arguments, **options)


def scores(seed: int = 3, subjects: int = SUBJECTS, view: str = "") -> pd.DataFrame:
    """Scores of a network that errs more from subject to subject."""
    tables = []
    for number in range(subjects):
        target = random_labels(SLICES, (19, 23), seed=number)
        predicted = disturbed(target)
        wrong = np.random.default_rng([seed, number]).random(target.shape) < 0.03 * number
        predicted[wrong] = 0
        tables.append(
            score_slices(
                predicted,
                target,
                spacing_mm=(1.0, 1.0),
                subject=f"{number:02d}{view}",
                network="unet",
                slices=range(SLICES),
            )
        )
    return pd.concat(tables, ignore_index=True)


FIGURES = [
    ("crdn", "dice", "all"),
    ("crdn", "jaccard", "all"),
    ("crdn", "pixel_accuracy", "all"),
    ("fcslstm", "mean_pixel_accuracy", "all"),
    ("seranet", "dice", "GM"),
    ("seranet", "dice", "all"),
    ("seranet", "hd_rows", "all"),
    ("hlenet", "dice", "all"),
    ("hlenet", "jaccard", "all"),
    ("hlenet", "pixel_accuracy", "all"),
]


@pytest.mark.parametrize(("aggregation", "metric", "tissue"), FIGURES)
def test_a_figure_is_that_of_its_aggregation_and_lies_in_its_interval(aggregation, metric, tissue):
    table = scores()
    rows = aggregate(table, aggregation)
    expected = rows.query("metric == @metric and tissue == @tissue")["value"].item()
    found = figure([table], aggregation, metric, tissue)
    assert found.value == pytest.approx(expected, rel=1e-12)
    assert found.low < found.value < found.high
    assert found.subjects == SUBJECTS


@pytest.mark.parametrize(
    ("aggregation", "metric", "tissue"), [FIGURES[n] for n in (0, 2, 5, 7)], ids=str
)
def test_intervals_are_about_as_wide_as_by_recomputing_the_figure(aggregation, metric, tissue):
    table = scores()
    parts = [part for _, part in table.groupby("subject")]
    rng = np.random.default_rng(0)
    values = []
    for _ in range(60):
        drawn = [
            parts[n].assign(subject=f"{place}")
            for place, n in enumerate(rng.integers(len(parts), size=len(parts)))
        ]
        rows = aggregate(pd.concat(drawn), aggregation)
        values.append(rows.query("metric == @metric and tissue == @tissue")["value"].item())
    found = figure([table], aggregation, metric, tissue)
    # By quantiles of the normal distribution. Student's are wider, for 8 subjects by 1.21; the
    # width by 60 resamples is itself known to 9 %, and studentised ends of skew data lie farther.
    ratio = (found.high - found.low) / (2 * 1.96 * np.std(values))
    assert 0.9 < ratio < 1.9


def test_of_one_tissue_the_interval_is_the_one_of_every_mean():
    table = scores()
    rows = table[(table["slice"] >= 0) & (table["metric"] == "dice") & (table["tissue"] == "WM")]
    (other,) = mean_intervals(rows, ["tissue"]).to_dict("records")
    found = figure([table], "seranet", "dice", "WM")
    assert (found.value, found.low, found.high) == pytest.approx(
        (other["mean"], other["low"], other["high"]), rel=1e-9
    )


def test_views_of_a_subject_are_no_further_subjects():
    views = pd.concat([scores(view="/axial"), scores(view="/coronal")])
    found, single = figure([views], "crdn", "dice"), figure([scores()], "crdn", "dice")
    assert found.subjects == SUBJECTS
    assert (found.low, found.high) == pytest.approx((single.low, single.high), rel=1e-9)


def test_photographs_count_one_by_one():
    found = figure([scores()], "hlenet", "dice", slices_are_objects=True)
    assert found.subjects == SUBJECTS * SLICES


def test_few_subjects_have_no_interval():
    found = figure([scores(subjects=4)], "seranet", "dice", "GM")
    assert not np.isnan(found.value)
    assert np.isnan([found.low, found.high]).all()
    assert found.subjects == 4


def test_seeds_are_averaged():
    one, two = scores(seed=1), scores(seed=2)
    both = figure([one, two], "crdn", "dice")
    assert both.value == pytest.approx(
        (figure([one], "crdn", "dice").value + figure([two], "crdn", "dice").value) / 2
    )
    assert both.low < both.value < both.high


def test_what_the_scores_do_not_have_is_nan():
    table = scores()
    assert np.isnan(figure([table[table["metric"] != "hd_rows"]], "seranet", "hd_rows").value)
