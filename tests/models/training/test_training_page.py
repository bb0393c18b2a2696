"""The page about training says what the recipes hold."""

import re

import pytest
from pydantic import TypeAdapter

from spinforge.models.training.recipes import Recipe

RECIPES = ("quick", "crdn", "fcslstm", "seranet", "hlenet")


@pytest.fixture(scope="module")
def rows(repository):
    """Recipe -> cells of its row in the page's first table."""
    page = (repository / "docs" / "training.md").read_text()
    found = re.findall(r"^\| `(\w+)` \|(.*)\|$", page, flags=re.MULTILINE)[: len(RECIPES)]
    return {name: [cell.strip() for cell in cells.split("|")] for name, cells in found}


@pytest.mark.parametrize("name", RECIPES)
def test_the_table_of_recipes_is_the_code(rows, name):
    recipe = TypeAdapter(Recipe).validate_python({"recipe": name})
    optimizer, rate, schedule, loss, length, batch, kept = rows[name]
    assert recipe.optimizer == optimizer.split(",")[0].lower()
    assert recipe.weight_decay == float([*optimizer.split("decay "), "0"][1])
    assert recipe.learning_rate == float(rate)
    assert (
        recipe.schedule
        == {
            "poly, to 0": "poly",
            "x 0.97 an epoch after the 20th": "decay",
            "halved every 20 epochs": "halve",
            "a tenth after every 15 epochs": "tenth",
        }[schedule]
    )
    assert recipe.loss == {
        "cross-entropy": "cross_entropy",
        "Dice of the batch": "batch_dice",
    }.get(loss, "weighted_cross_entropy")
    number = int("".join(re.findall(r"\d", length)))
    assert number == (recipe.steps or recipe.epochs)
    assert recipe.batch_size == int(batch.split()[0])
    assert recipe.keep == kept
