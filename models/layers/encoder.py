"""What an encoder is, and the plain one: an image becomes maps, each half the size of the last."""

from collections.abc import Sequence

import torch.nn.functional as F  # noqa: N812 (the name everyone knows it by)
from jaxtyping import Float
from torch import Tensor, nn

from spinforge.models.layers.blocks import Features, conv_stage

FeatureMaps = Sequence[Float[Tensor, "batch _c _h _w"]]
"""The maps of an encoder, fine to coarse."""


class Encoder(nn.Module):
    """What decoders rely on; subclasses set `widths` and define `forward`.

    Attributes:
        widths: Channels of the maps, fine to coarse.
    """

    widths: tuple[int, ...]

    def forward(self, image: Features) -> list[Float[Tensor, "batch _c _h _w"]]:
        """len(widths) maps, fine to coarse: at the image's size, a half, a quarter, and so on."""
        raise NotImplementedError


class PlainEncoder(Encoder):
    """Stages of 3x3 convolutions with 2x2 max-pooling between them.

    Args:
        in_channels: Channels of the image.
        widths: Channels of the maps, fine to coarse; there are as many stages.
        convolutions: Number of convolutions of each stage, fine to coarse; two each by default.
        ceil_mode: Whether pooling rounds an odd size up, keeping the last row and column, instead
            of down.

    Attributes:
        convolutions: Number of convolutions of each stage, fine to coarse.

    Source:
        Ronneberger et al., MICCAI 2015, fig. 1, with padding and batch normalisation added.
    """

    def __init__(
        self,
        in_channels: int,
        widths: Sequence[int],
        *,
        convolutions: Sequence[int] | None = None,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.widths = tuple(widths)
        self.convolutions = (2,) * len(self.widths) if convolutions is None else tuple(convolutions)
        self._ceil_mode = ceil_mode
        self.stages = nn.ModuleList(
            conv_stage(narrow, wide, convolutions=count)
            for narrow, wide, count in zip(
                (in_channels, *self.widths[:-1]), self.widths, self.convolutions, strict=True
            )
        )

    def forward(self, image: Features) -> list[Float[Tensor, "batch _c _h _w"]]:
        """len(widths) maps, fine to coarse; the output of each stage before it is pooled.

        Args:
            image: (batch, in_channels, ky, kx), of at least 2**(len(widths) - 1) pixels each way:
                16 for five maps.

        Returns:
            Maps k = 0, 1, ... of shape (batch, widths[k], ky / 2**k, kx / 2**k), rounded down, or
            up with `ceil_mode`.
        """
        maps = [self.stages[0](image)]
        for stage in self.stages[1:]:
            maps.append(stage(F.max_pool2d(maps[-1], 2, ceil_mode=self._ceil_mode)))
        return maps
