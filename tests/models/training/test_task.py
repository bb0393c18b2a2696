"""The metric, by hand, and the messages of the loss."""

import pytest
import torch

from spinforge.datasets.reading.network_input import IGNORE_INDEX
from spinforge.models.networks import build_network
from spinforge.models.seranet.unet import UNetConfig
from spinforge.models.training.confusion import count_confusion, mean_tissue_dice
from spinforge.models.training.recipes import TrainingConfig
from spinforge.models.training.stages import training_stages
from spinforge.models.training.task import SegmentationTask
from spinforge.simulation.errors import SpinforgeError


def test_confusion_counts_true_by_predicted():
    target = torch.tensor([[0, 0, 1], [2, 2, 2]])
    predicted = torch.tensor([[0, 1, 1], [2, 2, 0]])
    expected = torch.tensor([[1, 1, 0], [0, 1, 0], [1, 0, 2]])
    assert torch.equal(count_confusion(target, predicted, 3), expected)


def test_confusion_leaves_out_pixels_without_a_label():
    target = torch.tensor([[0, IGNORE_INDEX, 1], [2, IGNORE_INDEX, 2]])
    predicted = torch.tensor([[0, 1, 1], [2, 2, 0]])
    expected = torch.tensor([[1, 0, 0], [0, 1, 0], [1, 0, 1]])
    assert torch.equal(count_confusion(target, predicted, 3), expected)


def test_dice_leaves_the_background_out():
    # Class 1: 2 * 1 / (1 + 2); class 2: 2 * 2 / (3 + 2).
    confusion = torch.tensor([[1, 1, 0], [0, 1, 0], [1, 0, 2]])
    expected = (2 / 3 + 4 / 5) / 2  # rounded to float32 at the end
    assert mean_tissue_dice(confusion).item() == pytest.approx(expected, rel=2**-24)


def test_dice_leaves_out_a_tissue_that_is_nowhere():
    assert mean_tissue_dice(torch.diag(torch.tensor([5, 3, 0]))) == 1.0


def test_dice_of_a_tissue_that_is_missed_or_invented_is_zero():
    assert mean_tissue_dice(torch.tensor([[5, 1], [0, 0]])) == 0.0
    assert mean_tissue_dice(torch.tensor([[5, 0], [1, 0]])) == 0.0


def test_dice_without_any_tissue_is_an_error():
    with pytest.raises(SpinforgeError, match="background only"):
        mean_tissue_dice(torch.tensor([[9, 0], [0, 0]]))


def test_dice_is_rounded_once_however_large_the_counts():
    missed, found = 2**25 + 5, 2**26 + 1  # float32 arithmetic ends one number beside
    confusion = torch.tensor([[0, 0], [missed, found]])
    expected = torch.tensor(2 * found / (missed + 2 * found), dtype=torch.float32)
    assert mean_tissue_dice(confusion) == expected


def test_names_of_slices_stay_on_the_processor_where_a_message_needs_them():
    """Torch's meta device stands for a GPU: nothing can be fetched from it at all."""
    config = UNetConfig(kind="unet", width=2)
    network = build_network(config, in_channels=1, n_classes=2, seed=0)
    (stage,) = training_stages(config)
    lengths = {"n_classes": 2, "n_slices": 2, "n_validated": 1, "epochs": 1}
    task = SegmentationTask(network, config, TrainingConfig(), stage, **lengths)
    batch = {
        "image": torch.zeros(2, 1, 16, 16),
        "target": torch.zeros(2, 16, 16, dtype=torch.int64),
        "subject": ["head-000", "head-001"],
        "slice": torch.tensor([3, 4]),
    }
    sent = task.transfer_batch_to_device(batch, torch.device("meta"), 0)
    assert sent.keys() == batch.keys()
    assert {sent[key].device.type for key in ("image", "target")} == {"meta"}
    assert sent["subject"] == batch["subject"]
    assert sent["slice"].tolist() == [3, 4]
