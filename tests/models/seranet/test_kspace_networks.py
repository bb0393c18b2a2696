"""Facts that hold for every network that starts from k-space."""

import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from measured import line_mask, measure, random_measurement

from spinforge.models.seranet.baselines import (
    FullySampledConfig,
    JointConfig,
    TwoStepConfig,
    ZeroFillingConfig,
    build_baseline,
)
from spinforge.models.seranet.consistency import complex_image
from spinforge.models.seranet.reconstruction import ReconstructionConfig
from spinforge.models.seranet.segnetmri import SegNetMRIConfig, build_segnetmri
from spinforge.models.seranet.seranet import SERANetConfig, build_seranet
from spinforge.models.training.task import count_confusion, mean_tissue_dice
from spinforge.models.weights import read_torch_file, write_torch_file
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
    """Always the same weights."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        match config:
            case SERANetConfig():
                return build_seranet(config, n_classes=4)
            case SegNetMRIConfig():
                return build_segnetmri(config, n_classes=4)
            case _:
                return build_baseline(config, n_classes=4)


@all_networks
def test_parts_that_do_not_fit_are_refused(config):
    with pytest.raises(SpinforgeError, match="3 coils; give their sensitivities"):
        build(config)(random_measurement(2, 3)._replace(sensitivities=None))


@all_networks
@pytest.mark.parametrize("n_coils", [1, 3])
def test_a_slice_does_not_depend_on_its_batch_in_evaluation(config, n_coils):
    network = build(config).double().eval()
    measurement = random_measurement(3, n_coils, (33, 22))
    with torch.inference_mode():
        together = network(measurement)
        alone = [
            network(
                type(measurement)(*(part if part is None else part[[k]] for part in measurement))
            )
            for k in range(3)
        ]
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


@all_networks
def test_a_network_survives_a_file(config, tmp_path):
    network = build(config).eval()
    write_torch_file(
        tmp_path / "network.pt",
        {"config": config.model_dump(mode="json"), "state_dict": network.state_dict()},
    )
    content = read_torch_file(tmp_path / "network.pt")
    restored = build(type(config).model_validate(content["config"]))
    torch.nn.init.zeros_(next(restored.parameters()))
    restored.eval().load_state_dict(content["state_dict"])
    measurement = random_measurement(1, 1, dtype=torch.complex64)
    with torch.inference_mode():
        assert torch.equal(restored(measurement).logits[-1], network(measurement).logits[-1])


@all_networks
def test_every_field_is_described(config):
    assert all(field.description for field in type(config).model_fields.values())


@pytest.mark.slow
@pytest.mark.parametrize("config", configs(8), ids=lambda config: config.name)
def test_network_learns_four_slices_by_heart(config, discs):
    data = discs(4)
    channels = torch.stack([data[index]["image"] for index in range(4)])
    target = torch.stack([data[index]["target"] for index in range(4)])
    measurement = measure(complex_image(channels), line_mask(4, channels.shape[-2]))
    network = build(config)
    optimizer = torch.optim.Adam(network.parameters(), lr=5e-3)
    for _ in range(100):
        optimizer.zero_grad()
        F.cross_entropy(network(measurement).logits[-1], target).backward()
        optimizer.step()
    predicted = network.eval()(measurement).logits[-1].argmax(dim=1)
    assert mean_tissue_dice(count_confusion(target, predicted, 4)) > 0.95


COMPILED = """
import sys, torch
from spinforge.models.seranet.measurement import Measurement
from spinforge.models.seranet.reconstruction import ReconstructionConfig
from spinforge.models.seranet.segnetmri import SegNetMRIConfig, build_segnetmri
from spinforge.models.seranet.seranet import SERANetConfig, build_seranet

torch.manual_seed(0)
kind, backend, n_coils = sys.argv[1], sys.argv[2], int(sys.argv[3])
if kind == "seranet":
    blocks = ReconstructionConfig(block="cnn", blocks=1, width=2)
    config = SERANetConfig(kind=kind, reconstruction=blocks, width=2, recurrences=1)
    network = build_seranet(config, n_classes=4).eval()
else:
    network = build_segnetmri(SegNetMRIConfig(kind=kind, width=2, blocks=2), n_classes=4).eval()
kspace = torch.randn(2, n_coils, 33, 24, dtype=torch.complex64)
sensitivities = torch.randn_like(kspace) if n_coils > 1 else None
measurement = Measurement(kspace, torch.rand(2, 33) < 0.4, sensitivities)
with torch.no_grad():
    expected = network(measurement)
    found = torch.compile(network, fullgraph=True, backend=backend)(measurement)
for one, other in zip(found.logits + found.images, expected.logits + expected.images):
    torch.testing.assert_close(one, other, rtol=0.0, atol=1e-4)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "backend", "n_coils"),
    [("seranet", "inductor", 1), ("seranet", "aot_eager", 3), ("segnetmri", "aot_eager", 1)],
)
def test_whole_network_compiles_to_one_graph(kind, backend, n_coils):
    """In a process of its own: the shape checks of the tests cannot be compiled."""
    subprocess.run([sys.executable, "-c", COMPILED, kind, backend, str(n_coils)], check=True)
