"""Where a network of a recipe is trained and predicts, and what of a recipe cannot be done here."""

import torch

from spinforge.models.devices import find_device
from spinforge.models.training.processes import require_announced
from spinforge.models.training.recipes import TrainingConfig
from spinforge.simulation.errors import SpinforgeError


def device_of(recipe: TrainingConfig) -> torch.device:
    """Device on which a network of this recipe is trained here.

    Raises:
        SpinforgeError: If the recipe asks for a GPU and there is none to be had.
    """
    return find_device(recipe.device)


def available_device(recipe: TrainingConfig) -> torch.device:
    """Device on which networks of this recipe predict, wherever they were trained.

    The recipe's if it is to be had, else the processor.
    """
    return find_device("cpu" if recipe.device == "cpu" else "auto")


def require_possible(recipe: TrainingConfig) -> None:
    """Find what of a recipe cannot be done on this machine; to be asked before any work.

    Raises:
        SpinforgeError: For the first setting that cannot be had here, or not with the others.
    """
    device = device_of(recipe)
    if device.type == "cpu":
        if recipe.precision == "16":
            raise SpinforgeError(
                "training.precision is 16, and processors do not train in float16; set it to bf16 "
                "or 32, or train on a GPU"
            )
        if recipe.cuda_graphs:
            raise SpinforgeError(
                "training.cuda_graphs is for a GPU, and there is none to be had here or "
                "training.device is cpu; leave it out"
            )
    elif recipe.devices > torch.cuda.device_count():
        raise SpinforgeError(
            f"training.devices is {recipe.devices}, but PyTorch finds {torch.cuda.device_count()} "
            f"GPUs here; set it to that or less"
        )
    if recipe.cuda_graphs and (recipe.processes > 1 or recipe.accumulate > 1):
        raise SpinforgeError(
            "training.cuda_graphs is for one device without accumulation; leave it out, or set "
            "training.devices, training.nodes and training.accumulate to 1"
        )
    if recipe.compile and recipe.processes > 1:
        raise SpinforgeError(
            "training.compile is for one process: sums over several are not tried in compiled "
            "code; leave it out, or set training.devices and training.nodes to 1"
        )
    if recipe.fresh in ("scans", "anatomy") and recipe.processes > 1:
        raise SpinforgeError(
            f"training.fresh is {recipe.fresh}, and scans are simulated by one process; set it to "
            f"masks or noise, or set training.devices and training.nodes to 1"
        )
    if recipe.batch_size % recipe.processes:
        raise SpinforgeError(
            f"training.batch_size is {recipe.batch_size}, which {recipe.processes} processes "
            f"(training.devices times training.nodes) cannot share equally; choose a multiple"
        )
    require_announced(recipe.devices, recipe.nodes)
