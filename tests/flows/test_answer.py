"""How a command's answer is printed."""

import json

import pytest

from spinforge.flows.answer import print_answer


@pytest.mark.parametrize(
    ("value", "shown"), [(2.38e-6, "2.38e-06"), (0.0, "0.0000"), (0.91234, "0.9123")]
)
def test_small_numbers_are_not_printed_as_zero(value, shown, capsys):
    print_answer({"largest_difference": value}, as_json=False)
    assert capsys.readouterr().out.split()[-1] == shown


def test_what_is_not_there_is_left_out_but_for_programs(capsys):
    print_answer({"epochs": 3, "steps": None}, as_json=False)
    assert "steps" not in capsys.readouterr().out
    print_answer({"steps": None}, as_json=True)
    assert json.loads(capsys.readouterr().out) == {"steps": None}
