"""Exact numbers of parameters of every network, and how they compare with the papers'."""

import pytest
import torch

from spinforge.models.catalogue import CATALOGUE, PAPERS, REFERENCES
from spinforge.models.counting import agrees, network_costs
from spinforge.models.crdn.baselines import EncoderDecoderConfig
from spinforge.models.crdn.crdn import CRDNConfig
from spinforge.models.fcslstm.fcslstm import ConciseFCNConfig, FCSLSTMConfig
from spinforge.models.hlenet.hlenet import HLENetConfig, ResUNet28Config, UNet28Config
from spinforge.models.networks import count_parameters, weightless_network
from spinforge.models.seranet.baselines import (
    FullySampledConfig,
    JointConfig,
    TwoStepConfig,
    ZeroFillingConfig,
)
from spinforge.models.seranet.reconstruction import ReconstructionConfig, build_block
from spinforge.models.seranet.recurrent_unet import RecurrentUNet
from spinforge.models.seranet.segnetmri import SegNetMRIConfig
from spinforge.models.seranet.seranet import SERANetConfig
from spinforge.models.seranet.unet import UNetConfig
from spinforge.simulation.config import Config


def crdn(encoder, cell, **switches):
    return CRDNConfig(kind="crdn", encoder=encoder, cell=cell, **switches)


def baseline(decoder, encoder):
    return EncoderDecoderConfig(kind="encoder_decoder", encoder=encoder, decoder=decoder)


def fcslstm(**switches):
    return FCSLSTMConfig(kind="fcslstm", **switches)


def hle_net(enhance="both", **switches):
    return HLENetConfig(kind="hle_net", enhance=enhance, **switches)


def parameters(config, in_channels, n_classes):
    return count_parameters(
        weightless_network(config, in_channels=in_channels, n_classes=n_classes)
    )


IMAGES = [(3, 4), (1, 3), (1, 4), (2, 4)]
"""Channels and classes of the four columns of the next table."""

# As a separate implementation of the papers has them; the first column is what table 2 rounds.
CRDN_TABLE = [
    (baseline("fcn", "vgg16"), (50_419_540, 50_413_327, 50_418_388, 50_418_964)),
    (baseline("segnet", "vgg16"), (29_445_324, 29_443_593, 29_444_172, 29_444_748)),
    (baseline("unet", "vgg16"), (25_863_300, 25_862_083, 25_862_148, 25_862_724)),
    (crdn("vgg16", "rnn"), (14_870_688, 14_832_594, 14_869_536, 14_870_112)),
    (crdn("vgg16", "lstm"), (14_871_564, 14_833_089, 14_870_412, 14_870_988)),
    (crdn("vgg16", "gru"), (14_871_272, 14_832_924, 14_870_120, 14_870_696)),
    (baseline("fcn", "resnet50"), (115_831_124, 115_818_895, 115_824_852, 115_827_988)),
    (baseline("unet", "resnet50"), (71_858_948, 71_852_611, 71_852_676, 71_855_812)),
    (crdn("resnet50", "rnn"), (23_648_928, 23_607_378, 23_642_656, 23_645_792)),
    (crdn("resnet50", "lstm"), (23_649_804, 23_607_873, 23_643_532, 23_646_668)),
    (crdn("resnet50", "gru"), (23_649_512, 23_607_708, 23_643_240, 23_646_376)),
    # With the squeezing kernel of the paper's text: 1 % more than it prints.
    (
        crdn("resnet50", "rnn", squeeze_kernel=5),
        (23_898_784, 23_794_770, 23_892_512, 23_895_648),
    ),
    (
        crdn("resnet50", "lstm", squeeze_kernel=5),
        (23_899_660, 23_795_265, 23_893_388, 23_896_524),
    ),
    (
        crdn("resnet50", "gru", squeeze_kernel=5),
        (23_899_368, 23_795_100, 23_893_096, 23_896_232),
    ),
    (baseline("fcn", "unet"), (1_191_112, 1_188_207, 1_190_824, 1_190_968)),
    (baseline("segnet", "unet"), (2_360_892, 2_360_457, 2_360_604, 2_360_748)),
    (baseline("unet", "unet"), (1_943_140, 1_942_835, 1_942_852, 1_942_996)),
    (crdn("unet", "rnn"), (1_230_704, 1_217_874, 1_230_416, 1_230_560)),
    (crdn("unet", "lstm"), (1_231_580, 1_218_369, 1_231_292, 1_231_436)),
    (crdn("unet", "gru"), (1_231_288, 1_218_204, 1_231_000, 1_231_144)),
]


