"""FCSLSTM: a concise fully convolutional network, and the same with an LSTM in every block."""

import functools
import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812 (the name everyone knows it by)
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from spinforge.models.fcslstm.structured_lstm import StructuredLSTM
from spinforge.models.layers.blocks import Features, conv_stage
from spinforge.models.layers.sizes import (
    MINIMUM_SIZE,
    crop_padding,
    pad_to_multiple,
    require_minimum_size,
)
from spinforge.models.names import FolderName
from spinforge.simulation.config import Config

ImageSequence = Float[Tensor, "batch time channel ky kx"]
"""Slices at the same place of a subject, scanned at several times; or their logits."""

MULTIPLE = 32
"""Five halvings divide this [pixel]; other sizes are padded."""

_VGG_WIDTHS = (64, 128, 256, 512, 512)
_VGG_CONVOLUTIONS = (2, 2, 3, 3, 3)


class ConciseFCNConfig(Config):
    """Concise FCN: VGG-16 with fewer channels; 0.93 million parameters at a quarter of them."""

    kind: Literal["concise_fcn"] = Field(description="which network this is")
    name: FolderName = Field("concise-fcn", description="folder name of its results")
    shrink: Literal[1, 2, 4] = Field(
        4, description="VGG-16's channels are divided by this; the paper tried 2 and 4"
    )
    fuse: Literal["post", "pre"] = Field(
        "post", description="maps fed to the back-end: post or pre pooling"
    )


class FCSLSTMConfig(Config):
    """Concise FCN with a structured LSTM in every block; 3.8 million parameters, or twice that."""

    kind: Literal["fcslstm"] = Field(description="which network this is")
    name: FolderName = Field("fcslstm", description="folder name of its results")
    bidirectional: bool = Field(
        False, description="whether a second stack reads the sequence from its end"
    )
    merge: Literal["concat", "sum"] = Field(
        "concat", description="how the maps of the two directions are joined, if there are two"
    )
    hidden_kernel: Literal[1, 3] = Field(
        1, description="kernel of the convolutions of the hidden state [pixel]"
    )
    shrink: Literal[1, 2, 4] = Field(4, description="VGG-16's channels are divided by this")
    fuse: Literal["post", "pre"] = Field(
        "post", description="maps fed to the back-end: post or pre pooling"
    )


class Level(NamedTuple):
    """What a block of the front-end leaves: its map, and the same pooled to half the size."""

    full: Features
    pooled: Features


class BackEnd(nn.Module):
    """deconv6 to deconv10: scores doubled in size five times, scores of finer maps added.

    Everything here has one channel a class. "post" adds the pooled maps of blocks 4 to 1, so the
    last doubling adds nothing; "pre" adds the maps of blocks 5 to 1 before pooling.

    Args:
        widths: Channels of the five levels, fine to coarse.
        n_classes: Classes, background included.
        fuse: Which maps are added.

    Source:
        Gao et al. (ISBI 2018), sec. 2.1. What its figure 1 shows is in the first author's code,
        github.com/imyanggao/ml-torch, modeler/FCNVGG.lua.
    """

    def __init__(
        self, widths: Sequence[int], *, n_classes: int, fuse: Literal["post", "pre"]
    ) -> None:
        super().__init__()
        self.fuse = fuse
        skips = widths[-2::-1] if fuse == "post" else widths[::-1]
        self.score = nn.Conv2d(widths[-1], n_classes, 1)
        self.skip_scores = nn.ModuleList(nn.Conv2d(width, n_classes, 1) for width in skips)
        self.doublings = nn.ModuleList(
            nn.ConvTranspose2d(n_classes, n_classes, 4, stride=2, padding=1) for _ in widths
        )

    def forward(self, levels: Sequence[Level]) -> Float[Tensor, "batch classes ky kx"]:
        """Logits at the size of the finest map before pooling.

        Args:
            levels: Five, fine to coarse, each with maps half as large as the one before.

        Returns:
            (batch, n_classes, ky, kx), before the softmax.
        """
        if self.fuse == "post":
            skips = [level.pooled for level in levels[-2::-1]]
        else:
            skips = [level.full for level in levels[::-1]]
        scores = self.score(levels[-1].pooled)
        # Not strict: with "post" the last doubling is left over.
        for double, score, skip in zip(self.doublings, self.skip_scores, skips, strict=False):
            scores = double(scores) + score(skip)
        for double in self.doublings[len(skips) :]:
            scores = double(scores)
        return scores


