"""Learning-rate schedules in closed form."""

import pytest
from pydantic import ValidationError

from spinforge.models.training.recipes import TrainingConfig, learning_rate_factor


@pytest.mark.parametrize("schedule", ["constant", "poly", "halve", "tenth", "decay"])
def test_schedules_start_at_one(schedule):
    assert learning_rate_factor(schedule, 0.0, 50) == 1.0


@pytest.mark.parametrize(
    ("schedule", "epoch", "expected"),
    [
        ("constant", 49.9, 1.0),
        ("poly", 25.0, 0.5**0.9),
        ("poly", 50.0, 0.0),
        ("halve", 19.99, 1.0),
        ("halve", 20.0, 0.5),
        ("halve", 40.0, 0.25),
        ("tenth", 14.99, 1.0),
        ("tenth", 15.0, 0.1),
        ("decay", 19.99, 1.0),
        ("decay", 20.0, 0.97),
        ("decay", 22.5, 0.97**3),
    ],
)
def test_schedule_values(schedule, epoch, expected):
    assert learning_rate_factor(schedule, epoch, 50) == expected


@pytest.mark.parametrize(
    "change",
    [{"epochs": 0}, {"batch_size": 0}, {"learning_rate": 0}, {"schedule": "cosine"}, {"seed": 1}],
    ids=str,
)
def test_senseless_recipes_are_refused(change):
    with pytest.raises(ValidationError, match=next(iter(change))):
        TrainingConfig(**change)


def test_every_field_is_described():
    assert all(field.description for field in TrainingConfig.model_fields.values())