@pytest.mark.parametrize(("config", "expected"), CRDN_TABLE)
def test_parameters_of_crdn_and_what_it_is_compared_with(config, expected):
    assert tuple(parameters(config, *image) for image in IMAGES) == expected


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (ConciseFCNConfig(kind="concise_fcn"), 925_544),
        (ConciseFCNConfig(kind="concise_fcn", shrink=2), 3_688_360),
        # By hand: a fifth score of a finer map, 128 -> 4 channels.
        (ConciseFCNConfig(kind="concise_fcn", fuse="pre"), 925_544 + 128 * 4 + 4),
        (fcslstm(), 3_847_848),
        (fcslstm(bidirectional=True), 7_694_376),
        # Eight more weights for each of four gates' pairs of channels.
        (fcslstm(hidden_kernel=3), 3_847_848 + 8 * 4 * (16**2 + 32**2 + 64**2 + 2 * 128**2)),
        # The back-end reads half as many channels: 128 twice, 64, 32 and 16, to 4 classes.
        (
            fcslstm(bidirectional=True, merge="sum"),
            7_694_376 - 4 * (2 * 128 + 64 + 32 + 16),
        ),
    ],
)
def test_parameters_of_fcslstm(config, expected):
    assert parameters(config, 2, 4) == expected


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (hle_net(), (5_530_681, 5_531_257, 5_531_545)),
        (hle_net("high"), (3_600_165, 3_600_453, 3_600_597)),
        (hle_net("low"), (3_874_277, 3_874_853, 3_875_141)),
        (UNet28Config(kind="unet_28"), (5_946_445, 5_946_949, 5_947_201)),
        (ResUNet28Config(kind="res_unet_28"), (6_214_321, 6_214_881, 6_215_161)),
    ],
)
def test_parameters_of_hle_net(config, expected):
    """Of 1, 3 and 4 channels, the foreground alone."""
    assert tuple(parameters(config, channels, 1) for channels in (1, 3, 4)) == expected


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (hle_net("low", lfe_up="bilinear"), 3_808_517),
        (hle_net(lfe_up="bilinear"), 5_464_921),
        # The paper's word for its residual blocks; but it prints 6.2 million.
        (ResUNet28Config(kind="res_unet_28", block="bottleneck"), 1_145_250),
    ],
)
def test_parameters_of_other_readings_of_hle_net(config, expected):
    assert parameters(config, 1, 1) == expected


A, B = ReconstructionConfig(block="cnn"), ReconstructionConfig(block="autoencoder")


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (UNetConfig(kind="unet"), 34_524_740),
        (FullySampledConfig(kind="fully_sampled"), 34_524_740),
        (ZeroFillingConfig(kind="zero_filling"), 34_524_740),
        (ZeroFillingConfig(kind="zero_filling", up="transposed"), 31_043_140),
        (TwoStepConfig(kind="two_step", reconstruction=A), 35_093_070),
        (TwoStepConfig(kind="two_step", reconstruction=B), 44_873_230),
        (JointConfig(kind="joint", reconstruction=A), 35_093_070),
        (JointConfig(kind="joint", reconstruction=B), 44_873_230),
        (SERANetConfig(kind="seranet", reconstruction=A), 35_505_360),
        (SERANetConfig(kind="seranet", reconstruction=B), 47_241_552),
        (SERANetConfig(kind="seranet", recurrences=1), 35_505_360),
        (SegNetMRIConfig(kind="segnetmri"), 14_964_594),
    ],
)
def test_parameters_of_seranet_and_what_it_is_compared_with(config, expected):
    assert parameters(config, 2, 4) == expected


