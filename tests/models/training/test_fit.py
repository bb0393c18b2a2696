"""Training: the files it leaves, stopping and resuming, and what it refuses."""

import csv
import errno
import json
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning.pytorch.loggers import CSVLogger

from spinforge.datasets.reading.slice_format import SliceFormat, image_planes
from spinforge.models.crdn.crdn import CRDNConfig
from spinforge.models.inference import predict_labels
from spinforge.models.seranet.unet import UNetConfig
from spinforge.models.training.data import EpochSampler, SliceDataset
from spinforge.models.training.fit import train_network
from spinforge.models.training.recipes import TrainingConfig
from spinforge.models.weights import load_network
from spinforge.simulation.errors import SpinforgeError

UNET = UNetConfig(kind="unet", width=2)
RECIPE = TrainingConfig(epochs=3, batch_size=4, device="cpu")
READS = SliceFormat(
    content="image",
    channels=("T1",),
    scaling="volume",
    planes=image_planes(("axial",), (3.0, 1.0, 1.0)),
    size=(32, 32),
    is_padded=True,
    class_names=("background", "CSF", "GM", "WM"),
)


def train(folder, data, validation, *, network=UNET, recipe=RECIPE, seed=1, **options):
    return train_network(
        network, recipe, data, validation, folder, seed=seed, progress=False, **options
    )


def weights(trained):
    return torch.load(trained.network_file, weights_only=True)["state_dict"]


def assert_same_weights(one, other):
    assert one.keys() == other.keys()
    differing = [name for name in one if not torch.equal(one[name], other[name])]
    assert not differing


def last_weights(folder):
    return torch.load(folder / "last.ckpt", weights_only=True)["state_dict"]


def interrupting(data, error, *, epoch):
    """`data`, raising `error` in the middle of `epoch`."""

    class Interrupting(type(data)):
        def __getitem__(self, index):
            if self.epoch == epoch and len(self.visits) % len(self) == len(self) // 2:
                raise error
            return super().__getitem__(index)

    data.__class__ = Interrupting
    return data


@pytest.mark.parametrize(
    ("network", "precision"),
    [(UNET, "32"), (UNET, "bf16"), (CRDNConfig(kind="crdn"), "32")],
    ids=["unet", "unet-bf16", "crdn"],
)
@pytest.mark.parametrize("stop", [1, 2])
def test_resumed_training_gives_the_same_weights(network, precision, stop, discs, tmp_path):
    recipe = RECIPE.model_copy(update={"precision": precision})
    through = train(tmp_path / "through", discs(10), discs(4), network=network, recipe=recipe)

    folder = tmp_path / "stopped"
    stopped = interrupting(discs(10), RuntimeError("power cut"), epoch=stop)
    with pytest.raises(RuntimeError, match="power cut"):
        train(folder, stopped, discs(4), network=network, recipe=recipe)
    assert not (folder / "network.pt").exists()
    torch.rand(3)  # the state of the global generator must not matter
    resumed = train(folder, discs(10), discs(4), network=network, recipe=recipe)

    assert_same_weights(weights(through), weights(resumed))
    assert_same_weights(last_weights(tmp_path / "through"), last_weights(folder))
    for name in ("epochs", "best_epoch", "best_validation_dice"):
        assert getattr(through.summary, name) == getattr(resumed.summary, name)
    columns = ("epoch", "train_loss", "validation_loss", "validation_dice_pooled", "learning_rate")
    assert table(through, columns) == table(resumed, columns)


def table(trained, columns):
    with trained.history_file.open() as file:
        return [[row[name] for name in columns] for row in csv.DictReader(file)]


def test_each_epoch_visits_every_slice_once_in_a_new_order(discs, tmp_path):
    data = discs(10)
    train(tmp_path, data, discs(4))
    assert sorted(set(data.epochs)) == [0, 1, 2]
    orders = [[index for visited, index in data.visits if visited == epoch] for epoch in range(3)]
    assert all(sorted(order) == list(range(10)) for order in orders)
    assert len({tuple(order) for order in orders}) == 3


def test_resume_visits_what_was_left(discs, tmp_path):
    stopped = interrupting(discs(10), RuntimeError("power cut"), epoch=1)
    with pytest.raises(RuntimeError, match="power cut"):
        train(tmp_path / "a", stopped, discs(4))
    resumed, through = discs(10), discs(10)
    train(tmp_path / "a", resumed, discs(4))
    train(tmp_path / "b", through, discs(4))
    assert resumed.visits == [visit for visit in through.visits if visit[0] >= 1]


