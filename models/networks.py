"""From a configuration to a network, with reproducible weights."""

from typing import Annotated

import torch
from pydantic import Field
from torch import nn

from spinforge.models.crdn import CRDNConfig, build_crdn
from spinforge.models.unet import UNet, UNetConfig
from spinforge.simulation.config import content_hash

NetworkConfig = Annotated[UNetConfig | CRDNConfig, Field(discriminator="kind")]
"""Any network that a study file may name, told apart by `kind`."""


def build_network(
    config: NetworkConfig, *, in_channels: int, n_classes: int, seed: int
) -> nn.Module:
    """Network in training mode on the CPU, with fresh weights.

    Equal arguments give equal weights; the configuration's `name` does not matter. No global
    random state is read or changed.

    Args:
        config: Which network.
        in_channels: Channels of the images: 1 for magnitude, 2 for real and imaginary part.
        n_classes: Classes, background included.
        seed: Seed of the initial weights.

    Returns:
        A module from (batch, in_channels, ky, kx) to logits (batch, n_classes, ky, kx).
    """
    key = {
        "network": config.model_dump(mode="json", exclude={"name"}),
        "in_channels": in_channels,
        "n_classes": n_classes,
        "seed": seed,
    }
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed: that would also reseed every GPU, which is not restored here.
        torch.default_generator.manual_seed(int(content_hash(key)[:15], 16))
        match config:
            case UNetConfig():
                return UNet(in_channels=in_channels, n_classes=n_classes, width=config.width)
            case CRDNConfig():
                return build_crdn(config, in_channels=in_channels, n_classes=n_classes)


def count_parameters(network: nn.Module) -> int:
    """Number of trainable weights."""
    return sum(weight.numel() for weight in network.parameters() if weight.requires_grad)
