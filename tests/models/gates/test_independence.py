"""What every network does in evaluation: each slice by itself, always the same, and from a file."""

import itertools

import numpy as np
import pytest
import torch
from network_gates import CASES, TIMES, Case, disc_images, items, narrow, settle
from shape_checks import unchecked

from spinforge.models.crdn.baselines import EncoderDecoderConfig
from spinforge.models.crdn.crdn import CRDNConfig
from spinforge.models.hlenet.hlenet import HLENetConfig, ResUNet28Config
from spinforge.models.monai_networks import MonaiBasicUNetConfig, MonaiDynUNetConfig
from spinforge.models.networks import SequenceNetwork
from spinforge.models.seranet.reconstruction import ReconstructionConfig
from spinforge.models.seranet.seranet import SERANetConfig
from spinforge.models.seranet.unet import UNetConfig
from spinforge.models.weights import load_network, save_network

# Each encoder, decoder, cell, block and module at least once. The other networks of the catalogue
# put the same classes together otherwise: a cell of CRDN on another encoder, two_step with joint's
# modules, SERANet with another number of recurrences. `network_gate` tries them all, at full width.
REPRESENTATIVES = [
    *("crdn-unet-rnn", "crdn-unet-lstm", "crdn-unet-gru", "crdn-vgg16-rnn", "crdn-resnet50-rnn"),
    *("fcn-unet", "fcn-vgg16", "fcn-resnet50", "segnet-unet", "unet-unet"),
    *("concise-fcn", "fcslstm", "bi-fcslstm"),
    *("fully-sampled", "zero-filling", "segnetmri", "joint-a", "joint-b"),
    *("seranet-1-a", "seranet-2-b"),
    *("unet-28", "res-unet-28", "only-hfe", "only-lfe", "hle-net"),
]
# Switches that no network of the catalogue has.
VARIANTS = [
    UNetConfig(kind="unet", width=4),
    CRDNConfig(
        kind="crdn", name="transposed", cell="gru", gru_reset="before", upsampling="transposed"
    ),
    EncoderDecoderConfig(
        kind="encoder_decoder", name="bilinear", decoder="fcn", score_upsampling="bilinear"
    ),
    HLENetConfig(kind="hle_net", name="lfe-bilinear", lfe_up="bilinear", width=8),
    ResUNet28Config(kind="res_unet_28", name="bottleneck", block="bottleneck", width=12),
    SERANetConfig(
        kind="seranet",
        name="memory-first",
        recurrences=1,
        reconstruction=ReconstructionConfig(block="autoencoder", blocks=1, width=4),
        width=4,
        up="transposed",
        memory="input",
    ),
    # MONAI's, which are in no paper.
    MonaiBasicUNetConfig(kind="monai_basic_unet", features=(4, 4, 8, 8, 16, 4)),
    MonaiDynUNetConfig(kind="monai_dynunet", filters=(4, 8, 8, 16)),
]
SMALL = [
    *(narrow(CASES[name]) for name in REPRESENTATIVES),
    *(Case(config, in_channels=2, n_classes=4) for config in VARIANTS),
]
FULL = [
    pytest.param(case, id=f"{name}-at-full-width", marks=pytest.mark.network_gate)
    for name, case in CASES.items()
]
SIZES = {"fcn-vgg16": (65, 67), "fcn-resnet50": (33, 37)}
"""Odd sizes near each network's minimum; (33, 34) is above that of all others."""


@pytest.fixture(
    scope="module", params=[*(pytest.param(case, id=case.name) for case in SMALL), *FULL]
)
def settled(request):
    """A case, its network in evaluation mode, and three items of which the last is zero."""
    case = request.param
    images, _ = case_images(case, 3, SIZES.get(case.name, (33, 34)))
    images[-len(images) // 3 :] = 0
    given = case.given(images)
    with unchecked():  # the shapes are checked in the tests of each network
        yield case, settle(case.build(), items(given, [0, 1])), given


def case_images(case, n_items, size):
    """Slices for so many items."""
    slices_an_item = TIMES if isinstance(case.config, SequenceNetwork) else 1
    return disc_images(n_items * slices_an_item, case.in_channels, size)


@torch.inference_mode()
def answers(case, network, given):
    """(item, ...) logits."""
    found = case.logits(network, given)
    return found.unflatten(0, (-1, TIMES)) if isinstance(case.config, SequenceNetwork) else found


def test_an_item_does_not_depend_on_its_batch_order_or_padding(settled):
    """Alone, and after others of which one is padding."""
    case, network, given = settled
    second, _, first = answers(case, network, items(given, [1, 2, 0]))
    scale = first.abs().max()
    # float32 sums of up to 4608 terms in another order, in up to 60 layers:
    # 60 * sqrt(4608) * 2^-24 = 2.4e-4 at worst, of numbers as large as the largest logit.
    for item, together in enumerate((first, second)):
        alone = answers(case, network, items(given, [item]))[0]
        torch.testing.assert_close(together, alone, rtol=0.0, atol=2.4e-4 * scale.item())
    # What would be the difference if companions mattered.
    assert (first - second).abs().max() > 1e-2 * scale > 0


def test_evaluation_is_repeated_bit_by_bit_and_changes_nothing(settled):
    case, network, given = settled
    given = items(given, [0])
    before = {name: value.clone() for name, value in network.state_dict().items()}
    first = answers(case, network, given)
    network.train().eval()
    assert torch.equal(first, answers(case, network, given))
    after = network.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize(
    "case",
    {case.config.kind: case for case in SMALL}.values(),  # of equal ones the last, with switches
    ids=lambda case: case.config.kind,
)
def test_a_network_of_every_kind_survives_its_file(case, tmp_path):
    images, _ = case_images(case, 2, (33, 34))
    given = case.given(images)
    trained = settle(case.build(), given)
    path = tmp_path / "network.pt"
    save_network(
        path,
        trained.state_dict(),
        case.config,
        in_channels=case.in_channels,
        n_classes=case.n_classes,
    )
    torch.load(path, weights_only=True)
    loaded = load_network(path)
    assert Case(loaded.config, loaded.in_channels, loaded.n_classes) == case
    assert torch.equal(answers(case, loaded.network, given), answers(case, trained, given))


@pytest.mark.parametrize(
    "name", ["concise-fcn", "fcslstm", "bi-fcslstm", "unet-28", "res-unet-28", "hle-net"]
)
def test_networks_that_pad_see_the_reflected_image(name):
    """Continued to a multiple of 32 by NumPy, the larger half left and top; and cropped again."""
    case = narrow(CASES[name])
    images, _ = disc_images(2, case.in_channels, (45, 54))
    network = settle(case.build(), case.given(images))
    around = ((0, 0), (0, 0), (10, 9), (5, 5))
    padded = torch.from_numpy(np.pad(images.numpy(), around, mode="reflect"))
    with torch.inference_mode():
        whole = case.logits(network, case.given(padded))
        assert torch.equal(case.logits(network, case.given(images)), whole[..., 10:55, 5:59])


def test_the_four_slices_differ_and_hold_all_tissues():
    _, target = disc_images(4, 2, (32, 32))
    assert all(not torch.equal(one, other) for one, other in itertools.combinations(target, 2))
    assert all(one.unique().tolist() == [0, 1, 2, 3] for one in target)
