"""Where a network is trained and predicts."""

import torch

from spinforge.models.training.recipes import TrainingConfig
from spinforge.simulation.errors import SpinforgeError


def device_of(recipe: TrainingConfig) -> torch.device:
    """Device on which a network of this recipe is trained here, and may predict.

    Raises:
        SpinforgeError: If the recipe asks for a GPU and there is none to be had.
    """
    available = torch.cuda.is_available()
    if recipe.device == "gpu" and not available:
        raise SpinforgeError("device is gpu, but PyTorch finds none here; set it to cpu or auto")
    return torch.device("cuda" if available and recipe.device != "cpu" else "cpu")
