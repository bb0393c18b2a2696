"""What a recipe asks of the loop, each seen to happen."""

import math

import pytest
import torch
from torch import nn

from spinforge.models.hlenet.hlenet import UNet28Config
from spinforge.models.networks import build_network
from spinforge.models.seranet.unet import UNetConfig
from spinforge.models.training import fit, recipes
from spinforge.models.training.fit import train_network
from spinforge.models.training.recipes import TrainingConfig
from spinforge.models.training.task import SegmentationTask
from spinforge.simulation.errors import SpinforgeError

UNET = UNetConfig(kind="unet", width=2)
UNET_28 = UNet28Config(kind="unet_28", width=8)
"""Without batch normalisation: two halves of a batch give the gradient of the whole."""


def train(folder, discs, *, network=UNET, slices=8, **changes):
    recipe = TrainingConfig(epochs=1, batch_size=4, device="cpu").model_copy(update=changes)
    return train_network(network, recipe, discs(slices), discs(2), folder, seed=1, progress=False)


def watch(monkeypatch, hook, see):
    """List of what `see` makes of the task at each call of one of Lightning's hooks."""
    seen = []
    monkeypatch.setattr(SegmentationTask, hook, lambda task, *_: seen.append(see(task)))
    return seen


def gradient(task):
    return torch.cat([weight.grad.flatten() for weight in task.network.parameters()])


def learning_rate(task):
    return task.trainer.optimizers[0].param_groups[0]["lr"]


def test_training_stops_after_so_many_epochs_without_a_better_one(discs, tmp_path):
    """With a learning rate that changes no label."""
    trained = train(tmp_path, discs, epochs=9, patience=2, learning_rate=1e-9)
    assert trained.summary.best_epoch == 1
    assert trained.summary.epochs == 3
    assert len(trained.history_file.read_text().splitlines()) == 1 + 3


def test_a_training_without_patience_left_ends_where_it_ended(discs, tmp_path):
    """Killed after the last epoch, before its files were written."""
    first = train(tmp_path, discs, epochs=9, patience=2, learning_rate=1e-9, keep="last")
    last = torch.load(tmp_path / "last.ckpt", weights_only=True)["state_dict"]
    first.network_file.unlink()
    first.summary_file.unlink()
    again = train(tmp_path, discs, epochs=9, patience=2, learning_rate=1e-9, keep="last")
    assert again.summary == first.summary
    left = torch.load(tmp_path / "last.ckpt", weights_only=True)["state_dict"]
    assert all(torch.equal(last[name], left[name]) for name in last)


def test_patience_starts_anew_with_each_better_epoch(discs, tmp_path):
    trained = train(tmp_path, discs, epochs=40, patience=3, network=UNET_28)
    summary = trained.summary
    assert 1 < summary.best_epoch
    assert summary.epochs == min(40, summary.best_epoch + 3)


def test_accumulated_batches_are_one_batch_of_the_product_size(discs, tmp_path, monkeypatch):
    seen = watch(monkeypatch, "on_before_optimizer_step", gradient)
    train(tmp_path / "whole", discs, network=UNET_28, batch_size=4)
    whole, seen[:] = list(seen), []
    train(tmp_path / "halves", discs, network=UNET_28, batch_size=2, accumulate=2)
    assert len(whole) == len(seen) == 2
    # Sums of 3072 pixels in another order, 50 roundings of 2^-24, through some ten layers.
    scale = whole[0].abs().max().item()
    torch.testing.assert_close(seen[0], whole[0], rtol=0.0, atol=3e-5 * scale)


def test_accumulation_makes_as_many_steps_of_the_schedule(discs, tmp_path, monkeypatch):
    rates = watch(monkeypatch, "on_before_optimizer_step", learning_rate)
    train(tmp_path, discs, epochs=2, batch_size=2, accumulate=3, learning_rate=1.0)
    assert rates == pytest.approx([(1 - step / 4) ** 0.9 for step in range(4)])


def test_longer_gradients_are_shortened(discs, tmp_path, monkeypatch):
    norms = watch(monkeypatch, "on_train_batch_end", lambda task: gradient(task).norm().item())
    train(tmp_path / "free", discs)
    (first, _), norms[:] = tuple(norms), []
    train(tmp_path / "clipped", discs, gradient_clip=first / 2)
    # The norm is divided by, with 1e-6 added.
    assert norms[0] == pytest.approx(first / 2, rel=1e-5)
    assert max(norms) <= first / 2 * (1 + 1e-5)


