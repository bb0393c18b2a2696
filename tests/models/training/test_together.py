"""Two processes that share each batch train as one process does."""

import csv

import pytest
import torch
from together import PartlyLabelled, train_and_fail, train_and_keep_gradients

from spinforge.models.augmentation.settings import Augmentation
from spinforge.models.crdn.crdn import CRDNConfig
from spinforge.models.hlenet.hlenet import UNet28Config
from spinforge.models.seranet.segnetmri import SegNetMRIConfig
from spinforge.models.seranet.unet import UNetConfig
from spinforge.models.training.fit import train_network
from spinforge.models.training.processes import start_together
from spinforge.models.training.recipes import TrainingConfig
from spinforge.models.training.task import SegmentationTask
from spinforge.simulation.errors import SpinforgeError

RECIPE = TrainingConfig(epochs=2, batch_size=4, device="cpu")
CRDN = CRDNConfig(kind="crdn")
"""Batch normalisation after each convolution."""
UNET_28 = UNet28Config(kind="unet_28", width=8)
"""Normalises in groups of channels, item by item."""
SEGNETMRI = SegNetMRIConfig(kind="segnetmri", width=2, blocks=1)
CASES = {
    "crdn, weighted cross-entropy": (CRDN, "weighted_cross_entropy"),
    "unet, cross-entropy and Dice, augmented": (
        UNetConfig(kind="unet", width=2),
        "cross_entropy_dice",
    ),
    "unet 28, Dice of the batch": (UNET_28, "batch_dice"),
    "segnetmri, mean squared error first": (SEGNETMRI, "cross_entropy"),
}


def cases(**changes):
    augmented = {"augmentation": Augmentation(flip_vertical=0.5, rotation_deg=9, noise_percent=5)}
    return {
        name: (
            network,
            RECIPE.model_copy(
                update={"loss": loss, **changes, **(augmented if "augmented" in name else {})}
            ),
        )
        for name, (network, loss) in CASES.items()
    }


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Folder of the trainings in one process and in two, and the error the latter ended with."""
    folder = tmp_path_factory.mktemp("together")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(SegmentationTask, "on_before_optimizer_step", None)  # to be put back
        train_and_keep_gradients(cases(), folder / "one")
    two = RECIPE.model_copy(update={"devices": 2})
    with pytest.raises(SpinforgeError) as error:
        start_together(train_and_fail, cases(devices=2), CRDN, two, folder / "two", count=2)
    return folder, str(error.value)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_first_gradients_are_those_of_one_process(name, trained):
    """Of four slices, two a process, that differ in how many of their pixels have labels."""
    folder, _ = trained
    stage = "reconstruction" if "segnetmri" in name else "last"
    one, first, second = (
        torch.load(folder / where / name / f"{stage}-{number}.pt", weights_only=True)
        for where, number in (("one", 0), ("two", 0), ("two", 1))
    )
    assert one.keys() == first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in one)
    largest = max(gradient.abs().max().item() for gradient in one.values())
    assert largest > 0
    for key, gradient in one.items():
        # Sums of 3072 pixels in another order, 50 roundings of 2^-24, through some ten layers.
        torch.testing.assert_close(first[key], gradient, rtol=0.0, atol=3e-5 * largest)


@pytest.mark.slow
def test_first_epochs_losses_are_those_of_one_process(trained):
    """And its validation loss: of three batches, of which one process has two.

    The weights of the second step have taken one; seven slices are a batch of four and three.
    """
    folder, _ = trained
    for name in CASES:
        one, two = (history(folder / where / name / "training") for where in ("one", "two"))
        # Adam's first step moves a weight by the learning rate, whichever the sign of what may be
        # nothing but rounding, such as the gradient of a bias before batch normalisation.
        assert float(two[0]["train_loss"]) == pytest.approx(float(one[0]["train_loss"]), rel=1e-3)
        losses = [float(rows[0]["validation_loss"]) for rows in (one, two)]
        # Rounding alone, passed on by the two steps.
        assert losses[1] == pytest.approx(losses[0], rel=1e-2)
        assert [row["learning_rate"] for row in one] == [row["learning_rate"] for row in two]


@pytest.mark.slow
def test_a_loss_that_is_no_number_stops_all_processes_and_names_all_slices(trained):
    _, message = trained
    assert "training loss of epoch 2 became nan in batch" in message
    assert message.count("subject/slice") == 2
    assert "sub-00 0" in message


@pytest.mark.slow
def test_a_training_started_for_two_devices_reaches_the_dice_of_one(tmp_path):
    """And the second of two ways to the same folder finds it trained."""
    recipe = RECIPE.model_copy(update={"epochs": 14, "loss": "cross_entropy_dice"})
    together = recipe.model_copy(update={"devices": 2})
    data = PartlyLabelled(UNET_28, 8), PartlyLabelled(UNET_28, 5)

    def train(recipe, folder):
        return train_network(UNET_28, recipe, *data, tmp_path / folder, seed=1, progress=False)

    one, two = train(recipe, "one").summary, train(together, "two").summary
    assert one.best_validation_dice > 0.5
    # Of 2432 labelled pixels of 5 slices, those whose label hangs in the balance.
    assert two.best_validation_dice == pytest.approx(one.best_validation_dice, abs=0.01)
    assert train(recipe, "two").summary == two


def history(folder):
    with (folder / "history.csv").open() as file:
        return list(csv.DictReader(file))
