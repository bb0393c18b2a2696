"""Every network of the four papers at its paper's size, with the parameters published for it."""

from dataclasses import dataclass
from typing import Literal

from spinforge.models.crdn.baselines import EncoderDecoderConfig
from spinforge.models.crdn.crdn import CRDNConfig
from spinforge.models.crdn.encoders import EncoderName
from spinforge.models.crdn.recurrent import CellName
from spinforge.models.fcslstm.fcslstm import ConciseFCNConfig, FCSLSTMConfig
from spinforge.models.hlenet.hlenet import HLENetConfig, ResUNet28Config, UNet28Config
from spinforge.models.monai_networks import MonaiBasicUNetConfig, MonaiDynUNetConfig
from spinforge.models.networks import KSpaceNetwork, NetworkConfig, SequenceNetwork
from spinforge.models.seranet.baselines import (
    FullySampledConfig,
    JointConfig,
    TwoStepConfig,
    ZeroFillingConfig,
)
from spinforge.models.seranet.reconstruction import BlockKind, ReconstructionConfig
from spinforge.models.seranet.segnetmri import SegNetMRIConfig
from spinforge.models.seranet.seranet import SERANetConfig
from spinforge.models.seranet.unet import UNetConfig

Family = Literal["CRDN", "FCSLSTM", "SERANet", "HLE-Net", "MONAI"]

PAPERS: dict[Family, str] = {
    "CRDN": "Wen et al., Segmenting medical MRI via recurrent decoding cell (AAAI 2020)",
    "FCSLSTM": "Gao et al., Fully convolutional structured LSTM networks for joint 4D medical "
    "image segmentation (ISBI 2018)",
    "SERANet": "Huang et al., Brain segmentation from k-space with end-to-end recurrent attention "
    "network (MICCAI 2019)",
    "HLE-Net": "Wang et al., High- and low-level feature enhancement for medical image "
    "segmentation (MLMI 2019)",
    "MONAI": "Cardoso et al., MONAI: An open-source framework for deep learning in healthcare "
    "(arXiv:2211.02701); two of its networks, to compare with",
}

FCSLSTM_CLAIMS: dict[str, tuple[float, float]] = {"U-Net": (31.03, 20), "FCN-8s": (134.3, 130)}
"""Instead of numbers its paper says how many times smaller than others its network is.

Their parameters are in millions: of U-Net as in Ronneberger et al. (MICCAI 2015), of FCN-8s on
VGG16 as in Long et al. (CVPR 2015).
"""


@dataclass(frozen=True)
class CatalogueEntry:
    """A network as its paper used it.

    Attributes:
        family: The paper's own network, under whose name its comparisons are listed too.
        config: The network; its `name` is unique in the catalogue.
        in_channels: Channels of the paper's images.
        n_classes: Classes the paper tells apart, background included; 1 is foreground alone.
        size: Height and width of the paper's images [pixel].
        times: Time points of a sequence; None for networks of single slices.
        published: Parameters as printed in the paper, such as "14.87M" or "5.5e6"; None if the
            paper gives none.
    """

    family: Family
    config: NetworkConfig
    in_channels: int
    n_classes: int
    size: tuple[int, int]
    times: int | None = None
    published: str | None = None

    @property
    def name(self) -> str:
        """Unique in the catalogue."""
        return self.config.name

    @property
    def takes(self) -> Literal["image", "sequence", "k-space"]:
        """What the network starts from."""
        if isinstance(self.config, KSpaceNetwork):
            return "k-space"
        return "sequence" if isinstance(self.config, SequenceNetwork) else "image"


