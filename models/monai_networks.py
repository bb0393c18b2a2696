"""MONAI's BasicUNet and DynUNet, to compare the papers' networks with; needs the extra `monai`."""

import importlib.util
from typing import Annotated, Literal

from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor, nn

from spinforge.models.layers.blocks import Features
from spinforge.models.layers.sizes import crop_padding, pad_to_multiple, require_minimum_size
from spinforge.models.names import FolderName
from spinforge.simulation.config import Config
from spinforge.simulation.errors import SpinforgeError

Width = Annotated[int, Field(ge=2, le=2048)]


class MonaiBasicUNetConfig(Config):
    """MONAI's BasicUNet, with its own defaults; 2.0 million parameters."""

    kind: Literal["monai_basic_unet"] = Field(description="which network this is")
    name: FolderName = Field("monai-basic-unet", description="folder name of its results")
    features: tuple[Width, ...] = Field(
        (32, 32, 64, 128, 256, 32),
        min_length=6,
        max_length=6,
        description="channels of the five levels, fine to coarse, and of the last map",
    )


class MonaiDynUNetConfig(Config):
    """MONAI's DynUNet, the network of nnU-Net; 20.6 million parameters at six levels.

    Every kernel is 3x3 and every level but the first halves the size; there is no deep supervision.
    """

    kind: Literal["monai_dynunet"] = Field(description="which network this is")
    name: FolderName = Field("monai-dynunet", description="folder name of its results")
    filters: tuple[Width, ...] = Field(
        (32, 64, 128, 256, 512, 512),
        min_length=3,
        max_length=8,
        description="channels of the levels, fine to coarse; nnU-Net doubles them up to 512",
    )
    residual: bool = Field(
        False, description="residual blocks on the way down; all levels need 16 channels or more"
    )

    @model_validator(mode="after")
    def _shortcuts_are_wide(self) -> "MonaiDynUNetConfig":
        # oneDNN writes past its memory in the gradient of a strided 1x1 convolution of fewer
        # channels, last in memory: github.com/uxlfoundation/oneDNN/issues/6035.
        if self.residual and min(self.filters) < 16:
            raise ValueError(
                f"`residual` needs at least 16 channels on all levels, not {min(self.filters)}: "
                "with fewer, PyTorch's gradients on processors are wrong or end the program"
            )
        return self


MonaiConfig = MonaiBasicUNetConfig | MonaiDynUNetConfig


class PaddedNetwork(nn.Module):
    """A network that needs certain sizes, on images of any size.

    Args:
        network: From images to logits of the same size.
        multiple: What must divide height and width [pixel]; the image is continued by reflection
            and the result cropped. 1 leaves it as it is.
        minimum_size: Smallest height and width [pixel].
    """

    def __init__(self, network: nn.Module, *, multiple: int, minimum_size: int) -> None:
        super().__init__()
        self.network = network
        self.multiple = multiple
        self.minimum_size = minimum_size

    def forward(self, image: Features) -> Float[Tensor, "batch classes ky kx"]:
        """Logits of each class.

        Args:
            image: (batch, in_channels, ky, kx), of any size from `minimum_size` on.

        Returns:
            (batch, n_classes, ky, kx), before the softmax.

        Raises:
            SpinforgeError: If the image is too small.
        """
        require_minimum_size(image, self.minimum_size)
        logits = self.network(pad_to_multiple(image, self.multiple))
        return crop_padding(logits, image, self.multiple)


def require_monai(kind: str) -> None:
    """Refuse to go on without MONAI.

    Args:
        kind: Of the network that needs it, for the message.

    Raises:
        SpinforgeError: If it is not installed; says how to.
    """
    if importlib.util.find_spec("monai") is None:
        raise SpinforgeError(
            f"networks of kind {kind!r} are MONAI's, which is not installed. "
            f'Run: pip install "spinforge[monai]"'
        )


def build_monai(config: MonaiConfig, *, in_channels: int, n_classes: int) -> PaddedNetwork:
    """One of MONAI's networks with freshly drawn weights, from torch's global generator.

    Args:
        config: Which of the two, and its channels.
        in_channels: Channels of the images.
        n_classes: Classes, background included.

    Raises:
        SpinforgeError: If MONAI is not installed.

    Source:
        Cardoso et al., "MONAI: An open-source framework for deep learning in healthcare"
        (arXiv:2211.02701); BasicUNet after Falk et al. (Nature Methods 2019), DynUNet after
        Isensee et al., "nnU-Net" (Nature Methods 2021).
    """
    require_monai(config.kind)
    if isinstance(config, MonaiBasicUNetConfig):
        return _basic_unet(config, in_channels, n_classes)
    return _dynunet(config, in_channels, n_classes)


def _basic_unet(config: MonaiBasicUNetConfig, in_channels: int, n_classes: int) -> PaddedNetwork:
    from monai.networks.nets.basic_unet import BasicUNet  # takes seconds

    network = BasicUNet(
        spatial_dims=2, in_channels=in_channels, out_channels=n_classes, features=config.features
    )
    # It meets odd sizes by itself. Instance normalisation needs two pixels after four halvings.
    return PaddedNetwork(network, multiple=1, minimum_size=32)


def _dynunet(config: MonaiDynUNetConfig, in_channels: int, n_classes: int) -> PaddedNetwork:
    from monai.networks.nets.dynunet import DynUNet  # takes seconds

    halvings = [2] * (len(config.filters) - 1)
    network = DynUNet(
        spatial_dims=2,
        in_channels=in_channels,
        out_channels=n_classes,
        kernel_size=[3] * len(config.filters),
        strides=[1, *halvings],
        upsample_kernel_size=halvings,
        filters=config.filters,
        res_block=config.residual,
    )
    # What its forward does without deep supervision. It also lists most of its parts a second
    # time, so that its weights would be stored twice.
    parts = nn.Sequential(network.skip_layers, network.output_block)
    multiple = 1 << len(halvings)
    # Instance normalisation needs two pixels on the coarsest level, so one multiple is too small.
    return PaddedNetwork(parts, multiple=multiple, minimum_size=multiple + 1)