@pytest.mark.parametrize(
    ("config", "in_channels", "expected"),
    [
        (A, 2, 113_666),
        (A, 8, 117_122),  # of the attention: a copy of the image for each of four classes
        (A.model_copy(update={"batch_norm": False}), 2, 113_154),
        (B, 2, 2_069_698),
        (B, 8, 2_073_154),
        (B.model_copy(update={"up": "transposed"}), 2, 1_864_898),
    ],
)
def test_parameters_of_seranets_blocks(config, in_channels, expected):
    with torch.device("meta"):
        assert count_parameters(build_block(config, in_channels=in_channels)) == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"memory": "last"}, 34_819_908),
        ({"memory": "input"}, 34_712_772),
        ({"memory": "bottleneck"}, 34_524_740 + 9 * 2048 * 4096 + 4096),
        ({"memory": "last", "up": "transposed"}, 31_043_140 + 9 * 128 * 256 + 256),
    ],
)
def test_parameters_of_seranets_segmentation(changes, expected):
    """The U-Net's and those of one 3x3 convolution from input and output to four gates."""
    with torch.device("meta"):
        network = RecurrentUNet(in_channels=2, n_classes=4, width=64, **changes)
    assert count_parameters(network) == expected


def described_in_a_study():
    """Every class of configuration that the networks of the lists are made of."""
    configs = [entry.config for entry in (*CATALOGUE, *REFERENCES)]
    parts = [value for config in configs for _, value in config if isinstance(value, Config)]
    return sorted({type(config) for config in (*configs, *parts)}, key=lambda kind: kind.__name__)


@pytest.mark.parametrize("config", described_in_a_study())
def test_every_field_is_described(config):
    assert all(field.description for field in config.model_fields.values())


def test_names_are_unique_and_every_family_has_a_paper():
    names = [entry.name for entry in CATALOGUE]
    assert len(set(names)) == len(names)
    assert {entry.family for entry in (*CATALOGUE, *REFERENCES)} == set(PAPERS)


def published(family):
    found = [
        (entry.published, parameters(entry.config, entry.in_channels, entry.n_classes))
        for entry in CATALOGUE
        if entry.family == family
    ]
    return [pair for pair in found if pair[0] is not None]


def test_all_eleven_numbers_of_crdns_table_2_are_met_by_rounding():
    found = published("CRDN")
    assert len({number for number, _ in found}) == 11
    assert len(found) == 17
    assert all(agrees(number, count) for number, count in found)


def test_hle_nets_numbers_are_met_by_truncation_and_all_but_one_by_rounding():
    found = published("HLE-Net")
    assert len(found) == 5
    assert all(agrees(number, count, truncated=True) for number, count in found)
    assert [number for number, count in found if not agrees(number, count)] == ["3.8e6"]


@pytest.mark.parametrize(
    ("number", "count", "rounded", "truncated"),
    [
        ("14.87M", 14_865_000, True, False),
        ("14.87M", 14_874_999, True, True),
        ("14.87M", 14_875_000, False, True),
        ("14.87M", 14_864_999, False, False),
        ("3.8e6", 3_799_999, True, False),
        ("3.8e6", 3_899_999, False, True),
        ("3.8e6", 3_900_000, False, False),
    ],
)
def test_agreement_is_to_the_published_decimals(number, count, rounded, truncated):
    assert agrees(number, count) is rounded
    assert agrees(number, count, truncated=True) is truncated


def entry_named(name):
    return next(entry for entry in CATALOGUE if entry.name == name)


def test_multiply_accumulates_are_those_counted_by_hand():
    """CRDN's U-Net: convolutions keep the size, transposed ones of 2x2 end on the finer map."""
    total = 0
    width_before = 3
    for level, width in enumerate((16, 32, 64, 128, 256)):
        pixels = (240 >> level) ** 2
        total += pixels * 9 * width * (width_before + width)  # two convolutions on the way down
        if level < 4:
            # The doubled map, then two convolutions, of which the first reads skip and doubled map.
            total += pixels * (2 * width * width + 9 * width * (2 * width + width))
        width_before = width
    total += 240**2 * 16 * 4  # the head
    assert network_costs(entry_named("unet-unet")).multiply_accumulates == total


def test_recurrences_add_equal_costs():
    """Each is one attention and one segmentation."""
    once, twice, thrice = (
        network_costs(entry_named(f"seranet-{number}-a")).multiply_accumulates
        for number in (1, 2, 3)
    )
    assert thrice - twice == twice - once > 0


def test_costs_grow_with_the_size_and_too_small_images_have_none():
    entry = entry_named("crdn-unet-rnn")
    paper, double = network_costs(entry), network_costs(entry, size=(480, 240))
    assert double.multiply_accumulates == 2 * paper.multiply_accumulates
    assert network_costs(entry, size=(15, 240)).multiply_accumulates is None
    assert double.parameters == paper.parameters