def test_order_depends_on_the_seed(discs):
    first, again, other = (list(EpochSampler(discs(20), seed=seed)) for seed in (1, 1, 2))
    assert first == again != other


def test_files_tell_the_same_story(discs, tmp_path):
    trained = train(tmp_path, discs(10), discs(4))
    assert {path.name for path in tmp_path.iterdir()} == {
        "network.pt",
        "training.json",
        "history.csv",
        "last.ckpt",
    }
    dice = [float(row[0]) for row in table(trained, ("validation_dice_pooled",))]
    summary = json.loads((tmp_path / "training.json").read_text())
    assert summary["epochs"] == len(dice) == 3
    assert summary["best_epoch"] == 1 + int(np.argmax(dice))
    # The table has seven digits: half a unit in the last is 5e-7 of numbers above 0.1.
    assert summary["best_validation_dice"] == pytest.approx(max(dice), rel=5e-7)


def test_kept_network_reaches_the_recorded_dice(discs, tmp_path):
    """Weights, metric and labels, computed once more by other means."""
    recipe = TrainingConfig(epochs=4, batch_size=2, device="cpu")
    trained = train(tmp_path, discs(10), discs(4), recipe=recipe)
    data = discs(4)
    labels = predict_labels(load_network(trained.network_file), data)
    truth = np.stack([data[index]["target"].numpy() for index in range(4)])
    dice = [
        2 * np.sum((labels == k) & (truth == k)) / (np.sum(labels == k) + np.sum(truth == k))
        for k in (1, 2, 3)
    ]
    # The metric is computed in float64 and handed on in float32.
    assert trained.summary.best_validation_dice == pytest.approx(np.mean(dice), rel=2**-24)


def test_finished_training_is_returned_at_once(discs, tmp_path):
    first = train(tmp_path, discs(10), discs(4))
    data = discs(10)
    assert train(tmp_path, data, discs(4)) == first
    assert data.visits == []


@pytest.mark.parametrize(
    "elsewhere", [{"nodes": 2}, {"cuda_graphs": True}, {"device": "gpu"}], ids=str
)
def test_a_training_finished_elsewhere_asks_nothing_of_this_machine(
    elsewhere, discs, tmp_path, monkeypatch
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    first = train(tmp_path, discs(10), discs(4))
    recipe = RECIPE.model_copy(update=elsewhere)
    assert train(tmp_path, discs(10), discs(4), recipe=recipe) == first


def test_the_network_file_says_what_it_reads(discs, tmp_path):
    trained = train(tmp_path, discs(4), discs(2), reads=READS)
    assert load_network(trained.network_file).reads == READS


def test_missing_summary_is_written_anew_from_the_checkpoint(discs, tmp_path):
    first = train(tmp_path, discs(10), discs(4))
    kept = weights(first)
    (tmp_path / "training.json").unlink()
    data = discs(10)
    second = train(tmp_path, data, discs(4))
    assert data.visits == []
    assert second.summary == first.summary
    assert_same_weights(weights(second), kept)


@pytest.mark.parametrize("finished", [True, False])
@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"seed": 2}, "seed was 1, now 2"),
        ({"network": UNetConfig(kind="unet", width=3)}, "network.width was 2, now 3"),
        (
            {"recipe": RECIPE.model_copy(update={"learning_rate": 0.01})},
            "recipe.learning_rate was 0.003, now 0.01",
        ),
    ],
    ids=["seed", "network", "recipe"],
)
def test_files_of_another_training_are_refused(finished, change, name, discs, tmp_path):
    train(tmp_path, discs(4), discs(2))
    if not finished:
        (tmp_path / "network.pt").unlink()
    with pytest.raises(SpinforgeError, match=f"another training: {name}; choose"):
        train(tmp_path, discs(4), discs(2), **change)


