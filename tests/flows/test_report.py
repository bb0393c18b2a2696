"""What the report refuses to draw."""

import pytest

from spinforge.flows.report import _history
from spinforge.models.training.columns import HISTORY_COLUMNS
from spinforge.simulation.errors import SpinforgeError

HEADING = ",".join(HISTORY_COLUMNS) + "\n"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe\x00\x01",
        b"epoch,train_loss\n1,2\n",
        HEADING.encode(),
        HEADING.encode() + b"1,0.5,0.5,0.5,much,2\n",
        HEADING.encode() + b"1,2,3,4,5,6\n" + b"1," * 20 + b"\n",
    ],
    ids=["empty", "bytes", "columns", "no epoch", "words", "ragged"],
)
def test_damaged_learning_curves_are_named_with_what_to_do(tmp_path, content):
    (tmp_path / "history.csv").write_bytes(content)
    with pytest.raises(SpinforgeError, match=r"history\.csv is damaged.*run: spinforge train"):
        _history(tmp_path)


def test_missing_learning_curves_are_named(tmp_path):
    with pytest.raises(SpinforgeError, match=r"history\.csv is missing\. Delete"):
        _history(tmp_path)


def test_learning_curves_are_read(tmp_path):
    (tmp_path / "history.csv").write_text(HEADING + "1,2,3,nan,5,6\n")
    assert list(_history(tmp_path)["train_loss"]) == [2]
