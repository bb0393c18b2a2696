"""Every network in a file answers as the Python path does: scale, pad, predict."""

import gzip
import typing

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from exported_files import run_onnx, run_program
from head_slice import head_slice
from network_gates import settle
from real_data import BRAINWEB0, needs_brainweb0
from shape_checks import unchecked

from spinforge.datasets.reading.network_input import intensity_99
from spinforge.models.crdn.baselines import EncoderDecoderConfig
from spinforge.models.crdn.crdn import CRDNConfig
from spinforge.models.export.onnx_file import export_onnx
from spinforge.models.export.prepared import prepare_images, traced
from spinforge.models.export.preprocessing import Preprocessing
from spinforge.models.export.program_file import export_kspace_program, export_program
from spinforge.models.export.trials import require_agreement
from spinforge.models.fcslstm.fcslstm import ConciseFCNConfig, FCSLSTMConfig
from spinforge.models.hlenet.hlenet import HLENetConfig, ResUNet28Config, UNet28Config
from spinforge.models.inference import labels_of, predict_labels, probabilities_of
from spinforge.models.monai_networks import MonaiBasicUNetConfig, MonaiDynUNetConfig
from spinforge.models.networks import ImageNetwork, KSpaceNetwork, build_network
from spinforge.models.seranet.baselines import (
    FullySampledConfig,
    JointConfig,
    TwoStepConfig,
    ZeroFillingConfig,
)
from spinforge.models.seranet.measurement import Measurement
from spinforge.models.seranet.reconstruction import ReconstructionConfig
from spinforge.models.seranet.segnetmri import SegNetMRIConfig
from spinforge.models.seranet.seranet import SERANetConfig
from spinforge.models.seranet.unet import UNetConfig
from spinforge.models.weights import LoadedNetwork
from spinforge.simulation.fourier import image_to_kspace
from spinforge.simulation.reconstruction import intensity_scale, real_channels, zero_filled

IMAGE_NETWORKS = {
    "unet": UNetConfig(kind="unet", width=4),
    # The plain cell is tried on a slice of BrainWeb.
    "crdn, lstm": CRDNConfig(kind="crdn", cell="lstm"),
    "crdn, gru": CRDNConfig(kind="crdn", cell="gru"),
    "fcn": EncoderDecoderConfig(kind="encoder_decoder", decoder="fcn"),
    "segnet": EncoderDecoderConfig(kind="encoder_decoder", decoder="segnet"),
    "crdn's unet": EncoderDecoderConfig(kind="encoder_decoder", decoder="unet"),
    "concise fcn": ConciseFCNConfig(kind="concise_fcn"),
    "hle-net": HLENetConfig(kind="hle_net", width=8),
    "unet-28": UNet28Config(kind="unet_28", width=4),
    "res-unet-28": ResUNet28Config(kind="res_unet_28", width=4),
    "basic unet": MonaiBasicUNetConfig(kind="monai_basic_unet", features=(4, 4, 8, 8, 16, 4)),
    "dynunet": MonaiDynUNetConfig(kind="monai_dynunet", filters=(4, 8, 8, 16)),
}

_BLOCKS = ReconstructionConfig(blocks=1, width=16)
KSPACE_NETWORKS = {
    "fully_sampled": FullySampledConfig(kind="fully_sampled", width=16),
    "zero_filling": ZeroFillingConfig(kind="zero_filling", width=16),
    "two_step": TwoStepConfig(kind="two_step", reconstruction=_BLOCKS, width=16),
    "joint": JointConfig(kind="joint", reconstruction=_BLOCKS, width=16),
    "seranet": SERANetConfig(kind="seranet", reconstruction=_BLOCKS, width=16, recurrences=1),
    "segnetmri": SegNetMRIConfig(kind="segnetmri", width=16, blocks=1),
}

BY_SLICE = Preprocessing(scaling="slice")
GAIN = 4095.0

CLOSE = 1e-5
"""Probabilities of two programs that add in another order and scale to rounding. A dozen roundings
of 2**-24; ten times as much after group normalisation, which enlarges the differences of a slice
where its own values hardly vary."""


