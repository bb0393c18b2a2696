"""Metrics whose direction is known are those that something computes."""

import ast
from pathlib import Path

import pytest

from spinforge.evaluation import metric_direction
from spinforge.evaluation.metric_direction import LARGER_IS_BETTER, larger_is_better
from spinforge.simulation.errors import SpinforgeError

HERE = Path(metric_direction.__file__)


def test_every_metric_is_computed_somewhere():
    texts = {
        node.value
        for path in HERE.parent.glob("*.py")
        if path.name != HERE.name
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert set(LARGER_IS_BETTER) <= texts


def test_an_unknown_metric_is_refused_with_what_a_user_can_do():
    with pytest.raises(SpinforgeError, match="metric 'new': known are") as refused:
        larger_is_better("new")
    assert "Leave its rows out of the table" in str(refused.value)
    given = str(refused.value).split("larger=")[1].split(" (or")[0]
    assert larger_is_better("new", eval(given, {"LARGER_IS_BETTER": LARGER_IS_BETTER}))