class ConciseFCN(nn.Module):
    """VGG-16's convolutions with fewer channels, and a back-end of one channel a class.

    Each 3x3 convolution is followed by batch normalisation and ReLU; the fifth pooling averages,
    the others take the maximum.

    Args:
        config: Channels and fused maps.
        in_channels: Channels of the image.
        n_classes: Classes, background included.

    Attributes:
        minimum_size: Smallest height and width of an image [pixel].

    Source:
        Gao et al. (ISBI 2018), sec. 2.1; batch normalisation and the pooling from the first
        author's code.
    """

    minimum_size = MINIMUM_SIZE

    def __init__(self, config: ConciseFCNConfig, *, in_channels: int, n_classes: int) -> None:
        super().__init__()
        widths = _widths(config.shrink)
        self.blocks = nn.ModuleList(make() for make in _block_makers(in_channels, widths))
        self.back_end = BackEnd(widths, n_classes=n_classes, fuse=config.fuse)
        self.apply(_initialize)

    def forward(self, image: Features) -> Float[Tensor, "batch classes ky kx"]:
        """Logits of each class.

        Args:
            image: (batch, in_channels, ky, kx), at least 16 x 16 pixels, any size; padded by
                reflection to multiples of 32.

        Returns:
            (batch, n_classes, ky, kx), before the softmax.

        Raises:
            SpinforgeError: If the image is too small.
        """
        require_minimum_size(image, self.minimum_size)
        levels = _run_front_end(self.blocks, pad_to_multiple(image, MULTIPLE))
        return crop_padding(self.back_end(levels), image, MULTIPLE)


class FCSLSTM(nn.Module):
    r"""Five stacked structured LSTMs, then the back-end of the concise FCN at each time point.

    In layer l, $\Psi_x$ is the whole block l of the concise FCN and $\Psi_h$ a convolution, with
    separate weights for each gate. Each layer reads the pooled hidden states of the one before.

    With two directions a second stack of its own weights reads the sequences from their end, and
    one back-end reads the maps of both.

    Args:
        config: Directions, channels and fused maps.
        in_channels: Channels of the images.
        n_classes: Classes, background included.

    Attributes:
        minimum_size: Smallest height and width of an image [pixel].

    Source:
        Gao et al. (ISBI 2018), sec. 2.3 and fig. 3; 1x1 kernels of $\Psi_h$ from the first
        author's code; for two directions there is no public code.
    """

    minimum_size = MINIMUM_SIZE

    def __init__(self, config: FCSLSTMConfig, *, in_channels: int, n_classes: int) -> None:
        super().__init__()
        widths = _widths(config.shrink)
        self.forwards = _lstm_stack(in_channels, widths, config.hidden_kernel)
        self.backwards = (
            _lstm_stack(in_channels, widths, config.hidden_kernel) if config.bidirectional else None
        )
        self.merge = config.merge
        if config.bidirectional and config.merge == "concat":
            widths = tuple(2 * width for width in widths)
        self.back_end = BackEnd(widths, n_classes=n_classes, fuse=config.fuse)
        self.apply(_initialize)

    def forward(self, sequence: ImageSequence) -> Float[Tensor, "batch time classes ky kx"]:
        """Logits of each class at each time point.

        Args:
            sequence: (batch, time, in_channels, ky, kx), at least 16 x 16 pixels, any size; padded
                by reflection to multiples of 32.

        Returns:
            (batch, time, n_classes, ky, kx), before the softmax.

        Raises:
            SpinforgeError: If the images are too small.
        """
        batch, n_times = sequence.shape[:2]
        frames = torch.cat(sequence.unbind(dim=1))
        require_minimum_size(frames, self.minimum_size)
        levels = self._levels(pad_to_multiple(frames, MULTIPLE), n_times)
        logits = crop_padding(self.back_end(levels), frames, MULTIPLE)
        return logits.unflatten(0, (n_times, batch)).transpose(0, 1)

    def _levels(self, frames: Features, n_times: int) -> list[Level]:
        """Maps of every frame, of both directions if there are two."""
        levels = _run_stack(self.forwards, frames, n_times)
        if self.backwards is None:
            return levels
        reverse = functools.partial(_reverse_time, n_times=n_times)
        return [
            Level(*(self._merge(ahead, reverse(back)) for ahead, back in zip(*pair, strict=True)))
            for pair in zip(
                levels, _run_stack(self.backwards, reverse(frames), n_times), strict=True
            )
        ]

    def _merge(self, ahead: Features, back: Features) -> Float[Tensor, "batch _c ky kx"]:
        return torch.cat((ahead, back), dim=1) if self.merge == "concat" else ahead + back