def _crdn_family() -> list[CatalogueEntry]:
    """Rows of CRDN's tables 1 and 2."""
    encoders: tuple[EncoderName, ...] = ("vgg16", "resnet50", "unet")
    cells: tuple[CellName, ...] = ("rnn", "lstm", "gru")
    crdn = {"vgg16": "14.87M", "resnet50": "23.65M", "unet": "1.23M"}
    compared: list[tuple[Literal["fcn", "segnet", "unet"], EncoderName, str]] = [
        ("fcn", "vgg16", "50.42M"),
        ("segnet", "vgg16", "29.45M"),
        ("unet", "vgg16", "25.86M"),
        ("fcn", "resnet50", "115.83M"),
        ("unet", "resnet50", "71.86M"),
        ("fcn", "unet", "1.19M"),
        ("segnet", "unet", "2.36M"),
        ("unet", "unet", "1.94M"),
    ]
    networks: list[tuple[NetworkConfig, str]] = [
        (
            CRDNConfig(kind="crdn", name=f"crdn-{encoder}-{cell}", encoder=encoder, cell=cell),
            crdn[encoder],
        )
        for encoder in encoders
        for cell in cells
    ]
    networks += [
        (
            EncoderDecoderConfig(
                kind="encoder_decoder",
                name=f"{decoder}-{encoder}",
                encoder=encoder,
                decoder=decoder,
            ),
            published,
        )
        for decoder, encoder, published in compared
    ]
    return [
        CatalogueEntry("CRDN", config, 3, 4, (240, 240), published=published)
        for config, published in networks
    ]


def _fcslstm_family() -> list[CatalogueEntry]:
    """The paper prints no numbers of parameters, only ratios that contradict each other."""
    single = [
        ConciseFCNConfig(kind="concise_fcn"),
        ConciseFCNConfig(kind="concise_fcn", name="concise-fcn-half", shrink=2),
    ]
    sequences = [
        FCSLSTMConfig(kind="fcslstm"),
        FCSLSTMConfig(kind="fcslstm", name="bi-fcslstm", bidirectional=True),
    ]
    return [
        *(CatalogueEntry("FCSLSTM", config, 2, 4, (224, 224)) for config in single),
        *(CatalogueEntry("FCSLSTM", config, 2, 4, (224, 224), times=5) for config in sequences),
    ]


def _seranet_family() -> list[CatalogueEntry]:
    """Rows of SERANet's tables 1 and 2; the paper gives no numbers of parameters."""
    networks: list[NetworkConfig] = [
        # The segmentation of zero_filling, for images made from k-space beforehand.
        UNetConfig(kind="unet"),
        FullySampledConfig(kind="fully_sampled"),
        ZeroFillingConfig(kind="zero_filling"),
        SegNetMRIConfig(kind="segnetmri"),
    ]
    types: list[tuple[str, BlockKind]] = [("a", "cnn"), ("b", "autoencoder")]
    for letter, block in types:
        blocks = ReconstructionConfig(block=block)
        networks += [
            TwoStepConfig(kind="two_step", name=f"two-step-{letter}", reconstruction=blocks),
            JointConfig(kind="joint", name=f"joint-{letter}", reconstruction=blocks),
            *(
                SERANetConfig(
                    kind="seranet",
                    name=f"seranet-{recurrences}{'pp' if pretrained else ''}-{letter}",
                    recurrences=recurrences,
                    pretrained=pretrained,
                    reconstruction=blocks,
                )
                for recurrences, pretrained in ((1, False), (2, False), (3, False), (3, True))
            ),
        ]
    return [CatalogueEntry("SERANet", config, 2, 4, (180, 216)) for config in networks]


def _hlenet_family() -> list[CatalogueEntry]:
    """Rows of HLE-Net's table, for its four channels of ISIC 2017 (colours and gray)."""
    networks: list[tuple[NetworkConfig, str]] = [
        (UNet28Config(kind="unet_28"), "5.9e6"),
        (ResUNet28Config(kind="res_unet_28"), "6.2e6"),
        (HLENetConfig(kind="hle_net", name="only-hfe", enhance="high"), "3.6e6"),
        (HLENetConfig(kind="hle_net", name="only-lfe", enhance="low"), "3.8e6"),
        (HLENetConfig(kind="hle_net"), "5.5e6"),
    ]
    return [
        CatalogueEntry("HLE-Net", config, 4, 1, (192, 256), published=published)
        for config, published in networks
    ]


CATALOGUE: tuple[CatalogueEntry, ...] = (
    *_crdn_family(),
    *_fcslstm_family(),
    *_seranet_family(),
    *_hlenet_family(),
)
"""All networks, paper by paper."""

REFERENCES: tuple[CatalogueEntry, ...] = tuple(
    CatalogueEntry("MONAI", config, 2, 4, (180, 216))
    for config in (
        MonaiBasicUNetConfig(kind="monai_basic_unet"),
        MonaiDynUNetConfig(kind="monai_dynunet"),
    )
)
"""Networks that no paper of ours uses; counting one imports MONAI, which takes seconds."""