@pytest.mark.parametrize(
    ("schedule", "every", "factor"),
    [("halve", "HALVE_EVERY", 0.5), ("tenth", "TENTH_EVERY", 0.1), ("decay", "DECAY_AFTER", 0.97)],
)
def test_schedules_by_the_epoch_change_the_rate_between_epochs(
    schedule, every, factor, discs, tmp_path, monkeypatch
):
    """Each epoch instead of every twentieth, or after the first instead of the twentieth."""
    monkeypatch.setattr(recipes, every, 1)
    rates = watch(monkeypatch, "on_before_optimizer_step", learning_rate)
    train(tmp_path, discs, epochs=3, schedule=schedule, learning_rate=0.1)
    expected = [0.1 * factor**epoch for epoch in range(3) for _ in range(2)]
    assert rates == pytest.approx(expected)


def test_bfloat16_is_for_what_is_between_weights_and_loss(discs, tmp_path, monkeypatch):
    step, seen = SegmentationTask._step, []

    def watched(task, batch):
        seen.append((torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")))
        result = step(task, batch)
        assert result.loss.dtype == torch.float32
        return result

    monkeypatch.setattr(SegmentationTask, "_step", watched)
    train(tmp_path, discs, precision="bf16")
    assert set(seen) == {(True, torch.bfloat16)}


def test_deterministic_algorithms_are_chosen_for_the_training_alone(discs, tmp_path, monkeypatch):
    see = torch.are_deterministic_algorithms_enabled
    seen = watch(monkeypatch, "on_before_optimizer_step", lambda task: see())
    train(tmp_path, discs, deterministic=True)
    assert seen == [True, True]
    assert not see()


def test_dropout_depends_on_seed_and_epoch_alone(discs, tmp_path, monkeypatch):
    """Stopped after the first of three epochs; what others draw in between does not matter."""

    def with_dropout(*args, **options):
        network = build_network(*args, **options)
        network.head = nn.Sequential(nn.Dropout2d(0.5), network.head)
        return network

    monkeypatch.setattr(fit, "build_network", with_dropout)
    through = train(tmp_path / "through", discs, epochs=3)

    class Stopping(discs):
        def set_epoch(self, epoch):
            if epoch == 1:
                raise RuntimeError("power cut")
            super().set_epoch(epoch)

    with pytest.raises(RuntimeError, match="power cut"):
        train(tmp_path / "stopped", Stopping, epochs=3)
    torch.rand(7)
    stopped = train(tmp_path / "stopped", discs, epochs=3)
    one, other = (
        torch.load(trained.network_file, weights_only=True)["state_dict"]
        for trained in (through, stopped)
    )
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert not math.isnan(through.summary.best_validation_dice)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"precision": "16"}, "training.precision is 16, and processors do not train in float16"),
        ({"cuda_graphs": True}, r"training\.cuda_graphs is for a GPU"),
        ({"devices": 3}, "training.batch_size is 4, which 3 processes .* cannot share equally"),
        ({"nodes": 2}, "start the same command on each machine with torchrun --nnodes 2"),
        ({"devices": 2, "compile": True}, r"training\.compile is for one process"),
        ({"devices": 2, "fresh": "scans"}, "training.fresh is scans, .* by one process"),
        ({"devices": 2, "slices": 5}, "the last batch of 5 training slices has 1"),
    ],
    ids=["float16", "cuda graphs", "devices", "nodes", "compile", "fresh scans", "last batch"],
)
def test_what_this_machine_cannot_do_is_refused_before_any_work(changes, message, discs, tmp_path):
    folder = tmp_path / "training"
    with pytest.raises(SpinforgeError, match=message):
        train(folder, discs, **changes)
    assert not folder.exists()


def test_another_number_of_processes_than_announced_is_refused(discs, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "job")
    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(
        SpinforgeError, match=r"4 processes were started, but training\.devices is 2"
    ):
        train(tmp_path, discs, devices=2)


def test_cuda_graphs_are_for_one_gpu_without_accumulation(discs, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for changes in ({"devices": 2}, {"accumulate": 2}):
        with pytest.raises(SpinforgeError, match="for one device without accumulation"):
            train(tmp_path, discs, device="gpu", cuda_graphs=True, **changes)
    with pytest.raises(SpinforgeError, match=r"training\.devices is 4, but PyTorch finds 2 GPUs"):
        train(tmp_path, discs, device="gpu", devices=4)
