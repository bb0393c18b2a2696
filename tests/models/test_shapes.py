"""Every network takes images of any size from its minimum on, and gives logits of that size."""

import pytest
import torch

from spinforge.models.catalogue import CATALOGUE
from spinforge.models.counting import blank_input
from spinforge.models.networks import build_network, weightless_network
from spinforge.simulation.errors import SpinforgeError

PAPER_SIZES = [(240, 240), (217, 181), (216, 180), (256, 192)]
MINIMA = {
    "fcn-vgg16": 65,
    "fcn-resnet50": 33,
    "fcn-unet": 32,
    "segnet-vgg16": 32,
    "segnet-unet": 32,
}
"""Where the smallest height and width is not 16 [pixel]."""

# Others share every line of code with one of these.
DIFFERENT = [
    entry
    for entry in CATALOGUE
    if not entry.name.startswith(("joint", "seranet-2", "seranet-3", "zero-filling", "crdn-vgg16"))
]


def name(entry):
    return entry.name


def weightless(entry, *, in_channels=None):
    channels = in_channels or entry.in_channels
    return weightless_network(entry.config, in_channels=channels, n_classes=entry.n_classes).eval()


def assert_sized(entry, output, size):
    """Logits of every class, and for k-space images of two channels, of the input's size."""
    if entry.takes == "k-space":
        assert {tuple(logits.shape) for logits in output.logits} == {(1, entry.n_classes, *size)}
        assert {tuple(image.shape) for image in output.images} == {(1, 2, *size)}
    elif entry.takes == "sequence":
        assert output.shape == (1, entry.times, entry.n_classes, *size)
    else:
        assert output.shape == (1, entry.n_classes, *size)


@pytest.mark.parametrize("entry", CATALOGUE, ids=name)
def test_images_below_the_minimum_are_refused_before_anything_is_computed(entry):
    network = weightless(entry)
    minimum = network.minimum_size
    assert minimum == MINIMA.get(entry.name, 16)
    for child in network.children():
        child.forward = None
    with torch.device("meta"):
        for size in [(minimum - 1, 240), (240, minimum - 1), (1, 1)]:
            message = rf"{size[0]} x {size[1]} pixels.*at least {minimum} x {minimum}"
            with pytest.raises(SpinforgeError, match=message):
                network(blank_input(entry, size=size))


@pytest.mark.parametrize("entry", DIFFERENT, ids=name)
def test_images_of_the_smallest_size_and_of_odd_size_give_numbers(entry):
    network = weightless(entry).to_empty(device="cpu")
    for tensor in network.state_dict().values():
        # Means of what comes in, plus one: random numbers take long where there are 116 million.
        tensor.fill_(1 / tensor[0].numel() if tensor.ndim > 1 else 1)
    minimum = network.minimum_size
    with torch.inference_mode():
        for size in [(minimum, minimum), (minimum + 1, 2 * minimum + 3)]:
            output = network(blank_input(entry, size=size))
            assert_sized(entry, output, size)
            logits = output.logits[-1] if entry.takes == "k-space" else output
            assert logits.isfinite().all()


@pytest.mark.slow
@pytest.mark.parametrize("entry", CATALOGUE, ids=name)
def test_the_whole_matrix_of_sizes_and_channels(entry):
    for channels in (2,) if entry.takes == "k-space" else (1, 2, 3):
        network = weightless(entry, in_channels=channels)
        minimum = network.minimum_size
        odd = [(minimum, minimum), (minimum + 1, minimum), (minimum, 2 * minimum + 1)]
        with torch.device("meta"), torch.inference_mode():
            for size in PAPER_SIZES + odd:
                image = blank_input(entry, size=size, in_channels=channels)
                assert_sized(entry, network(image), size)


def test_one_slice_a_batch_trains_from_twice_the_smallest_size_on():
    entry = next(entry for entry in CATALOGUE if entry.name == "crdn-unet-rnn")
    network = build_network(entry.config, in_channels=3, n_classes=4, seed=0)
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        network(blank_input(entry, size=(16, 16)))
    assert network(blank_input(entry, size=(32, 16))).requires_grad
