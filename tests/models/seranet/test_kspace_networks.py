"""Facts that hold for every network that starts from k-space."""

import pytest
import torch
from measured import random_measurement
from network_gates import compilable, items

from spinforge.models.networks import build_network
from spinforge.models.seranet.baselines import (
    FullySampledConfig,
    JointConfig,
    TwoStepConfig,
    ZeroFillingConfig,
)
from spinforge.models.seranet.consistency import complex_image
from spinforge.models.seranet.reconstruction import ReconstructionConfig
from spinforge.models.seranet.segnetmri import SegNetMRIConfig
from spinforge.models.seranet.seranet import SERANetConfig
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.fourier import image_to_kspace


def configs(width):
    """The six networks, small; both kinds of block."""
    cnn = ReconstructionConfig(block="cnn", blocks=1, width=width)
    autoencoder = ReconstructionConfig(block="autoencoder", blocks=1, width=width)
    return [
        SERANetConfig(kind="seranet", reconstruction=cnn, width=width, recurrences=1),
        SERANetConfig(
            kind="seranet",
            name="seranet-b",
            reconstruction=autoencoder,
            width=width,
            recurrences=1,
            up="transposed",
        ),
        SegNetMRIConfig(kind="segnetmri", width=width, blocks=2),
        JointConfig(kind="joint", reconstruction=autoencoder, width=width),
        TwoStepConfig(kind="two_step", reconstruction=cnn, width=width),
        ZeroFillingConfig(kind="zero_filling", width=width),
        FullySampledConfig(kind="fully_sampled", width=width),
    ]


all_networks = pytest.mark.parametrize("config", configs(2), ids=lambda config: config.name)


def build(config):
    return build_network(config, in_channels=2, n_classes=4, seed=0)


@all_networks
def test_parts_that_do_not_fit_are_refused(config):
    with pytest.raises(SpinforgeError, match="3 coils; give their sensitivities"):
        build(config)(random_measurement(2, 3)._replace(sensitivities=None))


@all_networks
def test_a_slice_of_several_coils_does_not_depend_on_its_batch_in_evaluation(config):
    network = build(config).double().eval()
    measurement = random_measurement(3, 3, (33, 22))
    with torch.inference_mode():
        together = network(measurement)
        alone = [network(items(measurement, [number])) for number in range(3)]
    # Only the order of float64 sums may differ.
    logits = torch.cat([one.logits[-1] for one in alone])
    torch.testing.assert_close(together.logits[-1], logits, rtol=1e-11, atol=1e-11)
    images = torch.cat([one.images[-1] for one in alone])
    torch.testing.assert_close(together.images[-1], images, rtol=1e-11, atol=1e-11)


@all_networks
def test_lines_that_were_not_acquired_are_never_seen(config):
    network = build(config).eval()
    measurement = random_measurement(2, 1, (16, 21), dtype=torch.complex64)
    masked = measurement._replace(kspace=measurement.kspace * measurement.mask[:, None, :, None])
    with torch.inference_mode():
        same = torch.equal(network(measurement).logits[-1], network(masked).logits[-1])
    assert same != isinstance(config, FullySampledConfig)


@all_networks
def test_images_agree_with_the_measurement_in_mixed_precision(config):
    """Convolutions in bfloat16; Fourier transforms and consistency in single precision."""
    network = build(config).eval()
    measurement = random_measurement(2, 1, (32, 21), dtype=torch.complex64)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        found = network(measurement)
    assert found.logits[-1].dtype == torch.bfloat16
    acquired = measurement.mask[:, None, :, None].expand_as(measurement.kspace)
    for image in found.images:
        assert image.dtype == torch.float32
        kspace = image_to_kspace(complex_image(image))[:, None]
        # Two FFTs of 672 numbers of up to 10 in float32; bfloat16 would err by 1e-2.
        torch.testing.assert_close(
            kspace[acquired], measurement.kspace[acquired], rtol=0.0, atol=2e-5
        )


@pytest.mark.slow
@pytest.mark.parametrize("config", [configs(2)[1], configs(2)[2]], ids=lambda config: config.name)
def test_compiles_as_one_graph_for_several_coils(config):
    measurement = random_measurement(2, 3, (33, 24), dtype=torch.complex64)
    network = build(config).eval()
    with compilable(), torch.inference_mode():
        compiled = torch.compile(network, fullgraph=True, dynamic=False, backend="aot_eager")
        found, expected = compiled(measurement), network(measurement)
    for one, other in zip(
        found.logits + found.images, expected.logits + expected.images, strict=True
    ):
        torch.testing.assert_close(one, other, rtol=0.0, atol=1e-4)