@pytest.fixture(autouse=True)
def _unchecked():
    """Tracing takes the checks of shapes for fixed sizes."""
    with unchecked():
        yield


def fresh(config, *, in_channels=2, n_classes=4):
    network = build_network(config, in_channels=in_channels, n_classes=n_classes, seed=0)
    return LoadedNetwork(network.eval(), config, in_channels, n_classes)


def answer(loaded, scaled):
    """What the network itself says of images that are scaled already."""
    with torch.inference_mode():
        logits = loaded.network(scaled)
    return labels_of(logits), probabilities_of(logits)


def assert_equal_but_for_ties(found, expected, *, may_jump=0.0):
    """Labels may differ where rounding chooses the class: in fewer than .1 % of the pixels."""
    agreement = require_agreement(found, expected, tolerance=CLOSE, may_jump=may_jump)
    assert agreement.different < 1e-3
    assert may_jump or agreement.undecided < 1e-3


def any_slice():
    """A complex slice: BrainWeb's T1 of subject 0 where it is at hand, else of our own head."""
    if not BRAINWEB0.is_dir():
        return head_slice()
    return torch.polar(brainweb_slice(), torch.full((109, 91), 0.3))


def brainweb_slice():
    """T1 of subject 0 at 2 mm, through the middle, (109, 91), from 0 to 255."""
    content = gzip.decompress((BRAINWEB0 / "normal_2mm_t1.rawb.gz").read_bytes())
    volume = np.frombuffer(content, np.uint8).reshape(91, 109, 91).astype(np.float32)
    return torch.from_numpy(volume[len(volume) // 2])


def raw_and_scaled():
    """A slice as an uncalibrated scanner gives it, and as `ZeroFilledSlices` would show it."""
    image = any_slice()
    scaled = real_channels(image / intensity_scale(image))
    return GAIN * real_channels(image)[None], scaled[None]


def sensitivities(coils):
    """(1, coil, 45, 54), smooth and complex; the first coil sees all alike."""
    coil = torch.arange(coils)[:, None, None]
    rows, columns = torch.linspace(0, 1, 45)[:, None], torch.linspace(0, 1, 54)
    return torch.polar(1 + coil * rows, coil * (1 + 2 * columns))[None]


def test_no_network_is_forgotten():
    for union, tried in ((ImageNetwork, IMAGE_NETWORKS), (KSpaceNetwork, KSPACE_NETWORKS)):
        assert set(typing.get_args(union)) == {type(config) for config in tried.values()}


@pytest.mark.slow
@pytest.mark.parametrize("config", IMAGE_NETWORKS.values(), ids=IMAGE_NETWORKS)
def test_both_files_of_a_network_answer_as_it_does(config, tmp_path):
    n_classes = 1 if config.kind == "hle_net" else 4
    loaded = fresh(config, n_classes=n_classes)
    raw, scaled = raw_and_scaled()
    settle(loaded.network, torch.cat((scaled, scaled.flip(-1))))
    expected = answer(loaded, scaled)
    assert len(expected[0].unique()) > 1
    # SegNet puts maxima back where they were, which rounding may move; many of its logits are 0.
    may_jump = 0.01 if getattr(config, "decoder", "") == "segnet" else 0.0
    for export, run, name in (
        (export_program, run_program, "a.pt2"),
        (export_onnx, run_onnx, "a.onnx"),
    ):
        export(loaded, tmp_path / name, size=raw.shape[-2:], preprocessing=BY_SLICE)
        assert_equal_but_for_ties(run(tmp_path / name, image=raw), expected, may_jump=may_jump)


@pytest.mark.slow
def test_the_file_of_a_sequence_network_answers_as_it_does(tmp_path):
    loaded = fresh(FCSLSTMConfig(kind="fcslstm"))
    contrasts = GAIN * torch.stack((head_slice().abs(), head_slice().real))
    sequence = torch.stack((contrasts, 0.7 * contrasts.flip(-1)))[None]
    scale = 0.6 * sequence.amax(dim=(-2, -1))
    expected = answer(loaded, sequence / scale[..., None, None])
    volume = Preprocessing(scaling="volume")
    export_onnx(loaded, tmp_path / "a.onnx", size=(45, 54), times=2, preprocessing=volume)
    found = run_onnx(tmp_path / "a.onnx", image=sequence, scale=scale)
    assert_equal_but_for_ties(found, expected)


@pytest.mark.slow
@pytest.mark.parametrize("size", [(32, 32), (33, 17)], ids=str)
def test_sequences_in_both_directions_are_traced_for_any_batch_and_size(size):
    loaded = fresh(FCSLSTMConfig(kind="fcslstm", bidirectional=True))
    prepared = prepare_images(
        loaded, size=size, preprocessing=Preprocessing(scaling="none"), times=2, class_names=None
    )
    labels, _ = traced(prepared).module()(*prepared.trial.values())
    assert torch.equal(labels, prepared.expected[0])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "coils"), [*((kind, 1) for kind in KSPACE_NETWORKS), ("two_step", 2)]
)
def test_the_program_of_a_network_from_kspace_answers_as_it_does(kind, coils, tmp_path):
    loaded = fresh(KSPACE_NETWORKS[kind])
    image, mask = head_slice()[None], torch.arange(45)[None] % 3 != 0
    maps = sensitivities(coils)
    kspace = image_to_kspace(maps * image[:, None])
    coil_images = zero_filled(kspace, mask[:, None])
    combined = (maps.conj() * coil_images).sum(dim=1) / maps.abs().square().sum(dim=1)
    scaled = Measurement(kspace / intensity_scale(combined), mask, maps)
    with torch.inference_mode():
        logits = loaded.network(scaled).logits[-1]
    inputs = {"kspace": GAIN * kspace, "mask": mask, "sensitivities": maps}
    if coils == 1:
        del inputs["sensitivities"]
    export_kspace_program(loaded, tmp_path / "a.pt2", size=(45, 54), coils=coils)
    found = run_program(tmp_path / "a.pt2", **inputs)
    assert_equal_but_for_ties(found, (labels_of(logits), probabilities_of(logits)))


