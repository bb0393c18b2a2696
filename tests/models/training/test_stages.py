"""What learns in which stage of a training, and on what."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from measured import random_measurement

from spinforge.models.networks import build_network
from spinforge.models.seranet.baselines import (
    FullySampledConfig,
    JointConfig,
    TwoStepConfig,
    ZeroFillingConfig,
)
from spinforge.models.seranet.consistency import zero_filled_channels
from spinforge.models.seranet.reconstruction import ReconstructionConfig
from spinforge.models.seranet.segnetmri import SegNetMRIConfig
from spinforge.models.seranet.seranet import SERANetConfig
from spinforge.models.training.stages import enter_stage, training_stages
from spinforge.simulation.errors import SpinforgeError

RECONSTRUCTION = ReconstructionConfig(block="autoencoder", blocks=2, width=2)
SERANET = SERANetConfig(kind="seranet", reconstruction=RECONSTRUCTION, width=2, recurrences=1)
PLUS_PLUS = SERANET.model_copy(update={"pretrained": True})
JOINT = JointConfig(kind="joint", reconstruction=RECONSTRUCTION, width=2)
TWO_STEP = TwoStepConfig(kind="two_step", reconstruction=RECONSTRUCTION, width=2)
ZERO = ZeroFillingConfig(kind="zero_filling", width=2)
FULL = FullySampledConfig(kind="fully_sampled", width=2)
SEGNETMRI = SegNetMRIConfig(kind="segnetmri", width=2, blocks=2)

NAMES = {
    SERANET: ["segmentation"],
    PLUS_PLUS: ["reconstruction", "segmentation", "fine-tuning"],
    JOINT: ["segmentation"],
    TWO_STEP: ["reconstruction", "segmentation"],
    ZERO: ["segmentation"],
    FULL: ["segmentation"],
    SEGNETMRI: ["reconstruction", "segmentation", "fine-tuning"],
}
ALL_STAGES = [
    pytest.param(config, number, id=f"{config.kind}-{len(names)}-{names[number]}")
    for config, names in NAMES.items()
    for number in range(len(names))
]


def build(config):
    return build_network(config, in_channels=2, n_classes=4, seed=0)


@pytest.fixture
def batch():
    measurement = random_measurement(2, 1, (32, 37), dtype=torch.complex64)
    target = torch.randint(4, (2, 32, 37), generator=torch.Generator().manual_seed(0))
    return measurement, target


@pytest.mark.parametrize("config", NAMES, ids=lambda config: config.kind)
def test_stages_are_the_papers(config):
    assert [stage.name for stage in training_stages(config)] == NAMES[config]


@pytest.mark.parametrize(("config", "number"), ALL_STAGES)
def test_only_what_a_stage_trains_changes(config, number, batch):
    """Weights and running statistics; and all that it trains gets a gradient."""
    network, stage = build(config), training_stages(config)[number]
    if stage.prepare is not None:
        stage.prepare(network)
    enter_stage(network, stage)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    learning = [weight for weight in network.parameters() if weight.requires_grad]
    optimizer = torch.optim.Adam(learning, lr=1e-2)
    stage.objective(network, *batch, F.cross_entropy).loss.backward()
    assert all(weight.grad is not None for weight in learning)
    optimizer.step()
    changed = {
        name.split(".")[0]
        for name, value in network.state_dict().items()
        if not torch.equal(value, before[name])
    }
    everything = {name for name, child in network.named_children() if list(child.parameters())}
    assert changed == set(stage.trained or everything)


@pytest.mark.parametrize("config", NAMES, ids=lambda config: config.kind)
def test_the_last_stage_leaves_nothing_unlearnt(config):
    """Each part learns at some time."""
    children = {name for name, child in build(config).named_children() if list(child.parameters())}
    stages = training_stages(config)
    trained = {name for stage in stages for name in stage.trained or children}
    assert trained >= children


def test_frozen_parts_can_learn_again_later():
    network = build(PLUS_PLUS)
    first, *_, last = training_stages(PLUS_PLUS)
    enter_stage(network, first)
    assert not network.segmentation.training
    enter_stage(network, last)
    assert all(module.training for child in network.children() for module in child.modules())
    assert all(weight.requires_grad for weight in network.parameters())


def test_a_stage_of_another_network_is_refused():
    stage = training_stages(SEGNETMRI)[0]
    with pytest.raises(SpinforgeError, match="trains encoders, reconstructions, but the network"):
        enter_stage(build(TWO_STEP), stage)


@pytest.mark.parametrize("config", [PLUS_PLUS, TWO_STEP, SEGNETMRI], ids=lambda c: c.kind)
def test_reconstruction_is_trained_on_the_image_of_all_lines(config, batch):
    network, stage = build(config).eval(), training_stages(config)[0]
    loss, logits = stage.objective(network, *batch, F.cross_entropy)
    assert logits is None
    assert not stage.segments
    full = zero_filled_channels(batch[0].with_every_line())
    # Sums of 2368 squares near 1 in float32.
    expected = (network(batch[0]).images[0 if config is PLUS_PLUS else -1] - full).square().mean()
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=0.0)


def test_plus_plus_first_segments_images_of_all_lines(batch):
    network, stage = build(PLUS_PLUS).eval(), training_stages(PLUS_PLUS)[1]
    found = stage.objective(network, *batch, F.cross_entropy).loss
    full = zero_filled_channels(batch[0].with_every_line())
    assert torch.equal(found, F.cross_entropy(network.segment(full), batch[1]))


def test_plus_plus_prepares_its_attention_once():
    *before, last = training_stages(PLUS_PLUS)
    assert [stage.prepare for stage in before] == [None, None]
    network = build(PLUS_PLUS)
    last.prepare(network)
    assert torch.equal(
        network.attention.block.head.weight, network.reconstruction.blocks[-1].head.weight
    )


def test_segnetmri_weighs_labels_beside_images(batch):
    network = build(SEGNETMRI).eval()
    *_, last = training_stages(SEGNETMRI)
    _, target = batch
    found = network(batch[0])
    full = zero_filled_channels(batch[0].with_every_line())
    expected = F.mse_loss(found.images[-1], full) + 0.01 * F.cross_entropy(found.logits[0], target)
    result = last.objective(network, *batch, F.cross_entropy)
    torch.testing.assert_close(result.loss, expected)
    assert torch.equal(result.logits, found.logits[0])


@pytest.mark.parametrize("config", [SERANET, JOINT, ZERO], ids=lambda c: c.kind)
def test_learning_from_labels_alone_never_uncovers_lines(config, batch):
    network, (stage,) = build(config).eval(), training_stages(config)
    measurement, target = batch
    masked = measurement._replace(kspace=measurement.kspace * measurement.mask[:, None, :, None])
    losses = [
        stage.objective(network, m, target, F.cross_entropy).loss for m in (measurement, masked)
    ]
    assert torch.equal(*losses)
