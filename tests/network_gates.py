"""Any network of the catalogue on a few labelled slices: its input, logits, loss and labels.

What the facts of tests/models/gates are stated with, so that they read the same for networks of
images, of sequences and of k-space.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from discs import Discs
from measured import line_mask, measure
from shape_checks import unchecked
from torch import Tensor, nn

from spinforge.models.catalogue import CATALOGUE
from spinforge.models.crdn.baselines import EncoderDecoderConfig
from spinforge.models.networks import (
    KSpaceNetwork,
    NetworkConfig,
    SequenceNetwork,
    build_network,
)
from spinforge.models.seranet.consistency import complex_image
from spinforge.models.seranet.measurement import Measurement
from spinforge.models.training.confusion import count_confusion, mean_tissue_dice

Given = Tensor | Measurement
"""Input of a network: images, sequences, or a measurement."""

NARROW = 8
"""Channels at full size of narrow networks; HLE-Net normalises them in eight groups."""

TIMES = 2
"""Time points of a sequence; four slices make two sequences."""


@dataclass(frozen=True)
class Case:
    """A network, and the channels and classes it is tried with; 1 class is foreground alone."""

    config: NetworkConfig
    in_channels: int
    n_classes: int

    @property
    def name(self) -> str:
        return self.config.name

    def build(self) -> nn.Module:
        """In training mode, always with the same weights."""
        return build_network(
            self.config, in_channels=self.in_channels, n_classes=self.n_classes, seed=0
        )

    def given(self, images: Tensor) -> Given:
        """The network's input for slices (slice, channel, ky, kx); two of them make a sequence."""
        if isinstance(self.config, SequenceNetwork):
            return images.unflatten(0, (-1, TIMES))
        if isinstance(self.config, KSpaceNetwork):
            return measure(complex_image(images), line_mask(len(images), images.shape[-2]))
        return images

    def logits(self, network: nn.Module, given: Given) -> Tensor:
        """(slice, class, ky, kx), in the order of the slices that `given` was made of."""
        found = network(given)
        if isinstance(self.config, SequenceNetwork):
            return found.flatten(0, 1)
        if isinstance(self.config, KSpaceNetwork):
            return found.logits[-1]
        return found

    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Mean cross-entropy; of foreground against the rest for one class."""
        if self.n_classes == 1:
            return F.binary_cross_entropy_with_logits(logits[:, 0].float(), (target > 0).float())
        return F.cross_entropy(logits.float(), target)

    def dice(self, logits: Tensor, target: Tensor) -> float:
        """Mean Dice of the tissues, or of the foreground for one class, all slices together."""
        if self.n_classes == 1:
            predicted, target = (logits[:, 0] > 0).long(), (target > 0).long()
        else:
            predicted = logits.argmax(dim=1)
        confusion = count_confusion(target, predicted, max(2, self.n_classes))
        return mean_tissue_dice(confusion).item()


CASES = {entry.name: Case(entry.config, entry.in_channels, entry.n_classes) for entry in CATALOGUE}
"""Every network of the catalogue, at its paper's width."""


def narrow(case: Case) -> Case:
    """The same network with few channels, if its configuration has a width; else as it is."""
    fields = type(case.config).model_fields
    changes = {}
    if "width" in fields:
        changes["width"] = NARROW
    if "reconstruction" in fields:
        changes["reconstruction"] = case.config.reconstruction.model_copy(
            update={"width": NARROW, "blocks": 2}
        )
    if case.config.kind == "segnetmri":
        changes["blocks"] = 2
    return Case(case.config.model_copy(update=changes), case.in_channels, case.n_classes)


def gate_size(case: Case) -> tuple[int, int]:
    """Small, but large enough for the network to learn edges: FCN-2s' are steps of two pixels."""
    is_fcn = isinstance(case.config, EncoderDecoderConfig) and case.config.decoder == "fcn"
    return (96, 96) if is_fcn else (32, 32)


def four_slices(case: Case, size: tuple[int, int]) -> tuple[Given, Tensor]:
    """Four slices of discs as the network takes them, and their labels (slice, ky, kx)."""
    images, target = disc_images(4, case.in_channels, size)
    if case.n_classes > 1:  # the discs have four; a network of three takes two for one
        target = target.clamp(max=case.n_classes - 1)
    return case.given(images), target


def disc_images(count: int, n_channels: int, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """(slice, channel, ky, kx) and their labels (slice, ky, kx)."""
    discs = Discs(count, size=size, n_channels=n_channels)
    slices = [discs[index] for index in range(count)]
    return tuple(torch.stack([one[key] for one in slices]) for key in ("image", "target"))


def items(given: Given, chosen: list[int]) -> Given:
    """The chosen items of a batch, in this order."""
    if isinstance(given, Measurement):
        return Measurement(*(None if part is None else part[chosen] for part in given))
    return given[chosen]


def settle(network: nn.Module, given: Given) -> nn.Module:
    """Evaluation mode with the running statistics of this very input.

    With those of a fresh network, the image's part in the logits dies away from layer to layer.
    """
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        network.train()(given)
    for norm in norms:
        norm.momentum = 0.1
    return network.eval()


def learn(
    case: Case, given: Given, target: Tensor, *, steps: int, learning_rate: float
) -> nn.Module:
    """A network trained on one batch, in evaluation mode.

    Adam, whose learning rate falls linearly to zero in the second half, so that at the end the
    running statistics are those of the weights.
    """
    network = case.build()
    optimizer = torch.optim.Adam(network.parameters(), lr=learning_rate)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)  # of dropout
        for step in range(steps):
            optimizer.param_groups[0]["lr"] = learning_rate * min(1, 2 * (1 - step / steps))
            optimizer.zero_grad()
            case.loss(case.logits(network, given), target).backward()
            optimizer.step()
    return network.eval()


@contextmanager
def compilable() -> Iterator[None]:
    """Shapes unchecked, and a compiler that remembers no other network.

    It gives up after a few networks that differ only in their blocks.
    """
    torch.compiler.reset()
    try:
        with unchecked():
            yield
    finally:
        torch.compiler.reset()
