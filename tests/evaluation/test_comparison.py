"""Paired comparisons of planted differences, and what they refuse to claim."""

import numpy as np
import pandas as pd
import pytest

from spinforge.evaluation.comparison import compare_pairs
from spinforge.evaluation.signed_rank import smallest_p


def scores(**networks):
    """Long table of one value a subject."""
    return pd.concat(
        pd.DataFrame(
            {
                "network": name,
                "subject": [f"s{i:02d}" for i in range(len(values))],
                "value": np.asarray(values, dtype=float),
            }
        )
        for name, values in networks.items()
    )


def rows(table, **options):
    return list(compare_pairs(table, **options).itertuples())


def test_a_planted_difference_is_found_and_has_its_sign():
    base = np.random.default_rng(0).random(12)
    a, b, c = rows(scores(good=base + 0.05, poor=base, same=base))
    assert (a.first, a.second, a.verdict) == ("good", "poor", "first larger")
    assert [a.mean_difference, a.low, a.high] == pytest.approx([0.05] * 3)
    assert a.rank_biserial == 1.0
    assert a.p == pytest.approx(smallest_p(12))
    assert a.p_holm == pytest.approx(3 * smallest_p(12))
    assert (b.first, b.second, b.verdict) == ("good", "same", "first larger")
    assert (c.p, c.unequal, c.verdict) == (1.0, 0, "equal")
    assert a.claim.startswith("good has larger values than poor in 12 pairs (corrected p = 0.0015")
    assert c.claim == "poor and same have the same values in all 12 pairs."
    (reverse,) = rows(scores(a=base, b=base + 0.05))
    assert (reverse.verdict, reverse.rank_biserial) == ("second larger", -1.0)


def test_the_interval_of_the_difference_is_that_of_the_pairs():
    """Subjects differ far more than networks: unpaired, nothing could be seen."""
    rng = np.random.default_rng(0)
    base = 10 * rng.normal(size=15)
    (row,) = rows(scores(a=base + 0.1 + 0.02 * rng.normal(size=15), b=base))
    assert row.low < 0.1 < row.high < row.low + 0.04


def test_noise_is_not_claimed_to_be_a_difference():
    first, second = np.random.default_rng(1).normal(size=(2, 12))
    (row,) = rows(scores(a=first, b=second))
    assert row.verdict == "not shown"
    assert "does not show that they are equal" in row.claim


def test_slices_of_a_subject_count_once():
    rng = np.random.default_rng(0)
    table = pd.concat([scores(a=rng.random(8), b=rng.random(8)) for _ in range(40)])
    assert rows(table)[0].pairs == 8


@pytest.mark.parametrize(("pairs", "verdict"), [(5, "too few"), (6, "first larger")])
def test_five_pairs_can_never_show_a_difference(pairs, verdict):
    """Two of 2^5 outcomes are as extreme as can be: 6 %."""
    base = np.arange(float(pairs))
    (row,) = rows(scores(a=base + 1, b=base - np.arange(pairs)))
    assert row.p == pytest.approx(smallest_p(pairs))
    assert row.verdict == verdict
    assert ("with 6 unequal pairs it could" in row.claim) == (pairs == 5)


def test_each_comparison_more_needs_more_pairs():
    """Eight pairs show any one difference, but not any one of seven or more: 7 / 128 > 5 %."""
    rng = np.random.default_rng(0)
    table = scores(**{name: rng.random(8) for name in "abcd"})
    assert {row.verdict for row in rows(table)} == {"not shown"}
    more = scores(**{name: rng.random(8) for name in "abcde"})
    found = rows(more)
    assert {row.verdict for row in found} == {"too few"}
    assert "one of 10; with 9 unequal pairs it could" in found[0].claim


def test_what_holms_later_steps_allow_is_not_called_too_few():
    """Six pairs reach 1/32 only, which the second of two steps accepts."""
    base = np.arange(20.0)
    table = pd.concat(
        [
            scores(a=base + 1, b=base).assign(transform="noise"),
            scores(a=base[:6] + 1, b=base[:6]).assign(transform="motion"),
        ]
    )
    motion, noise = rows(table, by=["transform"])
    assert (noise.transform, noise.verdict) == ("noise", "first larger")
    assert (motion.p_holm, motion.verdict) == (pytest.approx(1 / 32), "first larger")


def test_equal_pairs_do_not_count_as_evidence():
    """Of eight pairs only three differ: p can not fall below 1 / 4."""
    base = np.arange(8.0)
    other = base.copy()
    other[:3] += [1, 2, 3]
    (row,) = rows(scores(a=other, b=base))
    assert (row.pairs, row.unequal, row.verdict) == (8, 3, "too few")


def test_all_groups_make_one_family():
    rng = np.random.default_rng(0)
    table = pd.concat(
        scores(a=rng.random(9), b=rng.random(9)).assign(severity=s, metric=m)
        for s in range(1, 4)
        for m in ("dice", "jaccard")
    )
    found = compare_pairs(table, by=["severity", "metric"])
    assert found[["severity", "metric"]].to_numpy().tolist() == [
        [s, m] for s in range(1, 4) for m in ("dice", "jaccard")
    ]
    assert found["p_holm"].min() == pytest.approx(min(1.0, 6 * found["p"].min()))


def test_everything_is_compared_with_a_baseline():
    base = np.random.default_rng(0).random(8)
    table = scores(a=base, b=base - 1, c=base + 1)
    found = rows(table, baseline="b")
    assert [(row.first, row.second) for row in found] == [("b", "a"), ("b", "c")]
    with pytest.raises(ValueError, match="no row has network 'd'"):
        compare_pairs(table, baseline="d")


def test_severities_of_one_network_are_compared_and_named():
    base = np.random.default_rng(0).random(10)
    table = pd.concat(
        scores(a=base - 0.1 * (severity == 2)).assign(severity=severity) for severity in range(3)
    )
    one, two = rows(table, between="severity", by=["network"], baseline=0)
    assert (one.verdict, two.verdict) == ("equal", "first larger")
    assert two.claim.startswith("severity 0 has larger values than severity 2")


def test_what_lacks_in_a_group_is_not_compared_there():
    base = np.arange(8.0)
    table = pd.concat(
        [
            scores(a=base, b=base + 1).assign(transform="noise"),
            scores(a=base, c=base + 1).assign(transform="motion"),
        ]
    )
    found = [(r.transform, r.first, r.second) for r in rows(table, by=["transform"])]
    assert found == [("motion", "a", "c"), ("noise", "a", "b")]


def test_subjects_that_only_one_network_has_are_left_out():
    assert rows(scores(a=np.arange(8.0), b=np.arange(6.0)))[0].pairs == 6


def test_without_common_subjects_nothing_is_claimed():
    table = scores(a=[1.0, 2.0, np.nan, np.nan], b=[np.nan, np.nan, 1.0, 2.0])
    (row,) = rows(table)
    assert (row.pairs, row.p, row.verdict) == (0, 1.0, "too few")
    assert np.isnan([row.mean_difference, row.low]).all()
    assert compare_pairs(scores(a=[1.0])).empty


def test_infinite_distances_and_missing_names_are_refused():
    table = scores(a=[1.0, np.inf, 2.0], b=[1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="infinite values have no mean"):
        compare_pairs(table)
    unnamed = scores(a=[1.0, 2.0]).assign(network=["a", None])
    with pytest.raises(ValueError, match="every row needs a value in the columns network"):
        compare_pairs(unnamed)
