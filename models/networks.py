"""From a configuration to a network, with reproducible weights."""

from typing import Annotated, Any

import torch
from pydantic import Field
from torch import nn

from spinforge.models.crdn.baselines import EncoderDecoderConfig, build_encoder_decoder
from spinforge.models.crdn.crdn import CRDNConfig, build_crdn
from spinforge.models.fcslstm.fcslstm import (
    ConciseFCNConfig,
    FCSLSTMConfig,
    build_concise_fcn,
    build_fcslstm,
)
from spinforge.models.hlenet.hlenet import (
    HLENetConfig,
    ResUNet28Config,
    UNet28Config,
    build_hle_net,
    build_unet_28,
)
from spinforge.models.monai_networks import (
    MonaiBasicUNetConfig,
    MonaiDynUNetConfig,
    build_monai,
)
from spinforge.models.seranet.baselines import (
    FullySampledConfig,
    JointConfig,
    TwoStepConfig,
    ZeroFillingConfig,
    build_baseline,
)
from spinforge.models.seranet.reconstruction import IMAGE_CHANNELS
from spinforge.models.seranet.segnetmri import SegNetMRIConfig, build_segnetmri
from spinforge.models.seranet.seranet import SERANetConfig, build_seranet
from spinforge.models.seranet.unet import UNetConfig, build_unet
from spinforge.simulation.config import content_hash
from spinforge.simulation.errors import SpinforgeError

ImageNetwork = (
    UNetConfig
    | CRDNConfig
    | EncoderDecoderConfig
    | ConciseFCNConfig
    | HLENetConfig
    | UNet28Config
    | ResUNet28Config
    | MonaiBasicUNetConfig
    | MonaiDynUNetConfig
)
"""Networks from an image (batch, in_channels, ky, kx) to logits (batch, n_classes, ky, kx)."""

SequenceNetwork = FCSLSTMConfig
"""Networks of sequences of images: (batch, time, in_channels, ky, kx) to logits likewise."""

KSpaceNetwork = (
    FullySampledConfig
    | ZeroFillingConfig
    | TwoStepConfig
    | JointConfig
    | SERANetConfig
    | SegNetMRIConfig
)
"""Networks from a `Measurement` to a `KSpaceSegmentation`."""

ForegroundNetwork = HLENetConfig | UNet28Config | ResUNet28Config
"""Networks that may have a single class, the foreground, as HLE-Net's paper has it."""

NetworkConfig = Annotated[
    ImageNetwork | SequenceNetwork | KSpaceNetwork, Field(discriminator="kind")
]
"""Any network, told apart by `kind`."""


TRAINING_FIELDS = {"pretrained", "segmentation_weight"}
"""Fields of networks that change the stages of their training alone."""


def build_network(
    config: NetworkConfig, *, in_channels: int, n_classes: int, seed: int
) -> nn.Module:
    """Network in training mode on the CPU, with fresh weights.

    Equal arguments give equal weights; what changes only names or the training, not the network,
    does not matter: `name`, SERANet's `pretrained`, SegNetMRI's `segmentation_weight`. No global
    random state is read or changed.

    Args:
        config: Which network.
        in_channels: Channels of the images: 1 for magnitude, 2 for real and imaginary part, the
            number of contrasts for several; always 2 for networks that start from k-space.
        n_classes: Classes, background included; or 1, the foreground alone, for HLE-Net's family.
        seed: Seed of the initial weights.

    Returns:
        A module; `ImageNetwork`, `SequenceNetwork` and `KSpaceNetwork` say from what to what.

    Raises:
        SpinforgeError: If there is no channel, or a network that starts from k-space is to have
            other than 2; if there are fewer than 2 classes and the network cannot do with a
            foreground alone; or if one of MONAI's is asked for and MONAI is not installed.
    """
    key = {
        "network": _what_weights_depend_on(config),
        "in_channels": in_channels,
        "n_classes": n_classes,
        "seed": seed,
    }
    if isinstance(config, KSpaceNetwork) and in_channels != IMAGE_CHANNELS:
        raise SpinforgeError(
            f"network {config.kind!r} starts from k-space: its images have {IMAGE_CHANNELS} "
            f"channels, real and imaginary part, not {in_channels}"
        )
    if in_channels < 1:
        raise SpinforgeError(f"in_channels is {in_channels}; an image has 1 or more")
    fewest = 1 if isinstance(config, ForegroundNetwork) else 2
    if n_classes < fewest:
        least = "1, the foreground alone," if fewest == 1 else "2, the background and one more,"
        raise SpinforgeError(
            f"n_classes is {n_classes}, but network {config.kind!r} needs {least} or more"
        )
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed: that would also reseed every GPU, which is not restored here.
        torch.default_generator.manual_seed(int(content_hash(key)[:15], 16))
        return _build(config, in_channels, n_classes)


def output_classes(config: NetworkConfig, n_classes: int) -> int:
    """Classes a network is built with to tell these apart.

    Of a background and one foreground HLE-Net's family learns the foreground alone, as published;
    its logit z means the same as the logits (0, z) of two classes.

    Args:
        config: The network.
        n_classes: Classes of the labels, background included.
    """
    return 1 if isinstance(config, ForegroundNetwork) and n_classes == 2 else n_classes


def weightless_network(config: NetworkConfig, *, in_channels: int, n_classes: int) -> nn.Module:
    """Network without the memory of its weights, on torch's meta device, in training mode.

    It can be counted, and called with images of that device to try their size; nothing is computed.

    Args:
        config: Which network.
        in_channels: As for `build_network`.
        n_classes: As for `build_network`.

    Raises:
        SpinforgeError: As `build_network`.
    """
    with torch.device("meta"):
        return build_network(config, in_channels=in_channels, n_classes=n_classes, seed=0)


def count_parameters(network: nn.Module) -> int:
    """Number of trainable weights."""
    return sum(weight.numel() for weight in network.parameters() if weight.requires_grad)


def _what_weights_depend_on(config: NetworkConfig) -> dict[str, Any]:
    """The configuration without its name and with its stages of training as they are by default."""
    described = config.model_dump(mode="json", exclude={"name"})
    for field in TRAINING_FIELDS & described.keys():
        described[field] = type(config).model_fields[field].default
    return described


def _build(config: NetworkConfig, in_channels: int, n_classes: int) -> nn.Module:
    """The network, with weights from torch's global generator."""
    match config:
        case UNetConfig():
            return build_unet(config, in_channels=in_channels, n_classes=n_classes)
        case CRDNConfig():
            return build_crdn(config, in_channels=in_channels, n_classes=n_classes)
        case EncoderDecoderConfig():
            return build_encoder_decoder(config, in_channels=in_channels, n_classes=n_classes)
        case ConciseFCNConfig():
            return build_concise_fcn(config, in_channels=in_channels, n_classes=n_classes)
        case FCSLSTMConfig():
            return build_fcslstm(config, in_channels=in_channels, n_classes=n_classes)
        case HLENetConfig():
            return build_hle_net(config, in_channels=in_channels, n_classes=n_classes)
        case UNet28Config() | ResUNet28Config():
            return build_unet_28(config, in_channels=in_channels, n_classes=n_classes)
        case MonaiBasicUNetConfig() | MonaiDynUNetConfig():
            return build_monai(config, in_channels=in_channels, n_classes=n_classes)
        case SERANetConfig():
            return build_seranet(config, n_classes=n_classes)
        case SegNetMRIConfig():
            return build_segnetmri(config, n_classes=n_classes)
        case _:
            return build_baseline(config, n_classes=n_classes)
