"""Which device a recipe means, with and without a GPU."""

import pytest
import torch

from spinforge.models.training.possible import device_of
from spinforge.models.training.recipes import TrainingConfig
from spinforge.simulation.errors import SpinforgeError


@pytest.mark.parametrize(
    ("wanted", "available", "expected"),
    [
        ("cpu", False, "cpu"),
        ("cpu", True, "cpu"),
        ("auto", False, "cpu"),
        ("auto", True, "cuda"),
        ("gpu", True, "cuda"),
    ],
)
def test_device_follows_the_recipe_and_the_machine(wanted, available, expected, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: available)
    assert device_of(TrainingConfig(device=wanted)) == torch.device(expected)


def test_missing_gpu_is_named(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SpinforgeError, match="device is gpu, but PyTorch finds none here"):
        device_of(TrainingConfig(device="gpu"))