def test_full_disk_is_named_and_the_last_epoch_is_kept(discs, tmp_path, monkeypatch):
    write = Path.write_bytes

    def write_until_full(path, content):
        """No room for the second checkpoint."""
        if (tmp_path / "last.ckpt").exists():
            write(path, bytes(content)[: len(content) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(path, content)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", write_until_full)
        with pytest.raises(SpinforgeError, match=r"disk is full: .*last\.ckpt was not written"):
            train(tmp_path, discs(10), discs(4))
    assert {path.name for path in tmp_path.iterdir()} == {"last.ckpt", "history.csv"}
    data = discs(10)
    assert train(tmp_path, data, discs(4)).summary.epochs == 3
    assert sorted(set(data.epochs)) == [1, 2]


def test_damaged_checkpoint_is_named(discs, tmp_path):
    train(tmp_path, discs(4), discs(2))
    (tmp_path / "network.pt").unlink()
    checkpoint = tmp_path / "last.ckpt"
    checkpoint.write_bytes(checkpoint.read_bytes()[:-1000])
    with pytest.raises(SpinforgeError, match=r"last\.ckpt is damaged"):
        train(tmp_path, discs(4), discs(2))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_infinite_loss_names_epoch_and_slices(value, discs, tmp_path):
    class Broken(discs):
        def __getitem__(self, index):
            sample = super().__getitem__(index)
            if self.epoch == 1:
                sample["image"] = torch.full_like(sample["image"], value)
            return sample

    message = (
        r"training loss of epoch 2 became nan in batch 1 \(subject/slice: sub-0\d \d, sub-0\d \d,"
    )
    with pytest.raises(SpinforgeError, match=message):
        train(tmp_path, Broken(10), discs(4))


def test_infinite_validation_loss_names_epoch_and_slices(discs, tmp_path):
    class Broken(discs):
        def __getitem__(self, index):
            sample = super().__getitem__(index)
            if index == 5:
                sample["image"] = torch.full_like(sample["image"], torch.nan)
            return sample

    message = (
        r"validation loss of epoch 1 became nan in batch 2 \(subject/slice: sub-01 0, sub-01 1,"
    )
    with pytest.raises(SpinforgeError, match=message):
        train(tmp_path, discs(10), Broken(7))


@pytest.mark.parametrize(
    ("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)]
)
def test_being_stopped_reaches_the_caller_and_can_be_resumed(number, error, discs, tmp_path):
    class Stopping(discs):
        def set_epoch(self, epoch):
            super().set_epoch(epoch)
            if epoch == 1:
                os.kill(os.getpid(), number)

    handlers = [signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(error) as raised:
        train(tmp_path, Stopping(10), discs(4))
    assert error is KeyboardInterrupt or raised.value.code == 143
    assert [signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGTERM)] == handlers
    data = discs(10)
    assert train(tmp_path, data, discs(4)).summary.epochs == 3
    assert sorted(set(data.epochs)) == [1, 2]


def test_loggers_receive_each_epoch(discs, tmp_path):
    logger = CSVLogger(tmp_path / "log", name="", version="")
    train(tmp_path / "training", discs(10), discs(4), loggers=[logger])
    with (tmp_path / "log" / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    for name in ("train_loss", "validation_loss", "validation_dice_pooled", "learning_rate"):
        assert len([row for row in rows if row[name]]) == 3


def test_training_is_quiet_and_leaves_no_traces(discs, tmp_path, monkeypatch, capfd, caplog):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    level = logging.getLogger("lightning.pytorch").level
    before = torch.get_rng_state()
    train(tmp_path / "training", discs(4), discs(2))
    assert torch.equal(before, torch.get_rng_state())
    assert logging.getLogger("lightning.pytorch").level == level
    assert capfd.readouterr() == ("", "")
    assert caplog.text == ""
    assert list(elsewhere.iterdir()) == []


def test_progress_bar_leaves_standard_output_to_the_answer(discs, tmp_path, capfd):
    recipe = RECIPE.model_copy(update={"epochs": 1})
    train_network(UNET, recipe, discs(4), discs(2), tmp_path, seed=0)
    out, err = capfd.readouterr()
    assert out == ""
    assert "Epoch" in err


def test_sets_that_do_not_fit_together_are_refused(discs, tmp_path):
    with pytest.raises(SpinforgeError, match="validation set holds no slices"):
        train(tmp_path, discs(4), discs(0))
    with pytest.raises(SpinforgeError, match="n_channels is 2 in the training set, 1"):
        train(tmp_path, discs(4), discs(4, n_channels=1))


def test_missing_gpu_is_an_error(discs, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    recipe = RECIPE.model_copy(update={"device": "gpu"})
    with pytest.raises(SpinforgeError, match="device is gpu"):
        train(tmp_path, discs(4), discs(2), recipe=recipe)


def test_test_data_satisfies_the_protocol(discs):
    assert isinstance(discs(1), SliceDataset)


def test_what_a_killed_training_was_writing_is_removed(discs, tmp_path):
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        left = tmp_path / f".last.ckpt.tmp-{gone.pid}"
    left.write_bytes(b"half a checkpoint")
    train(tmp_path, discs(4), discs(2))
    assert not left.exists()
