"""SERANet's attention, memory and recurrence against the paper's equations; its baselines."""

import numpy as np
import pytest
import torch
from measured import random_measurement

from spinforge.models.networks import count_parameters
from spinforge.models.seranet.attention import attend_to_classes
from spinforge.models.seranet.baselines import (
    FullySampledConfig,
    JointConfig,
    ZeroFillingConfig,
    build_baseline,
)
from spinforge.models.seranet.consistency import data_consistency
from spinforge.models.seranet.reconstruction import ReconstructionConfig
from spinforge.models.seranet.recurrent_unet import RecurrentUNet
from spinforge.models.seranet.seranet import SERANetConfig, build_seranet

SMALL = ReconstructionConfig(block="autoencoder", blocks=2, width=2)


def small_seranet(**changes):
    changes = {"reconstruction": SMALL, "width": 2, "recurrences": 2} | changes
    return build_seranet(SERANetConfig(kind="seranet", **changes), n_classes=4).double()


def test_recurrences_share_their_weights():
    once, thrice = (small_seranet(recurrences=number) for number in (1, 3))
    assert count_parameters(once) == count_parameters(thrice)
    thrice.load_state_dict(once.state_dict())


def test_attention_weights_a_copy_of_the_image_with_each_class(random_images):
    logits, image = random_images(2, 4, 5, 6).double(), random_images(2, 2, 5, 6).double()
    found = attend_to_classes(logits, image)
    exponential = np.exp(logits.numpy())
    probability = exponential / exponential.sum(axis=1, keepdims=True)
    expected = [
        probability[:, tissue] * image[:, part].numpy() for tissue in range(4) for part in range(2)
    ]
    # A few roundings of numbers below 4 in float64.
    np.testing.assert_allclose(found, np.stack(expected, axis=1), rtol=0.0, atol=1e-14)
    total = found.unflatten(1, (4, 2)).sum(dim=1)
    torch.testing.assert_close(total, image, rtol=0.0, atol=1e-14)


def test_attention_computes_probabilities_in_single_precision(random_images):
    logits, image = random_images(1, 4, 5, 6).bfloat16(), random_images(1, 2, 5, 6)
    found = attend_to_classes(logits, image)
    assert found.dtype == torch.float32
    assert torch.equal(found, attend_to_classes(logits.float(), image))


@pytest.mark.parametrize(
    ("place", "shape"),
    [("last", (2, 3, 33, 20)), ("input", (2, 3, 33, 20)), ("bottleneck", (2, 48, 2, 1))],
)
def test_memory_is_carried_on_from_its_place(place, shape, random_images):
    network = RecurrentUNet(in_channels=2, n_classes=4, width=3, memory=place).eval()
    image = random_images(2, 2, 33, 20)
    with torch.inference_mode():
        first, state = network(image)
        second, later = network(image, state)
    assert [tuple(part.shape) for part in (*state, *later)] == [shape] * 4
    assert not torch.equal(first, second)


@pytest.mark.parametrize("attention_residual", [True, False])
@pytest.mark.parametrize("recurrences", [1, 3])
def test_recurrence_is_the_one_of_the_paper(recurrences, attention_residual):
    network = small_seranet(recurrences=recurrences, attention_residual=attention_residual).eval()
    measurement = random_measurement(2, 1, (16, 21))
    with torch.inference_mode():
        found = network(measurement)
        image, state = network.reconstruction(measurement), None
        for step in range(recurrences + 1):
            logits, state = network.segmentation(image, state)
            assert torch.equal(found.images[step], image)
            assert torch.equal(found.logits[step], logits)
            probability = logits.softmax(dim=1)
            copies = torch.cat([probability[:, [tissue]] * image for tissue in range(4)], dim=1)
            block = network.attention.block(copies)
            image = data_consistency(image + block if attention_residual else block, measurement)
    assert len(found.logits) == len(found.images) == recurrences + 1


def test_gradient_of_the_last_segmentation_reaches_every_weight():
    network = small_seranet(recurrences=1)
    network(random_measurement(2, 1, (32, 32))).logits[-1].square().mean().backward()
    # A bias in front of batch normalisation has a gradient of zero, but it has one.
    assert all(weight.grad is not None for weight in network.parameters())
    assert network.reconstruction.blocks[0].head.weight.grad.abs().max() > 0


@pytest.mark.parametrize("block", ["cnn", "autoencoder"])
def test_pretrained_attention_starts_as_one_more_block(block):
    reconstruction = SMALL.model_copy(update={"block": block})
    network = small_seranet(reconstruction=reconstruction, recurrences=1)
    measurement = random_measurement(2, 1, (16, 21))
    network(measurement)  # in training mode: running statistics that differ from block to block
    network.eval().start_attention_from_reconstruction()
    with torch.inference_mode():
        found = network(measurement)
        last = network.reconstruction.blocks[-1]
        expected = data_consistency(found.images[0] + last(found.images[0]), measurement)
    # The same sums in float64, of four parts a class each.
    torch.testing.assert_close(found.images[1], expected, rtol=0.0, atol=1e-11)


def test_fully_sampled_looks_at_all_lines_and_zero_filling_does_not():
    """One set of weights: the two baselines differ in what they are shown."""
    full = build_baseline(FullySampledConfig(kind="fully_sampled", width=2), n_classes=4)
    zero = build_baseline(ZeroFillingConfig(kind="zero_filling", width=2), n_classes=4)
    zero.load_state_dict(full.state_dict())
    full.double().eval(), zero.double().eval()
    measurement = random_measurement(2, 1, (16, 21))
    with torch.inference_mode():
        assert torch.equal(
            full(measurement).logits[0], zero(measurement.with_every_line()).logits[0]
        )
        assert not torch.equal(full(measurement).logits[0], zero(measurement).logits[0])


def test_joint_is_reconstruction_then_segmentation():
    config = JointConfig(kind="joint", reconstruction=SMALL, width=2)
    network = build_baseline(config, n_classes=4).double().eval()
    measurement = random_measurement(2, 1, (16, 21))
    with torch.inference_mode():
        found = network(measurement)
        image = network.reconstruction(measurement)
        assert torch.equal(found.images[0], image)
        assert torch.equal(found.logits[0], network.segmentation(image))


def test_attention_trusts_the_measured_lines_as_the_reconstruction_does():
    config = SERANetConfig(
        kind="seranet", width=2, reconstruction=ReconstructionConfig(blocks=1, width=2, trust=0.5)
    )
    network = build_seranet(config, n_classes=4)
    assert network.reconstruction.trust == network.attention.trust == 0.5
