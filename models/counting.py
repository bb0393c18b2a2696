"""What a network costs, counted without computing it, and whether that is what its paper says."""

from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from spinforge.models.catalogue import CatalogueEntry
from spinforge.models.networks import count_parameters, weightless_network
from spinforge.models.seranet.measurement import Measurement


@dataclass(frozen=True)
class NetworkCosts:
    """What is counted of a network.

    Attributes:
        parameters: Trainable weights.
        multiply_accumulates: Multiplications with a sum that one slice needs, or one sequence of
            the paper's length: those of convolutions, transposed convolutions and matrix products,
            not of Fourier transforms, normalisation, activations, pooling and resizing. k-space is
            of one coil. None for images that the network refuses.
        minimum_size: Smallest height and width of an image [pixel].
    """

    parameters: int
    multiply_accumulates: int | None
    minimum_size: int


def network_costs(entry: CatalogueEntry, *, size: tuple[int, int] | None = None) -> NetworkCosts:
    """Count a network of the catalogue.

    Args:
        entry: Which network.
        size: Height and width of the images [pixel]; the paper's by default.

    Returns:
        Parameters, multiply-accumulates at this size, and the smallest size.

    Raises:
        SpinforgeError: If it is one of MONAI's networks and MONAI is not installed.
    """
    network = weightless_network(
        entry.config, in_channels=entry.in_channels, n_classes=entry.n_classes
    ).eval()
    with torch.device("meta"):  # shapes without values
        image = blank_input(entry, size=size)
    minimum_size = int(network.minimum_size)  # type: ignore[arg-type]  # every network has one
    parameters = count_parameters(network)
    if min(size or entry.size) < minimum_size:
        return NetworkCosts(parameters, None, minimum_size)
    _leave_out_what_is_not_counted(network)
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        network(image)
    # PyTorch counts a multiplication and a sum as two operations.
    return NetworkCosts(parameters, counter.get_total_flops() // 2, minimum_size)


def blank_input(
    entry: CatalogueEntry, *, size: tuple[int, int] | None = None, in_channels: int | None = None
) -> Tensor | Measurement:
    """What the network takes, of one slice or one sequence, with zeros for values.

    Args:
        entry: Which network.
        size: Height and width [pixel]; the paper's by default.
        in_channels: Channels of the images; the paper's by default. k-space is of one coil.

    Returns:
        On torch's default device: (1, in_channels, ky, kx); for sequences (1, times, in_channels,
        ky, kx); for networks that start from k-space a measurement without any line.
    """
    rows, columns = size or entry.size
    channels = in_channels or entry.in_channels
    match entry.takes:
        case "k-space":
            kspace = torch.zeros(1, 1, rows, columns, dtype=torch.complex64)
            return Measurement(kspace, torch.zeros(1, rows, dtype=torch.bool))
        case "sequence":
            return torch.zeros(1, entry.times or 1, channels, rows, columns)
        case "image":
            return torch.zeros(1, channels, rows, columns)


def agrees(published: str, parameters: int, *, truncated: bool = False) -> bool:
    """Whether a count, written with as many decimals, is what a paper prints.

    Args:
        published: Such as "14.87M" or "5.5e6", both in millions.
        parameters: The count.
        truncated: Leave out further decimals instead of rounding.

    Returns:
        True if both are the same number.
    """
    number = Decimal(published.removesuffix("M").removesuffix("e6"))
    way = ROUND_DOWN if truncated else ROUND_HALF_UP
    return (Decimal(parameters) / 1_000_000).quantize(number, rounding=way) == number


def _leave_out_what_is_not_counted(network: nn.Module) -> None:
    """Only for speed: without values PyTorch takes longest for what multiplies nothing.

    Shapes, and so the count, stay the same.
    """
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.BatchNorm2d | nn.GroupNorm | nn.ReLU | nn.Dropout2d):
                setattr(module, name, nn.Identity())
            elif isinstance(child, nn.Upsample):
                child.mode, child.align_corners = "nearest", None
