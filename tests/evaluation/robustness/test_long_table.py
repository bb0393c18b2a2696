"""The long table: what it refuses, and that equal tables are equal files."""

import numpy as np
import pandas as pd
import pytest

from spinforge.evaluation.robustness.long_table import (
    CLEAN,
    COLUMNS,
    RETRAINED,
    TRAINED_CLEAN,
    checked,
    clean_in_every_transform,
    joined,
    long_table_of_scores,
    of_unit,
    read_long_table,
    write_long_table,
)
from spinforge.evaluation.score import score_slices
from spinforge.simulation.errors import SpinforgeError


def small_table():
    """Two subjects, clean and two corruptions; every kind of value."""
    rows = [
        (model, "heads", TRAINED_CLEAN, 3, transform, severity, subject, slice_, "NA", "hd95_mm")
        for model in ("NA", "unet")
        for transform, severity in ((CLEAN, 0), ("noise", 1), ("noise", 2), ("motion", 1))
        for subject in ("04", "4")
        for slice_ in (-1, 0, 1)
    ]
    values = np.random.default_rng(0).random(len(rows))
    values[:3] = np.nan, np.inf, 1 / 3
    return pd.DataFrame(
        [(*row, value) for row, value in zip(rows, values, strict=True)], columns=COLUMNS
    )


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_what_is_written_is_read_back_to_the_last_bit(tmp_path, ending):
    """Subjects 04 and 4 stay two, a model called NA is one, NaN is not infinity."""
    write_long_table(small_table(), tmp_path)
    found = read_long_table(tmp_path / f"robustness.{ending}")
    pd.testing.assert_frame_equal(found, checked(small_table()), check_exact=True)
    assert list(found.columns) == COLUMNS


def test_equal_tables_are_equal_files_whatever_the_order_of_rows_and_columns(tmp_path):
    table = small_table()
    other = table.sample(frac=1, random_state=0)[COLUMNS[::-1]].astype({"seed": "int32"})
    other["model"] = other["model"].astype("category")
    for name, rows in (("one", table), ("other", other)):
        write_long_table(rows, tmp_path / name)
    for ending in ("parquet", "csv"):
        one, two = (tmp_path / name / f"robustness.{ending}" for name in ("one", "other"))
        assert one.read_bytes() == two.read_bytes()


def test_a_table_that_is_not_valid_leaves_the_file_before_it(tmp_path):
    write_long_table(small_table(), tmp_path)
    before = (tmp_path / "robustness.csv").read_bytes()
    with pytest.raises(SpinforgeError, match="there twice"):
        write_long_table(pd.concat([small_table()] * 2), tmp_path)
    assert (tmp_path / "robustness.csv").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "robustness.csv",
        "robustness.parquet",
    ]


def test_columns_that_lack_or_are_unknown_are_named():
    table = small_table().rename(columns={"model": "network"})
    with pytest.raises(
        SpinforgeError, match="lacks model and has the unknown network: its columns"
    ):
        checked(table)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("severity", 1.5, "column severity shall hold whole numbers"),
        ("seed", "x", "column seed shall hold whole numbers"),
        ("value", "good", "column value shall hold numbers"),
        ("subject", None, "column subject has no value in row 7"),
        ("class", "", "a name is empty in model NA"),
        ("slice", -2, "slice at least -1"),
        (
            "severity",
            0,
            "'clean' has severity 0 and all others a larger one, but there is model NA",
        ),
        ("transform", CLEAN, "once for all transforms"),
    ],
)
def test_a_wrong_value_is_named(column, value, message):
    table = small_table().astype({column: object})
    table.loc[7, column] = value
    with pytest.raises(SpinforgeError, match=message):
        checked(table)


def test_the_file_is_named_and_what_to_do(tmp_path):
    with pytest.raises(SpinforgeError, match=r"absent\.csv does not exist"):
        read_long_table(tmp_path / "absent.csv")
    damaged = tmp_path / "damaged.parquet"
    damaged.write_bytes(b"PAR1 no")
    with pytest.raises(SpinforgeError, match=r"damaged\.parquet cannot be read"):
        read_long_table(damaged)
    other = tmp_path / "other.csv"
    other.write_text("a,b\n1,2\n")
    with pytest.raises(SpinforgeError, match=r"other\.csv lacks model, .* unknown a, b"):
        read_long_table(other)


def test_scores_of_slices_become_rows():
    labels = np.zeros((2, 8, 8), dtype=np.uint8)
    labels[1, 2:5, 2:5] = 1
    scores = score_slices(
        labels, labels, spacing_mm=(1.0, 1.0), subject="04", network="unet", slices=[3, 4],
        classes=("background", "disc"),
    )  # fmt: skip
    table = long_table_of_scores(scores, task="discs", transform="noise", severity=2, seed=1)
    assert len(table) == len(scores)
    assert set(table["class"]) == {"disc", "all"}
    assert (table["severity"] == 2).all()
    volume = of_unit(table, "volume").set_index(["class", "metric"])["value"]
    assert volume["disc", "dice"] == 1.0
    assert len(of_unit(table, "slice")) + len(volume) == len(table)
    with pytest.raises(SpinforgeError, match="severity 0"):
        long_table_of_scores(scores, task="discs", transform=CLEAN, severity=2)


def test_units_are_never_mixed():
    table = checked(small_table())
    with pytest.raises(ValueError, match="'volume' or 'slice'"):
        of_unit(table, "subject")
    with pytest.raises(SpinforgeError, match="no row of a volume"):
        of_unit(of_unit(table, "slice"), "volume")


def test_tables_are_joined_unless_a_row_is_in_both():
    table = small_table()
    again = joined([table, table.assign(protocol=RETRAINED)])
    assert len(again) == 2 * len(table)
    with pytest.raises(SpinforgeError, match="there twice, such as model NA, task heads"):
        joined([table, table.iloc[:1]])
    with pytest.raises(SpinforgeError, match="no table to join"):
        joined([])


def test_clean_rows_become_severity_0_of_every_transform():
    table = checked(small_table())
    repeated = clean_in_every_transform(table)
    counts = repeated.groupby(["transform", "severity"]).size()
    assert counts.to_dict() == {
        ("motion", 0): 12, ("motion", 1): 12, ("noise", 0): 12, ("noise", 1): 12, ("noise", 2): 12,
    }  # fmt: skip
