"""Mixed precision and memory order: what stays exact, and what may only be rounded."""

import pytest
import torch
from measured import complex_normal, random_measurement
from torch import nn

from spinforge.models.crdn.baselines import EncoderDecoderConfig
from spinforge.models.crdn.crdn import CRDNConfig
from spinforge.models.fcslstm.fcslstm import ConciseFCNConfig, FCSLSTMConfig
from spinforge.models.hlenet.hlenet import HLENetConfig, ResUNet28Config, UNet28Config
from spinforge.models.networks import KSpaceNetwork, SequenceNetwork, build_network
from spinforge.models.seranet.attention import attend_to_classes
from spinforge.models.seranet.baselines import JointConfig
from spinforge.models.seranet.consistency import complex_image, data_consistency
from spinforge.models.seranet.reconstruction import ReconstructionConfig
from spinforge.models.seranet.segnetmri import SegNetMRIConfig
from spinforge.models.seranet.seranet import SERANetConfig
from spinforge.models.seranet.unet import UNetConfig
from spinforge.simulation.fourier import image_to_kspace
from spinforge.simulation.reconstruction import real_channels

CNN = ReconstructionConfig(block="cnn", blocks=1, width=4)
AUTOENCODER = ReconstructionConfig(block="autoencoder", blocks=1, width=4)

IMAGE = [
    UNetConfig(kind="unet", width=4),
    *(
        CRDNConfig(kind="crdn", name=f"crdn-{cell}", cell=cell, upsampling=upsampling)
        for cell, upsampling in (("rnn", "bilinear"), ("lstm", "transposed"), ("gru", "bilinear"))
    ),
    *(
        EncoderDecoderConfig(kind="encoder_decoder", name=decoder, decoder=decoder)
        for decoder in ("fcn", "segnet", "unet")
    ),
    ConciseFCNConfig(kind="concise_fcn"),
    HLENetConfig(kind="hle_net", width=8),
    UNet28Config(kind="unet_28", width=8),
    ResUNet28Config(kind="res_unet_28", width=8),
]
SEQUENCE = [FCSLSTMConfig(kind="fcslstm", bidirectional=True)]
KSPACE = [
    SERANetConfig(kind="seranet", width=8, recurrences=1, reconstruction=CNN),
    SERANetConfig(
        kind="seranet",
        name="at-input",
        width=4,
        recurrences=1,
        memory="input",
        reconstruction=AUTOENCODER,
    ),
    SegNetMRIConfig(kind="segnetmri", width=4, blocks=2),
    JointConfig(kind="joint", width=4, reconstruction=AUTOENCODER),
]

HALVES = pytest.mark.parametrize("half", [torch.bfloat16, torch.float16], ids=["bf16", "fp16"])


def by_name(configs):
    return pytest.mark.parametrize("config", configs, ids=lambda config: config.name)


def network_and_input(config, size=(32, 42)):
    network = build_network(config, in_channels=2, n_classes=4, seed=0)
    if isinstance(config, KSpaceNetwork):
        return network, random_measurement(2, 1, size, dtype=torch.complex64)
    shape = (1, 2, 2, *size) if isinstance(config, SequenceNetwork) else (2, 2, *size)
    return network, torch.randn(shape, generator=torch.Generator().manual_seed(0))


def logits_of(output):
    return output if isinstance(output, torch.Tensor) else output.logits[-1]


def energy(output):
    """Of all that a network gives: SegNetMRI's last image has no part in its logits."""
    parts = [output] if isinstance(output, torch.Tensor) else [*output.logits, *output.images]
    return sum(part.float().square().mean() for part in parts)


@HALVES
@by_name([*IMAGE, *SEQUENCE, *KSPACE])
def test_logits_and_gradients_in_half_precision_are_finite(config, half):
    """The sums of convolutions are float32 within; what is stored between layers is not."""
    network, given = network_and_input(config)
    with torch.autocast("cpu", half):
        output = network(given)
    logits = logits_of(output)
    assert logits.dtype == half
    assert logits.isfinite().all()
    energy(output).backward()
    assert all(weight.grad.isfinite().all() for weight in network.parameters())
    assert {weight.grad.dtype for weight in network.parameters()} == {torch.float32}


@HALVES
def test_consistency_of_a_half_precision_image_keeps_the_measurement(half):
    measurement = random_measurement(2, 1, (33, 42), dtype=torch.complex64)
    image = real_channels(complex_normal(2, 33, 42, seed=5, dtype=torch.complex64)).to(half)
    with torch.autocast("cpu", half):
        consistent = data_consistency(image, measurement)
    assert consistent.dtype == torch.float32
    kspace = image_to_kspace(complex_image(consistent))[:, None]
    acquired = measurement.mask[:, None, :, None].expand_as(kspace)
    # Two float32 FFTs of 1386 numbers of up to 5: each errs by some log2(1386) roundings of
    # 2^-24 of that, 3e-6; sixteen bits would err by 2e-3 or more.
    error = kspace[acquired] - measurement.kspace[acquired]
    assert error.abs().max() < 2e-5


@HALVES
def test_attention_in_half_precision_takes_its_softmax_in_single(half):
    """Sixteen bits would miss the sum of the probabilities by 1e-3."""
    logits = 5 * torch.randn(2, 4, 9, 8, generator=torch.Generator().manual_seed(0)).to(half)
    image = torch.ones(2, 2, 9, 8)
    with torch.autocast("cpu", half):
        copies = attend_to_classes(logits, image)
    assert copies.dtype == torch.float32
    total = copies.unflatten(1, (4, 2)).sum(dim=1)
    # Four probabilities, each rounded to 2^-24 a few times.
    torch.testing.assert_close(total, image, rtol=0.0, atol=1e-6)


@by_name([*IMAGE, *SEQUENCE, *KSPACE])
def test_channels_last_changes_no_value_and_stays(config):
    """Beyond its first convolutions, whose few channels are cheap to sort, a network sorts none."""
    network, given = network_and_input(config)
    expected = logits_of(network.eval()(given))
    sorted_anew = []

    def watch(module, inputs):
        (features,) = inputs
        wide = features.shape[1] > 8 and min(features.shape[-2:]) > 1
        if wide and not features.is_contiguous(memory_format=torch.channels_last):
            sorted_anew.append((type(module).__name__, tuple(features.shape)))

    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.BatchNorm2d):
            module.register_forward_pre_hook(watch)
    network.to(memory_format=torch.channels_last)
    if isinstance(given, torch.Tensor) and given.ndim == 4:
        given = given.to(memory_format=torch.channels_last)
    found = logits_of(network(given))
    # Sums of up to 4608 terms in another order, through some forty layers in float32.
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4 * expected.abs().max().item())
    assert sorted_anew == []