def build_concise_fcn(config: ConciseFCNConfig, *, in_channels: int, n_classes: int) -> ConciseFCN:
    """Concise FCN with freshly drawn weights, from torch's global generator.

    Args:
        config: Channels and fused maps.
        in_channels: Channels of the images.
        n_classes: Classes, background included.
    """
    return ConciseFCN(config, in_channels=in_channels, n_classes=n_classes)


def build_fcslstm(config: FCSLSTMConfig, *, in_channels: int, n_classes: int) -> FCSLSTM:
    """FCSLSTM with freshly drawn weights, from torch's global generator.

    Args:
        config: Directions, channels and fused maps.
        in_channels: Channels of the images.
        n_classes: Classes, background included.
    """
    return FCSLSTM(config, in_channels=in_channels, n_classes=n_classes)


def _widths(shrink: int) -> tuple[int, ...]:
    return tuple(width // shrink for width in _VGG_WIDTHS)


def _block_makers(in_channels: int, widths: Sequence[int]) -> list[Callable[[], nn.Module]]:
    """For each of the five levels, what makes its block of convolutions."""
    return [
        functools.partial(conv_stage, narrow, wide, convolutions=n_convolutions)
        for (narrow, wide), n_convolutions in zip(
            itertools.pairwise((in_channels, *widths)), _VGG_CONVOLUTIONS, strict=True
        )
    ]


def _lstm_stack(in_channels: int, widths: Sequence[int], hidden_kernel: int) -> nn.ModuleList:
    return nn.ModuleList(
        StructuredLSTM(
            make_block,
            functools.partial(nn.Conv2d, width, width, hidden_kernel, padding=hidden_kernel // 2),
        )
        for make_block, width in zip(_block_makers(in_channels, widths), widths, strict=True)
    )


def _run_front_end(blocks: Iterable[Callable[[Tensor], Tensor]], maps: Features) -> list[Level]:
    """Blocks with pooling after each: of the maximum, but of the mean after the last."""
    levels: list[Level] = []
    for block, last in zip(blocks, (False,) * 4 + (True,), strict=True):
        full = block(maps)
        maps = F.avg_pool2d(full, 2) if last else F.max_pool2d(full, 2)
        levels.append(Level(full, maps))
    return levels


def _run_stack(stack: nn.ModuleList, frames: Features, n_times: int) -> list[Level]:
    return _run_front_end([functools.partial(layer, n_times=n_times) for layer in stack], frames)


def _reverse_time(frames: Features, n_times: int) -> Features:
    return frames.unflatten(0, (n_times, -1)).flip(0).flatten(0, 1)


def _initialize(module: nn.Module) -> None:
    """Kaiming's initial weights, as in the paper, and no bias, as in the first author's code."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        nn.init.zeros_(module.bias)  # type: ignore[arg-type]  # there is one
