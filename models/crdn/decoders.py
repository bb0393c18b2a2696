"""The decoders CRDN is compared with: from five maps of an encoder to logits at full size."""

import itertools
from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812 (the name everyone knows it by)
from jaxtyping import Float
from torch import Tensor, nn

from spinforge.models.layers.blocks import conv_bn_relu, conv_relu, conv_stage
from spinforge.models.layers.encoder import FeatureMaps, PlainEncoder
from spinforge.models.layers.sizes import resize_to

ScoreUpsampling = Literal["nearest", "bilinear"]

HEAD_CHANNELS = 4096
"""Width of VGG's fully connected layers, and of FCN's head made of them."""


class FCNDecoder(nn.Module):
    """FCN-2s: scores of every level, resized and added from the coarsest to the finest.

    Args:
        widths: Channels of the five maps, fine to coarse.
        n_classes: Classes, background included.
        poolings: What is applied to each of the five maps before its score, fine to coarse.
        head: From the coarsest map after its pooling to its score.
        upsampling: How a score grows to the size of the next; the authors' code takes the nearest
            pixel.

    Source:
        Long, Shelhamer and Darrell, "Fully convolutional networks for semantic segmentation" (CVPR
        2015), sec. 4.2, continued to stride 2 as in Wen et al. (AAAI 2020).
    """

    def __init__(
        self,
        widths: Sequence[int],
        n_classes: int,
        *,
        poolings: Sequence[nn.Module],
        head: nn.Module,
        upsampling: ScoreUpsampling,
    ) -> None:
        super().__init__()
        self.poolings = nn.ModuleList(poolings)
        self.head = head
        self.scores = nn.ModuleList(nn.Conv2d(width, n_classes, 1) for width in widths[:-1])
        self.upsampling = upsampling

    def forward(self, maps: FeatureMaps) -> Float[Tensor, "batch classes ky kx"]:
        """Logits at the size of the finest map.

        Args:
            maps: Five maps, fine to coarse.

        Returns:
            (batch, n_classes, ky, kx).
        """
        *finer, coarsest = [pool(x) for pool, x in zip(self.poolings, maps, strict=True)]
        total = self.head(coarsest)
        for score, features in zip(reversed(self.scores), reversed(finer), strict=True):
            total = self._resize(total, features) + score(features)
        return self._resize(total, maps[0])

    def _resize(self, scores: Tensor, partner: Tensor) -> Tensor:
        if self.upsampling == "bilinear":
            return resize_to(scores, partner)
        return F.interpolate(scores, size=partner.shape[-2:], mode="nearest")


def fcn_heavy_head(
    in_channels: int, n_classes: int, *, width: int = HEAD_CHANNELS
) -> nn.Sequential:
    """VGG's fully connected layers as convolutions, the first one 3x3 without padding.

    Its input must be at least 3 x 3 pixels, its output is two pixels smaller.
    """
    return nn.Sequential(
        nn.Conv2d(in_channels, width, 3),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
        nn.Dropout2d(0.5),
        nn.Conv2d(width, width, 1),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
        nn.Dropout2d(0.5),
        nn.Conv2d(width, n_classes, 1),
    )


def fcn_light_head(in_channels: int, n_classes: int) -> nn.Sequential:
    """Two 3x3 convolutions with batch normalisation and ReLU, so its scores are not negative."""
    return conv_stage(in_channels, n_classes)


class SegNetDecoder(nn.Module):
    """SegNet: each value goes back to the pixel that max-pooling took it from.

    The stages mirror the encoder's, with as many convolutions; the last convolution of a stage
    changes the channels to the next finer map's, at full size to the classes. Batch normalisation
    and ReLU follow the very last convolution too, so the logits are not negative.

    Args:
        encoder: The encoder whose maps are decoded. Its maps are pooled here once more, with the
            indices; and its fifth map as well, which the encoder itself does not pool.
        n_classes: Classes, background included.

    Source:
        Badrinarayanan, Kendall and Cipolla, "SegNet" (TPAMI 2017), sec. 3; its last layer as in
        the code of Wen et al. (AAAI 2020).
    """

    def __init__(self, encoder: PlainEncoder, n_classes: int) -> None:
        super().__init__()
        narrower = (n_classes, *encoder.widths[:-1])
        self.stages = nn.ModuleList(
            nn.Sequential(
                *(conv_bn_relu(wide, wide) for _ in range(count - 1)), conv_bn_relu(wide, narrow)
            )
            for wide, narrow, count in zip(
                encoder.widths, narrower, encoder.convolutions, strict=True
            )
        )

    def forward(self, maps: FeatureMaps) -> Float[Tensor, "batch classes ky kx"]:
        """Logits at the size of the finest map.

        Args:
            maps: Five maps of unpooled stages, fine to coarse, each the next one's source by 2x2
                max-pooling that rounds odd sizes down.

        Returns:
            (batch, n_classes, ky, kx), not negative.
        """
        features = F.max_pool2d(maps[-1], 2)
        for stage, source in zip(reversed(self.stages), reversed(maps), strict=True):
            # Only the places of the maxima are wanted, and they have no gradient.
            _, places = F.max_pool2d(source.detach(), 2, return_indices=True)
            features = stage(_unpooled(features, places, source.shape[-2:]))
        return features


def _unpooled(features: Tensor, places: Tensor, size: torch.Size) -> Tensor:
    """Undo 2x2 max-pooling: each value at the place of its maximum, 0 elsewhere."""
    if not torch.are_deterministic_algorithms_enabled():
        return F.max_unpool2d(features, places, (2, 2), output_size=size)
    # PyTorch refuses the above then, for places that occur twice; of 2x2 windows none does.
    flat = features.new_zeros(*features.shape[:2], size.numel())
    return flat.scatter(2, places.flatten(2), features.flatten(2)).unflatten(2, size)


class UNetDecoder(nn.Module):
    """U-Net: double the size, join with the encoder's map, convolve twice without normalisation.

    Batch normalisation is left out here because only so the numbers of parameters that Wen et al.
    give come out, although they write that it follows each convolution.

    Args:
        widths: Channels of the five maps, fine to coarse.
        n_classes: Classes, background included.

    Source:
        Ronneberger et al., "U-Net" (MICCAI 2015), fig. 1, with padding; as compared by Wen et al.
        (AAAI 2020), table 2.
    """

    def __init__(self, widths: Sequence[int], n_classes: int) -> None:
        super().__init__()
        self.doublings = nn.ModuleList(
            nn.ConvTranspose2d(wide, narrow, 2, stride=2)
            for narrow, wide in itertools.pairwise(widths)
        )
        self.merges = nn.ModuleList(
            nn.Sequential(*conv_relu(2 * width, width), *conv_relu(width, width))
            for width in widths[:-1]
        )
        self.head = nn.Conv2d(widths[0], n_classes, 1)

    def forward(self, maps: FeatureMaps) -> Float[Tensor, "batch classes ky kx"]:
        """Logits at the size of the finest map.

        Args:
            maps: Five maps, fine to coarse.

        Returns:
            (batch, n_classes, ky, kx).
        """
        *skips, features = maps
        for doubling, merge, skip in zip(
            reversed(self.doublings), reversed(self.merges), reversed(skips), strict=True
        ):
            doubled = resize_to(doubling(features), skip)
            features = merge(torch.cat((skip, doubled), dim=1))
        return self.head(features)
