"""Several studies by one command."""

import pytest

from spinforge.evaluation.pooled import Pooled, write_pooled
from spinforge.flows.slices import scores_folder
from spinforge.flows.suite import suite as suite_flow
from spinforge.flows.suite_file import Suite
from spinforge.simulation.errors import SpinforgeError

GOOD = Pooled(
    dice=0.9,
    jaccard=0.82,
    accuracy=0.9,
    mean_accuracy=0.9,
    majority_dice=0.5,
    majority_accuracy=0.8,
)
POOR = GOOD.model_copy(update={"dice": 0.5})


def plant(study, *scores):
    for network, pooled in zip(study.networks, scores, strict=True):
        write_pooled(pooled, scores_folder(study, network))


def test_every_study_answers_under_its_name(copy):
    plant(copy, GOOD, POOR)
    answer = suite_flow(Suite(studies=("tiny.yaml",)), [copy])
    assert answer == {
        "tiny": {
            "unet": {"dice": 0.9, "of the most frequent class": 0.5},
            "crdn": {"dice": 0.5, "of the most frequent class": 0.5},
        }
    }


def test_a_network_no_better_than_the_most_frequent_class_fails_if_asked_to(copy):
    plant(copy, GOOD, POOR)
    demanding = Suite(studies=("tiny.yaml",), beats_majority=True)
    with pytest.raises(SpinforgeError, match=r"1 networks are .*: tiny/crdn \(Dice 0\.5000 and"):
        suite_flow(demanding, [copy])
    plant(copy, GOOD, GOOD)
    assert set(suite_flow(demanding, [copy])["tiny"]) == {"unet", "crdn"}
