"""Several networks as one: their mean, how unsure it is, and which do not go together."""

import math

import numpy as np
import pytest
import torch
from planted import CLASSES, Levels, image_format, planted
from torch import nn

from spinforge.models.fcslstm.fcslstm import FCSLSTMConfig
from spinforge.models.networks import build_network
from spinforge.models.prediction.ensemble import answer, ensemble_of, entropy_of, load_ensemble
from spinforge.models.weights import LoadedNetwork, save_network
from spinforge.simulation.errors import SpinforgeError


class Fixed(nn.Module):
    """The same logits everywhere."""

    def __init__(self, *logits):
        super().__init__()
        self.logits = torch.tensor(logits)

    def forward(self, image):
        return self.logits[:, None, None].expand(len(image), -1, *image.shape[-2:])


IMAGES = {"image": torch.zeros(2, 1, 5, 4)}


def test_the_answer_is_the_mean_of_the_probabilities():
    logits = np.random.default_rng(0).normal(size=(3, 4))
    found = answer(
        ensemble_of({str(n): planted(Fixed(*row.tolist())) for n, row in enumerate(logits)}), IMAGES
    )
    softmax = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    entropies = -(softmax * np.log(softmax)).sum(1)
    mean = softmax.mean(0)
    entropy = -(mean * np.log(mean)).sum()
    # A few units of float32.
    np.testing.assert_allclose(found.probabilities[1, :, 3, 2], mean, rtol=1e-6)
    np.testing.assert_allclose(found.entropy, np.full((2, 5, 4), entropy), rtol=1e-6)
    expected = np.full((2, 5, 4), entropy - entropies.mean())
    # The difference of two numbers near 1.
    np.testing.assert_allclose(found.mutual_information, expected, rtol=0, atol=5e-7)


def test_equal_chances_have_the_entropy_of_the_number_of_classes():
    found = answer(ensemble_of({"one": planted(Fixed(1.0, 1.0, 1.0, 1.0))}), IMAGES)
    np.testing.assert_allclose(found.entropy, math.log(4), rtol=1e-6)
    assert not found.mutual_information.any()


def test_certainty_has_no_entropy():
    assert entropy_of(torch.tensor([1.0, 0.0, 0.0])[:, None, None]).item() == 0


def test_two_certain_networks_that_disagree_have_a_bit_of_mutual_information():
    sure = {"a": planted(Fixed(1e3, 0.0), 2), "b": planted(Fixed(0.0, 1e3), 2)}
    found = answer(ensemble_of(sure), IMAGES)
    np.testing.assert_allclose(found.entropy, math.log(2), rtol=1e-6)
    np.testing.assert_allclose(found.mutual_information, math.log(2), rtol=1e-6)


def test_a_foreground_alone_gets_its_background():
    reads = image_format(class_names=("background", "lesion"))
    alone = LoadedNetwork(Fixed(math.log(3)), planted(Levels()).config, 1, 1, reads)
    found = answer(ensemble_of({"alone": alone}), IMAGES)
    np.testing.assert_allclose(found.probabilities[0, :, 0, 0], [0.25, 0.75], rtol=1e-6)


def test_a_foreground_alone_and_two_classes_make_an_ensemble():
    """Both tell two classes apart."""
    reads = image_format(class_names=("background", "lesion"))
    unet = planted(Levels()).config
    alone = LoadedNetwork(Fixed(math.log(3)), unet, 1, 1, reads)
    both = LoadedNetwork(Fixed(0.0, 0.0), unet, 1, 2, reads)
    for networks in ({"a": alone, "b": both}, {"b": both, "a": alone}):
        found = answer(ensemble_of(networks), IMAGES)
        # The means of 1/4 and 1/2, and of 3/4 and 1/2.
        np.testing.assert_allclose(found.probabilities[0, :, 0, 0], [0.375, 0.625], rtol=1e-6)


@pytest.mark.parametrize("other", ["a.pt", "link.pt"])
def test_a_network_that_is_given_twice_is_refused(other, tmp_path):
    config = planted(Levels()).config
    weights = build_network(config, in_channels=1, n_classes=4, seed=0).state_dict()
    save_network(
        tmp_path / "a.pt", weights, config, in_channels=1, n_classes=4, reads=image_format()
    )
    (tmp_path / "link.pt").symlink_to(tmp_path / "a.pt")
    with pytest.raises(SpinforgeError, match=f"{other} is given twice as a network"):
        load_ensemble([tmp_path / "a.pt", tmp_path / other])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"class_names": ("air", "CSF", "GM", "WM")}, "class_names differ, background, CSF"),
        ({"channels": ("T2",)}, "channels differ, T1 and T2"),
        ({"scaling": "none"}, "scaling differ, volume and none"),
    ],
)
def test_networks_that_read_other_things_are_named(changes, message):
    one = planted(Levels())
    other = LoadedNetwork(one.network, one.config, 1, 4, image_format(**changes))
    with pytest.raises(SpinforgeError, match=f"a.pt and b.pt do not make an ensemble: .*{message}"):
        ensemble_of({"a.pt": one, "b.pt": other})


def test_how_many_lines_were_acquired_may_differ():
    networks = [planted(Levels(), acquired=share) for share in (0.3, 0.25)]
    assert len(ensemble_of(dict(zip("ab", networks, strict=True))).networks) == 2


def test_a_file_that_does_not_say_what_it_reads_is_refused():
    silent = LoadedNetwork(Levels(), planted(Levels()).config, 1, 4)
    with pytest.raises(SpinforgeError, match=r"old\.pt does not say what its images must be"):
        ensemble_of({"old.pt": silent})


def test_a_network_that_contradicts_itself_is_refused():
    two = LoadedNetwork(Levels(), planted(Levels()).config, 2, 4, image_format())
    with pytest.raises(SpinforgeError, match="contradicts itself: it has 2 channels"):
        ensemble_of({"odd.pt": two})


def test_sequences_and_single_slices_do_not_go_together():
    sequences = LoadedNetwork(Levels(), FCSLSTMConfig(kind="fcslstm"), 1, 4, image_format())
    with pytest.raises(SpinforgeError, match=r"a and b do not make .*: one reads sequences"):
        ensemble_of({"a": planted(Levels()), "b": sequences})


def test_classes_have_their_names():
    assert ensemble_of({"a": planted(Levels())}).class_names == CLASSES