@pytest.mark.slow
def test_a_trained_network_gives_exactly_the_same_labels_from_its_file(tmp_path, discs):
    data = discs(4)
    raw = torch.stack([data[index]["image"] for index in range(4)])
    target = torch.stack([data[index]["target"] for index in range(4)])
    as_complex = torch.complex(raw[:, 0], raw[:, 1])
    scaled = real_channels(as_complex / intensity_scale(as_complex)[:, None, None])
    loaded = fresh(UNetConfig(kind="unet", width=4))
    optimizer = torch.optim.Adam(loaded.network.train().parameters(), lr=5e-3)
    for _ in range(100):
        optimizer.zero_grad()
        F.cross_entropy(loaded.network(scaled), target).backward()
        optimizer.step()
    expected = predict_labels(loaded, [{"image": image} for image in scaled])
    assert set(np.unique(expected)) == {0, 1, 2, 3}
    export_onnx(loaded, tmp_path / "a.onnx", size=(32, 24), preprocessing=BY_SLICE)
    np.testing.assert_array_equal(run_onnx(tmp_path / "a.onnx", image=GAIN * raw)[0], expected)


@pytest.mark.slow
@needs_brainweb0
def test_both_files_answer_as_the_network_on_a_slice_of_brainweb(tmp_path):
    raw = brainweb_slice()[None, None]
    scale = intensity_99(raw.numpy())
    loaded = fresh(CRDNConfig(kind="crdn"), in_channels=1)
    settle(loaded.network, torch.cat((raw, raw.flip(-1))) / np.float32(scale))
    expected = answer(loaded, raw / np.float32(scale))
    options = {"size": (109, 91), "preprocessing": Preprocessing(scaling="volume")}
    inputs = {"image": raw, "scale": torch.tensor([[scale]])}
    export_program(loaded, tmp_path / "a.pt2", **options)
    assert_equal_but_for_ties(run_program(tmp_path / "a.pt2", **inputs), expected)
    export_onnx(loaded, tmp_path / "a.onnx", **options)
    assert_equal_but_for_ties(run_onnx(tmp_path / "a.onnx", **inputs), expected)
