"""Which device of this machine to compute on."""

from typing import Literal

import torch

from spinforge.simulation.errors import SpinforgeError


def find_device(wanted: Literal["auto", "cpu", "gpu"]) -> torch.device:
    """The device that is meant; with `auto` a GPU if there is one to be had here.

    Raises:
        SpinforgeError: If a GPU is asked for and there is none to be had.
    """
    available = torch.cuda.is_available()
    if wanted == "gpu" and not available:
        raise SpinforgeError("device is gpu, but PyTorch finds none here; set it to cpu or auto")
    return torch.device("cuda" if available and wanted != "cpu" else "cpu")
